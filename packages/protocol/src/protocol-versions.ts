import type { DispatchAnswer } from '@dmg/core';
import { isAssistStep, type NodeFacts, type ProtocolVersion, type RunningAttempt } from '@dmg/model';

/** The minors of one major that a node speaks. */
export interface ProtocolRange {
  readonly major: number;
  readonly minorMin: number;
  readonly minorMax: number;
}

/** The newest wire that this release speaks. */
export const protocolVersion: ProtocolVersion = { major: 1, minor: 1 };

/** All that it speaks: the newest minor and the one before (DESIGN-RULES 17, 29). */
export const spokenVersions: readonly ProtocolRange[] = [
  { major: protocolVersion.major, minorMin: protocolVersion.minor - 1, minorMax: protocolVersion.minor },
];

/** The highest wire that both sides speak; undefined: there is none. */
export function chooseProtocol(own: readonly ProtocolRange[], other: readonly ProtocolRange[]): ProtocolVersion | undefined {
  let best: ProtocolVersion | undefined;
  for (const mine of own) {
    for (const theirs of other) {
      const minor = Math.min(mine.minorMax, theirs.minorMax);
      if (mine.major !== theirs.major || minor < Math.max(mine.minorMin, theirs.minorMin)) continue;
      const isBetter = best === undefined || mine.major > best.major || (mine.major === best.major && minor > best.minor);
      if (isBetter) best = { major: mine.major, minor };
    }
  }
  return best;
}

/** As evidence: `1.0 to 1.1`. */
export function formatRanges(ranges: readonly ProtocolRange[]): string {
  if (ranges.length === 0) return 'no protocol';
  return ranges
    .map(({ major, minorMin, minorMax }) => `${major}.${minorMin}${minorMin === minorMax ? '' : ` to ${major}.${minorMax}`}`)
    .join(' and ');
}

/**
 * What 1.1 has and 1.0 has not: the refusal NO_MEMORY, the agreed configuration in words, `supersede`, and assistants. Whoever speaks 1.0
 * is told what it understands: a worker without memory is one that takes no job now, which is what NO_FREE_SLOT makes a dispatcher
 * believe.
 */
export function answerFor(protocol: ProtocolVersion, answer: DispatchAnswer): DispatchAnswer {
  if (protocol.minor >= 1 || answer.accepted || answer.reason !== 'NO_MEMORY') return answer;
  return { ...answer, reason: 'NO_FREE_SLOT' };
}

/** See `answerFor`. */
export function factsFor(protocol: ProtocolVersion, facts: NodeFacts): NodeFacts {
  return protocol.minor >= 1 ? facts : { ...facts, config: '' };
}

/** See `answerFor`. */
export function canSupersede(protocol: ProtocolVersion): boolean {
  return protocol.minor >= 1;
}

/** See `answerFor`. */
export function canAssist(protocol: ProtocolVersion): boolean {
  return protocol.minor >= 1;
}

/** See `answerFor`. A dispatcher that has no word for assistants need not know of them: they end with the job. */
export function attemptsFor(protocol: ProtocolVersion, attempts: readonly RunningAttempt[]): readonly RunningAttempt[] {
  return protocol.minor >= 1 ? attempts : attempts.filter(({ step }) => !isAssistStep(step));
}

import { readCorpus } from '../../packages/formats/src/testing/corpus.ts';
import { describeFailure, fuzzText } from '../../packages/formats/src/testing/text-fuzz.ts';
import type { CleanupContext } from '../harness/cleanup.ts';
import { type BombVerdict, describeBomb, runBombs } from './bombs.ts';
import { describeLargeField, largeFieldCases, type LargeFieldVerdict, runLargeField } from './large-fields.ts';

export interface ParserVerdict {
  readonly rounds: number;
  /** How often each outcome came up. */
  readonly outcomes: Readonly<Record<string, number>>;
  readonly largeFields: readonly LargeFieldVerdict[];
  readonly bombs: readonly BombVerdict[];
  readonly problems: readonly string[];
}

export interface ParserSuiteOptions {
  readonly rounds: number;
  readonly seed: number;
  readonly fieldBytes: number;
  readonly say: (line: string) => void;
}

/** Rounds between two lines that say how far it is. */
const roundsPerLine = 5_000;

/** Mutated text against the reference, then fields of a gigabyte and files that hold as much through a whole copy. */
export async function runParserSuite(context: CleanupContext, options: ParserSuiteOptions): Promise<ParserVerdict> {
  const { say } = options;
  const fuzzed = fuzzText({
    seed: options.seed, rounds: options.rounds, corpus: readCorpus(),
    onRound: (round) => {
      if (round % roundsPerLine === 0) say(`${round} rounds`);
    },
  });
  const problems = fuzzed.failures.map(describeFailure);
  say(`${fuzzed.rounds} rounds, ${problems.length} differences: ${JSON.stringify(fuzzed.outcomes)}`);
  const largeFields: LargeFieldVerdict[] = [];
  for (const large of largeFieldCases(options.fieldBytes)) {
    const verdict = await runLargeField(context, large);
    say(describeLargeField(verdict));
    largeFields.push(verdict);
    problems.push(...verdict.problems.map((problem) => `${verdict.name}: ${problem}`));
  }
  const bombs = await runBombs(context, options.fieldBytes, (verdict) => say(describeBomb(verdict)));
  problems.push(...bombs.flatMap(({ name, problems: found }) => found.map((problem) => `${name}: ${problem}`)));
  return { rounds: fuzzed.rounds, outcomes: fuzzed.outcomes, largeFields, bombs, problems };
}

export function describeParserVerdict({ rounds, largeFields, bombs, problems }: ParserVerdict): string {
  const memoryMb = Math.round(Math.max(0, ...[...largeFields, ...bombs].map(({ memoryBytes }) => memoryBytes)) / 1e6);
  const sources = `${largeFields.length} large sources, ${bombs.length} bombs`;
  return `parsers: ${rounds} rounds, ${sources}, at most ${memoryMb} MB of memory, ${problems.length} problems`;
}

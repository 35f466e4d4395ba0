import { asDmgError, type DmgError } from '@dmg/base';

/** Exit codes of every program of ours. */
export const exitCodes = { ok: 0, failed: 1, usage: 2, unreachable: 3, refused: 4 } as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** The exit code that an error means: `usage` for what the user typed or set, `unreachable` for what may come back. */
export function exitCodeFor(error: DmgError): ExitCode {
  if (error.code === 'DMG_LIFECYCLE_BAD_SETTING') return exitCodes.usage;
  if (error.code.endsWith('_REFUSED')) return exitCodes.refused;
  if (error.category === 'transient') return exitCodes.unreachable;
  return exitCodes.failed;
}

/** One or two lines for a person: what, why, what to do. Never a stack. */
export function describeError(value: unknown): string {
  const error = asDmgError(value);
  const fault = error.toFault();
  // Where the sentence gives the cause as its reason, it is not said twice.
  const cause = fault.detail === undefined || error.message.includes(fault.detail) ? '' : ` Cause: ${fault.detail}.`;
  return `${error.code}: ${error.message}${cause}\n  ${error.fix}`;
}

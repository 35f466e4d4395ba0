import { inspect } from 'node:util';
import { exitCodes } from './exit-codes.ts';

/**
 * For errors that a library throws where nobody can catch them, such as from a timer of its own: the process goes on after those that
 * `isHarmless` knows for certain, and ends at all others as it would without this (exit code 1, the error with its stack on standard
 * error). `report` is told of those that it went on after.
 */
export function bearStrayErrors(isHarmless: (error: unknown) => boolean, report: (error: unknown) => void): void {
  // A rejection that nobody handles comes here as well.
  process.on('uncaughtException', (error: unknown) => {
    if (isHarmless(error)) return report(error);
    process.stderr.write(`${inspect(error)}\n`);
    process.exit(exitCodes.failed);
  });
}

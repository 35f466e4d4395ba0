import { describeError, exitCodeFor } from '@dmg/lifecycle';
import { asDmgError } from '@dmg/base';

/** The one place of this root, besides `runRoot`, that writes to the standard streams. */
export function fail(name: string, text: string, exitCode: number): never {
  process.stderr.write(`${name}: ${text}\n`);
  process.exit(exitCode);
}

/** Reads the configuration; a wrong flag ends the program with a sentence and exit code 2. */
export function followFlags<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    return fail(name, describeError(error), exitCodeFor(asDmgError(error)));
  }
}

/** A log line of a process that we started. */
export function passOn(line: string): void {
  process.stderr.write(`${line}\n`);
}

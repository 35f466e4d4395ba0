import { readdir, readFile } from 'node:fs/promises';
import { waitFor } from './wait-for.ts';

/** Environment variable whose value is inherited by all descendants of a started process. */
export const markVariable = 'DMG_TEST_MARK';

export interface LeftProcess {
  readonly pid: number;
  readonly command: string;
}

export interface ProcessSearch {
  readonly mark: string;
  /** Default: `markVariable`. */
  readonly variable?: string;
  readonly group?: number;
}

/**
 * Lists the living processes whose environment has `mark` in `variable`, or which belong to process group `group`: also those whose
 * parent is gone.
 */
export async function findProcesses(options: ProcessSearch): Promise<LeftProcess[]> {
  const entries = await readdir('/proc');
  const found = await Promise.all(entries.filter((entry) => /^\d+$/.test(entry)).map((entry) => inspectProcess(entry, options)));
  return found.filter((process) => process !== undefined);
}

async function inspectProcess(entry: string, options: ProcessSearch): Promise<LeftProcess | undefined> {
  try {
    const status = await readFile(`/proc/${entry}/stat`, 'utf8');
    // The command stands in parentheses and may hold anything; state, parent and group follow it.
    const [state, , group] = status.slice(status.lastIndexOf(')') + 2).split(' ');
    if (state === 'Z' || state === 'X') return undefined;
    if (Number(group) !== options.group) {
      const environment = await readFile(`/proc/${entry}/environ`, 'latin1');
      if (!environment.split('\0').includes(`${options.variable ?? markVariable}=${options.mark}`)) return undefined;
    }
    const commandLine = await readFile(`/proc/${entry}/cmdline`, 'utf8');
    return { pid: Number(entry), command: commandLine.replaceAll('\0', ' ').trim() };
  } catch {
    // The process ended while it was looked at, or belongs to another user and so is not ours.
    return undefined;
  }
}

/** Waits until none is left; kills what remains after `withinMs` and then throws, naming it. */
export async function assertNoProcessLeft(options: ProcessSearch & { readonly withinMs?: number }): Promise<void> {
  let left: LeftProcess[] = [];
  try {
    await waitFor('the end of all started processes', async () => (left = await findProcesses(options)).length === 0, {
      withinMs: options.withinMs ?? 5_000,
    });
  } catch (error) {
    for (const { pid } of left) killIfThere(pid);
    throw new Error(`processes were left behind and have been killed: ${left.map(describe).join('; ')}`, { cause: error });
  }
}

function describe(left: LeftProcess): string {
  return `${left.pid} ${left.command.slice(0, 120)}`;
}

/** Sends `signal` to a process; false when it does not exist any more. */
export function killIfThere(pid: number, signal: NodeJS.Signals = 'SIGKILL'): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

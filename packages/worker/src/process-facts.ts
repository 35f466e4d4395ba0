import { readFileSync } from 'node:fs';

/**
 * A process beyond doubt: a pid is used again, a pid with its start time is not until the machine restarts. `bootId` tells
 * restarts apart.
 */
export interface ProcessIdentity {
  readonly pid: number;
  /** Field 22 of `/proc/<pid>/stat` (proc(5)): clock ticks between boot and start. */
  readonly startTime: string;
  readonly bootId: string;
}

/**
 * Identity of a process that is running; undefined when there is none or it is a zombie: dead, though its last threads may take a
 * moment to let go of what it held.
 */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  const stat = readProc(`${pid}/stat`);
  // The second field is the program's name in parentheses and may hold anything, also parentheses.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  const state = fields?.[0];
  const startTime = fields?.[19];
  if (startTime === undefined || state === 'Z' || state === 'X') return undefined;
  return { pid, startTime, bootId: readProc('sys/kernel/random/boot_id')?.trim() ?? '' };
}

export function isSameProcess(a: ProcessIdentity, b: ProcessIdentity | undefined): boolean {
  return b !== undefined && a.pid === b.pid && a.startTime === b.startTime && a.bootId === b.bootId;
}

/** Resident memory in bytes; undefined when the process is gone. `status` gives kilobytes whatever the size of a page is. */
export function readResidentBytes(pid: number): number | undefined {
  const found = readProc(`${pid}/status`)?.match(/^VmRSS:\s+(\d+) kB$/m)?.[1];
  return found === undefined ? undefined : Number(found) * 1024;
}

/**
 * For how long the main thread of a process has been ready to run and waited for a processor, since its start (the second field of
 * `/proc/<pid>/schedstat`, nanoseconds); undefined when it is gone or the kernel does not count it.
 */
export function readRunDelayMs(pid: number): number | undefined {
  const delayNs = Number(readProc(`${pid}/schedstat`)?.split(' ')[1]);
  return Number.isFinite(delayNs) ? delayNs / 1e6 : undefined;
}

export function readCommandLine(pid: number): readonly string[] {
  return readProc(`${pid}/cmdline`)?.split('\0') ?? [];
}

function readProc(path: string): string | undefined {
  try {
    return readFileSync(`/proc/${path}`, 'utf8');
  } catch {
    // Gone between two looks, or not ours to see: both mean that nothing is known of it.
    return undefined;
  }
}

import { firstLine, type Logger } from '@dmg/base';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { identifyProcess, isSameProcess, type ProcessIdentity, readCommandLine } from './process-facts.ts';

/** The first argument of every executor; with the node's id it marks a process as ours. */
export const executorMark = 'dmg-executor';

interface ExecutorRecord {
  readonly executor: ProcessIdentity;
  readonly host: ProcessIdentity;
}

/**
 * Which executors a host has started, one file each, so that the next host finds those that a killed one left behind
 * (DESIGN-RULES 20). The files are read at start only; losing them loses nothing but the early end of a leftover, because the
 * names of the slots are what counts.
 */
export class RunDirectory {
  readonly #directory: string;
  readonly #nodeId: string;
  readonly #logger: Logger;
  readonly #host: ProcessIdentity | undefined;

  constructor(options: { directory: string; nodeId: string; logger: Logger }) {
    this.#directory = join(options.directory, 'executors');
    this.#nodeId = options.nodeId;
    this.#logger = options.logger;
    this.#host = identifyProcess(process.pid);
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
  }

  /**
   * Notes a process before it is given anything to hold. Synchronous: a host killed right after must have left the note. A note
   * that cannot be written (no space) is done without: the process ends by itself unless it is frozen, and its slot stays used.
   */
  note(pid: number): void {
    const executor = identifyProcess(pid);
    if (executor === undefined || this.#host === undefined) return;
    const record: ExecutorRecord = { executor, host: this.#host };
    try {
      writeFileSync(this.#path(pid, '.new'), JSON.stringify(record), { mode: 0o600 });
      renameSync(this.#path(pid, '.new'), this.#path(pid));
    } catch (error) {
      this.#logger.warn({ pid, reason: firstLine(error) }, 'note of an executor cannot be written');
    }
  }

  /** A note that stays behind names a process that is gone, and is dropped at the next start. */
  forget(pid: number): void {
    try {
      rmSync(this.#path(pid), { force: true });
    } catch (error) {
      this.#logger.warn({ pid, reason: firstLine(error) }, 'note of an executor cannot be removed');
    }
  }

  /**
   * Kills what former hosts left: only a process with the noted pid *and* start time, which carries our mark and whose host is
   * gone. Returns how many were killed. Their slots are free when the kernel says so, not before.
   */
  killLeftovers(): number {
    let killed = 0;
    for (const name of readdirSync(this.#directory)) {
      const path = join(this.#directory, name);
      const record = this.#read(path);
      if (record !== undefined) {
        if (isSameProcess(record.host, identifyProcess(record.host.pid))) continue;
        if (this.#isOurs(record.executor) && this.#kill(record.executor.pid)) killed++;
      }
      rmSync(path, { force: true });
    }
    return killed;
  }

  #path(pid: number, suffix = ''): string {
    return join(this.#directory, `${pid}.json${suffix}`);
  }

  #isOurs(executor: ProcessIdentity): boolean {
    if (!isSameProcess(executor, identifyProcess(executor.pid))) return false;
    const words = readCommandLine(executor.pid);
    return words.includes(executorMark) && words.includes(this.#nodeId);
  }

  #kill(pid: number): boolean {
    try {
      process.kill(pid, 'SIGKILL');
      this.#logger.warn({ pid }, 'executor left by a former host killed');
      return true;
    } catch (error) {
      this.#logger.warn({ pid, reason: firstLine(error) }, 'executor left by a former host cannot be killed');
      return false;
    }
  }

  #read(path: string): ExecutorRecord | undefined {
    try {
      const record = JSON.parse(readFileSync(path, 'utf8')) as Partial<ExecutorRecord>;
      if (isIdentity(record.executor) && isIdentity(record.host)) return { executor: record.executor, host: record.host };
      this.#logger.warn({ path }, 'note of an executor is not readable and is dropped');
    } catch (error) {
      this.#logger.warn({ path, reason: firstLine(error) }, 'note of an executor is not readable and is dropped');
    }
    return undefined;
  }
}

function isIdentity(value: Partial<ProcessIdentity> | undefined): value is ProcessIdentity {
  return typeof value?.pid === 'number' && value.pid > 1 && typeof value.startTime === 'string' && typeof value.bootId === 'string';
}

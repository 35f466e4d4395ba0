import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { type Clock, firstLine } from '@dmg/base';
import { lifecycleErrors } from './errors.ts';

export interface ChildRootOptions {
  readonly name: string;
  /** Path of the program's main module. */
  readonly main: string;
  readonly args: readonly string[];
  /** The complete environment of the child. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly readyLimitMs?: number;
  /** Each line the child writes to standard error. */
  readonly onLog?: (line: string) => void;
  readonly signal?: AbortSignal;
}

export interface ChildRoot {
  readonly name: string;
  readonly pid: number;
  /** The parsed ready line. */
  readonly ready: Readonly<Record<string, unknown>>;
  /** Resolves when the process is gone, however it went. */
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  /**
   * SIGTERM to the process, then SIGKILL to its whole group after `limitMs`, so that not even frozen children of it stay; resolves when
   * it is gone.
   */
  stop(limitMs?: number): Promise<void>;
}

const lastLinesMax = 8;
const stopLimitMs = 8000;
const pipeLimitMs = 200;

/**
 * Starts a root as a process and waits for its ready line. The child's standard input is a pipe that we hold: when we die, however
 * we die, it ends with us. It leads a process group of its own, in which its children are unless they leave it: `kill(2)` of the
 * negative pid reaches them all.
 */
export async function startChildRoot(options: ChildRootOptions): Promise<ChildRoot> {
  const { name, clock } = options;
  options.signal?.throwIfAborted();
  const child = spawn(process.execPath, [options.main, ...options.args], {
    env: { ...options.env, DMG_EXIT_WITH_PARENT: '1' },
    stdio: ['pipe', 'pipe', 'pipe'],
    // A group of its own: Ctrl-C in the terminal reaches only the parent, which stops its children in order.
    detached: true,
  });
  child.stdin.on('error', () => undefined); // The pipe breaks when the child dies first; `exited` tells.
  const lastLines: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    lastLines.push(line);
    if (lastLines.length > lastLinesMax) lastLines.shift();
    options.onLog?.(line);
  });
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }));
    // Children of its own that live on hold its pipes open; its last lines are worth a short wait, its end must not hang on them.
    child.once('exit', (code, signal) => clock.after(pipeLimitMs, () => resolve({ code, signal })));
    child.once('error', () => resolve({ code: null, signal: null }));
  });
  const fail = (reason: string): Error =>
    lifecycleErrors.CHILD_NOT_READY.create({ name, reason, lastLines: lastLines.length === 0 ? '(none)' : lastLines.join('\n  ') });

  const ready = await waitForReady(child, exited, options, clock, fail);
  return {
    name,
    pid: child.pid ?? 0,
    ready,
    exited,
    stop: (limitMs = stopLimitMs) => stopChild(child, exited, clock, limitMs),
  };
}

function waitForReady(
  child: ChildProcess,
  exited: ChildRoot['exited'],
  options: ChildRootOptions,
  clock: Clock,
  fail: (reason: string) => Error,
): Promise<Readonly<Record<string, unknown>>> {
  const limitMs = options.readyLimitMs ?? 30_000;
  return new Promise((resolve, reject) => {
    const giveUp = (error: Error): void => {
      timer.cancel();
      options.signal?.removeEventListener('abort', onAbort);
      killGroup(child);
      reject(error);
    };
    // It may have started children of its own and written files: it ends in order, and is gone when the caller hears of it.
    const onAbort = (): void => {
      timer.cancel();
      void stopChild(child, exited, clock, stopLimitMs).then(() => reject(options.signal?.reason as Error));
    };
    const timer = clock.after(limitMs, () => giveUp(fail(`it was not ready within ${limitMs} ms`)));
    options.signal?.addEventListener('abort', onAbort, { once: true });
    child.once('error', (error) => giveUp(fail(firstLine(error))));
    void exited.then(
      ({ code, signal }) =>
        options.signal?.aborted || giveUp(fail(signal === null ? `it ended with exit code ${code}` : `it was ended by ${signal}`)),
    );
    if (child.stdout === null) return;
    createInterface({ input: child.stdout }).on('line', (line) => {
      const parsed = parseReady(line, options.name);
      if (parsed === undefined || options.signal?.aborted) return;
      timer.cancel();
      options.signal?.removeEventListener('abort', onAbort);
      resolve(parsed);
    });
  });
}

function parseReady(line: string, name: string): Readonly<Record<string, unknown>> | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const parsed = JSON.parse(line) as Record<string, unknown>;
    return parsed['ready'] === name ? parsed : undefined;
  } catch {
    return undefined; // Not the ready line; the deadline speaks if it never comes.
  }
}

async function stopChild(child: ChildProcess, exited: ChildRoot['exited'], clock: Clock, limitMs: number): Promise<void> {
  child.kill('SIGTERM');
  const timer = clock.after(limitMs, () => killGroup(child));
  await exited;
  timer.cancel();
}

/** SIGKILL to the child and to all that it started and that did not leave its group. */
function killGroup(child: ChildProcess): void {
  // Once it was waited for, its number may be another's.
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

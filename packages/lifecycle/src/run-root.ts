import { describeError, exitCodeFor, exitCodes } from './exit-codes.ts';
import { asDmgError, type Clock, type DmgError } from '@dmg/base';

export interface RunningRoot {
  /** Printed as the one line on standard output when the root is ready, with `ready: <name>` in front. */
  readonly ready: Readonly<Record<string, unknown>>;
  /** Ends everything in order. Called once. */
  stop(): Promise<void>;
  /** Resolves when it cannot go on, with why: it is stopped then, and the error says how the program exits. */
  readonly ended?: Promise<DmgError>;
}

/**
 * Runs a program's whole life: starts it, prints the ready line, waits for SIGTERM, SIGINT or (with `exitWithParent`) the end of
 * standard input, stops it within `stopLimitMs`, and exits. Never returns.
 *
 * Ctrl-C reaches a process under npm or another parent that passes signals on twice, within a millisecond or, on a busy machine,
 * a good many; a second signal therefore only counts when it comes later than `doubleSignalMs` after the first, and then means: now.
 */
export async function runRoot(options: {
  readonly name: string;
  readonly clock: Clock;
  readonly exitWithParent: boolean;
  readonly stopLimitMs?: number;
  start(stopRequested: AbortSignal): Promise<RunningRoot>;
  /** How the ready line looks; JSON unless a root speaks to people. */
  readonly announce?: (ready: Readonly<Record<string, unknown>>) => string;
}): Promise<never> {
  const { name, clock } = options;
  const stopLimitMs = options.stopLimitMs ?? 5000;
  const doubleSignalMs = 300;
  const stopRequested = new AbortController();
  stopRequested.signal.addEventListener('abort', () => {
    // Also while it starts: what does not listen to the signal then is ended by this.
    clock.after(stopLimitMs, () => {
      process.stderr.write(`${name}: did not stop within ${stopLimitMs} ms and was ended\n`);
      process.exit(exitCodes.failed);
    }, { unref: true });
  });
  let firstSignalMs: number | undefined;
  const requestStop = (): void => {
    const nowMs = clock.monotonicMs();
    if (firstSignalMs === undefined) {
      firstSignalMs = nowMs;
      stopRequested.abort();
    } else if (nowMs - firstSignalMs > doubleSignalMs) {
      process.exit(exitCodes.failed);
    }
  };
  process.on('SIGTERM', requestStop);
  process.on('SIGINT', requestStop);
  // Never counts as a second signal: a parent that stops us by a signal and then ends does both.
  if (options.exitWithParent) followParent(() => stopRequested.abort());

  let running: RunningRoot;
  try {
    running = await options.start(stopRequested.signal);
  } catch (error) {
    if (stopRequested.signal.aborted) process.exit(exitCodes.ok);
    process.stderr.write(`${name}: ${describeError(error)}\n`);
    process.exit(exitCodeFor(asDmgError(error)));
  }
  const announce = options.announce ?? ((ready) => JSON.stringify({ ready: name, ...ready }));
  process.stdout.write(`${announce(running.ready)}\n`);

  const stopped = new Promise<undefined>((resolve) => {
    if (stopRequested.signal.aborted) resolve(undefined);
    stopRequested.signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  const end = await Promise.race([stopped, ...(running.ended === undefined ? [] : [running.ended])]);
  if (end !== undefined) {
    process.stderr.write(`${name}: ${describeError(end)}\n`);
    // The time limit for stopping counts from here as well.
    stopRequested.abort();
  }
  try {
    await running.stop();
    process.exit(end === undefined ? exitCodes.ok : exitCodeFor(end));
  } catch (error) {
    process.stderr.write(`${name}: ${describeError(error)}\n`);
    process.exit(exitCodes.failed);
  }
}

/** The parent holds the other end of our standard input for as long as it lives, even if it is killed. */
function followParent(onGone: () => void): void {
  process.stdin.on('end', onGone);
  process.stdin.on('close', onGone);
  process.stdin.on('error', onGone);
  process.stdin.resume();
}

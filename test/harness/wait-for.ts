import { sleep, systemClock } from '@dmg/base';

export interface WaitOptions {
  /** Default 10 s. */
  readonly withinMs?: number;
  /** Default 20 ms. */
  readonly everyMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Waits until `condition` gives something other than `undefined`, `null` or `false`, and returns it. The one place where a test
 * may wait by time: use it only where no event can be awaited. An error of the condition ends the wait at once.
 */
export async function waitFor<T>(
  what: string,
  condition: () => T | undefined | null | false | Promise<T | undefined | null | false>,
  options: WaitOptions = {},
): Promise<T> {
  const { withinMs = 10_000, everyMs = 20, signal } = options;
  const startedMs = systemClock.monotonicMs();
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== null && value !== false) return value;
    if (systemClock.monotonicMs() - startedMs >= withinMs) throw new Error(`waited ${withinMs} ms in vain for: ${what}`);
    await sleep(systemClock, everyMs, signal);
  }
}

/** Rejects when `promise` has not settled after `withinMs`. */
export async function within<T>(what: string, withinMs: number, promise: Promise<T>): Promise<T> {
  let timer: { cancel(): void } | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = systemClock.after(withinMs, () => reject(new Error(`waited ${withinMs} ms in vain for: ${what}`)));
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer?.cancel();
  }
}

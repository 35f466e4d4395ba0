/**
 * Time as a port. Decisions that measure durations use `monotonicMs`, which never jumps; `wallMs` is for display and for
 * detecting that a machine was suspended (wall and monotonic clock then move differently).
 */
export interface Clock {
  /** Milliseconds since the Unix epoch. May jump. */
  wallMs(): number;
  /** Milliseconds since an arbitrary start. Never goes back. */
  monotonicMs(): number;
  /** Calls `fire` once after `delayMs`. The handle keeps the process alive unless `unref` is set. */
  after(delayMs: number, fire: () => void, options?: { unref?: boolean }): Timer;
}

export interface Timer {
  cancel(): void;
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, fire, options) {
    const handle = setTimeout(fire, delayMs);
    if (options?.unref) handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};

/** Resolves after `delayMs`; rejects with the signal's reason when it is aborted first. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const onAbort = (): void => {
      timer.cancel();
      reject(signal?.reason as Error);
    };
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** A clock that moves only when told to; for unit tests and simulation. */
export class ManualClock implements Clock {
  #nowMs: number;
  #wallOffsetMs: number;
  #sequence = 0;
  #timers: { dueMs: number; sequence: number; fire: () => void }[] = [];

  constructor(options: { wallMs?: number } = {}) {
    this.#nowMs = 0;
    this.#wallOffsetMs = options.wallMs ?? 1_700_000_000_000;
  }

  wallMs(): number {
    return this.#nowMs + this.#wallOffsetMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, fire: () => void): Timer {
    const timer = { dueMs: this.#nowMs + Math.max(0, delayMs), sequence: this.#sequence++, fire };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
  }

  /** Moves time on, firing what falls due in order of due time. */
  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs;
    for (;;) {
      const next = this.#timers
        .filter((timer) => timer.dueMs <= untilMs)
        .sort((a, b) => a.dueMs - b.dueMs || a.sequence - b.sequence)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#nowMs = next.dueMs;
      next.fire();
    }
    this.#nowMs = untilMs;
  }

  /** Moves only the wall clock: what a suspended machine or an operator's `date -s` looks like. */
  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }
}

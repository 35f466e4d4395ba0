import type { Clock, Timer } from '@dmg/base';

export interface DrainOptions {
  readonly clock: Clock;
  /** The grace is over: what still runs is to be stopped and goes on elsewhere. Called once a drain. */
  readonly handOver: () => void;
}

/** The platform fires a timer at once that is asked for more (25 days). */
const timerMaxMs = 2 ** 31 - 1;

/**
 * Whether a node takes work, and when what still runs is handed over. A drain that the user asked for can be taken back; the last
 * one, at shutdown, cannot.
 */
export class Drain {
  readonly #options: DrainOptions;
  #kind: 'none' | 'user' | 'last' = 'none';
  #sinceMs = 0;
  #dueMs = Infinity;
  #timer: Timer | undefined;

  constructor(options: DrainOptions) {
    this.#options = options;
  }

  get active(): boolean {
    return this.#kind !== 'none';
  }

  /** Why no dispatch is taken. */
  get evidence(): string {
    if (this.#kind === 'last') return 'The node is shutting down.';
    return 'The node is drained by the user and takes no jobs until that is taken back.';
  }

  /** Begins, changes or takes back the user's drain. The same again changes nothing: the grace counts from the first time. */
  set(wanted: { readonly graceMs: number } | undefined): void {
    if (this.#kind === 'last') return;
    if (wanted === undefined) {
      this.#kind = 'none';
      this.#timer?.cancel();
      this.#timer = undefined;
      return;
    }
    const nowMs = this.#options.clock.monotonicMs();
    if (this.#kind === 'none') this.#sinceMs = nowMs;
    const dueMs = this.#sinceMs + wanted.graceMs;
    if (this.#kind === 'user' && dueMs === this.#dueMs) return;
    this.#kind = 'user';
    this.#arm(dueMs);
  }

  /** The last drain: what runs may finish for `graceMs`, or for as long as the user's drain leaves it. */
  last(graceMs: number): void {
    const dueMs = this.#options.clock.monotonicMs() + graceMs;
    const sooner = this.#kind === 'none' ? dueMs : Math.min(dueMs, this.#dueMs);
    this.#kind = 'last';
    this.#arm(sooner);
  }

  /** No more hand-over: whoever calls stops everything himself. */
  end(): void {
    this.#kind = 'last';
    this.#timer?.cancel();
  }

  #arm(dueMs: number): void {
    const { clock, handOver } = this.#options;
    this.#dueMs = dueMs;
    this.#timer?.cancel();
    const leftMs = Math.max(0, dueMs - clock.monotonicMs());
    this.#timer = clock.after(Math.min(leftMs, timerMaxMs), () => {
      if (leftMs > timerMaxMs) this.#arm(dueMs);
      else handOver();
    });
  }
}

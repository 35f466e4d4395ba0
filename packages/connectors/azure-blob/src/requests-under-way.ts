import type { Clock, Timer } from '@dmg/base';

/**
 * Requests that may take effect at the service although nobody waits for them any more: a block whose bytes have left is staged even
 * when its connection is cut. Therefore a request whose caller gives up is not cut at once but after `graceMs`, and who discards what
 * was staged waits for `ended` first.
 */
export class RequestsUnderWay {
  readonly #clock: Clock;
  readonly #graceMs: number;
  readonly #underWay = new Set<Promise<void>>();

  constructor(options: { clock: Clock; graceMs: number }) {
    this.#clock = options.clock;
    this.#graceMs = options.graceMs;
  }

  /** Runs a request with a signal that follows `signal` by `graceMs`. */
  async run<T>(signal: AbortSignal, request: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const cut = new AbortController();
    let timer: Timer | undefined;
    const follow = (): void => {
      timer = this.#clock.after(this.#graceMs, () => cut.abort(signal.reason));
    };
    if (signal.aborted) follow();
    else signal.addEventListener('abort', follow, { once: true });
    const running = request(cut.signal);
    // How it ends is the caller's to hear; here only that it has.
    const over = running.then(() => undefined, () => undefined);
    this.#underWay.add(over);
    try {
      return await running;
    } finally {
      timer?.cancel();
      signal.removeEventListener('abort', follow);
      this.#underWay.delete(over);
    }
  }

  /** Resolves when what is under way now has ended. */
  async ended(): Promise<void> {
    await Promise.all(this.#underWay);
  }
}

import { backoffMs, type BackoffPolicy, type Clock, type Random } from '@dmg/base';

const policy: BackoffPolicy = { firstMs: 500, factor: 2, maxMs: 30_000 };

/** Failures in a row that are taken for accidents (somebody killed it) and delay nothing. */
const freeFailures = 2;

/** A process that ends before it is ready would be started again at once, for ever: starts wait longer after each failure. */
export class StartBackoff {
  readonly #clock: Clock;
  readonly #random: Random;
  #failures = 0;
  #notBeforeMs = 0;
  /** The last failure, as evidence for those who cannot be served. */
  trouble = '';

  constructor(options: { clock: Clock; random: Random }) {
    this.#clock = options.clock;
    this.#random = options.random;
  }

  /** How long the next start has to wait, in milliseconds; 0: not at all. */
  get waitMs(): number {
    return Math.max(0, this.#notBeforeMs - this.#clock.monotonicMs());
  }

  failed(reason: string): { failures: number; delayMs: number } {
    const counted = this.#failures++ - freeFailures;
    const delayMs = counted < 0 ? 0 : Math.round(backoffMs(counted, this.#random.unit(), policy));
    this.#notBeforeMs = this.#clock.monotonicMs() + delayMs;
    this.trouble = `No executor could be started: ${reason}`;
    return { failures: this.#failures, delayMs };
  }

  succeeded(): void {
    this.#failures = 0;
  }
}

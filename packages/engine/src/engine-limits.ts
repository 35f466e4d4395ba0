import type { BackoffPolicy } from '@dmg/base';

/** Time limits and repetitions of one attempt. All times in milliseconds. */
export interface EngineLimits {
  /** Limit of a single call to a store, to which the time for its bytes is added. */
  readonly callLimitMs: number;
  /** Slowest transfer that counts as alive, in bytes a millisecond. */
  readonly bytesPerMsMin: number;
  /** A call or chunk that keeps failing for a transient reason is repeated for so long: a store may restart meanwhile. */
  readonly retryForMs: number;
  /** … and at least so many times, however long each of them took. */
  readonly retriesMin: number;
  readonly backoff: BackoffPolicy;
  /** For closing the sink after a failure or a cancel, all repetitions together; then the outcome is `unconfirmed`. */
  readonly abortLimitMs: number;
  /** For publishing, to which the time for its bytes is added: a file sink may have to concatenate its chunks. */
  readonly finishLimitMs: number;
  /** How often missing chunks are copied again before the attempt fails. */
  readonly finishRoundsMax: number;
  /** For letting go of connections and half-written chunks at the end. */
  readonly closeLimitMs: number;
}

export const defaultEngineLimits: EngineLimits = {
  callLimitMs: 30_000,
  bytesPerMsMin: 64,
  retryForMs: 60_000,
  retriesMin: 2,
  backoff: { firstMs: 200, factor: 2, maxMs: 5_000 },
  abortLimitMs: 10_000,
  finishLimitMs: 600_000,
  finishRoundsMax: 4,
  closeLimitMs: 1_000,
};

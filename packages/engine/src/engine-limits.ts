import type { BackoffPolicy } from '@dmg/base';

/** Time limits and repetitions of one attempt. All times in milliseconds. */
export interface EngineLimits {
  /** Limit of a single call to a store, to which the time for its bytes is added. */
  readonly callLimitMs: number;
  /** For the first bytes of a table's stream: a server may sort or join for hours before it has a row. As Data Factory's `queryTimeout`. */
  readonly firstRowLimitMs: number;
  /** For each further block of a table's stream: a filter may pass over much before it finds the next row. */
  readonly nextRowsLimitMs: number;
  /** For cutting a table into partitions, which the server may have to sample. */
  readonly partitionLimitMs: number;
  /** For storing the plan at a table, with which its pre-copy script runs. */
  readonly scriptLimitMs: number;
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
  firstRowLimitMs: 7_200_000,
  nextRowsLimitMs: 300_000,
  partitionLimitMs: 600_000,
  scriptLimitMs: 7_200_000,
  bytesPerMsMin: 64,
  retryForMs: 60_000,
  retriesMin: 2,
  backoff: { firstMs: 200, factor: 2, maxMs: 5_000 },
  abortLimitMs: 10_000,
  finishLimitMs: 600_000,
  finishRoundsMax: 4,
  closeLimitMs: 1_000,
};

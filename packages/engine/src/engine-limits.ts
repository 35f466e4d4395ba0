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
  /** For storing the plan at a table, or publishing it there: with one of the two its pre-copy script runs. */
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
  /** An assisting attempt waits so long for the plan of the lead. */
  readonly planWaitMs: number;
  /** Before a chunk is copied that another attempt may have copied, marks that are older are read again. */
  readonly marksAgeMs: number;
  /** Pause between looks at the marks, or at the state of the job, while others are waited for. */
  readonly marksPauseMs: number;
  /** A share in which no chunk was marked for so long is taken over by the lead, where it has not yet seen how long a chunk takes. */
  readonly shareSilenceMs: number;
  /** … and at least, where it has. */
  readonly shareSilenceMinMs: number;
  /** How often one attempt begins a new generation when its snapshot is lost. */
  readonly generationsMax: number;
  /** How often the holder of a snapshot asks whether the job still wants it. */
  readonly keepCheckMs: number;
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
  planWaitMs: 60_000,
  marksAgeMs: 2_000,
  marksPauseMs: 250,
  shareSilenceMs: 10_000,
  shareSilenceMinMs: 1_000,
  generationsMax: 3,
  keepCheckMs: 15_000,
};

import {
  asDmgError, type Clock, firstLine, hasCode, isStopReason, type Logger, type Meter, type Random, silentMeter, StopReason, ByteCredits,
} from '@dmg/base';
import { type Connector, connectorErrors, type Sink, type SinkState } from '@dmg/connector-api';
import type { AttemptOutcome, AttemptProgress, Job, Mark, Plan, Receipt } from '@dmg/model';
import { BufferPool } from './buffer-pool.ts';
import type { CopyContext, SourceEnd } from './copy-context.ts';
import { copyMissing, readMarks } from './copy-step.ts';
import { defaultEngineLimits, type EngineLimits } from './engine-limits.ts';
import { engineErrors } from './errors.ts';
import { finishCopy } from './finish-step.ts';
import { negotiate } from './negotiation.ts';
import type { CopySecrets } from './overlap.ts';
import { linkedSignal, type LinkedSignal } from './parallel.ts';
import { planCopy } from './plan-step.ts';
import { ProgressTally } from './progress-tally.ts';
import { rowBufferBytes } from './row-copy.ts';
import { StoreCalls } from './store-calls.ts';
import { noTables, StoreEnds } from './store-ends.ts';
import { exchangeOf, type StreamExchange } from './stream-exchange.ts';

/** Part buffers of one copy, all together, unless told otherwise. */
export const defaultMemoryBytes = 64 * 1024 * 1024;

export interface AbortOptions {
  readonly job: Job;
  /** 32 hex digits. */
  readonly attemptId: string;
  readonly connectors: ReadonlyMap<string, Connector>;
  /** Secrets of both ends' connections in clear, by property name. */
  readonly secrets: CopySecrets;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter?: Meter;
  readonly limits?: Partial<EngineLimits>;
  /** Its reason is a `StopReason`. */
  readonly signal: AbortSignal;
}

export interface CopyOptions extends AbortOptions {
  readonly nodeName: string;
  /** Epoch under which the attempt was dispatched, for the receipt. */
  readonly epoch: string;
  /** Limit of the part buffers, in bytes; raised where a single part needs more. Default 64 MiB. */
  readonly memoryBytes?: number;
  /** Called synchronously whenever a number changed, up to thousands of times a second: it must only note it. */
  readonly onProgress?: (progress: AttemptProgress) => void;
}

/**
 * Runs one attempt of a copy: plan → copy → finish, going on from what stands at the sink. Never throws.
 *
 * Success is what the sink says: a job that another attempt has finished succeeds with the receipt that stands. A failure of the
 * final try, and a cancel, close the sink before they are reported; a failure of an earlier try leaves it open for the next.
 * Draining, shutdown and the like leave it open too.
 */
export async function runCopy(options: CopyOptions): Promise<AttemptOutcome> {
  const attempt = new CopyAttempt(options);
  return attempt.run();
}

/** Closes the job at the sink and removes what was staged. May be repeated. Never throws. */
export async function runAbort(options: AbortOptions): Promise<AttemptOutcome> {
  const { limits, calls, logger } = equipment(options);
  const ends = new StoreEnds({ ...options, limits, calls, logger });
  try {
    if (options.signal.aborted) return { kind: 'stopped' };
    const state = await ends.abort();
    if (state?.receipt !== undefined) return { kind: 'succeeded', receipt: state.receipt, details: noDetails };
    return { kind: 'cancelled', sink: state === undefined ? 'unconfirmed' : 'aborted' };
  } finally {
    await ends.close();
  }
}

const noDetails = { planMs: 0, copyMs: 0, finishMs: 0, readMs: 0, writeMs: 0, parallelCopies: 0 };

function equipment(options: AbortOptions): { limits: EngineLimits; calls: StoreCalls; logger: Logger; meter: Meter } {
  const { clock, random, job, attemptId } = options;
  const limits = { ...defaultEngineLimits, ...options.limits };
  const meter = options.meter ?? silentMeter;
  const logger = options.logger.child({ component: 'engine', jobId: job.jobId, attemptId });
  return { limits, meter, logger, calls: new StoreCalls({ clock, random, logger, meter, limits }) };
}

class CopyAttempt {
  readonly #options: CopyOptions;
  readonly #limits: EngineLimits;
  readonly #logger: Logger;
  readonly #calls: StoreCalls;
  readonly #ends: StoreEnds;
  readonly #progress: ProgressTally;
  readonly #link: LinkedSignal;

  constructor(options: CopyOptions) {
    const { limits, calls, logger, meter } = equipment(options);
    const { activity } = options.job;
    this.#options = options;
    this.#limits = limits;
    this.#logger = logger;
    this.#calls = calls;
    this.#ends = new StoreEnds({ ...options, limits, calls, logger });
    this.#progress = new ProgressTally({
      clock: options.clock, logger, meter, sourceConnector: activity.source.connector, sinkConnector: activity.sink.connector,
      onProgress: options.onProgress,
    });
    this.#link = linkedSignal(options.signal);
  }

  async run(): Promise<AttemptOutcome> {
    const disarm = this.#armTimeout();
    try {
      return this.#succeeded(await this.#copy(this.#link.signal));
    } catch (error) {
      return await this.#endOf(error);
    } finally {
      disarm();
      this.#link.unlink();
      await this.#ends.close();
    }
  }

  async #copy(signal: AbortSignal): Promise<Receipt> {
    const { job } = this.#options;
    signal.throwIfAborted();
    const representation = negotiate(job.activity);
    const sink = await this.#ends.sink(signal);
    if ((sink.table !== undefined) !== (job.activity.sink.format.type === 'Table')) throw noTables(job.activity.sink, 'sink');
    const state = await this.#state(sink, signal);
    if (state.phase === 'done' && state.receipt !== undefined) {
      // Whoever finished may have died before the log was published.
      await this.#ends.logs.publish(state.receipt, signal);
      return state.receipt;
    }
    if (state.phase === 'aborted') throw connectorErrors.JOB_CLOSED.create({ jobId: job.jobId, phase: state.phase });
    if (job.activity.validateDataConsistency) {
      this.#logger.warn({ verification: 'acknowledged' }, 'targets are not read again: the receipt says which verification was done');
    }
    const source = await this.#ends.source(signal);
    await this.#ends.logs.ready(signal);
    const plan = await planCopy(
      {
        job, attemptId: this.#options.attemptId, representation, secrets: this.#options.secrets, calls: this.#calls, limits: this.#limits,
        source, sink, state,
      },
      signal,
    );
    this.#progress.planned(plan);
    const exchange = await this.#exchange(plan, source, sink, signal);
    const context: CopyContext = {
      activity: job.activity, plan, source, exchange, sink, calls: this.#calls, pool: this.#pool(plan),
      partSlots: new ByteCredits(Math.max(1, sink.limits.parallelParts)), progress: this.#progress, clock: this.#options.clock,
      logger: this.#logger, limits: this.#limits, logs: this.#ends.logs,
    };
    return this.#copyAndFinish(context, state.phase === 'none', signal);
  }

  /** How a table's streams are copied under the plan that stands, which need not be the one this attempt would have made. */
  async #exchange(plan: Plan, source: SourceEnd, sink: Sink, signal: AbortSignal): Promise<StreamExchange | undefined> {
    if (source.kind !== 'table') return undefined;
    const { table } = source;
    const what = { what: 'read the columns of the source', signal };
    const sourceColumns = await this.#calls.repeated(what, (callSignal) => table.columns(callSignal));
    const { activity } = this.#options.job;
    return exchangeOf({ activity, source: table, sourceColumns, intake: sink.table?.text, sinkColumns: plan.targets[0]?.columns });
  }

  /** `fresh`: no plan stood at the sink when we came, so that nobody can have written much. */
  async #copyAndFinish(context: CopyContext, fresh: boolean, signal: AbortSignal): Promise<Receipt> {
    const { attemptId, nodeName, epoch } = this.#options;
    for (let round = 1; ; round++) {
      this.#progress.enter('copy');
      const marks: Mark[][] = fresh && round === 1 ? [] : await readMarks(context, signal);
      await copyMissing(context, marks, signal);
      this.#progress.enter('finish');
      try {
        return await finishCopy(context, { attemptId, nodeName, epoch }, signal);
      } catch (error) {
        if (!hasCode(error, connectorErrors.MARKS_MISSING.code)) throw error;
        if (round >= this.#limits.finishRoundsMax) {
          throw engineErrors.MARKS_VANISH.create({ jobId: context.plan.jobId, rounds: round }, { cause: error });
        }
        this.#logger.warn({ round, reason: firstLine(error) }, 'chunks are missing at the sink, copied again');
      }
    }
  }

  /** What an attempt that did not copy to the end comes to. */
  async #endOf(error: unknown): Promise<AttemptOutcome> {
    const stop = this.#stopReason();
    if (stop !== undefined && stop.kind !== 'timeout') {
      this.#logger.info({ stop: stop.kind }, 'copy stopped');
      if (stop.kind !== 'cancelled') return { kind: 'stopped' };
      const state = await this.#ends.abort();
      if (state?.receipt !== undefined) return this.#succeeded(state.receipt);
      return { kind: 'cancelled', sink: state === undefined ? 'unconfirmed' : 'aborted' };
    }
    if (stop === undefined && hasCode(error, connectorErrors.JOB_CLOSED.code)) {
      const ended = await this.#endedElsewhere();
      if (ended !== undefined) return ended;
      // A stop that came while the state was read counts, not the failure to read it.
      if (this.#link.signal.aborted) return this.#endOf(error);
    }
    return this.#failed(stop === undefined ? error : engineErrors.TIMEOUT.create({ limitMs: this.#options.job.policy.timeoutMs }));
  }

  /** Another attempt has closed the job: done is success, aborted is the end that somebody asked for. */
  async #endedElsewhere(): Promise<AttemptOutcome | undefined> {
    try {
      const state = await this.#state(await this.#ends.sink(this.#link.signal), this.#link.signal);
      if (state.phase === 'done' && state.receipt !== undefined) return this.#succeeded(state.receipt);
      return state.phase === 'aborted' ? { kind: 'cancelled', sink: 'aborted' } : undefined;
    } catch (error) {
      this.#logger.warn({ reason: firstLine(error) }, 'state of the closed job could not be read');
      return undefined;
    }
  }

  async #failed(error: unknown): Promise<AttemptOutcome> {
    const fault = asDmgError(error).toFault();
    const final = this.#options.job.finalTry;
    this.#logger.warn({ code: fault.code, reason: fault.message, detail: fault.detail, final }, 'copy failed');
    if (!final) return { kind: 'failed', fault, sink: 'open' };
    const state = await this.#ends.abort();
    if (state?.receipt !== undefined) return this.#succeeded(state.receipt);
    return { kind: 'failed', fault, sink: state === undefined ? 'unconfirmed' : 'aborted' };
  }

  #succeeded(receipt: Receipt): AttemptOutcome {
    return { kind: 'succeeded', receipt, details: this.#progress.details() };
  }

  #state(sink: Sink, signal: AbortSignal): Promise<SinkState> {
    return this.#calls.repeated({ what: 'read the state of the job at the sink', signal }, (callSignal) => sink.state(callSignal));
  }

  #stopReason(): StopReason | undefined {
    const { signal } = this.#link;
    if (!signal.aborted) return undefined;
    return isStopReason(signal.reason) ? signal.reason : new StopReason('shutdown');
  }

  #pool(plan: Plan): BufferPool {
    const wanted = this.#options.memoryBytes ?? defaultMemoryBytes;
    const needed = plan.representation === 'rows' ? rowBufferBytes(plan.partBytes) : plan.partBytes;
    return new BufferPool({ capacityBytes: Math.max(wanted, needed), largestBytes: plan.partBytes });
  }

  /** The policy's limit counts running time by the monotonic clock. Timers take at most 2^31 - 1 ms, so that long ones are chained. */
  #armTimeout(): () => void {
    const { clock, job } = this.#options;
    const endMs = clock.monotonicMs() + job.policy.timeoutMs;
    const arm = (): (() => void) => {
      const timer = clock.after(Math.min(Math.max(0, endMs - clock.monotonicMs()), 2_147_483_647), () => {
        if (clock.monotonicMs() < endMs) disarm = arm();
        else this.#link.abort(new StopReason('timeout'));
      });
      return () => timer.cancel();
    };
    let disarm = arm();
    return () => disarm();
  }
}

import { asDmgError, firstLine, hasCode, isStopReason, StopReason } from '@dmg/base';
import { connectorErrors, missingChunks, type Sink, type SinkState } from '@dmg/connector-api';
import type { AttemptOutcome, Mark, Plan, Receipt } from '@dmg/model';
import { type AttemptKit, attemptKit, copyContext, storeKit } from './attempt-kit.ts';
import type { AbortOptions, CopyOptions } from './attempt-options.ts';
import type { CopyContext } from './copy-context.ts';
import { copyMissing, readMarks } from './copy-step.ts';
import { engineErrors } from './errors.ts';
import { finishCopy } from './finish-step.ts';
import { laterGeneration, policyOf } from './generation-step.ts';
import { negotiate } from './negotiation.ts';
import { linkedSignal, type LinkedSignal } from './parallel.ts';
import { planCopy, type PlanStep } from './plan-step.ts';
import { enterSnapshot } from './snapshot-step.ts';
import { noTables } from './store-ends.ts';

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
  const { ends } = storeKit(options);
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

class CopyAttempt {
  readonly #options: CopyOptions;
  readonly #kit: AttemptKit;
  readonly #link: LinkedSignal;

  constructor(options: CopyOptions) {
    this.#options = options;
    this.#kit = attemptKit(options);
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
      await this.#kit.ends.close();
    }
  }

  async #copy(signal: AbortSignal): Promise<Receipt> {
    const { job } = this.#options;
    signal.throwIfAborted();
    const representation = negotiate(job.activity);
    const sink = await this.#kit.ends.sink(signal);
    if ((sink.table !== undefined) !== (job.activity.sink.format.type === 'Table')) throw noTables(job.activity.sink, 'sink');
    const state = await this.#state(sink, signal);
    if (state.phase === 'done' && state.receipt !== undefined) {
      // Whoever finished may have died before the log was published.
      await this.#kit.ends.logs.publish(state.receipt, signal);
      return state.receipt;
    }
    if (state.phase === 'aborted') throw connectorErrors.JOB_CLOSED.create({ jobId: job.jobId, phase: state.phase });
    const source = await this.#kit.ends.source(signal);
    await this.#kit.ends.logs.ready(signal);
    const { attemptId, secrets } = this.#options;
    const { calls, limits } = this.#kit;
    const step: PlanStep = { job, attemptId, representation, secrets, calls, limits, source, sink, state };
    return this.#copyGenerations(step, await planCopy(step, signal), signal);
  }

  /** Copies under the plan that stands, and under the next one when that begins the copy anew. */
  async #copyGenerations(step: PlanStep, first: Plan, signal: AbortSignal): Promise<Receipt> {
    const { limits, logger } = this.#kit;
    let plan = first;
    for (let begun = 0, fresh = step.state.phase === 'none'; ; fresh = false) {
      this.#kit.progress.planned(plan);
      try {
        const context = await copyContext(this.#options, this.#kit, { plan, source: step.source, sink: step.sink }, signal);
        return await this.#copyAndFinish(context, fresh, signal);
      } catch (error) {
        if (signal.aborted) throw error;
        const later = await laterGeneration({ ...step, logger, mayBegin: begun < limits.generationsMax }, { plan, error }, signal);
        if (later === undefined) throw error;
        if (hasCode(error, connectorErrors.SNAPSHOT_LOST.code)) begun++;
        plan = later;
      }
    }
  }

  /** Goes under the snapshot and copies; once more when it is lost meanwhile and chunks may be of moments of their own. */
  async #copyChunks(context: CopyContext, marks: readonly (readonly Mark[])[], signal: AbortSignal): Promise<void> {
    const { assistants, job, attemptId } = this.#options;
    const { plan, source, sink, calls, logger } = context;
    if (plan.targets.every((target) => missingChunks(target, marks[target.target] ?? []) === 0)) return;
    const policy = policyOf({ job, sink }, plan, marks);
    const part = { index: 0, of: () => 1 + (assistants?.() ?? 0) };
    const underSnapshot = await enterSnapshot({ plan, source, attemptId, calls, policy }, signal);
    try {
      await copyMissing({ ...context, underSnapshot }, marks, part, signal);
    } catch (error) {
      if (!underSnapshot || policy !== 'perChunk' || !hasCode(error, connectorErrors.SNAPSHOT_LOST.code)) throw error;
      logger.warn({ reason: firstLine(error) }, 'the snapshot is lost, the other chunks are read at moments of their own');
      if (source.kind === 'table') await source.table.snapshots?.leave();
      await copyMissing(context, await readMarks(context, signal), part, signal);
    }
  }

  /** `fresh`: no plan stood at the sink when we came, so that nobody can have written much. */
  async #copyAndFinish(context: CopyContext, fresh: boolean, signal: AbortSignal): Promise<Receipt> {
    const { attemptId, nodeName, epoch } = this.#options;
    for (let round = 1; ; round++) {
      this.#kit.progress.enter('copy');
      const marks: Mark[][] = fresh && round === 1 ? [] : await readMarks(context, signal);
      await this.#copyChunks(context, marks, signal);
      this.#kit.progress.enter('finish');
      try {
        return await finishCopy(context, { attemptId, nodeName, epoch }, signal);
      } catch (error) {
        if (!hasCode(error, connectorErrors.MARKS_MISSING.code)) throw error;
        if (round >= this.#kit.limits.finishRoundsMax) {
          throw engineErrors.MARKS_VANISH.create({ jobId: context.plan.jobId, rounds: round }, { cause: error });
        }
        this.#kit.logger.warn({ round, reason: firstLine(error) }, 'chunks are missing at the sink, copied again');
      }
    }
  }

  /** What an attempt that did not copy to the end comes to. */
  async #endOf(error: unknown): Promise<AttemptOutcome> {
    const stop = this.#stopReason();
    if (stop !== undefined && stop.kind !== 'timeout') {
      this.#kit.logger.info({ stop: stop.kind }, 'copy stopped');
      if (stop.kind !== 'cancelled') return { kind: 'stopped' };
      const state = await this.#kit.ends.abort();
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
      const state = await this.#state(await this.#kit.ends.sink(this.#link.signal), this.#link.signal);
      if (state.phase === 'done' && state.receipt !== undefined) return this.#succeeded(state.receipt);
      return state.phase === 'aborted' ? { kind: 'cancelled', sink: 'aborted' } : undefined;
    } catch (error) {
      this.#kit.logger.warn({ reason: firstLine(error) }, 'state of the closed job could not be read');
      return undefined;
    }
  }

  async #failed(error: unknown): Promise<AttemptOutcome> {
    const fault = asDmgError(error).toFault();
    const final = this.#options.job.finalTry;
    this.#kit.logger.warn({ code: fault.code, reason: fault.message, detail: fault.detail, final }, 'copy failed');
    if (!final) return { kind: 'failed', fault, sink: 'open' };
    const state = await this.#kit.ends.abort();
    if (state?.receipt !== undefined) return this.#succeeded(state.receipt);
    return { kind: 'failed', fault, sink: state === undefined ? 'unconfirmed' : 'aborted' };
  }

  #succeeded(receipt: Receipt): AttemptOutcome {
    return { kind: 'succeeded', receipt, details: this.#kit.progress.details() };
  }

  #state(sink: Sink, signal: AbortSignal): Promise<SinkState> {
    return this.#kit.calls.repeated({ what: 'read the state of the job at the sink', signal }, (callSignal) => sink.state(callSignal));
  }

  #stopReason(): StopReason | undefined {
    const { signal } = this.#link;
    if (!signal.aborted) return undefined;
    return isStopReason(signal.reason) ? signal.reason : new StopReason('shutdown');
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

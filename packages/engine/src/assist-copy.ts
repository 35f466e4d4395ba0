import { asDmgError, firstLine, hasCode, isDmgError, sleep } from '@dmg/base';
import { connectorErrors, type Sink } from '@dmg/connector-api';
import type { AssistOutcome, Mark, Plan } from '@dmg/model';
import { type AttemptKit, attemptKit, copyContext } from './attempt-kit.ts';
import type { AssistOptions } from './attempt-options.ts';
import type { CopyContext } from './copy-context.ts';
import { copyMissing, readMarks } from './copy-step.ts';
import { engineErrors } from './errors.ts';
import { policyOf } from './generation-step.ts';
import { checkPlan } from './plan.ts';
import { enterSnapshot } from './snapshot-step.ts';
import { isTransient } from './store-calls.ts';
import { underSnapshot } from './tiling.ts';

/** After so many chunks in a row that could not be copied, there is no help in going on. */
const failuresMax = 3;

/**
 * Copies a share of the plan that another attempt has made and will finish: the units whose number modulo `share.of` is `share.index`, as
 * far as nobody has marked them. Chunks that fail for a passing reason are left to the lead. Neither plans, finishes nor closes
 * anything, so that it may be stopped, lost or late at any time. Never throws.
 */
export async function assistCopy(options: AssistOptions): Promise<AssistOutcome> {
  const kit = attemptKit(options, { repeatsChunks: false });
  const { signal } = options;
  const assistant = new Assistant(options, kit);
  try {
    signal.throwIfAborted();
    await assistant.run(signal);
    return { kind: 'assisted', chunks: assistant.chunks };
  } catch (error) {
    if (signal.aborted) return { kind: 'stopped' };
    if (hasCode(error, connectorErrors.JOB_CLOSED.code)) return { kind: 'assisted', chunks: assistant.chunks };
    const fault = asDmgError(error).toFault();
    kit.logger.warn({ code: fault.code, reason: fault.message, detail: fault.detail }, 'assistance ended, the lead copies the rest');
    return { kind: 'failed', fault };
  } finally {
    await kit.ends.close();
  }
}

class Assistant {
  readonly #options: AssistOptions;
  readonly #kit: AttemptKit;
  #failures = 0;
  chunks = 0;

  constructor(options: AssistOptions, kit: AttemptKit) {
    this.#options = options;
    this.#kit = kit;
  }

  /** Until nothing of its share is left, under the plan that stands; which may change once more while it copies. */
  async run(signal: AbortSignal): Promise<void> {
    const sink = await this.#kit.ends.sink(signal);
    let plan = await this.#standingPlan(sink, signal);
    while (plan !== undefined) {
      try {
        await this.#copy(plan, sink, signal);
        return;
      } catch (error) {
        const later = signal.aborted || !isDmgError(error) ? undefined : await this.#laterThan(plan, sink, signal);
        if (later === undefined) throw error;
        plan = later;
      }
    }
  }

  async #copy(plan: Plan, sink: Sink, signal: AbortSignal): Promise<void> {
    const { share, attemptId, job } = this.#options;
    const { ends, calls, progress, logger } = this.#kit;
    progress.planned(plan);
    const source = await ends.source(signal);
    const plain = await copyContext(this.#options, this.#kit, { plan, source, sink }, signal);
    const marks = plan.snapshotKey === undefined ? undefined : await readMarks(plain, signal);
    // A copy is of one moment as long as it can be: who cannot see the snapshot is of no help, unless it is lost already.
    const policy = policyOf({ job, sink }, plan, marks ?? []) === 'perChunk' && isLost(marks) ? 'perChunk' : 'fail';
    const context: CopyContext = { ...plain, underSnapshot: await enterSnapshot({ plan, source, attemptId, calls, policy }, signal) };
    progress.enter('copy');
    const part = { index: share.index, of: () => share.of, onFailure: (error: unknown) => this.#onFailure(error) };
    await copyMissing(context, marks, { ...part, onCopied: () => this.#onCopied() }, signal);
    logger.info({ chunks: this.chunks, ...share }, 'nothing of this share is left');
  }

  #onCopied(): void {
    this.#failures = 0;
    this.chunks++;
  }

  #onFailure(error: unknown): void {
    if (!hasCode(error, connectorErrors.CHUNK_BUSY.code)) this.#failures++;
    if (!isTransient(error) || this.#failures >= failuresMax) throw error;
    this.#kit.logger.warn({ reason: firstLine(error) }, 'a chunk could not be copied and is left to others');
  }

  /** The plan as soon as it stands; undefined when the job is over. */
  async #standingPlan(sink: Sink, signal: AbortSignal): Promise<Plan | undefined> {
    const { clock, job } = this.#options;
    const { limits } = this.#kit;
    const endMs = clock.monotonicMs() + limits.planWaitMs;
    for (;;) {
      const { phase, plan } = await this.#state(sink, signal);
      if (phase === 'done' || phase === 'aborted') return undefined;
      if (phase === 'open' && plan !== undefined) {
        checkPlan(plan, job);
        return plan;
      }
      if (clock.monotonicMs() >= endMs) throw engineErrors.PLAN_LATE.create({ jobId: job.jobId, limitMs: limits.planWaitMs });
      await sleep(clock, limits.marksPauseMs, signal);
    }
  }

  /** The plan of a later generation, if one stands. */
  async #laterThan(plan: Plan, sink: Sink, signal: AbortSignal): Promise<Plan | undefined> {
    const state = await this.#state(sink, signal);
    if (state.phase !== 'open' || state.plan === undefined || state.plan.generation <= plan.generation) return undefined;
    checkPlan(state.plan, this.#options.job);
    return state.plan;
  }

  #state(sink: Sink, signal: AbortSignal): ReturnType<Sink['state']> {
    const what = { what: 'read the state of the job at the sink', signal };
    return this.#kit.calls.repeated(what, (callSignal) => sink.state(callSignal));
  }
}

/** Some chunk was read outside of the snapshot, so that the copy is not of one moment any more. */
function isLost(marks: readonly (readonly Mark[])[] | undefined): boolean {
  return marks?.flat().some((mark) => mark.sourceStart !== underSnapshot) ?? false;
}

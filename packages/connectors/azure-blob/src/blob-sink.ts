import { backoffMs, type Clock, hasCode, isDmgError, type Logger, type Random, sleep } from '@dmg/base';
import {
  type ChunkWriter, connectorErrors, mapParallel, missingChunks, type Sink, type SinkJob, type SinkLimits, type SinkState,
} from '@dmg/connector-api';
import type { ChunkRef, Mark, Plan, PlanTarget, Receipt } from '@dmg/model';
import type { BlobCalls } from './blob-calls.ts';
import { checkedBlobName } from './blob-name.ts';
import { BlockChunk } from './block-chunk.ts';
import { decodeBlockId, scopeOf, writerBytes } from './block-id.ts';
import { JobBlob, type JobBody } from './job-blob.ts';
import { callsAtOnce, type Closing, type CommitOptions, completeJob, finishJob, helpFinish, readVersions } from './job-commit.ts';
import { TargetBlob } from './target-blob.ts';

export interface BlobSinkOptions {
  readonly calls: BlobCalls;
  /** Ends the calls under way. */
  readonly close: () => void;
  /** Resolves when no block that was given up is on its way any more. */
  readonly settled: () => Promise<void>;
  /** Folder (prefix) of the targets. */
  readonly folder: string;
  readonly job: SinkJob;
  readonly limits: SinkLimits;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** From this many blocks on a list is not read again for each chunk. */
const longList = 2000;
const roundsMax = 10;

/** Block blobs as a sink. How they are published is in `job-commit.ts`, what a block id says in `block-id.ts`. */
export class BlobSink implements Sink {
  readonly limits: SinkLimits;
  readonly atomicPublish = 'yes';
  readonly #options: BlobSinkOptions;
  readonly #calls: BlobCalls;
  readonly #job: JobBlob;
  /** This attempt made the plan: when it began nobody had written anything. */
  #isFirst = false;
  /** Chunks of targets with long lists that were complete when they were last read: chunk → attempt. */
  readonly #longLists = new Map<number, Map<number, string>>();

  constructor(options: BlobSinkOptions) {
    this.#options = options;
    this.#calls = options.calls;
    this.limits = options.limits;
    this.#job = new JobBlob(options.calls, options.job.jobId);
  }

  async state(signal: AbortSignal): Promise<SinkState> {
    signal.throwIfAborted();
    const record = await this.#job.read(signal);
    if (record === undefined) return { phase: 'none', plan: undefined, receipt: undefined };
    // An abort that died before everything was discarded is not over: somebody may still be committing.
    if (record.body.phase === 'aborted' && record.body.plan !== undefined) return this.abort(signal);
    return stateOf(record.body);
  }

  async bases(paths: readonly string[], signal: AbortSignal): Promise<string[]> {
    const warn = (path: string): void => this.#options.logger.warn({ path }, 'blocks of an upload that was never ended are discarded');
    const blobs = paths.map((path) => this.#blob(path));
    return mapParallel(blobs, callsAtOnce, (blob) => {
      signal.throwIfAborted();
      return blob.base(signal, warn);
    });
  }

  async insertPlan(plan: Plan, signal: AbortSignal): Promise<Plan> {
    signal.throwIfAborted();
    for (let round = 0; round < roundsMax; round++) {
      if ((await this.#job.write('absent', { phase: 'open', plan }, signal)) !== undefined) {
        this.#isFirst = true;
        return plan;
      }
      const record = await this.#job.read(signal);
      if (record === undefined) continue;
      if (record.body.phase === 'open' || record.body.phase === 'closing') return record.body.plan;
      throw this.#closed(record.body.phase);
    }
    throw connectorErrors.UNREACHABLE.create({ store: this.#calls.store, reason: `the record ${this.#job.path} comes and goes` });
  }

  async marks(plan: Plan, target: PlanTarget, signal: AbortSignal): Promise<Mark[]> {
    signal.throwIfAborted();
    const marks = (await readVersions(plan, target, this.#blob(target.path), signal)).map(({ mark }) => mark);
    // Blocks of a blob that does not exist are all there only as long as nobody has committed or discarded them.
    if (target.base !== 'absent' || missingChunks(target, marks) > 0) await this.#checkOpen(signal);
    return marks;
  }

  async openChunk(plan: Plan, ref: ChunkRef, signal: AbortSignal): Promise<ChunkWriter> {
    signal.throwIfAborted();
    await this.#checkOpen(signal);
    const target = plan.targets[ref.target];
    if (target === undefined) throw new RangeError(`the plan has no target ${ref.target}`);
    const blob = this.#blob(target.path);
    return new BlockChunk({
      blob, ref,
      scope: scopeOf({ jobId: plan.jobId, generation: plan.generation, target: ref.target }),
      attemptId: this.#options.job.attemptId,
      writer: Buffer.from(this.#options.random.bytes(writerBytes)).toString('hex'),
      pause: (repetition, caller) => sleep(this.#options.clock, backoffMs(repetition, this.#options.random.unit()), caller),
      base: target.base,
      partBytes: plan.partBytes,
      limitBytes: this.limits.partsPerTargetMax * this.limits.partBytesMax,
      store: this.#calls.store,
      isLikelyFirst: this.#isFirst && plan.representation === 'bytes',
      standing: (caller) => this.#standing(plan, target, blob, ref.chunk, caller),
      checkOpen: (caller) => this.#checkOpen(caller),
    });
  }

  finish(_plan: Plan, receipt: Receipt, signal: AbortSignal): Promise<Receipt> {
    return finishJob(this.#committing(signal), receipt);
  }

  async abort(signal: AbortSignal): Promise<SinkState> {
    for (let round = 0; round < roundsMax; round++) {
      signal.throwIfAborted();
      const record = await this.#job.read(signal);
      if (record === undefined) {
        if ((await this.#job.write('absent', { phase: 'aborted' }, signal)) !== undefined) return stateOf({ phase: 'aborted' });
        continue;
      }
      const { body } = record;
      if (body.phase === 'done' || (body.phase === 'aborted' && body.plan === undefined)) return stateOf(body);
      if (body.phase === 'closing' && (await this.#completed({ ...record, body, ready: undefined }, signal))) continue;
      if (body.phase !== 'aborted') {
        await this.#job.write(record.etag, { phase: 'aborted', plan: body.plan, closing: body.phase === 'closing' }, signal);
        continue;
      }
      await this.#options.settled();
      if (body.plan !== undefined) await this.#burn(body.plan, body.closing ?? true, signal);
      await this.#job.write(record.etag, { phase: 'aborted' }, signal);
    }
    throw connectorErrors.UNREACHABLE.create({ store: this.#calls.store, reason: `the record ${this.#job.path} changes all the time` });
  }

  close(): Promise<void> {
    this.#options.close();
    return Promise.resolve();
  }

  /** Publishing has begun: completes it. False: it cannot be completed, so it may be aborted. */
  async #completed(closing: Closing, signal: AbortSignal): Promise<boolean> {
    try {
      // When the record has changed meanwhile, reading it again tells.
      await completeJob(this.#committing(signal), closing);
      return true;
    } catch (error) {
      if (!isDmgError(error) || error.retry !== 'never') throw error;
      // Somebody has noted the refusal (a finisher, or the attempt to complete): then the record read next says so.
      this.#options.logger.warn(
        { jobId: this.#options.job.jobId, code: error.code }, 'publishing had begun and cannot be completed, aborted',
      );
      return closing.body.refused === undefined && hasCode(error, connectorErrors.TARGET_CHANGED.code);
    }
  }

  #committing(signal: AbortSignal): CommitOptions {
    return { job: this.#job, jobId: this.#options.job.jobId, blobOf: (target) => this.#blob(target.path), signal };
  }

  async #burn(plan: Plan, closing: boolean, signal: AbortSignal): Promise<void> {
    await mapParallel(plan.targets, callsAtOnce, (target) => {
      const scope = scopeOf({ jobId: plan.jobId, generation: plan.generation, target: target.target });
      return this.#blob(target.path).burn({
        jobId: plan.jobId, base: target.base, closing, signal,
        mine: ({ name }) => decodeBlockId(scope, name) !== undefined,
      });
    });
  }

  /**
   * Who has completed this chunk? A long list costs more to read than a chunk to write twice, so what it said last time is believed:
   * a chunk that two have written is only a waste, since everybody takes the same version of it.
   */
  async #standing(plan: Plan, target: PlanTarget, blob: TargetBlob, chunk: number, signal: AbortSignal): Promise<string | undefined> {
    const known = this.#longLists.get(target.target);
    if (known !== undefined) return known.get(chunk);
    const versions = await readVersions(plan, target, blob, signal);
    const standing = new Map(versions.map(({ mark }) => [mark.chunk, mark.attemptId]));
    if (versions.reduce((sum, { blocks }) => sum + blocks.length, 0) >= longList) this.#longLists.set(target.target, standing);
    return standing.get(chunk);
  }

  /**
   * Throws `JOB_CLOSED` unless chunks can still be written. Where publishing has begun they cannot: it is completed here, so that
   * the attempt that wanted to write finds the job done.
   */
  async #checkOpen(signal: AbortSignal): Promise<void> {
    let phase = await this.#job.phase(signal);
    if (phase === 'closing') phase = (await helpFinish(this.#committing(signal))) ?? phase;
    if (phase !== 'open') throw this.#closed(phase ?? 'not begun');
  }

  #closed(phase: string): Error {
    return connectorErrors.JOB_CLOSED.create({ jobId: this.#options.job.jobId, phase });
  }

  #blob(path: string): TargetBlob {
    return new TargetBlob(this.#calls, checkedBlobName(this.#options.folder, path));
  }
}

function stateOf(body: JobBody): SinkState {
  if (body.phase === 'done') return { phase: 'done', plan: undefined, receipt: body.receipt };
  if (body.phase === 'aborted') return { phase: 'aborted', plan: undefined, receipt: undefined };
  return { phase: 'open', plan: body.plan, receipt: undefined };
}

import { hasCode } from '@dmg/base';
import { checkedObjectPath, chooseMarks, connectorErrors, isSkippedFile, joinPath, missingChunks } from '@dmg/connector-api';
import type { ChunkFacts, ChunkWriter, Sink, SinkJob, SinkLimits, SinkState, StagedTarget } from '@dmg/connector-api';
import type { ChunkRef, Mark, Plan, PlanTarget, Receipt } from '@dmg/model';
import type { MemoryJob, MemoryStore } from './memory-store.ts';

export interface MemorySinkOptions {
  readonly store: MemoryStore;
  readonly folder: string;
  readonly job: SinkJob;
  readonly limits: SinkLimits;
}

/** The sink of the reference connector. Each step on the store's maps is one turn of the event loop, and so atomic. */
export class MemorySink implements Sink {
  readonly limits: SinkLimits;
  readonly atomicPublish = 'yes';
  readonly #options: MemorySinkOptions;
  readonly #writers = new Set<MemoryChunk>();
  #closed = false;

  constructor(options: MemorySinkOptions) {
    this.#options = options;
    this.limits = options.limits;
    options.store.openHandles++;
  }

  async state(signal: AbortSignal): Promise<SinkState> {
    await this.#enter('state', signal);
    return this.#state();
  }

  async bases(paths: readonly string[], signal: AbortSignal): Promise<string[]> {
    await this.#enter('bases', signal);
    return paths.map((path) => {
      const key = this.#key(path);
      for (const other of this.#options.store.objects.keys()) {
        if (other.startsWith(`${key}/`)) {
          throw connectorErrors.TARGET_BLOCKED.create({
            path: key, reason: 'a folder has this name', remedy: 'Rename the folder or the target.',
          });
        }
      }
      return this.#options.store.objects.get(key)?.etag ?? 'absent';
    });
  }

  async insertPlan(plan: Plan, signal: AbortSignal): Promise<Plan> {
    await this.#enter('insertPlan', signal);
    const job = this.#job;
    if (job.phase === 'none') {
      job.phase = 'open';
      job.plan = structuredClone(plan);
    }
    this.#checkOpen();
    return structuredClone(job.plan ?? plan);
  }

  async marks(_plan: Plan, target: PlanTarget, signal: AbortSignal): Promise<Mark[]> {
    await this.#enter('marks', signal);
    this.#checkOpen();
    return this.#marksOf(target);
  }

  async openChunk(plan: Plan, ref: ChunkRef, signal: AbortSignal): Promise<ChunkWriter> {
    await this.#enter('openChunk', signal);
    this.#checkOpen();
    const writer = new MemoryChunk({
      ...this.#options, ref, partBytes: plan.partBytes, checkOpen: () => this.#checkOpen(), ended: () => this.#writers.delete(writer),
    });
    this.#writers.add(writer);
    return writer;
  }

  async openStaged(_plan: Plan, target: PlanTarget, signal: AbortSignal): Promise<StagedTarget | undefined> {
    await this.#enter('marks', signal);
    const job = this.#job;
    if (job.phase !== 'open' || job.publishedTargets.has(target.target)) return undefined;
    const parts = this.#marksOf(target).map((mark) => job.marks.get(`${mark.target}.${mark.chunk}`)?.bytes ?? new Uint8Array());
    const bytes = Buffer.concat(parts);
    return {
      read: (position, into) => Promise.resolve(bytes.copy(into, 0, position, position + into.length)),
      close: () => Promise.resolve(),
    };
  }

  async finish(plan: Plan, receipt: Receipt, signal: AbortSignal): Promise<Receipt> {
    await this.#enter('finish', signal);
    const job = this.#job;
    if (job.phase === 'done' && job.receipt !== undefined) return structuredClone(job.receipt);
    if (job.phase === 'aborted') throw this.#closedError();
    const missing = plan.targets.reduce((sum, target) => sum + missingChunks(target, this.#marksOf(target)), 0);
    if (missing > 0 || job.phase === 'none') {
      throw connectorErrors.MARKS_MISSING.create({ jobId: job.plan?.jobId ?? plan.jobId, missing });
    }
    // From here on an abort completes what was begun.
    job.intent ??= structuredClone(receipt);
    return this.#complete(job, plan, job.intent, signal);
  }

  async abort(signal: AbortSignal): Promise<SinkState> {
    await this.#enter('abort', signal);
    const job = this.#job;
    if (job.phase === 'open' && job.intent !== undefined && job.plan !== undefined) {
      try {
        await this.#complete(job, job.plan, job.intent, signal);
      } catch (error) {
        // It cannot be completed: then it is aborted after all.
        if (!hasCode(error, connectorErrors.TARGET_CHANGED.code)) throw error;
      }
    }
    if (job.phase !== 'done') {
      job.phase = 'aborted';
      job.marks.clear();
    }
    return this.#state();
  }

  async close(): Promise<void> {
    for (const writer of [...this.#writers]) await writer.discard();
    if (!this.#closed) this.#options.store.openHandles--;
    this.#closed = true;
  }

  async #complete(job: MemoryJob, plan: Plan, receipt: Receipt, signal: AbortSignal): Promise<Receipt> {
    for (const target of plan.targets) {
      await this.#options.store.intercept?.('publish', target.path);
      // As with a real store others come in between: a consumer, an abort, another finisher.
      await new Promise((resolve) => setImmediate(resolve));
      signal.throwIfAborted();
      this.#publish(job, target);
    }
    await this.#options.store.intercept?.('finish', 'done');
    // The phase is read again: another finisher or an abort may have come in between.
    if (job.phase === 'open') {
      job.phase = 'done';
      job.receipt = structuredClone(receipt);
    }
    if (job.phase !== 'done' || job.receipt === undefined) throw this.#closedError();
    return structuredClone(job.receipt);
  }

  get #job(): MemoryJob {
    return this.#options.store.job(this.#options.job.jobId);
  }

  async #enter(call: 'state' | 'bases' | 'insertPlan' | 'marks' | 'openChunk' | 'finish' | 'abort', signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await this.#options.store.intercept?.(call, this.#options.job.jobId);
    signal.throwIfAborted();
  }

  #key(path: string): string {
    return joinPath(this.#options.folder, checkedObjectPath(path));
  }

  #state(): SinkState {
    const { phase, plan, receipt } = this.#job;
    return structuredClone({ phase, plan, receipt: phase === 'done' ? receipt : undefined });
  }

  #marksOf(target: PlanTarget): Mark[] {
    const complete = [...this.#job.marks.values()].map((entry) => entry.mark).filter((mark) => mark.target === target.target);
    return chooseMarks(target, complete);
  }

  /** One atomic step: look at the target, put it there, remember that it was published. */
  #publish(job: MemoryJob, target: PlanTarget): void {
    if (job.phase === 'aborted') throw this.#closedError();
    if (job.phase === 'done' || job.publishedTargets.has(target.target)) return;
    if (isSkippedFile(this.#marksOf(target))) return;
    const key = this.#key(target.path);
    const store = this.#options.store;
    if ((store.objects.get(key)?.etag ?? 'absent') !== target.base) throw connectorErrors.TARGET_CHANGED.create({ path: key });
    const parts = this.#marksOf(target).map((mark) => job.marks.get(`${mark.target}.${mark.chunk}`)?.bytes ?? new Uint8Array());
    store.put(key, Buffer.concat(parts));
    job.publishedTargets.add(target.target);
    store.publications.push({ jobId: this.#options.job.jobId, path: key });
  }

  #checkOpen(): void {
    if (this.#job.phase !== 'open') throw this.#closedError();
  }

  #closedError(): Error {
    return connectorErrors.JOB_CLOSED.create({ jobId: this.#options.job.jobId, phase: this.#job.phase });
  }
}

interface MemoryChunkOptions extends MemorySinkOptions {
  readonly ref: ChunkRef;
  readonly partBytes: number;
  readonly checkOpen: () => void;
  readonly ended: () => void;
}

class MemoryChunk implements ChunkWriter {
  readonly #options: MemoryChunkOptions;
  readonly #parts = new Map<number, Uint8Array>();
  #ended = false;

  constructor(options: MemoryChunkOptions) {
    this.#options = options;
    options.store.openHandles++;
  }

  async writePart(part: number, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (bytes.length !== this.#options.partBytes) throw new RangeError(
      `part ${part} has ${bytes.length} bytes, not ${this.#options.partBytes}`,
    );
    await this.#options.store.intercept?.('writePart', `${this.#name}.${part}`);
    signal.throwIfAborted();
    this.#parts.set(part, Uint8Array.from(bytes));
  }

  async mark(facts: ChunkFacts, last: { part: number; bytes: Uint8Array }, signal: AbortSignal): Promise<'marked' | 'already'> {
    signal.throwIfAborted();
    if (last.bytes.length > this.#options.partBytes) throw new RangeError(`the last part has ${last.bytes.length} bytes`);
    const bytes = Uint8Array.from(last.bytes);
    await this.#options.store.intercept?.('mark', this.#name);
    signal.throwIfAborted();
    this.#options.checkOpen();
    this.#end();
    const marks = this.#options.store.job(this.#options.job.jobId).marks;
    const standing = marks.get(this.#name);
    if (standing !== undefined) return standing.mark.attemptId === this.#options.job.attemptId ? 'marked' : 'already';
    this.#parts.set(last.part, bytes);
    const whole: Uint8Array[] = [];
    for (let part = 0; part <= last.part; part++) {
      const piece = this.#parts.get(part);
      if (piece === undefined) throw new RangeError(`part ${part} of ${this.#name} was never written`);
      whole.push(piece);
    }
    marks.set(
      this.#name, { mark: { ...this.#options.ref, attemptId: this.#options.job.attemptId, ...facts }, bytes: Buffer.concat(whole) },
    );
    return 'marked';
  }

  discard(): Promise<void> {
    this.#parts.clear();
    this.#end();
    return Promise.resolve();
  }

  get #name(): string {
    return `${this.#options.ref.target}.${this.#options.ref.chunk}`;
  }

  #end(): void {
    if (!this.#ended) this.#options.store.openHandles--;
    this.#ended = true;
    this.#options.ended();
  }
}

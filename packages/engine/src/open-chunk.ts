import { firstLine } from '@dmg/base';
import type { ChunkFacts, ChunkWriter } from '@dmg/connector-api';
import type { PlanTarget } from '@dmg/model';
import type { PooledBuffer } from './buffer-pool.ts';
import { type CopyContext, whilePinned } from './copy-context.ts';

/** A cancelled copy has to end within 2 s, also when its store does not answer. */
const stopPatienceMs = 200;

/** One part, and the buffer that its bytes lie in. */
export interface ChunkPiece {
  readonly part: number;
  readonly bytes: Uint8Array;
  readonly buffer: PooledBuffer;
}

/**
 * A chunk's writer with deadlines, counts and care for calls that outlive their deadline: while one of them is under way its buffer
 * is not lent to anybody else, and the chunk is not discarded under it (a mark that comes late may be the one that counts).
 */
export class OpenChunk {
  readonly #context: CopyContext;
  readonly #target: PlanTarget;
  readonly #writer: ChunkWriter;
  readonly #underWay = new Set<Promise<unknown>>();
  #writtenBytes = 0;
  /** Where parts go to the sink in order: who waits for the part before its own, and how far they have come. */
  readonly #turns = new Map<number, PromiseWithResolvers<void>>();

  private constructor(context: CopyContext, target: PlanTarget, writer: ChunkWriter) {
    this.#context = context;
    this.#target = target;
    this.#writer = writer;
  }

  static async open(
    options: { context: CopyContext; target: PlanTarget; chunk: number; signal: AbortSignal; form?: 'own' | undefined },
  ): Promise<OpenChunk> {
    const { context, target, chunk, signal, form } = options;
    const writer = await context.calls.once({ what: `write ${target.path}`, signal }, async (callSignal) => {
      const opened = await context.sink.openChunk(context.plan, { target: target.target, chunk }, callSignal, form);
      // The call was given up: nobody else knows of the writer.
      if (callSignal.aborted) await opened.discard();
      return opened;
    });
    return new OpenChunk(context, target, writer);
  }

  /** Bytes that the sink has taken, as the progress has counted them. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  async writePart(piece: ChunkPiece, signal: AbortSignal): Promise<void> {
    const { part, bytes, buffer } = piece;
    const write = (): Promise<void> =>
      this.#call(bytes.length, buffer, signal, (callSignal) => this.#writer.writePart(part, bytes, callSignal));
    if (this.#context.sink.limits.partsInOrder !== true) return write();
    const turn = this.#turn(part);
    try {
      // Whatever ends the part before, its failure included, ends this wait.
      if (part > 0) await this.#turn(part - 1).promise;
      signal.throwIfAborted();
      await write();
      turn.resolve();
    } catch (error) {
      turn.reject(error);
      throw error;
    }
  }

  async mark(facts: ChunkFacts, last: ChunkPiece, signal: AbortSignal): Promise<'marked' | 'already'> {
    const { part, bytes, buffer } = last;
    return this.#call(bytes.length, buffer, signal, (callSignal) => this.#writer.mark(facts, { part, bytes }, callSignal));
  }

  /**
   * Gives the chunk up, without waiting for long, least of all when the attempt is being stopped: what is left over is removed when
   * the job ends. Never throws.
   */
  async discard(signal: AbortSignal): Promise<void> {
    const { calls, limits, logger, progress } = this.#context;
    progress.undo(0, this.#writtenBytes);
    this.#writtenBytes = 0;
    const discarded = Promise.allSettled(this.#underWay).then(() => this.#writer.discard());
    try {
      const limitMs = signal.aborted ? Math.min(limits.closeLimitMs, stopPatienceMs) : limits.closeLimitMs;
      await calls.once({ what: 'discard a chunk', limitMs, signal: new AbortController().signal }, () => discarded);
    } catch (error) {
      logger.debug({ reason: firstLine(error) }, 'chunk was not discarded in time');
    }
  }

  /** Settled when this part has been written, or never will be. */
  #turn(part: number): PromiseWithResolvers<void> {
    let turn = this.#turns.get(part);
    if (turn === undefined) {
      turn = Promise.withResolvers();
      turn.promise.catch(() => undefined);
      this.#turns.set(part, turn);
    }
    return turn;
  }

  async #call<T>(bytes: number, buffer: PooledBuffer, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { calls, clock, progress } = this.#context;
    const startedMs = clock.monotonicMs();
    const result = await calls.once({ what: `write ${this.#target.path}`, bytes, signal }, (callSignal) => {
      const call = whilePinned(buffer, () => work(callSignal));
      this.#underWay.add(call);
      const over = progress.began('sink');
      const ended = (): void => {
        over();
        this.#underWay.delete(call);
      };
      call.then(ended, ended);
      return call;
    });
    this.#writtenBytes += bytes;
    progress.written(bytes, clock.monotonicMs() - startedMs);
    return result;
  }
}

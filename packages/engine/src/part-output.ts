import type { ChunkFacts } from '@dmg/connector-api';
import type { PooledBuffer } from './buffer-pool.ts';
import type { CopyContext } from './copy-context.ts';
import type { OpenChunk } from './open-chunk.ts';

/** Where text comes from: moves what waits into `target` from `offset` on. */
export interface Drain {
  readonly pendingBytes: number;
  drainInto(target: Uint8Array, offset: number): number;
}

/** Where the output of a chunk goes. */
export interface ChunkOutput {
  /** Bytes for the sink so far. */
  readonly bytes: number;
  /** Bytes taken so far; others than `bytes` where they are compressed. */
  readonly contentBytes: number;
  /** Takes all that waits in `drain`. */
  take(drain: Drain): Promise<void>;
  /** Hands over what is left and marks the chunk. `isLast`: the target ends with it. */
  mark(facts: Omit<ChunkFacts, 'bytes'>, isLast: boolean): Promise<'marked' | 'already'>;
  /** Waits until no call of ours is under way any more, as far as we wait for calls. */
  settle(): Promise<void>;
}

/**
 * Gathers a chunk's output into whole parts and hands them to the sink, some in flight while the next is filled. The last part is
 * kept back, full or not, for the mark.
 */
export class PartOutput implements ChunkOutput {
  readonly #context: CopyContext;
  readonly #chunk: OpenChunk;
  readonly #signal: AbortSignal;
  readonly #free: PooledBuffer[];
  readonly #inFlight = new Set<Promise<void>>();
  #failure: { error: unknown } | undefined;
  #current: PooledBuffer | undefined;
  #filled = 0;
  #part = 0;
  #bytes = 0;

  /** `free` is shared by the chunks of one run: buffers come back to it when their part is written. */
  constructor(options: { context: CopyContext; chunk: OpenChunk; free: PooledBuffer[]; signal: AbortSignal }) {
    this.#context = options.context;
    this.#chunk = options.chunk;
    this.#free = options.free;
    this.#signal = options.signal;
  }

  /** Bytes taken so far. */
  get bytes(): number {
    return this.#bytes;
  }

  get contentBytes(): number {
    return this.#bytes;
  }

  /** Takes all that waits in `drain`. */
  async take(drain: Drain): Promise<void> {
    while (drain.pendingBytes > 0) {
      const { partBytes } = this.#context.plan;
      if (this.#filled === partBytes) this.#flush();
      this.#current ??= await this.#nextBuffer();
      const moved = drain.drainInto(this.#current.memory.subarray(0, partBytes), this.#filled);
      if (moved === 0) throw new Error('the transcoder has output and gives none');
      this.#filled += moved;
      this.#bytes += moved;
    }
  }

  /** Waits for the earlier parts, hands over the last one and marks the chunk. */
  async mark(facts: Omit<ChunkFacts, 'bytes'>): Promise<'marked' | 'already'> {
    const buffer = this.#current ?? await this.#nextBuffer();
    this.#current = undefined;
    await Promise.all(this.#inFlight);
    this.#throwFailure();
    const last = { part: this.#part, bytes: buffer.memory.subarray(0, this.#filled), buffer };
    const result = await this.#inSlot(() => this.#chunk.mark({ ...facts, bytes: this.#bytes }, last, this.#signal));
    this.#free.push(buffer);
    return result;
  }

  /** Waits until no call of ours is under way any more, as far as we wait for calls. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#inFlight);
  }

  #flush(): void {
    const buffer = this.#current;
    if (buffer === undefined) return;
    const part = this.#part;
    const bytes = buffer.memory.subarray(0, this.#filled);
    this.#current = undefined;
    this.#filled = 0;
    this.#part++;
    const write = this.#inSlot(() => this.#chunk.writePart({ part, bytes, buffer }, this.#signal))
      .then(() => {
        this.#free.push(buffer);
      })
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => {
        this.#inFlight.delete(write);
      });
    this.#inFlight.add(write);
  }

  async #nextBuffer(): Promise<PooledBuffer> {
    for (;;) {
      this.#throwFailure();
      const buffer = this.#free.pop();
      if (buffer !== undefined) return buffer;
      if (this.#inFlight.size === 0) throw new Error('all part buffers are gone');
      await Promise.race(this.#inFlight);
    }
  }

  async #inSlot<T>(work: () => Promise<T>): Promise<T> {
    const { partSlots } = this.#context;
    await partSlots.take(1, this.#signal);
    try {
      return await work();
    } finally {
      partSlots.give(1);
    }
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

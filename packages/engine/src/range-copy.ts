import { crc32 } from 'node:zlib';
import type { ChunkRange, PlanTarget } from '@dmg/model';
import type { PooledBuffer } from './buffer-pool.ts';
import { type CopyContext, readExactly } from './copy-context.ts';
import { combineCrc32 } from './crc32.ts';
import { OpenChunk } from './open-chunk.ts';
import { type LinkedSignal, linkedSignal } from './parallel.ts';

/** Copies one chunk of bytes and marks it; repeats it after transient errors. */
export function copyRange(context: CopyContext, target: PlanTarget, range: ChunkRange, signal: AbortSignal): Promise<void> {
  const what = `copy to ${target.path}`;
  return context.calls.repeating('chunk', { what, signal }, () => new RangeCopy(context, target, range).run(signal));
}

/** One try of one chunk: its parts are read and written in parallel, as far as buffers and part slots allow. */
class RangeCopy {
  readonly #context: CopyContext;
  readonly #target: PlanTarget;
  readonly #range: ChunkRange;
  readonly #parts: number;
  readonly #crcs: number[];
  #readBytes = 0;

  constructor(context: CopyContext, target: PlanTarget, range: ChunkRange) {
    this.#context = context;
    this.#target = target;
    this.#range = range;
    this.#parts = Math.max(1, Math.ceil((range.endByte - range.startByte) / context.plan.partBytes));
    this.#crcs = Array.from({ length: this.#parts }, () => 0);
  }

  async run(signal: AbortSignal): Promise<void> {
    const chunk = await OpenChunk.open({ context: this.#context, target: this.#target, chunk: this.#range.chunk, signal });
    const link = linkedSignal(signal);
    const parts: Promise<void>[] = [];
    try {
      for (let part = 0; part < this.#parts; part++) {
        const buffer = await this.#admit(part, link.signal);
        const earlier = [...parts];
        const last = part === this.#parts - 1;
        parts.push(this.#ended(link, buffer, () =>
          last ? this.#copyLast(chunk, buffer, earlier, link.signal) : this.#copyPart(chunk, part, buffer, link.signal)));
      }
      await Promise.all(parts);
    } catch (error) {
      link.abort(error);
      await Promise.allSettled(parts);
      this.#context.progress.undo(this.#readBytes, 0);
      await chunk.discard(signal);
      throw error;
    } finally {
      link.unlink();
    }
  }

  /** Waits for a part slot, then for a buffer: who holds a buffer never waits for what another buffer's holder needs. */
  async #admit(part: number, signal: AbortSignal): Promise<PooledBuffer> {
    const { clock, partSlots, pool, progress } = this.#context;
    await partSlots.take(1, signal);
    try {
      const startedMs = clock.monotonicMs();
      const buffer = await pool.lend(Math.max(1, this.#partBytes(part)), signal);
      progress.waitedForMemory(clock.monotonicMs() - startedMs);
      return buffer;
    } catch (error) {
      partSlots.give(1);
      throw error;
    }
  }

  /** Runs a part and gives back what it holds; its failure stops the other parts of the chunk. */
  #ended(link: LinkedSignal, buffer: PooledBuffer, work: () => Promise<void>): Promise<void> {
    const done = work().catch((error: unknown) => {
      link.abort(error);
      throw error;
    }).finally(() => {
      buffer.unpin();
      this.#context.partSlots.give(1);
    });
    // `run` awaits it; until it does, a rejection must not count as unhandled.
    done.catch(() => undefined);
    return done;
  }

  async #copyPart(chunk: OpenChunk, part: number, buffer: PooledBuffer, signal: AbortSignal): Promise<void> {
    const bytes = await this.#readPart(part, buffer, signal);
    await chunk.writePart({ part, bytes, buffer }, signal);
  }

  /** The last part goes to the sink together with the mark, when all earlier ones are there. */
  async #copyLast(chunk: OpenChunk, buffer: PooledBuffer, earlier: readonly Promise<void>[], signal: AbortSignal): Promise<void> {
    const bytes = await this.#readPart(this.#parts - 1, buffer, signal);
    await Promise.all(earlier);
    const { startByte, endByte } = this.#range;
    const facts = { bytes: endByte - startByte, rows: 0, hash: this.#hash(), sourceStart: startByte, sourceEnd: endByte };
    // Whoever was first with the chunk, its bytes are in.
    await chunk.mark(facts, { part: this.#parts - 1, bytes, buffer }, signal);
  }

  async #readPart(part: number, buffer: PooledBuffer, signal: AbortSignal): Promise<Uint8Array> {
    const object = this.#target.sources[this.#range.source];
    if (object === undefined) throw new Error(`the plan has no source ${this.#range.source} for target ${this.#target.target}`);
    const position = this.#range.startByte + part * this.#context.plan.partBytes;
    const bytes = await readExactly(this.#context, { object, position, bytes: this.#partBytes(part), buffer }, signal);
    this.#readBytes += bytes.length;
    this.#crcs[part] = crc32(bytes);
    return bytes;
  }

  #partBytes(part: number): number {
    const { partBytes } = this.#context.plan;
    const whole = this.#range.endByte - this.#range.startByte;
    return Math.min(partBytes, whole - part * partBytes);
  }

  /** CRC-32 of the chunk's bytes, as 16 hex digits. */
  #hash(): string {
    const crc = this.#crcs.reduce((sum, next, part) => combineCrc32(sum, next, this.#partBytes(part)), 0);
    return crc.toString(16).padStart(16, '0');
  }
}

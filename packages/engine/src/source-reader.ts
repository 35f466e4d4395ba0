import { extentsOf, extentTotal } from '@dmg/connector-api';
import type { PlanTarget, SourceObject } from '@dmg/model';
import type { PooledBuffer } from './buffer-pool.ts';
import { type CopyContext, readExactly } from './copy-context.ts';
import { type LinkedSignal, linkedSignal } from './parallel.ts';

/** Bytes of one source, in order. */
export interface SourceBlock {
  readonly bytes: Uint8Array;
  /** Source position after the block. */
  readonly end: number;
  /** True when the source ends with this block. */
  readonly atEnd: boolean;
}

interface Read {
  readonly buffer: PooledBuffer;
  readonly position: number;
  readonly bytes: Promise<Uint8Array>;
  readonly atEnd: boolean;
}

/**
 * Where a position in a target's sources, laid end to end, falls: the source that the next byte belongs to. Empty sources are
 * passed over, unless all are.
 */
export function locate(target: PlanTarget, position: number): { index: number; offset: number } | undefined {
  let start = 0;
  for (const [index, extent] of extentsOf(target).entries()) {
    if (position < start + extent) return { index, offset: position - start };
    start += extent;
  }
  return start === 0 && target.sources.length > 0 ? { index: 0, offset: 0 } : undefined;
}

/** Positions of a target's sources: their bytes, or more where they are compressed. */
export function totalBytes(target: PlanTarget): number {
  return extentTotal(target);
}

/** What a row copy reads from: a file, or what a compressed file holds. */
export interface BlockReader {
  /** The bytes from the reader's position on, as far as they are at hand; none at the end. */
  block(): Promise<SourceBlock>;
  /** Moves to a position that was given already, seldom before the last block. */
  moveTo(position: number): Promise<void>;
  close(reason: unknown): Promise<void>;
}

export interface SourceReaderOptions {
  readonly context: CopyContext;
  readonly object: SourceObject;
  readonly position: number;
  readonly buffers: readonly PooledBuffer[];
  readonly blockBytes: number;
  readonly signal: AbortSignal;
  /** Told of bytes as they arrive, also of those that nobody takes in the end. */
  readonly onRead: (bytes: number) => void;
}

/** Reads one source from a position on, some blocks ahead of whoever consumes it. */
export class SourceReader implements BlockReader {
  readonly #context: CopyContext;
  readonly #object: SourceObject;
  readonly #link: LinkedSignal;
  readonly #free: PooledBuffer[];
  readonly #blockBytes: number;
  readonly #onRead: (bytes: number) => void;
  readonly #ahead: Read[] = [];
  #nextRead: number;
  #current: { read: Read; bytes: Uint8Array; used: number } | undefined;
  #emptyGiven = false;

  /**
   * `buffers` stay the caller's. After `close` they must not be lent to another reader, unless the source was read to its end: reads
   * that were given up may still write into them.
   */
  constructor(options: SourceReaderOptions) {
    this.#context = options.context;
    this.#object = options.object;
    this.#nextRead = options.position;
    this.#free = [...options.buffers];
    this.#blockBytes = options.blockBytes;
    this.#onRead = options.onRead;
    this.#link = linkedSignal(options.signal);
    this.#readAhead();
  }

  /** The bytes from the reader's position on: what is left of a block, else the next block. */
  async block(): Promise<SourceBlock> {
    if (this.#current === undefined) {
      const read = this.#ahead.shift();
      if (read === undefined) {
        // Only an empty rest comes here: every other read was started ahead.
        if (this.#emptyGiven) throw new Error(`the end of ${this.#object.path} was read already`);
        this.#emptyGiven = true;
        return { bytes: new Uint8Array(0), end: this.#object.sizeBytes, atEnd: true };
      }
      this.#current = { read, bytes: await read.bytes, used: 0 };
    }
    const { bytes, used, read } = this.#current;
    return { bytes: used === 0 ? bytes : bytes.subarray(used), end: read.position + bytes.length, atEnd: read.atEnd };
  }

  /**
   * Moves to a position that was given already: in the last block or at its end, and seldom before it. Blocks before the last are
   * read again; what was asked for ahead is waited for first, so that nothing writes into a buffer that is read into anew.
   */
  async moveTo(position: number): Promise<void> {
    const current = this.#current;
    if (current !== undefined && position >= current.read.position) {
      current.used = position - current.read.position;
      if (current.used < current.bytes.length) return;
      this.#free.push(current.read.buffer);
      this.#current = undefined;
      this.#readAhead();
      return;
    }
    if (current === undefined && position === (this.#ahead[0]?.position ?? this.#nextRead)) return;
    await Promise.allSettled(this.#ahead.map((read) => read.bytes));
    this.#free.push(...this.#ahead.map((read) => read.buffer));
    if (current !== undefined) this.#free.push(current.read.buffer);
    this.#ahead.length = 0;
    this.#current = undefined;
    this.#emptyGiven = false;
    this.#nextRead = position;
    this.#readAhead();
  }

  /** Gives up what was read ahead and waits for it. */
  async close(reason: unknown): Promise<void> {
    this.#link.abort(reason);
    this.#link.unlink();
    await Promise.allSettled(this.#ahead.map((read) => read.bytes));
  }

  #readAhead(): void {
    while (this.#nextRead < this.#object.sizeBytes) {
      const buffer = this.#free.shift();
      if (buffer === undefined) return;
      const position = this.#nextRead;
      const bytes = Math.min(this.#blockBytes, this.#object.sizeBytes - position);
      this.#nextRead += bytes;
      const request = { object: this.#object, position, bytes, buffer };
      const reading = this.#read(request);
      // Awaited in `block`; a failure ahead of its turn must not count as unhandled.
      reading.catch(() => undefined);
      this.#ahead.push({ buffer, position, bytes: reading, atEnd: this.#nextRead === this.#object.sizeBytes });
    }
  }

  async #read(request: { object: SourceObject; position: number; bytes: number; buffer: PooledBuffer }): Promise<Uint8Array> {
    const bytes = await readExactly(this.#context, request, this.#link.signal);
    this.#onRead(bytes.length);
    return bytes;
  }
}

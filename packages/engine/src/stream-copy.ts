import { crc32 } from 'node:zlib';
import { firstLine } from '@dmg/base';
import { type ChunkFacts, connectorErrors, type TableSource, type TextStream } from '@dmg/connector-api';
import { createTranscoder, encodeHeader, RowEndWriter, type Transcoder } from '@dmg/formats';
import type { DelimitedTextFormat, PlanTarget, SourceObject } from '@dmg/model';
import type { PooledBuffer } from './buffer-pool.ts';
import { codecsOf } from './codecs.ts';
import { chunkOutput } from './compressed-output.ts';
import type { CopyContext } from './copy-context.ts';
import { engineErrors } from './errors.ts';
import { OpenChunk } from './open-chunk.ts';
import { type ChunkOutput, type Drain, PartOutput } from './part-output.ts';
import type { SkippedRows } from './skipped-rows.ts';
import type { StreamExchange } from './stream-exchange.ts';
import { underSnapshot } from './tiling.ts';

export interface StreamRequest {
  readonly target: PlanTarget;
  /** Chunk k is all of source k. */
  readonly chunk: number;
  /** Part buffers to work with: one is filled while others are on their way to the sink. */
  readonly outputs: number;
}

/** Copies one partition of a table, from its first row to its last, and marks it; repeats it after transient errors. */
export function copyStream(context: CopyContext, request: StreamRequest, signal: AbortSignal): Promise<void> {
  const { source, exchange } = context;
  if (source.kind !== 'table' || exchange === undefined) throw new TypeError('only tables are read in streams');
  const { table } = source;
  const what = `copy to ${request.target.path}`;
  return context.calls.repeating('chunk', { what, signal }, () => new StreamCopy({ context, request, table, exchange, signal }).run());
}

interface StreamCopyOptions {
  readonly context: CopyContext;
  readonly request: StreamRequest;
  readonly table: TableSource;
  readonly exchange: StreamExchange;
  readonly signal: AbortSignal;
}

/** One try of one chunk. The next block is asked for only when the last one is in part buffers: the server waits for the sink. */
class StreamCopy {
  readonly #options: StreamCopyOptions;
  readonly #context: CopyContext;
  readonly #object: SourceObject;
  readonly #signal: AbortSignal;
  #readBytes = 0;
  /** Rows that were left out, where that is wanted and rows are looked at. */
  #skipped: SkippedRows | undefined;

  constructor(options: StreamCopyOptions) {
    const { context, request, signal } = options;
    const object = request.target.sources[request.chunk];
    if (object === undefined) throw new Error(`the plan has no source ${request.chunk} for target ${request.target.target}`);
    this.#options = options;
    this.#context = context;
    this.#object = object;
    this.#signal = signal;
  }

  async run(): Promise<void> {
    const { pool, plan, clock, progress } = this.#context;
    const sizes = Array.from({ length: this.#options.request.outputs }, () => plan.partBytes);
    const startedMs = clock.monotonicMs();
    const lent = await pool.lendAll(sizes, this.#signal);
    progress.waitedForMemory(clock.monotonicMs() - startedMs);
    try {
      await this.#read(lent);
    } catch (error) {
      progress.undo(this.#readBytes, 0);
      throw error;
    } finally {
      for (const buffer of lent) buffer.unpin();
    }
  }

  /** The sink's chunk is opened when the first rows are there: until then a transaction would wait for a query that may take long. */
  async #read(lent: readonly PooledBuffer[]): Promise<void> {
    const stream = await this.#open();
    try {
      const first = await this.#next(stream, this.#context.limits.firstRowLimitMs);
      await this.#write(stream, first, lent);
    } finally {
      await this.#close(stream);
    }
  }

  async #write(stream: TextStream, first: Uint8Array | undefined, lent: readonly PooledBuffer[]): Promise<void> {
    const { target, chunk: number } = this.#options.request;
    const context = this.#context;
    const form = this.#options.exchange.way === 'own' ? 'own' : undefined;
    const chunk = await OpenChunk.open({ context, target, chunk: number, signal: this.#signal, form });
    const parts = new PartOutput({ context, chunk, free: [...lent], signal: this.#signal });
    const output = chunkOutput(parts, { compression: codecsOf(context.activity).sink, target, chunk: number });
    try {
      const { rows, hash } = await this.#pump(stream, first, output);
      const skipped = await this.#skipped?.end(this.#signal) ?? 0;
      const facts: Omit<ChunkFacts, 'bytes'> = {
        rows, ...(skipped === 0 ? {} : { rowsSkipped: skipped }), hash,
        sourceStart: this.#sourceStart, sourceEnd: this.#sourceStart + this.#readBytes,
      };
      // Whoever was first with the chunk, its rows are in.
      if (await output.mark(facts, number === target.sources.length - 1) === 'marked') context.progress.rowsMarked(rows);
    } catch (error) {
      await this.#skipped?.discard();
      await output.settle();
      await chunk.discard(this.#signal);
      throw error;
    }
  }

  async #pump(stream: TextStream, first: Uint8Array | undefined, output: ChunkOutput): Promise<{ rows: number; hash: string }> {
    const converter = this.#converter(first);
    await output.take(converter);
    // The other streams of the target have a part each, at least.
    const { limits } = this.#context.sink;
    const bytesMax = (limits.partsPerTargetMax - this.#options.request.target.sources.length + 1) * this.#context.plan.partBytes;
    for (let block = first; block !== undefined; block = await this.#next(stream, this.#context.limits.nextRowsLimitMs)) {
      converter.push(block);
      await this.#skipped?.flush(this.#signal);
      await output.take(converter);
      if (output.bytes > bytesMax) throw this.#tooLarge(output.bytes);
    }
    const facts = converter.end(stream.rows);
    await output.take(converter);
    const received = facts.rows + (this.#skipped?.count ?? 0);
    if (received !== stream.rows) {
      throw engineErrors.ROWS_DIFFER.create({ source: this.#object.path, sent: stream.rows, received });
    }
    return { rows: facts.rows, hash: converter.hash };
  }

  get #sourceStart(): number {
    return this.#context.underSnapshot ? underSnapshot : 0;
  }

  #tooLarge(sizeBytes: number): Error {
    const { activity, plan, sink } = this.#context;
    return connectorErrors.TOO_LARGE.create({
      path: this.#options.request.target.path, sizeBytes, store: activity.sink.connector,
      limitBytes: sink.limits.partsPerTargetMax * plan.partBytes,
    });
  }

  #converter(first: Uint8Array | undefined): StreamConverter {
    const { exchange, request } = this.#options;
    // Only the first chunk of a file begins with its header.
    const { write } = exchange;
    const header = request.chunk === 0 && (write.type === 'Json' || write.firstRowAsHeader);
    const passes = exchange.way !== 'transcode' && (header || !this.#looksMarked(first));
    if (passes && write.type !== 'Json') return new PassingText({ ...exchange, write }, header);
    this.#skipped = this.#context.logs.skippedRows({ target: request.target.target, chunk: request.chunk, sourceStart: this.#sourceStart });
    return new TranscodedText(createTranscoder({
      source: exchange.read,
      sink: exchange.write,
      fileName: this.#object.path,
      bareColumns: exchange.names,
      bareTypes: exchange.types,
      // An array is one stream.
      endsAt: Infinity,
      added: exchange.added,
      writeHeader: header,
      ...(this.#skipped === undefined ? {} : { onSkippedRow: this.#skipped.take }),
      ...(exchange.translator === undefined ? {} : { translator: exchange.translator }),
    }));
  }

  /** A file that begins with U+FEFF would be read without it: that value has to be quoted, which no server does. */
  #looksMarked(first: Uint8Array | undefined): boolean {
    const { request, exchange } = this.#options;
    if (request.chunk > 0 || this.#context.sink.table !== undefined) return false;
    if (exchange.write.type === 'Json' || exchange.write.quoteChar === '') return false;
    return first !== undefined && first[0] === 0xef && first[1] === 0xbb && first[2] === 0xbf;
  }

  #open(): Promise<TextStream> {
    const { exchange, table } = this.#options;
    const { calls, limits } = this.#context;
    const { choice } = exchange;
    const read = exchange.way === 'own' ? 'own' : exchange.read;
    const options = { what: `read ${this.#object.path}`, limitMs: limits.firstRowLimitMs, signal: this.#signal };
    return calls.once(options, async (callSignal) => {
      const stream = choice === undefined || table.openColumns === undefined
        ? await table.open(this.#object, read, callSignal)
        : await table.openColumns(this.#object, read, choice, callSignal);
      // The call was given up: nobody else knows of the stream.
      if (callSignal.aborted) await stream.close();
      return stream;
    });
  }

  async #next(stream: TextStream, limitMs: number): Promise<Uint8Array | undefined> {
    const { calls, clock, progress } = this.#context;
    const startedMs = clock.monotonicMs();
    const options = { what: `read ${this.#object.path}`, limitMs, signal: this.#signal };
    const block = await calls.once(options, (callSignal) => stream.next(callSignal));
    const bytes = block?.length ?? 0;
    this.#readBytes += bytes;
    progress.read(bytes, clock.monotonicMs() - startedMs);
    return block;
  }

  async #close(stream: TextStream): Promise<void> {
    const { calls, limits, logger } = this.#context;
    try {
      const signal = new AbortController().signal;
      await calls.once({ what: 'close a stream', limitMs: limits.closeLimitMs, signal }, () => stream.close());
    } catch (error) {
      logger.debug({ reason: firstLine(error) }, 'stream was not closed in time');
    }
  }
}

/** Turns a stream's blocks into the sink's bytes. A block may be reused once it has been drained. */
interface StreamConverter extends Drain {
  push(block: Uint8Array): void;
  /** All blocks were pushed. `sent`: rows that the server has counted; returns those that arrived, as far as that can be seen. */
  end(sent: number): { readonly rows: number };
  /** 16 hex digits, when everything was drained. */
  readonly hash: string;
}

/** Bytes as the server wrote them, text or its own form, behind a header where one is wanted. */
class PassingText implements StreamConverter {
  readonly #rowEnds: RowEndWriter | undefined;
  #waiting: Uint8Array;
  #crc = 0;

  constructor(exchange: StreamExchange & { readonly write: DelimitedTextFormat }, header: boolean) {
    this.#rowEnds = exchange.way === 'rowEnds' ? new RowEndWriter(exchange.write) : undefined;
    this.#waiting = header ? encodeHeader(exchange.write, exchange.names) : new Uint8Array(0);
  }

  get pendingBytes(): number {
    return this.#waiting.length + (this.#rowEnds?.pendingBytes ?? 0);
  }

  push(block: Uint8Array): void {
    if (this.#rowEnds === undefined) this.#waiting = block;
    else this.#rowEnds.push(block);
  }

  /** Rows are not looked at: what the server has counted is what the sink's server, or nobody, will count again. */
  end(sent: number): { readonly rows: number } {
    return { rows: sent };
  }

  drainInto(target: Uint8Array, offset: number): number {
    const count = this.#waiting.length > 0 || this.#rowEnds === undefined
      ? this.#moveWaiting(target, offset) : this.#rowEnds.drainInto(target, offset);
    this.#crc = crc32(target.subarray(offset, offset + count), this.#crc);
    return count;
  }

  /** CRC-32 of all bytes that were drained. */
  get hash(): string {
    return this.#crc.toString(16).padStart(16, '0');
  }

  #moveWaiting(target: Uint8Array, offset: number): number {
    const count = Math.min(this.#waiting.length, target.length - offset);
    target.set(count === this.#waiting.length ? this.#waiting : this.#waiting.subarray(0, count), offset);
    this.#waiting = this.#waiting.subarray(count);
    return count;
  }
}

class TranscodedText implements StreamConverter {
  readonly #transcoder: Transcoder;

  constructor(transcoder: Transcoder) {
    this.#transcoder = transcoder;
  }

  get pendingBytes(): number {
    return this.#transcoder.pendingBytes;
  }

  push(block: Uint8Array): void {
    this.#transcoder.push(block, false);
  }

  end(): { readonly rows: number } {
    this.#transcoder.push(new Uint8Array(0), true);
    return this.#transcoder.boundary;
  }

  drainInto(target: Uint8Array, offset: number): number {
    return this.#transcoder.drainInto(target, offset);
  }

  get hash(): string {
    return this.#transcoder.boundary.hash;
  }
}

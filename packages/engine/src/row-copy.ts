import { firstLine } from '@dmg/base';
import { extentsOf, sourceBytesOf } from '@dmg/connector-api';
import { createTranscoder, sumHashes, type Transcoder } from '@dmg/formats';
import type { Mark, PlanTarget, RowFormat, SourceObject, Translator } from '@dmg/model';
import { addedColumns } from './added-columns.ts';
import type { PooledBuffer } from './buffer-pool.ts';
import { ByteTranscoder } from './byte-transcoder.ts';
import { type CopyCodecs, codecsOf, sourceCodecOf } from './codecs.ts';
import { tableTranslator } from './column-plan.ts';
import { chunkOutput } from './compressed-output.ts';
import { contentEstimate } from './content-cutting.ts';
import { ContentReader } from './content-reader.ts';
import { type CopyContext, readExactly } from './copy-context.ts';
import { engineErrors } from './errors.ts';
import { OpenChunk } from './open-chunk.ts';
import { type ChunkOutput, PartOutput } from './part-output.ts';
import { headerBytes, readSourceColumns, type SourceColumns } from './source-columns.ts';
import { type BlockReader, locate, SourceReader, totalBytes } from './source-reader.ts';
import { isTransient } from './store-calls.ts';
import { arrayPlace, isJsonArray, isRowFormat } from './row-formats.ts';
import { RefusedRows } from './refused-rows.ts';
import type { SkippedRows } from './skipped-rows.ts';
import { contiguousMarks } from './tiling.ts';

/** Size of the blocks that the source is read in, and how many of them are under way or in hand. */
const blockBytesMax = 2 * 1024 * 1024;
const blocks = 3;
const outputsMax = 3;

/** Memory that a row copy needs at least, for parts of this size. */
export function rowBufferBytes(partBytes: number): number {
  return blocks * blockBytesMax + headerBytes + partBytes;
}

/**
 * Copies the rows of one target, chunk after chunk, from where its marks end. `known`: the marks that stand at the sink, undefined
 * when they have to be read. Whoever is overtaken by another writer, or fails for a transient reason, reads the marks again and
 * goes on from there (DESIGN-RULES 2 and 3).
 */
export async function copyRows(
  context: CopyContext, target: PlanTarget, known: readonly Mark[] | undefined, signal: AbortSignal,
): Promise<void> {
  const { calls, sink, plan } = context;
  const what = `copy to ${target.path}`;
  let marks = known;
  for (let complete = false; !complete;) {
    complete = await calls.repeating('chunk', { what, signal }, async () => {
      const reading = { what: `read the marks of ${target.path}`, signal };
      marks ??= await calls.once(reading, (callSignal) => sink.marks(plan, target, callSignal));
      const start = contiguousMarks(marks);
      marks = undefined;
      if (start.chain.length > 0 && start.position >= totalBytes(target)) return true;
      const { chain: { length: chunk }, position, rows, rowsWritten } = start;
      return runFrom(context, target, { chunk, position, rows, rowsWritten }, signal);
    });
  }
}

/** Where a chunk begins. */
export interface RowPosition {
  readonly chunk: number;
  /** In the target's sources laid end to end. */
  readonly position: number;
  /** Rows of the source before it; undefined where nobody knows. */
  readonly rows: number | undefined;
  /** Rows of the target before it. */
  readonly rowsWritten: number;
  /** Where the chunk ends, at the first row boundary from here on. Default: by the plan's `chunkBytes`. */
  readonly limit?: number;
}

/**
 * Copies chunks from `start` on with one set of buffers. True: the target is complete; false: another writer was first somewhere,
 * or a transient error came after chunks had been marked, and the marks should be read again.
 */
async function runFrom(context: CopyContext, target: PlanTarget, start: RowPosition, signal: AbortSignal): Promise<boolean> {
  const run = new RowRun(context, target, signal);
  let at = start;
  try {
    await run.open();
    while (at.position < totalBytes(target) || at.chunk === 0) {
      const next = await run.copyChunk(at);
      if (next === undefined) return false;
      at = next;
    }
    return true;
  } catch (error) {
    if (at.chunk === start.chunk || signal.aborted || !isTransient(error)) throw error;
    context.logger.warn({ reason: firstLine(error), chunk: at.chunk }, 'row copy interrupted, goes on from its last mark');
    return false;
  } finally {
    await run.close();
  }
}

/** One pass over a target's sources: read-ahead, transcoding and writing of one chunk after the other. */
export class RowRun {
  readonly #context: CopyContext;
  readonly #target: PlanTarget;
  readonly #signal: AbortSignal;
  /** Undefined where bytes are compressed or decompressed and nobody looks into them. */
  readonly #formats: { readonly source: RowFormat; readonly sink: RowFormat } | undefined;
  readonly #translator: Translator | undefined;
  readonly #columns = new Map<number, SourceColumns>();
  readonly #blockBytes: number;
  #lent: readonly PooledBuffer[] = [];
  #inputs: readonly PooledBuffer[] = [];
  #headerBuffer: PooledBuffer | undefined;
  readonly #freeOutputs: PooledBuffer[] = [];
  readonly #codecs: CopyCodecs;
  #reader: { index: number; reader: BlockReader } | undefined;
  /** Rows of the current chunk that were left out, where that is wanted. */
  #skipped: SkippedRows | undefined;
  /** Rows of the current chunk that the sink has refused. */
  #refused: RefusedRows | undefined;
  /** Counted as progress but not marked yet; taken back when the run ends before they are. */
  #readUnmarked = 0;

  constructor(context: CopyContext, target: PlanTarget, signal: AbortSignal) {
    const source = context.activity.source.format;
    const sink = context.sink.table?.text ?? context.activity.sink.format;
    if (isRowFormat(source) && isRowFormat(sink)) this.#formats = { source, sink };
    else if (context.plan.representation === 'rows') throw engineErrors.FORMATS_MIXED.create({ source: source.type, sink: sink.type });
    const { translator } = context.activity;
    this.#translator = target.columns === undefined ? translator : tableTranslator(translator, { source: undefined, sink: target.columns });
    this.#context = context;
    this.#codecs = codecsOf(context.activity);
    this.#target = target;
    this.#signal = signal;
    this.#blockBytes = Math.min(blockBytesMax, Math.max(1, ...target.sources.map((object) => object.sizeBytes)));
  }

  /** Takes all buffers at once, so that no two runs wait for each other with half of what they need. */
  async open(): Promise<void> {
    const { pool, plan, progress, clock } = this.#context;
    const inputBytes = blocks * pool.sizeFor(this.#blockBytes) + headerBytes;
    const wanted = contentEstimate(this.#target) > plan.partBytes / 2 ? outputsMax : 1;
    const affordable = Math.floor((pool.capacityBytes - inputBytes) / pool.sizeFor(plan.partBytes));
    const outputs = Math.max(1, Math.min(wanted, affordable));
    const times = (count: number, bytes: number): number[] => Array.from({ length: count }, () => bytes);
    const startedMs = clock.monotonicMs();
    this.#lent = await pool.lendAll([headerBytes, ...times(blocks, this.#blockBytes), ...times(outputs, plan.partBytes)], this.#signal);
    progress.waitedForMemory(clock.monotonicMs() - startedMs);
    this.#headerBuffer = this.#lent[0];
    this.#inputs = this.#lent.slice(1, 1 + blocks);
    this.#freeOutputs.push(...this.#lent.slice(1 + blocks));
  }

  /** Copies and marks one chunk; returns where the next one starts, or undefined when another writer has this one. */
  async copyChunk(at: RowPosition): Promise<RowPosition | undefined> {
    const skips = this.#context.activity.skipIncompatibleRows === true && this.#context.sink.table !== undefined;
    this.#refused = skips ? new RefusedRows() : undefined;
    for (;;) {
      try {
        return await this.#tryChunk(at);
      } catch (error) {
        if (this.#signal.aborted || this.#refused?.note(error) !== true) throw error;
        await this.#rewind(at);
      }
    }
  }

  /** Back to where a chunk began that the sink has refused for one of its rows. Nothing of it is under way any more. */
  async #rewind(at: RowPosition): Promise<void> {
    this.#freeOutputs.splice(0, this.#freeOutputs.length, ...this.#lent.slice(1 + blocks));
    const place = locate(this.#target, at.position);
    if (place !== undefined && this.#reader?.index === place.index) await this.#reader.reader.moveTo(place.offset);
  }

  async #tryChunk(at: RowPosition): Promise<RowPosition | undefined> {
    const chunk = await OpenChunk.open({ context: this.#context, target: this.#target, chunk: at.chunk, signal: this.#signal });
    const parts = new PartOutput({ context: this.#context, chunk, free: this.#freeOutputs, signal: this.#signal });
    const output = chunkOutput(parts, { compression: this.#codecs.sink, target: this.#target, chunk: at.chunk });
    this.#skipped = this.#context.logs.skippedRows({ target: this.#target.target, chunk: at.chunk, sourceStart: at.position });
    try {
      return await this.#fillChunk(at, output);
    } catch (error) {
      await this.#skipped?.discard();
      await output.settle();
      await chunk.discard(this.#signal);
      throw error;
    }
  }

  async #fillChunk(at: RowPosition, output: ChunkOutput): Promise<RowPosition | undefined> {
    const { cutting } = this.#target;
    const limit = at.limit ?? (cutting.kind === 'sequential' ? at.position + cutting.chunkBytes : undefined);
    if (limit === undefined) throw new Error('the chunk has no end');
    let end = at.position;
    let rows = 0;
    const hashes: string[] = [];
    const first = at.limit === at.position ? undefined : locate(this.#target, end);
    for (let place = first; place !== undefined; place = end < limit ? locate(this.#target, end) : undefined) {
      const sourceStart = end - place.offset;
      const transcoder = await this.#transcoderAt(place, {
        limitPosition: limit - sourceStart,
        rowsBefore: at.rowsWritten + rows,
        // Only a target's first output is its header; sources that hold nothing may come before it.
        writeHeader: at.chunk === 0 && output.contentBytes === 0,
        startRow: this.#target.sources.length === 1 ? at.rows : undefined,
      });
      await this.#transcode(transcoder, place, output);
      const { boundary } = transcoder;
      rows += boundary.rows;
      hashes.push(boundary.hash);
      const reached = sourceStart + this.#positionAfter(place.index, boundary.sourcePosition);
      if (reached <= end && totalBytes(this.#target) > 0) {
        throw new Error(`no row ends after byte ${end} of ${this.#target.path}`);
      }
      end = reached;
      if (totalBytes(this.#target) === 0) break;
    }
    const skipped = await this.#skipped?.end(this.#signal) ?? 0;
    const facts = { rows, ...(skipped === 0 ? {} : { rowsSkipped: skipped }), hash: sumHashes(hashes) };
    const result = await output.mark({ ...facts, sourceStart: at.position, sourceEnd: end }, end >= totalBytes(this.#target));
    if (result === 'already') return undefined;
    this.#readUnmarked -= sourceBytesOf(this.#target, { sourceStart: at.position, sourceEnd: end });
    this.#context.progress.rowsMarked(rows);
    const rowsBefore = at.rows === undefined ? undefined : at.rows + rows + skipped;
    return { chunk: at.chunk + 1, position: end, rows: rowsBefore, rowsWritten: at.rowsWritten + rows };
  }

  async #transcoderAt(
    place: { index: number; offset: number },
    options: { limitPosition: number; rowsBefore: number; writeHeader: boolean; startRow: number | undefined },
  ): Promise<Transcoder> {
    const object = this.#object(place.index);
    if (this.#context.plan.representation === 'bytes' || this.#formats === undefined) {
      return new ByteTranscoder({ startPosition: place.offset, limitPosition: options.limitPosition });
    }
    if (place.offset === 0) await this.#checkSameColumns(place.index);
    const columns = place.offset > 0 ? await this.columnsOf(place.index) : undefined;
    const translator = this.#translator;
    const isCompressed = sourceCodecOf(this.#codecs, object) !== undefined;
    // Where an array ends must be known when its last row is written.
    const isWhole = isCompressed && isJsonArray(this.#formats.sink);
    return createTranscoder({
      ...this.#formats,
      fileName: object.path,
      startPosition: place.offset,
      writeHeader: options.writeHeader,
      ...arrayPlace(this.#target, place.index, { rowsBefore: options.rowsBefore, isCompressed }),
      ...(columns?.inArray === undefined ? {} : { inArray: columns.inArray }),
      added: addedColumns(this.#context.activity, object.path),
      ...(translator === undefined ? {} : { translator }),
      ...(columns?.names === undefined ? {} : { header: columns.names }),
      ...(columns === undefined || columns.count === 0 ? {} : { columnCount: columns.count }),
      ...(options.startRow === undefined ? {} : { startRow: options.startRow }),
      ...(this.#skipped === undefined ? {} : { onSkippedRow: this.#skipped.take }),
      ...(this.#refused === undefined ? {} : { refusedRows: this.#refused.errors }),
      ...(!isWhole && options.limitPosition < (extentsOf(this.#target)[place.index] ?? 0) ? { limitPosition: options.limitPosition } : {}),
    });
  }

  async #transcode(transcoder: Transcoder, place: { index: number; offset: number }, output: ChunkOutput): Promise<void> {
    const reader = await this.#readerAt(place);
    while (!transcoder.finished) {
      const block = await reader.block();
      transcoder.push(block.bytes, block.atEnd);
      await this.#skipped?.flush(this.#signal);
      // The next chunk begins where this one ends, which may be in any block that was pushed.
      await reader.moveTo(transcoder.finished ? transcoder.boundary.sourcePosition : block.end);
      await output.take(transcoder);
    }
    await output.take(transcoder);
  }

  /** The reader stands at `place` already when the chunk before ended there in the same source. */
  async #readerAt(place: { index: number; offset: number }): Promise<BlockReader> {
    if (this.#reader?.index === place.index) return this.#reader.reader;
    await this.#reader?.reader.close(new Error('the source was read to its end'));
    const object = this.#object(place.index);
    const codec = sourceCodecOf(this.#codecs, object);
    const file = new SourceReader({
      context: this.#context,
      object,
      position: codec === undefined ? place.offset : 0,
      buffers: this.#inputs,
      blockBytes: this.#blockBytes,
      signal: this.#signal,
      onRead: (bytes) => {
        this.#readUnmarked += bytes;
      },
    });
    const reader = codec === undefined ? file : new ContentReader({
      file, fileName: object.path, codec, position: place.offset, extentBytes: extentsOf(this.#target)[place.index] ?? 0,
      signal: this.#signal,
    });
    this.#reader = { index: place.index, reader };
    return reader;
  }

  /** A compressed source that was read to its end takes up all of its extent. */
  #positionAfter(index: number, position: number): number {
    const reader = this.#reader?.reader;
    const isEnd = reader instanceof ContentReader && reader.contentEnd === position;
    return isEnd ? extentsOf(this.#target)[index] ?? position : position;
  }

  /** Without a mapping, merged files are laid one under the other, so that all must have the columns of the first. */
  async #checkSameColumns(index: number): Promise<void> {
    const first = locate(this.#target, 0)?.index ?? 0;
    if (index === first || (this.#translator?.mappings.length ?? 0) > 0) return;
    const expected = await this.columnsOf(first);
    const found = await this.columnsOf(index);
    if (found.count === expected.count && found.names?.join('\0') === expected.names?.join('\0')) return;
    const shown = (columns: SourceColumns): string => columns.names?.join(', ') ?? `${columns.count} columns`;
    throw engineErrors.MERGE_COLUMNS.create({
      path: this.#object(index).path, found: shown(found), first: this.#object(first).path, expected: shown(expected),
    });
  }

  /** The columns of a source, read again from its beginning. */
  async columnsOf(index: number): Promise<SourceColumns> {
    const known = this.#columns.get(index);
    if (known !== undefined) return known;
    const { buffer } = this;
    if (this.#formats === undefined) throw new Error('the run is not for rows');
    const object = this.#object(index);
    const columns = await readSourceColumns(object, this.#formats.source, async (position, bytes) => {
      const block = await readExactly(this.#context, { object, position, bytes, buffer }, this.#signal);
      // Read for a second time, so that it does not count as progress.
      this.#context.progress.undo(bytes, 0);
      return block;
    }, {
      codec: sourceCodecOf(this.#codecs, object),
      ends: {
        sink: this.#formats.sink, added: addedColumns(this.#context.activity, object.path),
        ...(this.#translator === undefined ? {} : { translator: this.#translator }),
      },
    });
    this.#columns.set(index, columns);
    return columns;
  }

  /** For looks at the source aside from its rows. */
  get buffer(): PooledBuffer {
    if (this.#headerBuffer === undefined) throw new Error('the run was not opened');
    return this.#headerBuffer;
  }

  #object(index: number): SourceObject {
    const object = this.#target.sources[index];
    if (object === undefined) throw new Error(`the plan has no source ${index} for target ${this.#target.target}`);
    return object;
  }

  async close(): Promise<void> {
    await this.#reader?.reader.close(new Error('the row copy has ended'));
    this.#context.progress.undo(this.#readUnmarked, 0);
    for (const buffer of this.#lent) buffer.unpin();
  }
}

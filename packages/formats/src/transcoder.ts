import { isUtf8 } from 'node:buffer';
import { type DmgError, isDmgError } from '@dmg/base';
import type { Translator } from '@dmg/model';
import { type AddedColumn, resolveAddedColumn, withAddedColumns } from './added-columns.ts';
import { ByteBuffer } from './byte-buffer.ts';
import { digitLoss } from './conversion/digit-check.ts';
import { formatErrors } from './errors.ts';
import { checkTranslator, type CompiledColumn, compileMapping } from './mapping.ts';
import { fieldEscaped, fieldLiteral, fieldNull, fieldQuoted, type RecordBatch } from './record-batch.ts';
import { openReader, openWriter } from './record-ends.ts';
import type { RecordReader } from './record-reader.ts';
import type { RecordWriter } from './record-writer.ts';
import { firstInvalidUtf8, isWritableEncoding, textEncodingOf } from './text-encoding.ts';
import type { RecordBoundary, Transcoder, TranscoderOptions } from './transcoder-types.ts';

/** Longest part of a skipped row that is kept. */
const skippedBytesMax = 1024 * 1024;
/** Longest part of a value that an error shows. */
const shownCharacters = 40;

/**
 * Makes a transcoder; see `Transcoder` for the caller's duties. Throws `DMG_FORMATS_BAD_FORMAT`, `_BAD_MAPPING` or `_BAD_PATTERN` at
 * once; columns that are not found show with the first `push`.
 */
export function createTranscoder(options: TranscoderOptions): Transcoder {
  return new RowTranscoder(options);
}

class RowTranscoder implements Transcoder {
  readonly #reader: RecordReader;
  readonly #writer: RecordWriter;
  readonly #translator: Translator | undefined;
  readonly #fileName: string;
  readonly #writeHeader: boolean;
  readonly #endsAt: number | undefined;
  readonly #bareTypes: TranscoderOptions['bareTypes'];
  readonly #checksText: boolean;
  readonly #isJson: boolean;
  readonly #converted = new ByteBuffer(256);
  readonly #unescaped = new ByteBuffer(256);
  readonly #onSkippedRow: TranscoderOptions['onSkippedRow'];
  readonly #refusedRows: TranscoderOptions['refusedRows'];
  readonly #added: readonly AddedColumn[];
  #columns: readonly CompiledColumn[] | undefined;
  #hasBegun = false;
  #rows = 0;
  #rowsSkipped = 0;
  /** Rows that could be written, with those that the sink has refused. */
  #candidates = 0;

  constructor(options: TranscoderOptions) {
    if (!isWritableEncoding(options.sink.encodingName)) {
      throw formatErrors.BAD_FORMAT.create(
        { property: 'encodingName', reason: `text is written in UTF-8 only, not in ${options.sink.encodingName}` },
      );
    }
    checkTranslator(options.translator);
    this.#isJson = options.sink.type === 'Json';
    this.#translator = options.translator;
    this.#fileName = options.fileName;
    this.#writeHeader = options.writeHeader === true && (options.sink.type === 'Json' || options.sink.firstRowAsHeader);
    this.#endsAt = options.endsAt;
    this.#bareTypes = options.bareTypes;
    this.#reader = openReader(options, (error, start, end) => this.#skip(error, this.#reader.row + 1, start, end));
    this.#added = options.added ?? [];
    this.#onSkippedRow = options.onSkippedRow;
    this.#refusedRows = options.refusedRows;
    // What is not UTF-8 has been made so by the reader, and JSON is valid text or refused.
    this.#checksText = (options.validText === true || options.sink.type === 'Json') && options.source.type !== 'Json'
      && textEncodingOf(options.source.encodingName) === 'utf-8';
    this.#writer = openWriter(options);
  }

  get finished(): boolean {
    return this.#reader.finished;
  }

  get pendingBytes(): number {
    return this.#writer.output.length;
  }

  get boundary(): RecordBoundary {
    const skipped = this.#rowsSkipped === 0 ? {} : { rowsSkipped: this.#rowsSkipped };
    return { sourcePosition: this.#reader.position, rows: this.#rows, ...skipped, hash: this.#writer.hashes.toHex() };
  }

  push(block: Uint8Array, atEnd: boolean): void {
    if (this.finished) return;
    this.#reader.append(block, atEnd);
    for (;;) {
      const batch = this.#reader.next();
      if (this.#columns === undefined && this.#reader.columns > 0) this.#compile();
      if (batch === undefined) break;
      this.#writeBatch(batch);
    }
    if (this.finished) this.#end();
  }

  drainInto(target: Uint8Array, offset: number): number {
    return this.#writer.output.moveInto(target, offset);
  }

  #compile(): void {
    const source = { count: this.#reader.columns, names: this.#reader.names };
    const mapped = compileMapping(this.#translator, withAddedColumns(source, this.#added, this.#fileName), this.#fileName);
    const columns = mapped.map((column) => resolveAddedColumn(column, this.#added, source, this.#fileName));
    this.#columns = columns;
    this.#begin(columns);
  }

  #begin(columns: readonly CompiledColumn[]): void {
    this.#hasBegun = true;
    this.#writer.begin(columns.map(({ sinkName: name, sinkType, sourceIndex, converter, constant }) => ({
      name, type: (converter === undefined && constant === undefined ? this.#bareTypes?.[sourceIndex] : undefined) ?? sinkType,
    })), this.#writeHeader);
  }

  #end(): void {
    // A file without any row has no header, but the sink's array has its brackets.
    if (!this.#hasBegun && this.#isJson) this.#begin([]);
    const { position } = this.#reader;
    this.#writer.end(this.#endsAt !== undefined && (position >= this.#endsAt || this.#endsAt === Infinity));
  }

  #writeBatch(batch: RecordBatch): void {
    const { bytes } = this.#reader;
    const isSuspect = this.#checksText && !isUtf8(bytes.subarray(batch.starts[0], batch.recordEnds[batch.records - 1]));
    const skips = this.#onSkippedRow !== undefined;
    for (let record = 0; record < batch.records; record++) {
      if (skips) {
        this.#tryRecord(batch, record, isSuspect);
        continue;
      }
      this.#writeRecord(batch, record, isSuspect);
      this.#writer.endRow();
      this.#rows++;
    }
  }

  #writeRecord(batch: RecordBatch, record: number, isSuspect: boolean): void {
    const columns = this.#columns ?? [];
    const writer = this.#writer;
    const { bytes } = this.#reader;
    const { starts, ends, flags } = batch;
    const first = record * batch.columns;
    writer.beginRow();
    for (let index = 0; index < columns.length; index++) {
      const column = columns[index] as CompiledColumn;
      if (column.constant !== undefined) {
        if (!writer.writeValue(column.constant, 0, column.constant.length, false)) throw this.#unwritableConstant(column);
        continue;
      }
      const field = first + column.sourceIndex;
      if (isSuspect) this.#checkText(batch, record, field, column);
      const flag = flags[field] as number;
      if ((flag & fieldNull) !== 0) {
        writer.writeNull();
      } else if ((flag & fieldEscaped) === 0 && column.converter === undefined) {
        if (column.held !== undefined) this.#checkDigits(batch, record, field, column);
        const written = writer.writeValue(bytes, starts[field] as number, ends[field] as number, (flag & fieldLiteral) !== 0);
        if (!written) throw this.#unwritable(batch, record, field, column);
      } else {
        this.#writeSlowly(batch, record, field, column);
      }
    }
  }

  /** Writes a record, or leaves it out for a reason that concerns this record alone. */
  #tryRecord(batch: RecordBatch, record: number, isSuspect: boolean): void {
    try {
      this.#writeRecord(batch, record, isSuspect);
      const refusal = this.#refusedRows?.get(this.#candidates++);
      if (refusal !== undefined) throw refusal;
      this.#writer.endRow();
      this.#rows++;
    } catch (error) {
      if (!isDmgError(error) || error.scope !== 'row') throw error;
      this.#writer.dropRow();
      const first = record * batch.columns;
      const last = first + batch.columns - 1;
      const whole = batch.recordStarts[record];
      const start = whole ?? (batch.starts[first] ?? 0) - ((batch.flags[first] ?? 0) & fieldQuoted);
      const end = whole === undefined ? (batch.ends[last] ?? 0) + ((batch.flags[last] ?? 0) & fieldQuoted) : batch.recordEnds[record] ?? 0;
      this.#skip(error, this.#reader.row - batch.records + record + 1, start, end);
    }
  }

  #skip(error: DmgError, row: number, start: number, end: number): void {
    const { bytes } = this.#reader;
    let to = Math.min(end, start + skippedBytesMax);
    while (to > start && (bytes[to - 1] === 10 || bytes[to - 1] === 13)) to--;
    this.#rowsSkipped++;
    this.#onSkippedRow?.({ error, row, text: bytes.slice(start, to) });
  }

  /** Fields with escapes to remove or a type to convert. */
  #writeSlowly(batch: RecordBatch, record: number, field: number, column: CompiledColumn): void {
    let { bytes } = this.#reader;
    let start = batch.starts[field] ?? 0;
    let end = batch.ends[field] ?? 0;
    const flag = batch.flags[field] ?? 0;
    if ((flag & fieldEscaped) !== 0) {
      if (this.#onSkippedRow !== undefined || this.#reader.sharesFields) {
        // The row may have to be shown as it stands, or holds what others hold too.
        this.#unescaped.clear();
        this.#unescaped.reserve(end - start);
        end = this.#reader.unescape(batch, field, this.#unescaped.bytes);
        start = 0;
        bytes = this.#unescaped.bytes;
      } else {
        // In place, since a value may be as large as a record. What is left over becomes as many characters as it was, for positions.
        end = start + this.#reader.unescape(batch, field, bytes.subarray(start));
        bytes.fill(0x20, end, batch.ends[field]);
        batch.ends[field] = end;
        batch.flags[field] = flag & ~fieldEscaped;
      }
    }
    if (column.converter !== undefined) {
      const problem = column.converter.convert(bytes, start, end, this.#converted);
      if (problem !== undefined) throw this.#invalid(batch, record, field, column, problem.reason);
      bytes = this.#converted.bytes;
      start = this.#converted.start;
      end = this.#converted.end;
    }
    if (!this.#writer.writeValue(bytes, start, end, false)) throw this.#unwritable(batch, record, field, column);
  }

  #checkDigits(batch: RecordBatch, record: number, field: number, column: CompiledColumn): void {
    if (column.held === undefined) return;
    const problem = digitLoss(column.held, this.#reader.bytes, batch.starts[field] as number, batch.ends[field] as number);
    if (problem !== undefined) throw this.#invalid(batch, record, field, column, problem.reason);
  }

  /** No row can be written, so that none can be left out for it. */
  #unwritableConstant(column: CompiledColumn): Error {
    const reason = 'the sink has no quoteChar, and without it its value would be read back differently';
    return formatErrors.ADDED_COLUMN.create({ column: column.sourceName, file: this.#fileName, reason });
  }

  #unwritable(batch: RecordBatch, record: number, field: number, column: CompiledColumn): Error {
    return this.#invalid(batch, record, field, column,
      'the sink has no quoteChar, and without it this value would be read back differently (it holds a delimiter or equals nullValue)');
  }

  #checkText(batch: RecordBatch, record: number, field: number, column: CompiledColumn): void {
    const end = batch.ends[field] ?? 0;
    const invalid = firstInvalidUtf8(this.#reader.bytes, batch.starts[field] ?? 0, end);
    if (invalid === end) return;
    const byte = this.#reader.bytes[invalid] ?? 0;
    const reason = `byte ${this.#reader.positionOf(invalid)} (0x${byte.toString(16).padStart(2, '0')}) is not valid UTF-8`;
    throw this.#invalid(batch, record, field, column, reason);
  }

  #invalid(batch: RecordBatch, record: number, field: number, column: CompiledColumn, reason: string): Error {
    const text = this.#reader.fieldText(batch, field);
    const shown = text.length > shownCharacters ? `${text.slice(0, shownCharacters)}…` : text;
    return formatErrors.INVALID_VALUE.create({
      file: this.#fileName,
      row: this.#reader.row - batch.records + record + 1,
      column: column.sourceName,
      position: this.#reader.positionOf(batch.starts[field] ?? 0) - ((batch.flags[field] ?? 0) & fieldQuoted) * this.#reader.unitBytes,
      sourceType: column.sourceType,
      sinkType: column.sinkType,
      value: JSON.stringify(shown),
      reason,
    });
  }
}

import { isUtf8 } from 'node:buffer';
import { type DmgError, isDmgError } from '@dmg/base';
import type { DelimitedTextFormat, Translator } from '@dmg/model';
import { ByteBuffer } from './byte-buffer.ts';
import { compileDialect, type Dialect } from './dialect.ts';
import { formatErrors } from './errors.ts';
import { checkTranslator, type CompiledColumn, compileMapping } from './mapping.ts';
import { fieldEscaped, fieldNull, fieldQuoted, type RecordBatch } from './record-batch.ts';
import { unescapeField } from './record-scanner.ts';
import { RowWriter } from './row-writer.ts';
import { SourceReader } from './source-reader.ts';
import { firstInvalidUtf8, isWritableEncoding, textEncodingOf } from './text-encoding.ts';
import type { HeaderReader, RecordBoundary, Transcoder, TranscoderOptions } from './transcoder-types.ts';

/** Longest part of a skipped row that is kept. */
const skippedBytesMax = 1024 * 1024;
/** Longest part of a value that an error shows. */
const shownCharacters = 40;

/**
 * Makes a transcoder; see `Transcoder` for the caller's duties. Throws `DMG_FORMATS_BAD_FORMAT`, `_BAD_MAPPING` or `_BAD_PATTERN` at
 * once; columns that are not found show with the first `push`.
 */
export function createTranscoder(options: TranscoderOptions): Transcoder {
  return new DelimitedTextTranscoder(options);
}

class DelimitedTextTranscoder implements Transcoder {
  readonly #reader: SourceReader;
  readonly #writer: RowWriter;
  readonly #source: Dialect;
  readonly #translator: Translator | undefined;
  readonly #fileName: string;
  readonly #writeHeader: boolean;
  readonly #checksText: boolean;
  readonly #converted = new ByteBuffer(256);
  readonly #unescaped = new ByteBuffer(256);
  readonly #onSkippedRow: TranscoderOptions['onSkippedRow'];
  readonly #refusedRows: TranscoderOptions['refusedRows'];
  #columns: readonly CompiledColumn[] | undefined;
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
    this.#translator = options.translator;
    this.#fileName = options.fileName;
    this.#writeHeader = options.writeHeader === true && options.sink.firstRowAsHeader;
    this.#reader = new SourceReader({
      format: options.source,
      fileName: options.fileName,
      startPosition: options.startPosition ?? 0,
      startRow: options.startRow ?? 0,
      limitPosition: options.limitPosition ?? Infinity,
      recordBytesMax: options.recordBytesMax,
      names: options.header,
      columnCount: options.columnCount,
      bareColumns: options.bareColumns,
      ...(options.onSkippedRow === undefined ? {} : {
        onFaultyRecord: (error, start, end) => this.#skip(error, this.#reader.row + 1, start, end),
      }),
    });
    this.#onSkippedRow = options.onSkippedRow;
    this.#refusedRows = options.refusedRows;
    this.#source = this.#reader.dialect;
    // What is not UTF-8 has been made so by the reader.
    this.#checksText = options.validText === true && textEncodingOf(options.source.encodingName) === 'utf-8';
    this.#writer = new RowWriter(compileDialect(options.sink), { quoteAllText: options.sink.quoteAllText });
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
  }

  drainInto(target: Uint8Array, offset: number): number {
    return this.#writer.output.moveInto(target, offset);
  }

  #compile(): void {
    const source = { count: this.#reader.columns, names: this.#reader.names };
    const columns = compileMapping(this.#translator, source, this.#fileName);
    this.#columns = columns;
    if (this.#writeHeader) this.#writer.writeHeader(columns.map((column) => column.sinkName));
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
      const field = first + column.sourceIndex;
      if (isSuspect) this.#checkText(batch, record, field, column);
      const flag = flags[field] as number;
      if ((flag & fieldNull) !== 0) {
        writer.writeNull();
      } else if ((flag & fieldEscaped) === 0 && column.converter === undefined) {
        const written = writer.writeValue(bytes, starts[field] as number, ends[field] as number);
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
      const start = (batch.starts[first] ?? 0) - ((batch.flags[first] ?? 0) & fieldQuoted);
      const end = (batch.ends[last] ?? 0) + ((batch.flags[last] ?? 0) & fieldQuoted);
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
      const quoted = (flag & fieldQuoted) !== 0;
      if (this.#onSkippedRow !== undefined) {
        // The row may have to be shown as it stands.
        this.#unescaped.clear();
        this.#unescaped.reserve(end - start);
        end = unescapeField(this.#source, quoted, { bytes, start, end }, this.#unescaped.bytes);
        start = 0;
        bytes = this.#unescaped.bytes;
      } else {
        // In place, since a value may be as large as a record. What is left over becomes as many characters as it was, for positions.
        end = start + unescapeField(this.#source, quoted, { bytes, start, end }, bytes.subarray(start));
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
    if (!this.#writer.writeValue(bytes, start, end)) throw this.#unwritable(batch, record, field, column);
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

/** For chunks that do not start at 0: reads the names and the number of columns from the beginning of the file. */
export function createHeaderReader(format: DelimitedTextFormat, fileName: string): HeaderReader {
  const reader = new SourceReader({
    format, fileName, startPosition: 0, startRow: 0, limitPosition: 1, recordBytesMax: undefined, names: undefined, columnCount: undefined,
    bareColumns: undefined,
  });
  return {
    push(block, atEnd) {
      reader.append(block, atEnd);
      reader.next();
      return reader.columns > 0 || reader.finished;
    },
    get header() {
      return reader.names;
    },
    get columnCount() {
      return reader.columns;
    },
  };
}

/**
 * True when source bytes are sink bytes already: same dialect, encoding and header, nothing to skip, map, convert or re-quote.
 * Such a copy needs no transcoder (which would still write line ends, quotes and nulls in its own way).
 */
export function copiesBytes(options: { source: DelimitedTextFormat; sink: DelimitedTextFormat; translator?: Translator }): boolean {
  const { source, sink, translator } = options;
  return source.columnDelimiter === sink.columnDelimiter
    && source.rowDelimiter === sink.rowDelimiter
    && source.quoteChar === sink.quoteChar
    && source.escapeChar === sink.escapeChar
    && source.nullValue === sink.nullValue
    && source.firstRowAsHeader === sink.firstRowAsHeader
    && textEncodingOf(source.encodingName) === textEncodingOf(sink.encodingName)
    && source.skipLineCount === 0
    && !sink.quoteAllText
    && (translator?.mappings.length ?? 0) === 0;
}

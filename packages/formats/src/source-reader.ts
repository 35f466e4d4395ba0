import type { DmgError } from '@dmg/base';
import type { DelimitedTextFormat } from '@dmg/model';
import { ByteBuffer } from './byte-buffer.ts';
import { compileDialect, type Dialect } from './dialect.ts';
import { formatErrors } from './errors.ts';
import { columnsMax, fieldEscaped, fieldQuoted, type RecordBatch } from './record-batch.ts';
import { type RecordRange, RecordScanner, unescapeField } from './record-scanner.ts';
import type { RecordReader } from './record-reader.ts';
import { type DecodingFault, firstInvalidUtf8, SourceDecoder, textEncodingOf } from './text-encoding.ts';

/** A row is held as it is read and as it is written: two of these and the buffers of a copy are within the memory that a copy may take. */
const recordBytesDefault = 48 * 1024 * 1024;
/** What a block may become, as a rule. */
const decodedBytes = 6 * 1024 * 1024;
/** From this size on, an incomplete record is looked at again only when it has doubled, so that the work stays linear. */
const rescanBytes = 1024 * 1024;

export interface SourceReaderOptions {
  readonly format: DelimitedTextFormat;
  readonly fileName: string;
  readonly startPosition: number;
  readonly startRow: number;
  readonly limitPosition: number;
  readonly recordBytesMax: number | undefined;
  /** What earlier chunks know; read from the file itself when it starts at 0. */
  readonly names: readonly string[] | undefined;
  readonly columnCount: number | undefined;
  /** Given: the text is rows from its first byte on, with these columns. */
  readonly bareColumns: readonly string[] | undefined;
  /** Takes records that cannot be read, where they are skipped; `start` and `end` are offsets in `bytes`. */
  readonly onFaultyRecord?: (error: DmgError, start: number, end: number) => void;
}

/**
 * Reads a delimited file from its start, or from a record boundary on: byte order mark, skipped lines, header, then batches of
 * records, each with source positions. `next` is called until it returns undefined; then `append` more.
 */
export class SourceReader implements RecordReader {
  readonly dialect: Dialect;
  readonly sharesFields = false;
  readonly fileName: string;
  /** Columns of a record; 0 until it is known. */
  columns = 0;
  /** Set when the header has been read. */
  names: readonly string[] | undefined;
  /** Records given out so far, counted from the start of the file. */
  row: number;
  /** Source position up to which records have been given out. */
  position: number;
  /** The limit was reached, or the end of the source. */
  finished = false;
  readonly #format: DelimitedTextFormat;
  readonly #decoder: SourceDecoder;
  readonly #scanner: RecordScanner;
  readonly #work: ByteBuffer;
  readonly #recordBytesMax: number;
  readonly #limitPosition: number;
  #stage: 'mark' | 'lines' | 'header' | 'records';
  #linesToSkip: number;
  #atEnd = false;
  #rescanAt = 0;
  readonly #onFaultyRecord: SourceReaderOptions['onFaultyRecord'];

  constructor(options: SourceReaderOptions) {
    this.#format = options.format;
    this.fileName = options.fileName;
    this.dialect = compileDialect(options.format);
    this.#recordBytesMax = options.recordBytesMax ?? recordBytesDefault;
    this.#work = new ByteBuffer(64 * 1024, this.#recordBytesMax + decodedBytes);
    this.#limitPosition = options.limitPosition;
    this.#onFaultyRecord = options.onFaultyRecord;
    this.row = options.startRow;
    this.position = options.startPosition;
    this.#decoder = new SourceDecoder(textEncodingOf(options.format.encodingName), options.startPosition);
    this.#scanner = new RecordScanner(this.dialect, this.#recordBytesMax);
    this.#stage = options.startPosition === 0 && options.bareColumns === undefined ? 'mark' : 'records';
    this.#linesToSkip = options.format.skipLineCount;
    if (this.#stage === 'mark') return;
    this.names = options.bareColumns ?? options.names;
    this.columns = this.names?.length ?? options.columnCount ?? 0;
    if (options.format.firstRowAsHeader && this.names === undefined) {
      throw formatErrors.HEADER_NEEDED.create({ file: options.fileName, position: options.startPosition });
    }
  }

  append(block: Uint8Array, atEnd: boolean): void {
    this.#decoder.append(block, atEnd, this.#work);
    this.#atEnd ||= atEnd && this.#decoder.fault === undefined;
  }

  /** The next records; undefined when more bytes are needed or when finished. The batch is reused by the following call. */
  next(): RecordBatch | undefined {
    const work = this.#work;
    for (;;) {
      const isMoreComing = !this.#atEnd && this.#decoder.fault === undefined;
      if (this.finished || (isMoreComing && work.length < this.#rescanAt) || !this.#prepare()) return undefined;
      if (this.#limitReached()) {
        this.finished = true;
        return undefined;
      }
      const batch = this.#scan();
      if (batch.records > 0) return batch;
      if (this.#atEnd && work.length === 0) {
        this.finished = true;
      } else if (this.#limitReached()) {
        this.finished = true;
      } else if (this.#skipFaulty(batch)) {
        continue;
      } else {
        this.#needMore();
      }
      return undefined;
    }
  }

  /**
   * Passes over a record that cannot be read where that is wanted. One with text behind a closing quote ends with its line: where its
   * quotes were meant to be, nobody can say. False: there is none, or it does not end here yet.
   */
  #skipFaulty(batch: RecordBatch): boolean {
    const { fault } = batch;
    if (this.#onFaultyRecord === undefined || fault === undefined) return false;
    if (fault.problem !== 'columnCount' && fault.problem !== 'textAfterQuote') return false;
    const error = this.#faultError(batch);
    const { start } = this.#work;
    const next = fault.next ?? this.#scanner.skipLine({ ...this.#range(), from: fault.offset });
    if (next < 0) return false;
    this.#onFaultyRecord(error, start, next);
    this.#advance(next);
    this.row++;
    return true;
  }

  /** Text of a field of the batch, for headers and error messages. */
  fieldText(batch: RecordBatch, field: number): string {
    const flags = batch.flags[field] ?? 0;
    const bytes = this.#work.bytes;
    const start = batch.starts[field] ?? 0;
    const end = batch.ends[field] ?? 0;
    if ((flags & fieldEscaped) === 0) return Buffer.from(bytes.subarray(start, end)).toString('utf8');
    const target = new Uint8Array(end - start);
    return Buffer.from(target.subarray(0, this.unescape(batch, field, target))).toString('utf8');
  }

  unescape(batch: RecordBatch, field: number, target: Uint8Array): number {
    const range = { bytes: this.#work.bytes, start: batch.starts[field] ?? 0, end: batch.ends[field] ?? 0 };
    return unescapeField(this.dialect, ((batch.flags[field] ?? 0) & fieldQuoted) !== 0, range, target);
  }

  /** Source position of a byte of the batch. */
  positionOf(offset: number): number {
    const { bytes, start } = this.#work;
    // The batch stands before the start, what is looked at next after it.
    if (offset < start) return this.position - this.#decoder.sourceLength(bytes, offset, start);
    return this.position + this.#decoder.sourceLength(bytes, start, offset);
  }

  /** Bytes of an ASCII character of the source. */
  get unitBytes(): number {
    return this.#decoder.encoding.startsWith('utf-16') ? 2 : 1;
  }

  /** The bytes in which the batch's offsets count. */
  get bytes(): Uint8Array {
    return this.#work.bytes;
  }

  /** The first chunk goes on until the columns are known, because the sink's header needs them. */
  #limitReached(): boolean {
    return this.position >= this.#limitPosition && this.columns > 0;
  }

  #scan(): RecordBatch {
    const work = this.#work;
    const wanted = Math.max(1, this.#limitPosition - this.position);
    const limit = this.#decoder.offsetAfter(work.bytes, work.start, work.end, wanted);
    const from = work.start;
    const done = this.#scanner.scan({ bytes: work.bytes, from, end: work.end, atEnd: this.#atEnd, limit }, this.columns);
    const batch = this.#scanner.batch;
    if (this.columns === 0 && batch.records > 0) this.columns = batch.columns;
    this.#advance(done);
    this.row += batch.records;
    this.#rescanAt = 0;
    return batch;
  }

  #advance(offset: number): void {
    this.position += this.#decoder.sourceLength(this.#work.bytes, this.#work.start, offset);
    this.#work.start = offset;
  }

  /** Deals with all that comes before the records; false when more bytes are needed. */
  #prepare(): boolean {
    if (this.#stage === 'mark') {
      if (this.#work.length < 4 && !this.#atEnd && this.#decoder.fault === undefined) return false;
      this.#skipByteOrderMark();
      this.#stage = 'lines';
    }
    if (this.#stage === 'lines' && !this.#skipLines()) return false;
    return this.#stage === 'header' ? this.#readHeader() : true;
  }

  #skipLines(): boolean {
    for (; this.#linesToSkip > 0; this.#linesToSkip--) {
      const after = this.#scanner.skipLine(this.#range());
      if (after < 0) return this.#needMore();
      this.#advance(after);
    }
    this.#stage = this.#format.firstRowAsHeader ? 'header' : 'records';
    return true;
  }

  #readHeader(): boolean {
    const after = this.#scanner.scan({ ...this.#range(), limit: Infinity }, 0);
    const batch = this.#scanner.batch;
    if (batch.records === 0 && !(this.#atEnd && this.#work.length === 0)) return this.#needMore();
    if (batch.records > 0) {
      this.names = Array.from({ length: batch.columns }, (_, index) => this.#columnName(batch, index));
      this.columns = batch.columns;
    }
    this.#advance(after);
    this.#stage = 'records';
    return true;
  }

  /** Text of a field of the header; what is no text would become another name without a word. */
  #columnName(batch: RecordBatch, field: number): string {
    const { bytes } = this.#work;
    const end = batch.ends[field] ?? 0;
    const invalid = firstInvalidUtf8(bytes, batch.starts[field] ?? 0, end);
    if (invalid === end) return this.fieldText(batch, field);
    throw this.#wrongEncoding({ position: this.positionOf(invalid), reason: 'bytes that are not UTF-8' }, field + 1);
  }

  #range(): RecordRange {
    const { bytes, start, end } = this.#work;
    return { bytes, from: start, end, atEnd: this.#atEnd };
  }

  /** The record or line at the front is not complete: it is wrong, or cannot become complete, or more bytes are needed. */
  #needMore(): false {
    const { batch } = this.#scanner;
    if (batch.fault !== undefined) throw this.#faultError(batch);
    if (this.#decoder.fault !== undefined) throw this.#wrongEncoding(this.#decoder.fault, this.#shownColumn(batch.openColumn));
    const { length } = this.#work;
    this.#rescanAt = length < rescanBytes ? 0 : Math.min(length * 2, this.#recordBytesMax + 1);
    return false;
  }

  #skipByteOrderMark(): void {
    const { bytes, start, end } = this.#work;
    const encoding = this.#decoder.encoding;
    const [first, second, third] = bytes.subarray(start, end);
    if (encoding === 'utf-8' && ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff))) {
      const reason = `it begins with the mark of UTF-16${first === 0xff ? ' (little endian)' : 'BE'}`;
      throw this.#wrongEncoding({ position: 0, reason }, 1);
    }
    // U+FEFF has become these three bytes whatever the source's encoding is; U+FFFE is what the other byte order looks like.
    if (first === 0xef && second === 0xbb && third === 0xbf && (encoding === 'utf-8' || encoding.startsWith('utf-16'))) {
      this.#advance(start + 3);
    } else if (encoding.startsWith('utf-16') && first === 0xef && second === 0xbf && third === 0xbe) {
      throw this.#wrongEncoding({ position: 0, reason: 'it is written in the other byte order' }, 1);
    }
  }

  #wrongEncoding(fault: DecodingFault, column: string | number): Error {
    const encoding = this.#decoder.encoding.toUpperCase();
    return formatErrors.WRONG_ENCODING.create({ file: this.fileName, encoding, row: this.#shownRow, column, ...fault });
  }

  /** Number of the record that is next; 0 before the first. */
  get #shownRow(): number {
    return this.#stage === 'records' ? this.row + 1 : 0;
  }

  #shownColumn(column: number): string | number {
    return this.names?.[column] ?? column + 1;
  }

  /** The error of the record after the last one given out. */
  #faultError(batch: RecordBatch): DmgError {
    const fault = batch.fault;
    if (fault === undefined) throw new TypeError('the batch has no fault');
    const file = this.fileName;
    const position = this.positionOf(fault.offset);
    const common = { file, row: this.#shownRow, position };
    const column = this.#shownColumn(fault.column);
    switch (fault.problem) {
      case 'columnCount': return formatErrors.COLUMN_COUNT.create({ ...common, found: fault.found, expected: this.columns });
      case 'unclosedQuote': return formatErrors.UNCLOSED_QUOTE.create({ ...common, column });
      case 'textAfterQuote': return formatErrors.TEXT_AFTER_QUOTE.create({ ...common, column });
      case 'recordTooLarge': {
        const open = { column: this.#shownColumn(batch.openColumn), columnPosition: this.positionOf(batch.openOffset) };
        return formatErrors.RECORD_TOO_LARGE.create({ ...common, limitBytes: this.#recordBytesMax, ...open });
      }
      case 'tooManyColumns': return formatErrors.TOO_MANY_COLUMNS.create({ file, position, found: fault.found, limit: columnsMax });
    }
  }
}

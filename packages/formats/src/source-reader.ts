import type { DelimitedTextFormat } from '@dmg/model';
import { ByteBuffer } from './byte-buffer.ts';
import { compileDialect, type Dialect } from './dialect.ts';
import { formatErrors } from './errors.ts';
import { columnsMax, fieldEscaped, fieldQuoted, type RecordBatch } from './record-batch.ts';
import { RecordScanner, unescapeField } from './record-scanner.ts';
import { SourceDecoder, textEncodingOf } from './text-encoding.ts';

const recordBytesDefault = 64 * 1024 * 1024;
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
}

/**
 * Reads a delimited file from its start, or from a record boundary on: byte order mark, skipped lines, header, then batches of
 * records, each with source positions. `next` is called until it returns undefined; then `append` more.
 */
export class SourceReader {
  readonly dialect: Dialect;
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
  readonly #work = new ByteBuffer(64 * 1024);
  readonly #recordBytesMax: number;
  readonly #limitPosition: number;
  #stage: 'mark' | 'lines' | 'header' | 'records';
  #atEnd = false;
  #rescanAt = 0;

  constructor(options: SourceReaderOptions) {
    this.#format = options.format;
    this.fileName = options.fileName;
    this.dialect = compileDialect(options.format);
    this.#recordBytesMax = options.recordBytesMax ?? recordBytesDefault;
    this.#limitPosition = options.limitPosition;
    this.row = options.startRow;
    this.position = options.startPosition;
    this.#decoder = new SourceDecoder(textEncodingOf(options.format.encodingName), options.fileName, options.startPosition);
    this.#scanner = new RecordScanner(this.dialect, this.#recordBytesMax);
    this.#stage = options.startPosition === 0 && options.bareColumns === undefined ? 'mark' : 'records';
    if (this.#stage === 'mark') return;
    this.names = options.bareColumns ?? options.names;
    this.columns = this.names?.length ?? options.columnCount ?? 0;
    if (options.format.firstRowAsHeader && this.names === undefined) {
      throw formatErrors.HEADER_NEEDED.create({ file: options.fileName, position: options.startPosition });
    }
  }

  append(block: Uint8Array, atEnd: boolean): void {
    this.#decoder.append(block, atEnd, this.#work);
    this.#atEnd ||= atEnd;
  }

  /** The next records; undefined when more bytes are needed or when finished. The batch is reused by the following call. */
  next(): RecordBatch | undefined {
    const work = this.#work;
    if (this.finished || (!this.#atEnd && work.length < this.#rescanAt) || !this.#prepare()) return undefined;
    if (this.#limitReached()) {
      this.finished = true;
      return undefined;
    }
    const batch = this.#scan();
    if (batch.records > 0) return batch;
    if (batch.fault !== undefined) throw this.#faultError(batch);
    if (this.#atEnd && work.length === 0) {
      this.finished = true;
    } else if (this.#limitReached()) {
      this.finished = true;
    } else {
      this.#needMore();
    }
    return undefined;
  }

  /** Text of a field of the batch, for headers and error messages. */
  fieldText(batch: RecordBatch, field: number): string {
    const flags = batch.flags[field] ?? 0;
    const bytes = this.#work.bytes;
    const start = batch.starts[field] ?? 0;
    const end = batch.ends[field] ?? 0;
    if ((flags & fieldEscaped) === 0) return Buffer.from(bytes.subarray(start, end)).toString('utf8');
    const target = new Uint8Array(end - start);
    const length = unescapeField(this.dialect, (flags & fieldQuoted) !== 0, { bytes, start, end }, target);
    return Buffer.from(target.subarray(0, length)).toString('utf8');
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
      if (this.#work.length < 4 && !this.#atEnd) return false;
      this.#skipByteOrderMark();
      this.#stage = 'lines';
    }
    if (this.#stage === 'lines') {
      const work = this.#work;
      const range = { bytes: work.bytes, from: work.start, end: work.end, atEnd: this.#atEnd, limit: Infinity };
      const after = this.#scanner.skipLines(range, this.#format.skipLineCount);
      if (after < 0) return this.#needMore();
      this.#advance(after);
      this.#stage = this.#format.firstRowAsHeader ? 'header' : 'records';
    }
    if (this.#stage === 'header') {
      const work = this.#work;
      const range = { bytes: work.bytes, from: work.start, end: work.end, atEnd: this.#atEnd, limit: Infinity };
      const after = this.#scanner.scan(range, 0);
      const batch = this.#scanner.batch;
      if (batch.fault !== undefined) throw this.#faultError(batch);
      if (batch.records === 0 && !this.#atEnd) return this.#needMore();
      if (batch.records > 0) {
        this.names = Array.from({ length: batch.columns }, (_, index) => this.fieldText(batch, index));
        this.columns = batch.columns;
      }
      this.#advance(after);
      this.#stage = 'records';
    }
    return true;
  }

  #needMore(): false {
    const { length } = this.#work;
    if (length > this.#recordBytesMax) throw this.#tooLarge();
    this.#rescanAt = length < rescanBytes ? 0 : Math.min(length * 2, this.#recordBytesMax + 1);
    return false;
  }

  #skipByteOrderMark(): void {
    const { bytes, start, end } = this.#work;
    const encoding = this.#decoder.encoding;
    const [first, second, third] = bytes.subarray(start, end);
    if (encoding === 'utf-8' && ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff))) {
      throw formatErrors.WRONG_ENCODING.create({
        file: this.fileName, encoding: 'UTF-8', position: 0,
        reason: `it begins with the mark of UTF-16${first === 0xff ? ' (little endian)' : 'BE'}`,
      });
    }
    // U+FEFF has become these three bytes whatever the source's encoding is; U+FFFE is what the other byte order looks like.
    if (first === 0xef && second === 0xbb && third === 0xbf && (encoding === 'utf-8' || encoding.startsWith('utf-16'))) {
      this.#advance(start + 3);
    } else if (encoding.startsWith('utf-16') && first === 0xef && second === 0xbf && third === 0xbe) {
      throw formatErrors.WRONG_ENCODING.create({
        file: this.fileName, encoding: encoding.toUpperCase(), position: 0, reason: 'it is written in the other byte order',
      });
    }
  }

  #tooLarge(): Error {
    return formatErrors.RECORD_TOO_LARGE.create({
      file: this.fileName, row: this.row + 1, position: this.position, limitBytes: this.#recordBytesMax,
    });
  }

  /** The error of the record after the last one given out. */
  #faultError(batch: RecordBatch): Error {
    const fault = batch.fault;
    if (fault === undefined) throw new TypeError('the batch has no fault');
    const work = this.#work;
    const position = this.position + this.#decoder.sourceLength(work.bytes, work.start, fault.offset);
    const common = { file: this.fileName, row: this.row + 1, position };
    const column = this.names?.[fault.column] ?? fault.column + 1;
    switch (fault.problem) {
      case 'columnCount': return formatErrors.COLUMN_COUNT.create({ ...common, found: fault.found, expected: this.columns });
      case 'unclosedQuote': return formatErrors.UNCLOSED_QUOTE.create({ ...common, column });
      case 'textAfterQuote': return formatErrors.TEXT_AFTER_QUOTE.create({ ...common, column });
      case 'recordTooLarge': return this.#tooLarge();
      case 'tooManyColumns': return formatErrors.TOO_MANY_COLUMNS.create({ file: this.fileName, found: fault.found, limit: columnsMax });
    }
  }
}

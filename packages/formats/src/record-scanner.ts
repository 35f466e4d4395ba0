import type { Dialect } from './dialect.ts';
import { columnsMax, fieldEscaped, fieldNull, fieldQuoted, RecordBatch, type ScanProblem } from './record-batch.ts';

/** What stands at an offset: nothing special, the end of a row (plus width), the end of a column (width), or too few bytes to say. */
const notTerminator = 0;
const undecided = -1;
const rowBit = 1 << 20;

const lineFeed = 10;
const carriageReturn = 13;

/** Bytes in which a record or a line starts at `from`. */
export interface RecordRange {
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly end: number;
  /** No bytes will follow `end`. */
  readonly atEnd: boolean;
}

export interface ScanRange extends RecordRange {
  /** Stop at the first record boundary at or after this offset. */
  readonly limit: number;
}

/**
 * Finds records and fields of delimited text in bytes (RFC 4180, plus escape characters and delimiters of several bytes). Rules:
 * a field is quoted when the quote is its first byte; a quote elsewhere is an ordinary character; an unquoted field that equals the
 * null value is null; rows without any byte are skipped where rows have two columns or more, as they hold no value.
 */
export class RecordScanner {
  readonly batch = new RecordBatch();
  readonly #delimiter: Uint8Array;
  readonly #delimiterByte: number;
  readonly #rowDelimiter: Uint8Array;
  readonly #anyLineBreak: boolean;
  readonly #quote: number;
  readonly #escape: number;
  readonly #nullValue: Uint8Array;
  readonly #recordBytesMax: number;
  /** 1 for the bytes at which an unquoted field may end or need attention. */
  readonly #stops = new Uint8Array(256);
  /** Set by `#closingQuote`: the quoted field holds escapes. */
  #escapes = false;

  constructor(dialect: Dialect, recordBytesMax: number) {
    this.#delimiter = dialect.columnDelimiter;
    this.#delimiterByte = dialect.columnDelimiter.length === 1 ? (dialect.columnDelimiter[0] ?? -1) : -1;
    this.#rowDelimiter = dialect.rowDelimiter;
    this.#anyLineBreak = dialect.rowDelimiter.length === 0;
    this.#quote = dialect.quote;
    this.#escape = dialect.escape;
    this.#nullValue = dialect.nullValue;
    this.#recordBytesMax = recordBytesMax;
    const stops = [dialect.columnDelimiter[0], dialect.rowDelimiter[0]];
    if (this.#anyLineBreak) stops.push(lineFeed, carriageReturn);
    if (dialect.quote < 0 && dialect.escape >= 0) stops.push(dialect.escape);
    for (const stop of stops) if (stop !== undefined) this.#stops[stop] = 1;
  }

  /**
   * Fills the batch with complete records and returns the offset up to which everything is dealt with: a record boundary. When
   * no record could be completed more bytes are needed, or `batch.fault` says what is wrong with the next record.
   */
  scan(range: ScanRange, columns: number): number {
    const batch = this.batch;
    batch.reset(columns);
    const recordsMax = batch.recordEnds.length;
    let done = range.from;
    while (done < range.end && done < range.limit && batch.records < recordsMax) {
      if (columns > 1 && this.#stops[range.bytes[done] ?? 0] === 1) {
        const blank = this.#terminator(range.bytes, done, range.end, range.atEnd);
        if (blank === undecided) break;
        if ((blank & rowBit) !== 0) {
          done += blank & ~rowBit;
          continue;
        }
      }
      // A record sees no byte beyond the first that is too much, so that what is wrong with it never depends on how many bytes are there.
      const isCut = range.end - done > this.#recordBytesMax;
      const end = isCut ? done + this.#recordBytesMax + 1 : range.end;
      let next = this.#record(range.bytes, done, end, range.atEnd && !isCut, columns);
      if (next >= 0 && batch.columns > batch.starts.length) {
        batch.makeRoom(batch.columns);
        next = this.#record(range.bytes, done, end, range.atEnd && !isCut, columns);
      }
      if (next < 0) {
        if (isCut && batch.fault === undefined) this.#fail('recordTooLarge', done, 0);
        break;
      }
      done = next;
      batch.recordEnds[batch.records++] = done;
    }
    return done;
  }

  /** Offset after the line that starts at `from`, quotes having no meaning in it; -1: more bytes are needed, or it is too large. */
  skipLine({ bytes, from, end, atEnd }: RecordRange): number {
    this.batch.reset(0);
    this.batch.openOffset = from;
    const isCut = end - from > this.#recordBytesMax;
    const lineEnd = isCut ? from + this.#recordBytesMax + 1 : end;
    for (let position = from; position < lineEnd; position++) {
      if (this.#stops[bytes[position] as number] === 0) continue;
      const width = this.#terminator(bytes, position, lineEnd, atEnd && !isCut);
      if (width === undecided) break;
      if ((width & rowBit) === 0) continue;
      const next = position + (width & ~rowBit);
      return next - from > this.#recordBytesMax ? this.#fail('recordTooLarge', from, 0) : next;
    }
    if (isCut) return this.#fail('recordTooLarge', from, 0);
    return atEnd ? end : -1;
  }

  /** Scans the record at `from`; returns the offset after it, or -1 when it is incomplete or wrong. */
  #record(bytes: Uint8Array, from: number, end: number, atEnd: boolean, columns: number): number {
    const { starts, ends, flags } = this.batch;
    const stops = this.#stops;
    const quote = this.#quote;
    const delimiterByte = this.#delimiterByte;
    const nullLength = this.#nullValue.length;
    const first = this.batch.records * columns;
    let field = first;
    let position = from;
    for (;;) {
      const open = position;
      let start = position;
      let flag = 0;
      let stop: number;
      let width = notTerminator;
      if (position < end && bytes[position] === quote) {
        stop = this.#closingQuote(bytes, position + 1, end, atEnd);
        if (stop < 0) return atEnd ? this.#fail('unclosedQuote', open, field - first) : this.#incomplete(field - first, open);
        start++;
        flag = this.#escapes ? fieldQuoted | fieldEscaped : fieldQuoted;
        position = stop + 1;
        if (position < end) {
          width = bytes[position] === delimiterByte ? 1 : this.#terminator(bytes, position, end, atEnd);
          if (width === notTerminator) return this.#fail('textAfterQuote', position, field - first);
        }
      } else {
        for (;;) {
          while (position < end && stops[bytes[position] as number] === 0) position++;
          if (position >= end) break;
          if (bytes[position] === delimiterByte) {
            width = 1;
            break;
          }
          if (quote < 0 && bytes[position] === this.#escape) {
            if (position + 1 >= end && !atEnd) return this.#incomplete(field - first, open);
            flag = fieldEscaped;
            position = Math.min(position + 2, end);
            continue;
          }
          width = this.#terminator(bytes, position, end, atEnd);
          if (width !== notTerminator) break;
          position++;
        }
        stop = position;
        if (stop - start === nullLength && (nullLength === 0 || this.#isNull(bytes, start))) flag = fieldNull;
      }
      if (width === undecided || (position >= end && !atEnd)) return this.#incomplete(field - first, open);
      starts[field] = start;
      ends[field] = stop;
      flags[field] = flag;
      field++;
      if (position >= end || (width & rowBit) !== 0) {
        const next = position + (width & ~rowBit);
        if (next - from <= this.#recordBytesMax) return this.#endRecord(from, next, field - first, columns);
        this.#incomplete(field - first - 1, open);
        return this.#fail('recordTooLarge', from, 0);
      }
      position += width;
    }
  }

  #endRecord(from: number, next: number, found: number, columns: number): number {
    if (columns === 0) {
      if (found > columnsMax) return this.#fail('tooManyColumns', from, 0, found);
      this.batch.columns = found;
    } else if (found !== columns) {
      return this.#fail('columnCount', from, 0, found, next);
    }
    return next;
  }

  /** Offset of the quote that closes the field whose content starts at `from`, or -1. Notes in `#escapes` what it met. */
  #closingQuote(bytes: Uint8Array, from: number, end: number, atEnd: boolean): number {
    const quote = this.#quote;
    const escape = this.#escape;
    this.#escapes = false;
    let position = from;
    for (;;) {
      let byte = -1;
      while (position < end) {
        byte = bytes[position] as number;
        if (byte === quote || byte === escape) break;
        position++;
      }
      if (position >= end) return -1;
      if (position + 1 >= end) return atEnd && byte === quote ? position : -1;
      const next = bytes[position + 1];
      if (byte === quote && next !== quote) return position;
      if (next === quote || next === escape) {
        this.#escapes = true;
        position += 2;
      } else {
        // An escape character before anything else stands for itself.
        position++;
      }
    }
  }

  #terminator(bytes: Uint8Array, position: number, end: number, atEnd: boolean): number {
    const byte = bytes[position];
    if (this.#anyLineBreak) {
      if (byte === lineFeed) return rowBit | 1;
      if (byte === carriageReturn) {
        if (position + 1 < end) return rowBit | (bytes[position + 1] === lineFeed ? 2 : 1);
        return atEnd ? rowBit | 1 : undecided;
      }
    } else {
      const row = matches(bytes, position, end, this.#rowDelimiter);
      if (row > 0) return rowBit | row;
      if (row < 0 && !atEnd) return undecided;
    }
    const column = matches(bytes, position, end, this.#delimiter);
    return column < 0 && atEnd ? notTerminator : column;
  }

  #isNull(bytes: Uint8Array, start: number): boolean {
    const nullValue = this.#nullValue;
    for (let index = 0; index < nullValue.length; index++) if (bytes[start + index] !== nullValue[index]) return false;
    return true;
  }

  #incomplete(column: number, offset: number): -1 {
    this.batch.openColumn = column;
    this.batch.openOffset = offset;
    return -1;
  }

  #fail(problem: ScanProblem, offset: number, column: number, found = 0, next?: number): -1 {
    this.batch.fault = { problem, offset, column, found, ...(next === undefined ? {} : { next }) };
    return -1;
  }
}

/** Length of `pattern` when it stands at `position`, 0 when not, -1 when the bytes end before it is certain. */
function matches(bytes: Uint8Array, position: number, end: number, pattern: Uint8Array): number {
  for (let index = 0; index < pattern.length; index++) {
    if (position + index >= end) return -1;
    if (bytes[position + index] !== pattern[index]) return 0;
  }
  return pattern.length;
}

/**
 * Writes the content of an escaped field without its escapes into `target` and returns how many bytes those are. `target` must
 * have room for `end - start` bytes. Inside quotes a doubled quote is a quote, and an escape character counts before a quote or
 * itself; outside quotes it takes any next byte literally.
 */
export function unescapeField(
  dialect: Dialect, quoted: boolean, source: { bytes: Uint8Array; start: number; end: number }, target: Uint8Array,
): number {
  const { bytes, start, end } = source;
  const { quote, escape } = dialect;
  let written = 0;
  for (let position = start; position < end; position++) {
    const byte = bytes[position] as number;
    if (position + 1 < end && (byte === escape || (quoted && byte === quote))) {
      const next = bytes[position + 1];
      if (!quoted || next === quote || next === escape) {
        target[written++] = next as number;
        position++;
        continue;
      }
    }
    target[written++] = byte;
  }
  return written;
}

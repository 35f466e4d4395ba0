import type { DelimitedTextFormat } from '@dmg/model';
import { ByteBuffer } from './byte-buffer.ts';
import { compileDialect, type Dialect } from './dialect.ts';
import { formatErrors } from './errors.ts';
import type { RecordWriter, WrittenColumn } from './record-writer.ts';
import { nullMark, primeA, primeB, RowHashSum, seedA, seedB, valueEnd } from './row-hash.ts';

/** The byte forces quotes around the value. */
const needsQuotes = 1;
/** Up to this size a value gets room for all its bytes escaped; larger ones are looked at first. */
const smallBytes = 4096;

/** The byte is doubled or escaped inside quotes. */
const needsEscape = 2;

const encoder = new TextEncoder();

/** The row of column names with which a text in this format begins, in UTF-8. Throws where a name cannot be written. */
export function encodeHeader(format: DelimitedTextFormat, names: readonly string[]): Uint8Array {
  const writer = new RowWriter(compileDialect(format), { quoteAllText: format.quoteAllText });
  writer.writeHeader(names);
  const { bytes, start, end } = writer.output;
  return bytes.slice(start, end);
}

/**
 * Writes rows of delimited text: values are copied and hashed in one pass over their bytes, and quoted only where the text would
 * otherwise be read differently (or always, with `quoteAllText`). Methods return false when a value cannot be written so that
 * it would be read back the same, which happens only without `quoteChar`.
 */
export class RowWriter implements RecordWriter {
  readonly output = new ByteBuffer(64 * 1024);
  readonly hashes = new RowHashSum();
  readonly #dialect: Dialect;
  readonly #rowDelimiter: Uint8Array;
  readonly #quoteAll: boolean;
  readonly #special = new Uint8Array(256);
  #a = seedA;
  #b = seedB;
  #columns = 0;
  /** Bytes that waited in `output` when the row began. */
  #rowStart = 0;

  constructor(dialect: Dialect, options: { quoteAllText: boolean }) {
    this.#dialect = dialect;
    this.#rowDelimiter = dialect.rowDelimiter.length === 0 ? encoder.encode('\r\n') : dialect.rowDelimiter;
    this.#quoteAll = options.quoteAllText && dialect.quote >= 0;
    const special = this.#special;
    const mark = (byte: number | undefined, flag: number): void => {
      if (byte !== undefined && byte >= 0) special[byte] = (special[byte] ?? 0) | flag;
    };
    mark(dialect.columnDelimiter[0], needsQuotes);
    mark(dialect.rowDelimiter[0], needsQuotes);
    // Other readers take any line break for the end of a row, so these are quoted or escaped even where rows end otherwise.
    if (dialect.quote >= 0 || dialect.escape >= 0 || dialect.rowDelimiter.length === 0) {
      mark(10, needsQuotes);
      mark(13, needsQuotes);
    }
    mark(dialect.quote, needsQuotes | needsEscape);
    mark(dialect.escape, dialect.quote >= 0 ? needsEscape : needsQuotes | needsEscape);
    if (dialect.nullValue.some((byte) => byte !== dialect.escape && ((special[byte] ?? 0) & needsQuotes) !== 0)) {
      throw formatErrors.BAD_FORMAT.create(
        { property: 'nullValue', reason: 'nullValue of the sink holds a delimiter, a quote or a line break' },
      );
    }
  }

  begin(columns: readonly WrittenColumn[], header: boolean): void {
    if (header) this.writeHeader(columns.map((column) => column.name));
  }

  /** Rows are all there is. */
  end(): void {}

  beginRow(): void {
    this.#rowStart = this.output.length;
    this.#a = seedA;
    this.#b = seedB;
    this.#columns = 0;
  }

  /** Takes back what was written of a row that has not ended. */
  dropRow(): void {
    this.output.end = this.output.start + this.#rowStart;
  }

  /** Ends a row. Header rows do not count for the hash. */
  endRow(options?: { header: boolean }): void {
    this.output.append(this.#rowDelimiter);
    if (options?.header !== true) this.hashes.add(this.#a, this.#b);
  }

  writeNull(): void {
    this.#beginField(0);
    this.output.append(this.#dialect.nullValue);
    this.#a = Math.imul(this.#a ^ nullMark, primeA);
    this.#b = Math.imul(this.#b ^ nullMark, primeB);
  }

  /** Writes the value `bytes[start, end)`. */
  writeValue(bytes: Uint8Array, start: number, end: number): boolean {
    this.#beginField(end - start <= smallBytes ? 2 * (end - start) + 2 : this.#escapedBytes(bytes, start, end));
    const output = this.output;
    const target = output.bytes;
    const special = this.#special;
    let a = this.#a;
    let b = this.#b;
    let at = output.end;
    let flags = 0;
    for (let index = start; index < end; index++) {
      const byte = bytes[index] as number;
      flags |= special[byte] as number;
      target[at++] = byte;
      a = Math.imul(a ^ byte, primeA);
      b = Math.imul(b ^ byte, primeB);
    }
    this.#a = Math.imul(a ^ valueEnd, primeA);
    this.#b = Math.imul(b ^ valueEnd, primeB);
    const looksOther = this.#looksNull(bytes, start, end) || (bytes[start] === 0xef && this.#looksMark(bytes, start, end));
    if ((flags & needsQuotes) === 0 && !this.#quoteAll && !looksOther) {
      output.end = at;
      return true;
    }
    return this.#dialect.quote >= 0 ? this.#writeQuoted(bytes, start, end, flags) : this.#writeEscaped(bytes, start, end);
  }

  /** Writes the names of the columns as a row that is not counted. */
  writeHeader(names: readonly string[]): void {
    this.beginRow();
    for (const name of names) {
      const bytes = encoder.encode(name);
      if (this.writeValue(bytes, 0, bytes.length)) continue;
      throw formatErrors.BAD_FORMAT.create({
        property: 'quoteChar', reason: `the column name ${name} cannot be written without quoteChar and escapeChar`,
      });
    }
    this.endRow({ header: true });
  }

  /** The most bytes that a value takes, with quotes and escapes. */
  #escapedBytes(bytes: Uint8Array, start: number, end: number): number {
    const special = this.#special;
    let count = end - start + 3;
    for (let index = start; index < end; index++) if (special[bytes[index] as number] !== 0) count++;
    return count;
  }

  /** Writes the delimiter before all but the first field and makes room for `bytesMax` more. */
  #beginField(bytesMax: number): void {
    const output = this.output;
    const delimiter = this.#dialect.columnDelimiter;
    output.reserve(bytesMax + delimiter.length);
    if (this.#columns++ === 0) return;
    if (delimiter.length === 1) {
      output.bytes[output.end++] = delimiter[0] as number;
    } else {
      output.append(delimiter);
    }
  }

  #writeQuoted(bytes: Uint8Array, start: number, end: number, flags: number): boolean {
    const output = this.output;
    const target = output.bytes;
    const quote = this.#dialect.quote;
    const escape = this.#dialect.escape < 0 ? quote : this.#dialect.escape;
    let at = output.end;
    target[at++] = quote;
    if ((flags & needsEscape) === 0) {
      for (let index = start; index < end; index++) target[at++] = bytes[index] as number;
    } else {
      const special = this.#special;
      for (let index = start; index < end; index++) {
        const byte = bytes[index] as number;
        if (((special[byte] as number) & needsEscape) !== 0) target[at++] = escape;
        target[at++] = byte;
      }
    }
    target[at++] = quote;
    output.end = at;
    return true;
  }

  #writeEscaped(bytes: Uint8Array, start: number, end: number): boolean {
    const output = this.output;
    const target = output.bytes;
    const escape = this.#dialect.escape;
    const from = output.end;
    // An escaped first character keeps the value from being read as null; an empty value has none.
    const looksOther = this.#looksNull(bytes, start, end) || this.#looksMark(bytes, start, end);
    if (escape < 0 && (looksOther || this.#meetsDelimiter(bytes, start, end))) return false;
    let at = from;
    for (let index = start; index < end; index++) {
      const byte = bytes[index] as number;
      if (escape >= 0 && (this.#special[byte] !== 0 || (looksOther && index === start))) target[at++] = escape;
      target[at++] = byte;
    }
    output.end = at;
    return escape < 0 || !this.#looksNull(target, from, at);
  }

  /** True when a delimiter, or the beginning of one at the end, stands in the value. */
  #meetsDelimiter(bytes: Uint8Array, start: number, end: number): boolean {
    const { columnDelimiter, rowDelimiter } = this.#dialect;
    for (let index = start; index < end; index++) {
      if (rowDelimiter.length === 0 && (bytes[index] === 10 || bytes[index] === 13)) return true;
      for (const delimiter of [columnDelimiter, rowDelimiter]) {
        let same = 0;
        while (same < delimiter.length && index + same < end && bytes[index + same] === delimiter[same]) same++;
        if (same > 0 && (same === delimiter.length || index + same === end)) return true;
      }
    }
    return false;
  }

  /** At the start of a file this value would be taken for a byte order mark. */
  #looksMark(bytes: Uint8Array, start: number, end: number): boolean {
    return this.#columns === 1 && end - start >= 3 && bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf;
  }

  #looksNull(bytes: Uint8Array, start: number, end: number): boolean {
    const nullValue = this.#dialect.nullValue;
    if (end - start !== nullValue.length) return false;
    for (let index = 0; index < nullValue.length; index++) if (bytes[start + index] !== nullValue[index]) return false;
    return true;
  }
}

import type { DelimitedTextFormat } from '@dmg/model';

/**
 * The reference that a fuzzer compares with: reads delimited text from bytes, character by character and one record at a time, with none
 * of the product's code, and says exactly what is wrong and where. It holds everything in memory and is slow.
 */

/** Text as the bytes of its UTF-8, one character (U+0000 to U+00FF) a byte; null for a null. */
export type ByteCell = string | null;

export interface NaiveFault {
  /** Without `DMG_FORMATS_`. */
  readonly code: string;
  readonly params: Readonly<Record<string, string | number>>;
}

export interface NaiveResult {
  readonly header: readonly string[] | undefined;
  /** The rows before the fault, if there is one. */
  readonly rows: readonly (readonly ByteCell[])[];
  readonly fault: NaiveFault | undefined;
}

export interface NaiveOptions {
  readonly file: string;
  readonly recordBytesMax: number;
  /** Refuses values that are no UTF-8. */
  readonly validText: boolean;
}

const columnsMax = 65_536;

interface Decoded {
  /** One character a byte of UTF-8. */
  readonly text: string;
  /** For each of them, and for the end, the position of its character in the source. */
  readonly at: readonly number[];
  readonly fault?: { readonly position: number; readonly reason: string };
}

const binary = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

function decodeNaively(input: Uint8Array, encoding: string): Decoded {
  if (encoding === 'UTF-8') {
    return { text: Buffer.from(input).toString('latin1'), at: Array.from({ length: input.length + 1 }, (_, index) => index) };
  }
  let text = '';
  const at: number[] = [];
  const add = (character: string, position: number): void => {
    for (const byte of binary(character)) {
      text += byte;
      at.push(position);
    }
  };
  const wrong = (position: number, reason: string): Decoded => ({ text, at: [...at, position], fault: { position, reason } });
  if (!encoding.startsWith('UTF-16')) {
    for (const [position, byte] of input.entries()) {
      const character = byte < 0x80 || encoding === 'ISO-8859-1' ? String.fromCharCode(byte) : fromCodePage(byte, encoding);
      if (character === undefined) {
        const what = encoding === 'US-ASCII' ? 'a byte over 127' : 'a byte that has no meaning in it';
        return wrong(position, `${what} (0x${byte.toString(16)})`);
      }
      add(character, position);
    }
    return { text, at: [...at, input.length] };
  }
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  const unitAt = (position: number): number => (
    position + 2 <= input.length ? view.getUint16(position, encoding === 'UTF-16LE') : Number.NaN
  );
  for (let position = 0; position < input.length;) {
    const [first, second] = [unitAt(position), unitAt(position + 2)];
    if (Number.isNaN(first) || (isHigh(first) && Number.isNaN(second))) return wrong(position, 'the text ends within a character');
    if (isLow(first) || (isHigh(first) && !isLow(second))) return wrong(position, 'half of a surrogate pair');
    const units = isHigh(first) ? [first, second] : [first];
    add(String.fromCharCode(...units), position);
    position += 2 * units.length;
  }
  return { text, at: [...at, input.length] };
}

/** Bytes as text for people. */
const shown = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('utf8');

const isHigh = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff;
const isLow = (unit: number): boolean => unit >= 0xdc00 && unit <= 0xdfff;

/** 0x80 to 0x9f; what stands for itself has no meaning. */
const codePage = '€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ';

function fromCodePage(byte: number, encoding: string): string | undefined {
  if (encoding !== 'WINDOWS-1252') return undefined;
  if (byte >= 0xa0) return String.fromCharCode(byte);
  const character = codePage.charAt(byte - 0x80);
  return character.charCodeAt(0) === byte ? undefined : character;
}

/** What stands in a record's bytes. `more`: they end before it is known. `column` counts from 0. */
type Parsed =
  | { readonly kind: 'record'; readonly end: number; readonly cells: ByteCell[]; readonly starts: number[] }
  | { readonly kind: 'more'; readonly column: number; readonly start: number }
  | { readonly kind: 'fault'; readonly code: string; readonly offset: number; readonly column: number };

interface Cells {
  readonly cells: ByteCell[];
  /** Where they and their quotes start in the record, and how far it is to the next. */
  readonly starts: number[];
  readonly widths: number[];
  readonly end: number;
}

type Mark = { readonly kind: 'row' | 'column'; readonly width: number } | 'more' | undefined;

class NaiveReader {
  readonly #format: DelimitedTextFormat;
  readonly #recordBytesMax: number;
  readonly #file: string;
  readonly #validText: boolean;
  readonly #encoding: string;
  readonly #decoded: Decoded;
  readonly #rowDelimiters: readonly string[];
  readonly #columnDelimiter: string;
  readonly #nullValue: string;
  readonly rows: ByteCell[][] = [];
  header: string[] | undefined;
  #position = 0;

  constructor(input: Uint8Array, format: DelimitedTextFormat, options: NaiveOptions) {
    this.#format = format;
    this.#file = options.file;
    this.#validText = options.validText;
    this.#recordBytesMax = options.recordBytesMax;
    const name = format.encodingName.toUpperCase();
    this.#encoding = name === 'UTF-16' ? 'UTF-16LE' : name;
    this.#decoded = decodeNaively(input, this.#encoding);
    this.#rowDelimiters = format.rowDelimiter === '' ? ['\r\n', '\r', '\n'] : [binary(format.rowDelimiter)];
    this.#columnDelimiter = binary(format.columnDelimiter);
    this.#nullValue = binary(format.nullValue);
  }

  /** Reads all; returns what is wrong, if something is. */
  read(): NaiveFault | undefined {
    return this.#skipMark() ?? this.#skipLines() ?? this.#readHeader() ?? this.#readRows();
  }

  #skipMark(): NaiveFault | undefined {
    const start = this.#decoded.text.slice(0, 3);
    const wrong = (reason: string): NaiveFault => this.#wrongEncoding({ row: 0, column: 1, position: 0, reason });
    if (this.#encoding === 'UTF-8' && start.startsWith('\xff\xfe')) return wrong('it begins with the mark of UTF-16 (little endian)');
    if (this.#encoding === 'UTF-8' && start.startsWith('\xfe\xff')) return wrong('it begins with the mark of UTF-16BE');
    const isUnicode = this.#encoding === 'UTF-8' || this.#encoding.startsWith('UTF-16');
    if (isUnicode && start === binary('\uFEFF')) this.#position = 3;
    if (this.#encoding.startsWith('UTF-16') && start === binary('\uFFFE')) return wrong('it is written in the other byte order');
    return undefined;
  }

  #skipLines(): NaiveFault | undefined {
    for (let line = 0; line < this.#format.skipLineCount; line++) {
      const { window, isWhole } = this.#window();
      let end = 0;
      let mark: Mark;
      for (; end < window.length; end++) {
        mark = this.#markAt(window, end, isWhole);
        if (mark === 'more' || mark?.kind === 'row') break;
      }
      if (mark === 'more' || (end >= window.length && !isWhole)) return this.#incomplete({ row: 0, column: 0, start: 0 });
      const next = end + (mark?.kind === 'row' ? mark.width : 0);
      if (next > this.#recordBytesMax) return this.#tooLarge({ row: 0, column: 0, start: 0 });
      this.#position += next;
    }
    return undefined;
  }

  #readHeader(): NaiveFault | undefined {
    const { text, at } = this.#decoded;
    if (!this.#format.firstRowAsHeader || (this.#position >= text.length && this.#decoded.fault === undefined)) return undefined;
    const record = this.#record(0, 0);
    if (isFault(record)) return record;
    const wrong = this.#firstInvalid(record);
    if (wrong !== undefined) {
      return this.#wrongEncoding({ row: 0, column: wrong.column + 1, position: at[wrong.offset] ?? 0, reason: 'bytes that are not UTF-8' });
    }
    this.header = record.cells.map((cell) => shown(cell ?? this.#nullValue));
    this.#position += record.end;
    return undefined;
  }

  /** The first cell of a record that is no UTF-8; the place is sought in the text itself, where quotes and escapes still stand. */
  #firstInvalid({ cells, starts, widths }: Cells): { column: number; offset: number; start: number } | undefined {
    const column = cells.findIndex((cell) => cell !== null && validLength(cell) < cell.length);
    if (column < 0 || this.#encoding !== 'UTF-8') return undefined;
    const start = this.#position + (starts[column] ?? 0);
    return { column, start, offset: start + validLength(this.#decoded.text.slice(start, start + (widths[column] ?? 0))) };
  }

  #invalidText(row: number, record: Cells): NaiveFault | undefined {
    const wrong = this.#validText ? this.#firstInvalid(record) : undefined;
    if (wrong === undefined) return undefined;
    const { at, text } = this.#decoded;
    const value = shown(record.cells[wrong.column] ?? '');
    const byte = text.charCodeAt(wrong.offset).toString(16).padStart(2, '0');
    return {
      code: 'INVALID_VALUE',
      params: {
        file: this.#file, row, column: this.header?.[wrong.column] ?? `Prop_${wrong.column}`, position: at[wrong.start] ?? 0,
        sourceType: 'String', sinkType: 'String', value: JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value),
        reason: `byte ${at[wrong.offset]} (0x${byte}) is not valid UTF-8`,
      },
    };
  }

  #readRows(): NaiveFault | undefined {
    const { text, fault } = this.#decoded;
    let columns = this.header?.length ?? 0;
    while (this.#position < text.length || fault !== undefined) {
      const { window, isWhole } = this.#window();
      const blank = columns > 1 ? this.#markAt(window, 0, isWhole) : undefined;
      if (blank !== 'more' && blank?.kind === 'row') {
        this.#position += blank.width;
        continue;
      }
      const record = this.#record(this.rows.length + 1, columns);
      if (isFault(record)) return record;
      const invalid = this.#invalidText(this.rows.length + 1, record);
      if (invalid !== undefined) return invalid;
      columns = record.cells.length;
      this.rows.push(record.cells);
      this.#position += record.end;
    }
    return undefined;
  }

  /** The record that starts here, or what is wrong with it. `columns`: 0 when any number will do. */
  #record(row: number, columns: number): Cells | NaiveFault {
    const { at } = this.#decoded;
    const { window, isWhole } = this.#window();
    const parsed = this.#parse(window, isWhole);
    const position = at[this.#position] ?? 0;
    if (parsed.kind === 'more') return this.#incomplete({ row, column: parsed.column, start: parsed.start });
    if (parsed.kind === 'fault') {
      const params = { file: this.#file, row, position: at[this.#position + parsed.offset] ?? 0, column: this.#columnName(parsed.column) };
      return { code: parsed.code, params };
    }
    const { cells, starts, end } = parsed;
    if (end > this.#recordBytesMax) return this.#tooLarge({ row, column: cells.length - 1, start: starts.at(-1) ?? 0 });
    if (columns === 0 && cells.length > columnsMax) {
      return { code: 'TOO_MANY_COLUMNS', params: { file: this.#file, found: cells.length, limit: columnsMax, position } };
    }
    if (columns > 0 && cells.length !== columns) {
      return { code: 'COLUMN_COUNT', params: { file: this.#file, row, position, found: cells.length, expected: columns } };
    }
    const widths = starts.map((start, index) => (starts[index + 1] ?? end) - start);
    return { cells, starts, widths, end };
  }

  /** Cells of the record at the start of `window`, whose end is the end of the source when it is whole. */
  #parse(window: string, isWhole: boolean): Parsed {
    const cells: ByteCell[] = [];
    const starts: number[] = [];
    let offset = 0;
    for (;;) {
      const start = offset;
      const column = cells.length;
      const isQuoted = this.#format.quoteChar !== '' && window[offset] === this.#format.quoteChar;
      const field = isQuoted ? this.#quoted(window, offset, isWhole) : this.#unquoted(window, offset, isWhole);
      if (field === 'more') return { kind: 'more', column, start };
      if (field === 'unclosed') return { kind: 'fault', code: 'UNCLOSED_QUOTE', offset: start, column };
      starts.push(start);
      cells.push(field.cell);
      offset = field.end;
      if (offset >= window.length) return isWhole ? { kind: 'record', end: offset, cells, starts } : { kind: 'more', column, start };
      const mark = this.#markAt(window, offset, isWhole);
      if (mark === 'more') return { kind: 'more', column, start };
      if (mark === undefined) return { kind: 'fault', code: 'TEXT_AFTER_QUOTE', offset, column };
      offset += mark.width;
      if (mark.kind === 'row') return { kind: 'record', end: offset, cells, starts };
    }
  }

  #quoted(window: string, from: number, isWhole: boolean): { cell: string; end: number } | 'more' | 'unclosed' {
    const { quoteChar, escapeChar } = this.#format;
    let cell = '';
    for (let offset = from + 1; ; offset++) {
      const [here, next] = [window[offset], window[offset + 1]];
      if (here === undefined) return isWhole ? 'unclosed' : 'more';
      const isPair = (here === quoteChar && next === quoteChar) || (here === escapeChar && (next === quoteChar || next === escapeChar));
      if (isPair) {
        cell += next;
        offset++;
      } else if (here === quoteChar) {
        if (next === undefined && !isWhole) return 'more';
        return { cell, end: offset + 1 };
      } else {
        cell += here;
      }
    }
  }

  #unquoted(window: string, from: number, isWhole: boolean): { cell: ByteCell; end: number } | 'more' {
    let cell = '';
    let offset = from;
    while (offset < window.length) {
      const mark = this.#markAt(window, offset, isWhole);
      if (mark === 'more') return 'more';
      if (mark !== undefined) break;
      if (this.#format.quoteChar === '' && window[offset] === this.#format.escapeChar) {
        if (offset + 1 >= window.length && !isWhole) return 'more';
        if (offset + 1 < window.length) offset++;
      }
      cell += window[offset];
      offset++;
    }
    return { cell: window.slice(from, offset) === this.#nullValue ? null : cell, end: offset };
  }

  #markAt(window: string, offset: number, isWhole: boolean): Mark {
    const rest = window.slice(offset, offset + 16);
    const cut = !isWhole && window.length - offset < 16;
    const begins = (delimiter: string): boolean => cut && rest.length < delimiter.length && delimiter.startsWith(rest) && rest !== '';
    for (const delimiter of this.#rowDelimiters) {
      if (begins(delimiter)) return 'more';
      if (rest.startsWith(delimiter)) return { kind: 'row', width: delimiter.length };
    }
    if (begins(this.#columnDelimiter)) return 'more';
    return rest.startsWith(this.#columnDelimiter) ? { kind: 'column', width: this.#columnDelimiter.length } : undefined;
  }

  /** All that a record may use: one byte more than it may have, so that one that is too large shows. */
  #window(): { window: string; isWhole: boolean } {
    const { text, fault } = this.#decoded;
    const window = text.slice(this.#position, this.#position + this.#recordBytesMax + 1);
    return { window, isWhole: window.length <= this.#recordBytesMax && fault === undefined };
  }

  #columnName(column: number): string | number {
    return this.header?.[column] ?? column + 1;
  }

  /** The text ends here, at the limit of a record or at something that cannot be decoded. */
  #incomplete(place: { row: number; column: number; start: number }): NaiveFault {
    const { text, fault } = this.#decoded;
    if (text.length - this.#position > this.#recordBytesMax) return this.#tooLarge(place);
    if (fault === undefined) throw new Error('the reference does not know what is missing');
    return this.#wrongEncoding({ row: place.row, column: this.#columnName(place.column), ...fault });
  }

  #tooLarge({ row, column, start }: { row: number; column: number; start: number }): NaiveFault {
    const { at } = this.#decoded;
    const columnPosition = at[this.#position + start] ?? 0;
    const params = {
      file: this.#file, row, position: at[this.#position] ?? 0, limitBytes: this.#recordBytesMax, column: this.#columnName(column),
      columnPosition,
    };
    return { code: 'RECORD_TOO_LARGE', params };
  }

  #wrongEncoding(place: { row: number; column: string | number; position: number; reason: string }): NaiveFault {
    return { code: 'WRONG_ENCODING', params: { file: this.#file, encoding: this.#encoding, ...place } };
  }
}

function isFault(found: object): found is NaiveFault {
  return 'code' in found;
}

/** Length of the longest beginning that is valid UTF-8: what is not becomes U+FFFD when it is decoded. */
function validLength(bytes: string): number {
  let length = bytes.length;
  while (binary(shown(bytes.slice(0, length))) !== bytes.slice(0, length)) length--;
  return length;
}

/** Reads delimited text as plainly as can be. `recordBytesMax` counts bytes of UTF-8. */
export function readByReference(input: Uint8Array, format: DelimitedTextFormat, options: NaiveOptions): NaiveResult {
  const reader = new NaiveReader(input, format, options);
  const fault = reader.read();
  return { header: reader.header, rows: reader.rows, fault };
}

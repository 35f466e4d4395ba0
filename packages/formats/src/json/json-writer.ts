import { ByteBuffer } from '../byte-buffer.ts';
import type { RecordWriter, WrittenColumn } from '../record-writer.ts';
import { nullMark, primeA, primeB, RowHashSum, seedA, seedB, valueEnd } from '../row-hash.ts';
import { JsonScanner } from './json-scanner.ts';

const encoder = new TextEncoder();
const nullText = encoder.encode('null');
const trueText = encoder.encode('true');
const falseText = encoder.encode('false');
const shortEscapes: ReadonlyMap<number, string> = new Map([[8, 'b'], [9, 't'], [10, 'n'], [12, 'f'], [13, 'r'], [0x22, '"'], [0x5c, '\\']]);
/** How each byte that cannot stand in a string is written. */
const escapes: readonly (Uint8Array | undefined)[] = Array.from({ length: 256 }, (_, byte) => {
  const short = shortEscapes.get(byte);
  if (short !== undefined) return encoder.encode(`\\${short}`);
  return byte < 0x20 ? encoder.encode(`\\u${byte.toString(16).padStart(4, '0')}`) : undefined;
});
const isSpecial = Uint8Array.from(escapes, (escape) => (escape === undefined ? 0 : 1));
/** Up to this size a value gets room for all its bytes escaped; larger ones are looked at first. */
const smallBytes = 1024;

const booleanTexts: ReadonlyMap<string, Uint8Array> = new Map([
  ...['true', 't', '1'].map((text) => [text, trueText] as const), ...['false', 'f', '0'].map((text) => [text, falseText] as const),
]);

type Kind = 'string' | 'number' | 'boolean';

function kindOf(type: string): Kind {
  switch (type) {
    case 'Boolean': return 'boolean';
    case 'Byte': case 'SByte': case 'Int16': case 'UInt16': case 'Int32': case 'UInt32': case 'Int64': case 'UInt64':
    case 'Single': case 'Double': case 'Decimal': return 'number';
    default: return 'string';
  }
}

export interface JsonWriterOptions {
  /** `[`, objects with commas between them, `]`; else one object a line. */
  readonly isArray: boolean;
  /** Objects of the file before the first one that is written here. */
  readonly rowsBefore: number;
}

/**
 * Writes rows as JSON objects, in UTF-8. Text becomes a string; numbers and booleans, where the column is known to hold such, stand as
 * they are, or as a string where JSON has no such number (`NaN`, `007`). What is JSON already stays as it is, on one line.
 */
export class JsonWriter implements RecordWriter {
  readonly output = new ByteBuffer(64 * 1024);
  readonly hashes = new RowHashSum();
  readonly #scanner = new JsonScanner();
  readonly #isArray: boolean;
  #rows: number;
  /** What stands before each value: a comma, the property's name and a colon. */
  #prefixes: readonly Uint8Array[] = [];
  #kinds: readonly Kind[] = [];
  /** The only column is the object itself. */
  #isWhole = false;
  #rowStart = 0;
  #column = 0;
  #a = seedA;
  #b = seedB;

  constructor(options: JsonWriterOptions) {
    this.#isArray = options.isArray;
    this.#rows = options.rowsBefore;
  }

  begin(columns: readonly WrittenColumn[], header: boolean): void {
    this.#isWhole = columns.length === 1 && columns[0]?.name === '$';
    this.#prefixes = columns.map(({ name }, index) => encoder.encode(`${index === 0 ? '' : ','}${JSON.stringify(name)}:`));
    this.#kinds = columns.map(({ type }) => kindOf(type));
    if (header && this.#isArray) this.#put(0x5b);
  }

  beginRow(): void {
    this.#rowStart = this.output.length;
    this.#a = seedA;
    this.#b = seedB;
    this.#column = 0;
    if (this.#isArray) {
      if (this.#rows > 0) this.#put(0x2c);
      this.#put(0x0a);
    }
    if (!this.#isWhole) this.#put(0x7b);
  }

  endRow(): void {
    if (!this.#isWhole) this.#put(0x7d);
    if (!this.#isArray) this.#put(0x0a);
    this.#rows++;
    this.hashes.add(this.#a, this.#b);
  }

  dropRow(): void {
    this.output.end = this.output.start + this.#rowStart;
  }

  end(closes: boolean): void {
    if (!closes || !this.#isArray) return;
    this.output.append(encoder.encode('\n]\n'));
  }

  writeNull(): void {
    this.#name();
    this.output.append(nullText);
    this.#a = Math.imul(this.#a ^ nullMark, primeA);
    this.#b = Math.imul(this.#b ^ nullMark, primeB);
  }

  writeValue(bytes: Uint8Array, start: number, end: number, literal: boolean): boolean {
    const kind = this.#kinds[this.#column];
    this.#name();
    if (literal) this.#writeLiteral(bytes, start, end);
    else if (kind === 'number' && this.#isNumber(bytes, start, end)) this.#writeLiteral(bytes, start, end);
    else if (kind === 'boolean') this.#writeBoolean(bytes, start, end);
    else this.#writeString(bytes, start, end);
    this.#a = Math.imul(this.#a ^ valueEnd, primeA);
    this.#b = Math.imul(this.#b ^ valueEnd, primeB);
    return true;
  }

  #name(): void {
    if (!this.#isWhole) this.output.append(this.#prefixes[this.#column] as Uint8Array);
    this.#column++;
  }

  #put(byte: number): void {
    this.output.reserve(1);
    this.output.bytes[this.output.end++] = byte;
  }

  /** Line breaks stand only between the parts of a value, where a space means the same. */
  #writeLiteral(bytes: Uint8Array, start: number, end: number): void {
    const { output } = this;
    output.reserve(end - start);
    const target = output.bytes;
    let at = output.end;
    for (let index = start; index < end; index++) {
      const byte = bytes[index] as number;
      target[at++] = byte === 10 || byte === 13 ? 0x20 : byte;
      this.#a = Math.imul(this.#a ^ byte, primeA);
      this.#b = Math.imul(this.#b ^ byte, primeB);
    }
    output.end = at;
  }

  #writeBoolean(bytes: Uint8Array, start: number, end: number): void {
    const text = end - start > 5 ? '' : Buffer.from(bytes.subarray(start, end)).toString('latin1').toLowerCase();
    const literal = booleanTexts.get(text);
    if (literal === undefined) this.#writeString(bytes, start, end);
    else this.#writeLiteral(literal, 0, literal.length);
  }

  #isNumber(bytes: Uint8Array, start: number, end: number): boolean {
    const first = bytes[start];
    if (start === end || (first !== 0x2d && !(first !== undefined && first >= 0x30 && first <= 0x39))) return false;
    return this.#scanner.number(bytes, start, end) === end;
  }

  #writeString(bytes: Uint8Array, start: number, end: number): void {
    const { output } = this;
    output.reserve(2 + (end - start <= smallBytes ? 6 * (end - start) : this.#escapedBytes(bytes, start, end)));
    const target = output.bytes;
    let at = output.end;
    let a = this.#a;
    let b = this.#b;
    target[at++] = 0x22;
    for (let index = start; index < end; index++) {
      const byte = bytes[index] as number;
      a = Math.imul(a ^ byte, primeA);
      b = Math.imul(b ^ byte, primeB);
      if (isSpecial[byte] === 0) {
        target[at++] = byte;
        continue;
      }
      for (const escaped of escapes[byte] ?? []) target[at++] = escaped;
    }
    target[at++] = 0x22;
    output.end = at;
    this.#a = a;
    this.#b = b;
  }

  #escapedBytes(bytes: Uint8Array, start: number, end: number): number {
    let count = end - start;
    for (let index = start; index < end; index++) if (isSpecial[bytes[index] as number] === 1) count += 5;
    return count;
  }
}

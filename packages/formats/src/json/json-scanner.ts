/** What is wrong with the text, and where. */
export interface JsonFault {
  /** Offset in the scanned bytes. */
  readonly offset: number;
  readonly reason: string;
}

/** The bytes end within the value. */
export const incomplete = -1;
/** The text is no JSON: see `fault`. */
export const faulty = -2;

const depthMax = 1024;
const quote = 0x22;
const backslash = 0x5c;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const comma = 0x2c;
const colon = 0x3a;

/** 1 for the bytes at which a string ends or needs attention. */
const stringStops = Uint8Array.from({ length: 256 }, (_, byte) => (byte < 0x20 || byte === quote || byte === backslash ? 1 : 0));
const isSpace = Uint8Array.from({ length: 256 }, (_, byte) => ([0x20, 0x09, 0x0a, 0x0d].includes(byte) ? 1 : 0));
const simpleEscapes = new Set(Buffer.from('"\\/bfnrt'));
const literals: ReadonlyMap<number, Uint8Array> = new Map(['true', 'false', 'null'].map((text) => [text.charCodeAt(0), Buffer.from(text)]));

/**
 * Finds where JSON values end (RFC 8259, nothing more and nothing less, but that a half of a surrogate pair is an error and that 1,024
 * levels are the most). All methods take the offset at which something begins and return the offset after it, `incomplete` or `faulty`.
 */
export class JsonScanner {
  fault: JsonFault | undefined;
  /** The last string held escapes. */
  escapes = false;
  readonly #stack = new Uint8Array(depthMax);

  /** Offset of the next byte that is no white space; `end` when there is none. */
  skipSpace(bytes: Uint8Array, from: number, end: number): number {
    let position = from;
    while (position < end && isSpace[bytes[position] as number] === 1) position++;
    return position;
  }

  /** Any value, which begins at `from` itself. After a string `escapes` says whether it held some. */
  value(bytes: Uint8Array, from: number, end: number): number {
    const stack = this.#stack;
    let depth = 0;
    let position = from;
    for (;;) {
      const byte = bytes[position] as number;
      if (byte === openBrace || byte === openBracket) {
        if (depth === depthMax) return this.fail(position, `values are nested in more than ${depthMax} levels`);
        stack[depth++] = byte;
        position = this.skipSpace(bytes, position + 1, end);
        if (position >= end) return incomplete;
        const isEmpty = bytes[position] === (byte === openBrace ? closeBrace : closeBracket);
        if (!isEmpty) {
          if (byte === openBrace) position = this.key(bytes, position, end);
          if (position < 0) return position;
          continue;
        }
        depth--;
        position++;
      } else {
        position = this.scalar(bytes, position, end);
        if (position < 0) return position;
      }
      for (;;) {
        if (depth === 0) return position;
        position = this.skipSpace(bytes, position, end);
        if (position >= end) return incomplete;
        const isObject = stack[depth - 1] === openBrace;
        const next = bytes[position];
        if (next === comma) {
          position = this.skipSpace(bytes, position + 1, end);
          if (position >= end) return incomplete;
          if (isObject) position = this.key(bytes, position, end);
          if (position < 0) return position;
          break;
        }
        if (next !== (isObject ? closeBrace : closeBracket)) {
          return this.unexpected(bytes, position, isObject ? '"," or "}"' : '"," or "]"');
        }
        depth--;
        position++;
      }
    }
  }

  /** A string as a key, its colon, and the white space behind it; what follows is there. */
  key(bytes: Uint8Array, from: number, end: number): number {
    if (bytes[from] !== quote) return this.unexpected(bytes, from, 'a property name');
    const close = this.string(bytes, from + 1, end);
    return close < 0 ? close : this.afterKey(bytes, close + 1, end);
  }

  /** The colon behind a key. */
  afterKey(bytes: Uint8Array, from: number, end: number): number {
    let position = this.skipSpace(bytes, from, end);
    if (position >= end) return incomplete;
    if (bytes[position] !== colon) return this.unexpected(bytes, position, '":"');
    position = this.skipSpace(bytes, position + 1, end);
    return position < end ? position : incomplete;
  }

  /** A string, number, `true`, `false` or `null`. */
  scalar(bytes: Uint8Array, from: number, end: number): number {
    const byte = bytes[from] as number;
    if (byte === quote) {
      const close = this.string(bytes, from + 1, end);
      return close < 0 ? close : close + 1;
    }
    if (byte === 0x2d || (byte >= 0x30 && byte <= 0x39)) return this.number(bytes, from, end);
    const literal = literals.get(byte);
    if (literal === undefined) return this.unexpected(bytes, from, 'a value');
    for (let index = 1; index < literal.length; index++) {
      if (from + index >= end) return incomplete;
      if (bytes[from + index] !== literal[index]) return this.unexpected(bytes, from, 'a value');
    }
    return from + literal.length;
  }

  /** Offset of the quote that closes the string whose content begins at `from`. */
  string(bytes: Uint8Array, from: number, end: number): number {
    this.escapes = false;
    let position = from;
    for (;;) {
      while (position < end && stringStops[bytes[position] as number] === 0) position++;
      if (position >= end) return incomplete;
      const byte = bytes[position] as number;
      if (byte === quote) return position;
      if (byte !== backslash) return this.fail(position, `a string holds the control character 0x${byte.toString(16).padStart(2, '0')}`);
      this.escapes = true;
      position = this.#escape(bytes, position, end);
      if (position < 0) return position;
    }
  }

  /** A number. One that reaches `end` is complete, since what follows it is not a part of it in any case where records are objects. */
  number(bytes: Uint8Array, from: number, end: number): number {
    let position = bytes[from] === 0x2d ? from + 1 : from;
    const digits = (): boolean => {
      const first = position;
      while (position < end && isDigit(bytes[position])) position++;
      return position > first;
    };
    if (position >= end) return incomplete;
    if (bytes[position] === 0x30) position++;
    else if (!digits()) return this.unexpected(bytes, position, 'a digit');
    if (position < end && bytes[position] === 0x2e) {
      position++;
      if (!digits()) return position >= end ? incomplete : this.unexpected(bytes, position, 'a digit');
    }
    if (position < end && ((bytes[position] as number) | 0x20) === 0x65) {
      position++;
      if (position < end && (bytes[position] === 0x2b || bytes[position] === 0x2d)) position++;
      if (!digits()) return position >= end ? incomplete : this.unexpected(bytes, position, 'a digit');
    }
    return position;
  }

  fail(offset: number, reason: string): typeof faulty {
    this.fault = { offset, reason };
    return faulty;
  }

  unexpected(bytes: Uint8Array, offset: number, wanted: string): typeof faulty {
    const byte = bytes[offset] ?? 0;
    const found = byte > 0x20 && byte < 0x7f ? JSON.stringify(String.fromCharCode(byte)) : `byte 0x${byte.toString(16).padStart(2, '0')}`;
    return this.fail(offset, `stands ${found} where ${wanted} is expected`);
  }

  #escape(bytes: Uint8Array, from: number, end: number): number {
    if (from + 1 >= end) return incomplete;
    const kind = bytes[from + 1] as number;
    if (simpleEscapes.has(kind)) return from + 2;
    if (kind !== 0x75) return this.fail(from, 'stands an escape that JSON does not have');
    const unit = this.#unit(bytes, from + 2, end);
    if (unit < 0) return unit;
    if (unit >= 0xdc00 && unit < 0xe000) return this.fail(from, 'stands the second half of a surrogate pair without the first');
    if (unit < 0xd800 || unit >= 0xdc00) return from + 6;
    for (const [index, byte] of [backslash, 0x75].entries()) {
      if (from + 6 + index >= end) return incomplete;
      if (bytes[from + 6 + index] !== byte) return this.fail(from, 'stands the first half of a surrogate pair without the second');
    }
    const low = this.#unit(bytes, from + 8, end);
    if (low < 0) return low;
    if (low >= 0xdc00 && low < 0xe000) return from + 12;
    return this.fail(from, 'stands the first half of a surrogate pair without the second');
  }

  /** The value of four hexadecimal digits. */
  #unit(bytes: Uint8Array, from: number, end: number): number {
    let unit = 0;
    for (let index = 0; index < 4; index++) {
      if (from + index >= end) return incomplete;
      const digit = hexDigit(bytes[from + index] as number);
      if (digit < 0) return this.unexpected(bytes, from + index, 'a hexadecimal digit');
      unit = unit * 16 + digit;
    }
    return unit;
  }
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const folded = byte | 0x20;
  return folded >= 0x61 && folded <= 0x66 ? folded - 0x57 : -1;
}

const escapedBytes: ReadonlyMap<number, number> = new Map(
  [['b', 8], ['f', 12], ['n', 10], ['r', 13], ['t', 9]].map(([letter, byte]) => [String(letter).charCodeAt(0), Number(byte)]),
);

/** Writes the content `bytes[start, end)` of a string that was scanned without its escapes into `target`; returns how many bytes. */
export function unescapeJson(bytes: Uint8Array, start: number, end: number, target: Uint8Array): number {
  let written = 0;
  for (let position = start; position < end; position++) {
    const byte = bytes[position] as number;
    if (byte !== backslash) {
      target[written++] = byte;
      continue;
    }
    const kind = bytes[++position] as number;
    if (kind !== 0x75) {
      target[written++] = escapedBytes.get(kind) ?? kind;
      continue;
    }
    let point = unitAt(bytes, position + 1);
    position += 4;
    if (point >= 0xd800 && point < 0xdc00) {
      point = 0x10000 + ((point - 0xd800) << 10) + (unitAt(bytes, position + 3) - 0xdc00);
      position += 6;
    }
    written = writePoint(point, target, written);
  }
  return written;
}

function unitAt(bytes: Uint8Array, from: number): number {
  let unit = 0;
  for (let index = 0; index < 4; index++) unit = unit * 16 + hexDigit(bytes[from + index] as number);
  return unit;
}

function writePoint(point: number, target: Uint8Array, at: number): number {
  let end = at;
  if (point < 0x80) {
    target[end++] = point;
    return end;
  }
  if (point < 0x800) {
    target[end++] = 0xc0 | (point >> 6);
  } else if (point < 0x10000) {
    target[end++] = 0xe0 | (point >> 12);
    target[end++] = 0x80 | ((point >> 6) & 0x3f);
  } else {
    target[end++] = 0xf0 | (point >> 18);
    target[end++] = 0x80 | ((point >> 12) & 0x3f);
    target[end++] = 0x80 | ((point >> 6) & 0x3f);
  }
  target[end++] = 0x80 | (point & 0x3f);
  return end;
}

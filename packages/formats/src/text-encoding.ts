import { isUtf8 } from 'node:buffer';
import type { ByteBuffer } from './byte-buffer.ts';
import { formatErrors } from './errors.ts';

/** Encodings that can be read; only UTF-8 and US-ASCII are written. */
export type TextEncoding = 'utf-8' | 'us-ascii' | 'iso-8859-1' | 'windows-1252' | 'utf-16le' | 'utf-16be';

const names: Readonly<Record<string, TextEncoding>> = {
  'utf-8': 'utf-8', utf8: 'utf-8', 'utf-8 without bom': 'utf-8', '': 'utf-8',
  'us-ascii': 'us-ascii', ascii: 'us-ascii',
  'iso-8859-1': 'iso-8859-1', latin1: 'iso-8859-1', 'windows-1252': 'windows-1252', cp1252: 'windows-1252',
  'utf-16': 'utf-16le', 'utf-16le': 'utf-16le', 'utf-16be': 'utf-16be',
};

/** For error texts. */
export const readableEncodings = 'UTF-8, US-ASCII, ISO-8859-1, WINDOWS-1252, UTF-16 (little endian), UTF-16BE';

export function textEncodingOf(encodingName: string): TextEncoding {
  const name = encodingName.trim().toLowerCase();
  const encoding = Object.hasOwn(names, name) ? names[name] : undefined;
  if (encoding !== undefined) return encoding;
  throw formatErrors.BAD_FORMAT.create({
    property: 'encodingName',
    reason: `the encoding ${encodingName} is not supported; supported are ${readableEncodings}`,
  });
}

/** True for what the writer makes: text in these encodings is written as it is held, in UTF-8. */
export function isWritableEncoding(encodingName: string): boolean {
  return textEncodingOf(encodingName) === 'utf-8';
}

/** Code points of windows-1252 from 0x80 to 0x9f; 0 where the code page has none. */
const windows1252 = [
  0x20ac, 0, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0, 0x017d, 0,
  0, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0, 0x017e, 0x0178,
];

/** What stops a decoder. */
export interface DecodingFault {
  /** Source position of the character that is wrong. */
  readonly position: number;
  readonly reason: string;
}

/**
 * Turns source bytes into UTF-8 as they come, and UTF-8 positions back into source positions. UTF-8 itself is passed through
 * unchecked: what is not mapped to a type is copied byte for byte. At a character that is wrong it stops and says so in `fault`: what
 * stands before it is for its reader to deal with first.
 */
export class SourceDecoder {
  readonly encoding: TextEncoding;
  fault: DecodingFault | undefined;
  /** Source position after the last byte taken. */
  #position: number;
  /** Source position of the character that is being read. */
  #characterAt = 0;
  /** First byte of a UTF-16 unit whose second is still to come; -1: none. */
  #half = -1;
  /** A high surrogate that waits for its low one; 0: none. */
  #high = 0;

  constructor(encoding: TextEncoding, position: number) {
    this.encoding = encoding;
    this.#position = position;
  }

  append(block: Uint8Array, atEnd: boolean, into: ByteBuffer): void {
    if (this.fault !== undefined) return;
    if (this.encoding === 'utf-8') {
      into.append(block);
    } else if (this.encoding === 'utf-16le' || this.encoding === 'utf-16be') {
      this.#appendUtf16(block, into);
      if (atEnd && (this.#half >= 0 || this.#high !== 0)) this.#wrong('the text ends within a character', this.#characterAt);
    } else {
      this.#appendSingleBytes(block, into);
    }
    this.#position += block.length;
  }

  /** How many source bytes `bytes[from, to)` came from. `from` and `to` are boundaries of characters. */
  sourceLength(bytes: Uint8Array, from: number, to: number): number {
    if (this.encoding === 'utf-8') return to - from;
    let units = 0;
    const wide = this.encoding === 'utf-16le' || this.encoding === 'utf-16be';
    for (let index = from; index < to; index++) {
      const byte = bytes[index] as number;
      if ((byte & 0xc0) !== 0x80) units += wide && byte >= 0xf0 ? 2 : 1;
    }
    return wide ? units * 2 : units;
  }

  /** First offset from `from` on that stands for at least `sourceBytes` source bytes; `to` or more when there is none. */
  offsetAfter(bytes: Uint8Array, from: number, to: number, sourceBytes: number): number {
    if (this.encoding === 'utf-8' || sourceBytes <= 0) return from + Math.max(0, sourceBytes);
    const wide = this.encoding === 'utf-16le' || this.encoding === 'utf-16be';
    let seen = 0;
    for (let index = from; index < to; index++) {
      const byte = bytes[index] as number;
      if ((byte & 0xc0) === 0x80) continue;
      if (seen >= sourceBytes) return index;
      seen += wide ? (byte >= 0xf0 ? 4 : 2) : 1;
    }
    return seen >= sourceBytes ? to : to + 1;
  }

  #appendSingleBytes(block: Uint8Array, into: ByteBuffer): void {
    into.reserve(block.length * 3);
    const target = into.bytes;
    let end = into.end;
    for (let index = 0; index < block.length; index++) {
      const byte = block[index] as number;
      if (byte < 0x80) {
        target[end++] = byte;
        continue;
      }
      if (this.encoding === 'us-ascii') {
        this.#wrong(`a byte over 127 (0x${byte.toString(16)})`, this.#position + index);
        break;
      }
      let point = byte;
      if (this.encoding === 'windows-1252' && byte < 0xa0) {
        point = windows1252[byte - 0x80] ?? 0;
        if (point === 0) {
          this.#wrong(`a byte that has no meaning in it (0x${byte.toString(16)})`, this.#position + index);
          break;
        }
      }
      end = writeUtf8(point, target, end);
    }
    into.end = end;
  }

  #appendUtf16(block: Uint8Array, into: ByteBuffer): void {
    into.reserve(block.length * 2 + 4);
    const target = into.bytes;
    const bigEndian = this.encoding === 'utf-16be';
    let end = into.end;
    for (let index = 0; index < block.length; index++) {
      const byte = block[index] as number;
      if (this.#half < 0) {
        this.#half = byte;
        if (this.#high === 0) this.#characterAt = this.#position + index;
        continue;
      }
      const unit = bigEndian ? (this.#half << 8) | byte : (byte << 8) | this.#half;
      this.#half = -1;
      const isHigh = unit >= 0xd800 && unit < 0xdc00;
      const isLow = unit >= 0xdc00 && unit < 0xe000;
      if (isLow !== (this.#high !== 0)) {
        this.#wrong('half of a surrogate pair', this.#characterAt);
        break;
      }
      if (isHigh) {
        this.#high = unit;
        continue;
      }
      end = writeUtf8(isLow ? 0x10000 + ((this.#high - 0xd800) << 10) + (unit - 0xdc00) : unit, target, end);
      this.#high = 0;
    }
    into.end = end;
  }

  #wrong(reason: string, position: number): void {
    this.fault ??= { reason, position };
  }
}

/** Offset of the first byte that does not belong to valid UTF-8; `end` when there is none. */
export function firstInvalidUtf8(bytes: Uint8Array, start: number, end: number): number {
  if (isUtf8(bytes.subarray(start, end))) return end;
  let valid = start;
  // A character has at most four bytes: where none of these lengths is one, it is wrong.
  for (;;) {
    const next = [1, 2, 3, 4].find((length) => valid + length <= end && isUtf8(bytes.subarray(valid, valid + length)));
    if (next === undefined) return valid;
    valid += next;
  }
}

function writeUtf8(point: number, target: Uint8Array, at: number): number {
  let end = at;
  if (point < 0x80) {
    target[end++] = point;
  } else if (point < 0x800) {
    target[end++] = 0xc0 | (point >> 6);
    target[end++] = 0x80 | (point & 0x3f);
  } else if (point < 0x10000) {
    target[end++] = 0xe0 | (point >> 12);
    target[end++] = 0x80 | ((point >> 6) & 0x3f);
    target[end++] = 0x80 | (point & 0x3f);
  } else {
    target[end++] = 0xf0 | (point >> 18);
    target[end++] = 0x80 | ((point >> 12) & 0x3f);
    target[end++] = 0x80 | ((point >> 6) & 0x3f);
    target[end++] = 0x80 | (point & 0x3f);
  }
  return end;
}

import type { ByteBuffer } from '../byte-buffer.ts';
import { daysInMonth } from './calendar.ts';

/**
 * Conversions that need no text: most decimals and times in files are written plainly already, and a JavaScript string per value costs
 * several times the copy. Each answers true when it has written the value, and false when the general way must look at it; it never
 * writes what the general way would not (`converter.property.test.ts` compares the two).
 */
export type InPlace = (bytes: Uint8Array, start: number, end: number, target: ByteBuffer) => boolean;

const zero = 0x30;
const dash = 0x2d;
const dot = 0x2e;
const colon = 0x3a;
const space = 0x20;
const letterT = 0x54;
/** Within the 28 digits of Data Factory's Decimal and the 38 of SQL. */
const plainDigitsMax = 28;

/** A decimal that stands in its canonical form: `-?(0|[1-9]d*)(.d+)?`, not minus zero. */
export function copyPlainDecimal(bytes: Uint8Array, start: number, end: number, target: ByteBuffer): boolean {
  const first = bytes[start] === dash ? start + 1 : start;
  if (end - first > plainDigitsMax + 1 || first >= end) return false;
  let dots = 0;
  let significant = false;
  for (let index = first; index < end; index++) {
    const byte = bytes[index] as number;
    if (byte === dot) {
      // A digit must stand on both sides.
      if (dots++ > 0 || index === first || index === end - 1) return false;
    } else if (byte < zero || byte > zero + 9) {
      return false;
    } else if (byte !== zero) significant = true;
  }
  const leadingZero = bytes[first] === zero && first + 1 < end && bytes[first + 1] !== dot;
  if (leadingZero || (first > start && !significant)) return false;
  copy(bytes, start, end, target);
  return true;
}

const midnight = Uint8Array.from(Buffer.from(' 00:00:00.0000000'));

/** `yyyy-MM-dd` and `yyyy-MM-dd[ T]HH:mm:ss[.f{1,7}]` to the default form of a DateTime, `yyyy-MM-dd HH:mm:ss.fffffff`. */
export function copyPlainDateTime(bytes: Uint8Array, start: number, end: number, target: ByteBuffer): boolean {
  const length = end - start;
  if (length < 10 || !isPlainDate(bytes, start)) return false;
  if (length === 10) {
    copy(bytes, start, end, target);
    target.append(midnight);
    return true;
  }
  if (length < 19 || length === 20 || length > 27 || !isPlainTime(bytes, start + 10)) return false;
  if (length > 19 && bytes[start + 19] !== dot) return false;
  for (let index = start + 20; index < end; index++) if (!isDigit(bytes[index])) return false;
  copy(bytes, start, end, target);
  target.bytes[target.start + 10] = space;
  target.reserve(8);
  if (length === 19) target.bytes[target.end++] = dot;
  while (target.end - target.start < 27) target.bytes[target.end++] = zero;
  return true;
}

function isPlainDate(bytes: Uint8Array, at: number): boolean {
  if (bytes[at + 4] !== dash || bytes[at + 7] !== dash) return false;
  const year = twoDigits(bytes, at) * 100 + twoDigits(bytes, at + 2);
  const month = twoDigits(bytes, at + 5);
  const day = twoDigits(bytes, at + 8);
  // What is no digit makes NaN, and every comparison with it false.
  return year >= 1 && month >= 1 && month <= 12 && day >= 1 && day <= daysInMonth(year, month);
}

function isPlainTime(bytes: Uint8Array, at: number): boolean {
  if ((bytes[at] !== space && bytes[at] !== letterT) || bytes[at + 3] !== colon || bytes[at + 6] !== colon) return false;
  return twoDigits(bytes, at + 1) <= 23 && twoDigits(bytes, at + 4) <= 59 && twoDigits(bytes, at + 7) <= 59;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= zero && byte <= zero + 9;
}

function twoDigits(bytes: Uint8Array, at: number): number {
  return isDigit(bytes[at]) && isDigit(bytes[at + 1]) ? ((bytes[at] as number) - zero) * 10 + (bytes[at + 1] as number) - zero : NaN;
}

function copy(bytes: Uint8Array, start: number, end: number, target: ByteBuffer): void {
  target.clear();
  target.reserve(end - start);
  for (let index = start; index < end; index++) target.bytes[target.end++] = bytes[index] as number;
}

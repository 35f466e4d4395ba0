import type { InterimType } from '@dmg/model';
import { type ExactNumber, Problem } from './value.ts';

/** Most digits of a Decimal, before and after the point together (what SQL databases hold at most). */
export const decimalDigitsMax = 38;

type Range = { readonly lowest: string; readonly highest: string };

/** Digits of the smallest (without its sign) and the largest value. */
const integerRanges: Readonly<Partial<Record<InterimType, Range>>> = {
  Byte: { lowest: '0', highest: '255' },
  SByte: { lowest: '128', highest: '127' },
  Int16: { lowest: '32768', highest: '32767' },
  UInt16: { lowest: '0', highest: '65535' },
  Int32: { lowest: '2147483648', highest: '2147483647' },
  UInt32: { lowest: '0', highest: '4294967295' },
  Int64: { lowest: '9223372036854775808', highest: '9223372036854775807' },
  UInt64: { lowest: '0', highest: '18446744073709551615' },
};

function compareDigits(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}

const exactPattern = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?$/;

/** Reads a decimal number; the scale is kept as written (`1.10` has scale 2). */
export function parseExact(text: string): ExactNumber | Problem {
  const match = exactPattern.exec(text.trim());
  const whole = match?.[2] ?? '';
  const fraction = match?.[3] ?? '';
  if (match === null || whole + fraction === '') return new Problem('it is not a number');
  const exponent = Number(match[4] ?? '0');
  let digits = whole + fraction;
  let scale = fraction.length - exponent;
  if (scale < 0) {
    if (/^0*$/.test(digits)) return { kind: 'exact', negative: false, digits: '0', scale: 0 };
    if (digits.length - scale > 400) return new Problem(`it has more than ${decimalDigitsMax} digits`);
    digits += '0'.repeat(-scale);
    scale = 0;
  }
  if (scale > 400) return new Problem(`it has more than ${decimalDigitsMax} digits`);
  digits = digits.replace(/^0+(?=\d)/, '');
  return { kind: 'exact', negative: match[1] === '-' && !/^0*$/.test(digits), digits, scale };
}

/** Refuses what a Decimal cannot hold. */
export function checkDecimal(value: ExactNumber): ExactNumber | Problem {
  if (Math.max(value.digits.length, value.scale) <= decimalDigitsMax) return value;
  return new Problem(`it has more than ${decimalDigitsMax} digits`);
}

/** Brings a number into an integer type. A fraction is dropped only where `truncate` allows it; the range is always checked. */
export function toInteger(value: ExactNumber, type: InterimType, truncate: boolean): ExactNumber | Problem {
  const kept = value.digits.length > value.scale ? value.digits.slice(0, value.digits.length - value.scale) : '0';
  const dropped = value.digits.slice(Math.max(0, value.digits.length - value.scale));
  if (value.scale > 0 && !truncate && !/^0*$/.test(dropped)) return new Problem('it has a fraction, which would be lost');
  const negative = value.negative && kept !== '0';
  return checkRange({ kind: 'exact', negative, digits: kept, scale: 0 }, type);
}

export function checkRange(value: ExactNumber, type: InterimType): ExactNumber | Problem {
  const range = integerRanges[type];
  if (range === undefined || compareDigits(value.digits, value.negative ? range.lowest : range.highest) <= 0) return value;
  const lowest = range.lowest === '0' ? '0' : `-${range.lowest}`;
  return new Problem(`it is outside ${lowest} to ${range.highest}`);
}

/** Refuses digits behind the point that a column with this scale does not hold; a negative scale has zeros before it. */
export function checkScale(value: ExactNumber, scale: number): Problem | undefined {
  const kept = Math.max(0, value.digits.length - value.scale + scale);
  if (value.scale <= scale || /^0*$/.test(value.digits.slice(kept))) return undefined;
  return new Problem(`the column holds ${scale} digits behind the point`);
}

export function formatExact(value: ExactNumber): string {
  const sign = value.negative ? '-' : '';
  if (value.scale === 0) return sign + value.digits;
  const digits = value.digits.padStart(value.scale + 1, '0');
  return `${sign}${digits.slice(0, -value.scale)}.${digits.slice(-value.scale)}`;
}

const floatPattern = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;

/** Reads a Single or Double. Overflow is refused; infinities and NaN only by their names. */
export function parseFloating(text: string, type: InterimType): number | Problem {
  const trimmed = text.trim();
  if (/^(nan)$/i.test(trimmed)) return Number.NaN;
  const infinite = /^([+-]?)(infinity|∞)$/i.exec(trimmed);
  if (infinite !== null) return infinite[1] === '-' ? -Infinity : Infinity;
  if (!floatPattern.test(trimmed)) return new Problem('it is not a number');
  const value = type === 'Single' ? Math.fround(Number(trimmed)) : Number(trimmed);
  return Number.isFinite(value) ? value : new Problem(`it is too large for ${type}`);
}

/** The shortest text that reads back as the same value. */
export function formatFloating(value: number, type: InterimType): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value < 0 ? '-Infinity' : 'Infinity';
  if (Object.is(value, -0)) return '-0';
  if (type !== 'Single') return String(value);
  for (let precision = 6; precision <= 9; precision++) {
    const text = String(Number(value.toPrecision(precision)));
    if (Math.fround(Number(text)) === value) return text;
  }
  return String(value);
}

/** Brings an exact number into a floating type; refused when digits would be lost, unless `truncate` allows it. */
export function toFloating(value: ExactNumber, type: InterimType, truncate: boolean): number | Problem {
  const text = formatExact(value);
  const result = parseFloating(text, type);
  if (typeof result !== 'number' || truncate) return result;
  const back = parseExact(formatFloating(result, type));
  const same = !(back instanceof Problem) && sameNumber(back, value);
  return same ? result : new Problem(`${type} cannot hold all its digits`);
}

function sameNumber(a: ExactNumber, b: ExactNumber): boolean {
  const scale = Math.max(a.scale, b.scale);
  const widen = (value: ExactNumber): string => (value.digits + '0'.repeat(scale - value.scale)).replace(/^0+(?=\d)/, '');
  const [first, second] = [widen(a), widen(b)];
  return first === second && (a.negative === b.negative || first === '0');
}

/**
 * Checks an integer's text in place: the offset of its first significant digit and its sign, or undefined when the slow path must
 * look at it (spaces, other characters, or near the type's limit). Most cells are answered here without a string.
 */
export function plainInteger(
  bytes: Uint8Array, start: number, end: number, type: InterimType,
): { first: number; negative: boolean } | undefined {
  const range = integerRanges[type];
  if (range === undefined) return undefined;
  let first = start;
  const negative = bytes[first] === 0x2d;
  if (negative) first++;
  while (first < end - 1 && bytes[first] === 0x30) first++;
  const digits = end - first;
  // One digit fewer than the limit fits whatever the digits are.
  if (digits < 1 || digits >= (negative ? range.lowest : range.highest).length) return undefined;
  for (let index = first; index < end; index++) {
    const byte = bytes[index] as number;
    if (byte < 0x30 || byte > 0x39) return undefined;
  }
  return { first, negative: negative && bytes[first] !== 0x30 };
}

import type { DelimitedTextFormat } from '@dmg/model';
import { compileDialect } from './dialect.ts';
import { textEncodingOf } from './text-encoding.ts';

const lineFeed = 10;
const carriageReturn = 13;

/**
 * True where a row delimiter always ends a row, so that rows can be found from any byte of a file on: nothing quotes or escapes, or the
 * user says that rows stand on one line each. Delimiters must not be mistakable for each other, and characters must be single bytes,
 * or UTF-8.
 */
export function findsRowStarts(format: DelimitedTextFormat): boolean {
  if (textEncodingOf(format.encodingName).startsWith('utf-16')) return false;
  const { quote, escape, rowDelimiter, columnDelimiter } = compileDialect(format);
  const isPlain = quote < 0 && escape < 0;
  if (!isPlain && format.multilineRows !== false) return false;
  const row = rowDelimiter.length === 0 ? [carriageReturn, lineFeed] : [...rowDelimiter];
  if (row.some((byte) => byte > 0x7f || columnDelimiter.includes(byte))) return false;
  // A delimiter whose end is its beginning may overlap with itself.
  return rowDelimiter.length === 0 || row.every((_, index) => index === 0 || !row.slice(index).every((byte, at) => byte === row[at]));
}

/** Finds the first row that starts at or after a position over 0. */
export interface RowStartFinder {
  /** From here on bytes are pushed, in order. */
  readonly from: number;
  /** Takes the next bytes; the position of the row when it is known. The end of the source is one, too. */
  push(block: Uint8Array, atEnd: boolean): number | undefined;
}

/** For formats of which `findsRowStarts` is true. */
export function createRowStartFinder(format: DelimitedTextFormat, position: number): RowStartFinder {
  const { rowDelimiter } = compileDialect(format);
  const isAny = rowDelimiter.length === 0;
  const from = Math.max(0, position - (isAny ? 1 : rowDelimiter.length));
  let at = from;
  /** How much of the delimiter stands before `at`. */
  let matched = 0;
  const next = (byte: number): boolean => {
    if (isAny) {
      if (matched === 1) return true;
      if (byte === carriageReturn) matched = 1;
      return false;
    }
    // No part of the delimiter is its beginning, so that what was matched cannot be part of another match.
    matched = byte === rowDelimiter[matched] ? matched + 1 : byte === rowDelimiter[0] ? 1 : 0;
    return matched === rowDelimiter.length;
  };
  return {
    from,
    push(block, atEnd) {
      for (const byte of block) {
        // A line feed behind a carriage return belongs to it.
        if (isAny && byte === lineFeed) return at + 1;
        if (next(byte)) return isAny ? at : at + 1;
        at++;
      }
      return atEnd ? at : undefined;
    },
  };
}

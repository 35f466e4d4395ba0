import type { DelimitedTextFormat } from '@dmg/model';
import { formatErrors } from './errors.ts';

const encoder = new TextEncoder();

/** A delimited text format in bytes, checked. */
export interface Dialect {
  readonly columnDelimiter: Uint8Array;
  /** Empty: any of CR LF, CR, LF. */
  readonly rowDelimiter: Uint8Array;
  /** -1: no quoting. */
  readonly quote: number;
  /** -1: no escaping, beyond the doubling of quotes. Never equal to `quote`. */
  readonly escape: number;
  readonly nullValue: Uint8Array;
}

/**
 * Checks a format and turns it into bytes. Quotes are always escaped by doubling when read; an `escapeChar` that differs from
 * `quoteChar` works besides, inside quotes, or anywhere when there is no `quoteChar`.
 */
export function compileDialect(format: DelimitedTextFormat): Dialect {
  if (format.columnDelimiter === '') throw bad('columnDelimiter', 'columnDelimiter is empty');
  const quote = singleByte(format.quoteChar, 'quoteChar');
  const escape = singleByte(format.escapeChar, 'escapeChar');
  const columnDelimiter = encoder.encode(format.columnDelimiter);
  const rowDelimiter = encoder.encode(format.rowDelimiter);
  for (const [bytes, property] of [[columnDelimiter, 'columnDelimiter'], [rowDelimiter, 'rowDelimiter']] as const) {
    if (quote >= 0 && bytes.includes(quote)) throw bad(property, `${property} contains quoteChar`);
    if (escape >= 0 && bytes.includes(escape)) throw bad(property, `${property} contains escapeChar`);
  }
  const rows = rowDelimiter.length === 0 ? ['\r', '\n'] : [format.rowDelimiter];
  for (const row of rows) {
    if (row.startsWith(format.columnDelimiter) || format.columnDelimiter.startsWith(row)) {
      throw bad('columnDelimiter', 'columnDelimiter and rowDelimiter begin alike');
    }
  }
  if (rowDelimiter.length === 0 && /[\r\n]/.test(format.quoteChar + format.escapeChar)) {
    throw bad('quoteChar', 'quoteChar or escapeChar is a line break');
  }
  return { columnDelimiter, rowDelimiter, quote, escape: escape === quote ? -1 : escape, nullValue: encoder.encode(format.nullValue) };
}

function singleByte(text: string, property: string): number {
  if (text === '') return -1;
  const code = text.charCodeAt(0);
  if (text.length !== 1 || code > 0x7f) throw bad(property, `${property} must be one ASCII character`);
  return code;
}

function bad(property: string, reason: string): Error {
  return formatErrors.BAD_FORMAT.create({ property, reason });
}

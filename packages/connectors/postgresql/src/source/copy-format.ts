import type { StreamFormat } from '@dmg/connector-api';
import type { DelimitedTextFormat } from '@dmg/model';
import { binaryOptions } from '../binary-form.ts';
import { quoteLiteral } from '../table-name.ts';
import type { RowEnd } from './copy-out.ts';

/** RFC 4180: what the server writes when nothing else is asked for. */
export const csvText: DelimitedTextFormat = {
  type: 'DelimitedText', columnDelimiter: ',', rowDelimiter: '\n', quoteChar: '"', escapeChar: '"', firstRowAsHeader: false, nullValue: '',
  encodingName: 'UTF-8', skipLineCount: 0, quoteAllText: false,
};

/** How `COPY … TO STDOUT` is asked for rows, and how they come. */
export interface CopyForm {
  readonly options: string;
  readonly rowEnd: RowEnd;
  /** Values as only this kind of server reads them, or as any reader does. */
  readonly values: 'own' | 'common';
}

/** Throws for a format that the server does not write; whoever asks for one has asked `writes` before. */
export function copyForm(format: StreamFormat): CopyForm {
  if (format === 'own') return { options: binaryOptions, rowEnd: '\n', values: 'own' };
  const options = copyOptions(format);
  const rowEnd = rowEndOf(format);
  if (options === undefined || rowEnd === undefined) throw new Error('the server cannot write this format');
  return { options, rowEnd, values: isTextFormat(format) ? 'own' : 'common' };
}

/**
 * The options of `COPY … TO STDOUT` with which the server writes exactly this format, or undefined where it cannot. Encoding and
 * header are the caller's: the text is UTF-8 rows. https://www.postgresql.org/docs/current/sql-copy.html
 */
export function copyOptions(format: DelimitedTextFormat): string | undefined {
  if (isTextFormat(format)) return `FORMAT text, ENCODING 'UTF8'`;
  const { columnDelimiter: delimiter, quoteChar: quote, nullValue } = format;
  const escape = format.escapeChar === '' ? quote : format.escapeChar;
  if (rowEndOf(format) === undefined || ![delimiter, quote, escape].every(isPlainByte)) return undefined;
  if (delimiter === quote || delimiter === escape) return undefined;
  if (/[\0\r\n]/.test(nullValue) || nullValue.includes(delimiter) || nullValue.includes(quote)) return undefined;
  const options = [
    'FORMAT csv', `DELIMITER ${quoteLiteral(delimiter)}`, `QUOTE ${quoteLiteral(quote)}`, `ESCAPE ${quoteLiteral(escape)}`,
    `NULL ${quoteLiteral(nullValue)}`, `ENCODING 'UTF8'`,
  ];
  if (format.quoteAllText) options.push('FORCE_QUOTE *');
  return options.join(', ');
}

/**
 * True for PostgreSQL's own text format, in which rows pass from server to server. It writes line breaks and tabs as letters after a
 * backslash, which no other reader of delimited text understands.
 */
function isTextFormat(format: DelimitedTextFormat): boolean {
  return format.columnDelimiter === '\t' && format.rowDelimiter === '\n' && format.quoteChar === '' && format.escapeChar === '\\'
    && format.nullValue === '\\N';
}

/** How rows end in what `CopyOut` is to hand out for this format, or undefined for ends that it does not write. */
function rowEndOf(format: DelimitedTextFormat): RowEnd | undefined {
  return format.rowDelimiter === '\n' || format.rowDelimiter === '\r\n' ? format.rowDelimiter : undefined;
}

/** One byte of ASCII that does not end a line. */
function isPlainByte(text: string): boolean {
  const code = text.charCodeAt(0);
  return text.length === 1 && code > 0 && code < 128 && code !== 10 && code !== 13;
}

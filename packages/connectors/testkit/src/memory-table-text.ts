import type { OwnForm, StreamFormat } from '@dmg/connector-api';
import type { DelimitedTextFormat } from '@dmg/model';

/** A value as text, or null. */
export type MemoryCell = string | null;

/** PostgreSQL's text format, the one that table sinks take. */
export const tableText: DelimitedTextFormat = {
  type: 'DelimitedText', columnDelimiter: '\t', rowDelimiter: '\n', quoteChar: '', escapeChar: '\\', nullValue: '\\N',
  firstRowAsHeader: false, encodingName: 'UTF-8', skipLineCount: 0, quoteAllText: false,
};

/** CSV as PostgreSQL writes it by default. */
export const tableCsv: DelimitedTextFormat = {
  ...tableText, columnDelimiter: ',', quoteChar: '"', escapeChar: '"', nullValue: '',
};

export function isTableText(format: DelimitedTextFormat): boolean {
  return format.quoteChar === '' && format.columnDelimiter === '\t' && format.rowDelimiter === '\n' && format.escapeChar === '\\'
    && format.nullValue === '\\N';
}

/** What a server's CSV can be: row ends `\n`, one character between columns, quotes. */
export function isTableCsv(format: DelimitedTextFormat): boolean {
  return format.quoteChar !== '' && format.escapeChar !== '' && format.columnDelimiter.length === 1 && format.rowDelimiter === '\n';
}

const letters: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

/** Rows as lines of JSON: nothing that a reader of the text format would take for rows. */
export const memoryForm: OwnForm = { name: 'memory', typeOf: ({ nativeType }) => nativeType };

/** One row as PostgreSQL writes it: in text format with its letter escapes, in CSV with quotes only where they are needed. */
export function writeTableRow(row: readonly MemoryCell[], format: StreamFormat): string {
  if (format === 'own') return `${JSON.stringify(row)}\n`;
  const cells = row.map((value) => (isTableText(format) ? textCell(value) : csvCell(value, format)));
  return cells.join(format.columnDelimiter) + format.rowDelimiter;
}

function textCell(value: MemoryCell): string {
  if (value === null) return '\\N';
  const escapes = new Map(Object.entries(letters).map(([letter, character]) => [character, `\\${letter}`]));
  return Array.from(value, (character) => (character === '\\' ? '\\\\' : escapes.get(character) ?? character)).join('');
}

function csvCell(value: MemoryCell, format: DelimitedTextFormat): string {
  if (value === null) return format.nullValue;
  const { quoteChar: quote, escapeChar: escape, columnDelimiter } = format;
  const special = [quote, columnDelimiter, '\n', '\r'].some((part) => value.includes(part));
  const needs = format.quoteAllText || value === format.nullValue || special;
  if (!needs) return value;
  const escaped = Array.from(value, (character) => (character === quote || character === escape ? escape + character : character));
  return quote + escaped.join('') + quote;
}

export function readOwnForm(text: string): MemoryCell[][] {
  return text.split('\n').slice(0, -1).map((line) => JSON.parse(line) as MemoryCell[]);
}

/** Reads text as `COPY … FROM STDIN` does, with its refusals. */
export function readTableText(text: string, columns: number): MemoryCell[][] {
  const rows: MemoryCell[][] = [];
  let row: MemoryCell[] = [];
  let cell = '';
  let raw = '';
  const endCell = (): void => {
    row.push(raw === '\\N' ? null : cell);
    cell = '';
    raw = '';
  };
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? '';
    if (character === '\\') {
      const next = text[++at];
      if (next === undefined || (next === '.' && raw === '' && row.length === 0)) throw new Error(`a backslash ends the text at ${at}`);
      raw += character + next;
      cell += letters[next] ?? next;
    } else if (character === '\t') {
      endCell();
    } else if (character === '\n') {
      endCell();
      if (row.length !== columns) throw new Error(`row ${rows.length + 1} has ${row.length} columns, not ${columns}`);
      rows.push(row);
      row = [];
    } else {
      if (character === '\r') throw new Error('literal carriage return found in data');
      raw += character;
      cell += character;
    }
  }
  if (row.length > 0 || raw !== '') throw new Error('the last row has no end');
  return rows;
}

import type { AdditionalColumn, AdditionalValue } from '@dmg/model';
import { shown } from './findings.ts';
import { kindOf, type ObjectReader } from './object-reader.ts';

const columnWord = '$$COLUMN:';

/** `additionalColumns` of a source: `[{ name, value }]`, where a value is a text, `$$FILEPATH` or `$$COLUMN:name`. */
export function readAdditionalColumns(reader: ObjectReader, kind: 'files' | 'table'): readonly AdditionalColumn[] {
  const columns = reader.objects('additionalColumns').flatMap((column): AdditionalColumn[] => {
    const name = column.string('name', { required: true });
    const value = readValue(column, kind);
    column.finish();
    if (name.state === 'given' && name.value === '') reader.findings.problem(column.at('name'), 'is empty');
    return name.state === 'given' && name.value !== '' && value !== undefined ? [{ name: name.value, value }] : [];
  });
  const names = columns.map(({ name }) => name);
  const repeated = names.find((name, index) => names.indexOf(name) !== index);
  if (repeated !== undefined) reader.findings.problem(reader.at('additionalColumns'), `add ${shown(repeated)} twice`);
  return columns;
}

function readValue(column: ObjectReader, kind: 'files' | 'table'): AdditionalValue | undefined {
  const raw = column.raw('value');
  const path = column.at('value');
  const problem = (text: string): undefined => {
    column.findings.problem(path, text);
    return undefined;
  };
  if (raw === undefined || raw === null) return problem('is missing; give a text, $$FILEPATH or $$COLUMN:name');
  if (typeof raw === 'object') return problem(`must be a text, not ${kindOf(raw)}`);
  const text = String(raw);
  if (text.includes('\0')) return problem('holds the character U+0000, which no table can hold');
  if (text.startsWith(columnWord)) {
    const name = text.slice(columnWord.length);
    return name === '' ? problem('names no column after $$COLUMN:') : { kind: 'column', column: name };
  }
  if (text === '$$FILEPATH') return kind === 'files' ? { kind: 'filePath' } : problem('is $$FILEPATH, but a table has no files');
  if (/^\$\$[A-Z]+\b/.test(text)) return problem(`is "${shown(text)}"; known are $$FILEPATH and $$COLUMN:name`);
  return { kind: 'text', text };
}

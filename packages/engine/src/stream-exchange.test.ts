import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OwnForm } from '@dmg/connector-api';
import type { TableColumn, Translator } from '@dmg/model';
import { exchangeOf, type ExchangeRequest } from './stream-exchange.ts';
import { tableEnd, tableJob, translatorOf } from './testing/table-fixture.ts';

const form = (name: string): OwnForm => ({ name, typeOf: ({ nativeType }) => (nativeType === 'xml' ? undefined : nativeType) });
const text = {
  type: 'DelimitedText', columnDelimiter: '\t', rowDelimiter: '\n', quoteChar: '', escapeChar: '\\', nullValue: '\\N',
  firstRowAsHeader: false, encodingName: 'UTF-8', skipLineCount: 0, quoteAllText: false,
} as const;
const columns = (...types: string[]): TableColumn[] =>
  types.map((nativeType, index) => ({ name: `c${index}`, type: 'String', nativeType, nullable: true }));

function wayOf(sink: TableColumn[] | undefined, change: Partial<ExchangeRequest> = {}, translator?: Translator): string {
  const { activity } = tableJob(tableEnd('db1', 't'), tableEnd('db2', 'u'), translator === undefined ? {} : { translator });
  const source = { text, writes: () => true, ownForm: form('same'), openColumns: () => Promise.reject(new Error('not to be opened')) };
  const request = { activity, source, sourceColumns: columns('int', 'text'), intake: text, intakeForm: form('same'), sinkColumns: sink };
  return exchangeOf({ ...request, ...change }).way;
}

test('rows stay in the form of the servers where every column has the same type at both ends, and nothing is converted', () => {
  assert.equal(wayOf(columns('int', 'text')), 'own');
  assert.equal(wayOf(columns('int', 'varchar')), 'pass');
  assert.equal(wayOf(columns('int', 'text').map(({ name, type, nullable }) => ({ name, type, nullable }))), 'pass');
  assert.equal(wayOf(columns('int', 'xml'), { sourceColumns: columns('int', 'xml') }), 'pass');
  assert.equal(wayOf(columns('int', 'text'), { intakeForm: form('other') }), 'pass');
  assert.equal(wayOf(columns('int', 'text'), { intakeForm: undefined }), 'pass');
  assert.equal(wayOf(undefined, { intake: undefined, intakeForm: undefined, activity: activityToFile() }), 'transcode');
  const crossed = translatorOf([{ source: { name: 'c1' }, sink: { name: 'c0' } }, { source: { name: 'c0' }, sink: { name: 'c1' } }]);
  assert.equal(wayOf(columns('text', 'int'), {}, crossed), 'own');
  assert.equal(wayOf(columns('int', 'text'), {}, crossed), 'pass');
  const converted = translatorOf([{ source: { name: 'c0', type: 'Int32' }, sink: { name: 'c0', type: 'Decimal' } }]);
  assert.equal(wayOf(columns('int'), { sourceColumns: columns('int') }, converted), 'transcode');
});

/** A file without quotes: what no server writes plainly. */
function activityToFile(): ExchangeRequest['activity'] {
  const { activity } = tableJob(tableEnd('db1', 't'), tableEnd('db2', 'u'));
  return { ...activity, sink: { ...activity.sink, format: text } };
}

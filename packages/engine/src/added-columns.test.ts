import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AdditionalColumn } from '@dmg/model';
import { codeOf, csv as rows, receiptOf } from './testing/copy-fixture.ts';
import { fileEnd, TableFixture, tableEnd, tableJob, translatorOf } from './testing/table-fixture.ts';

const additionalColumns: readonly AdditionalColumn[] = [
  { name: 'batch', value: { kind: 'text', text: 'May "5"' } },
  { name: 'file', value: { kind: 'filePath' } },
  { name: 'copy', value: { kind: 'column', column: 'id' } },
];
const forTables = additionalColumns.filter(({ value }) => value.kind !== 'filePath');
const csv = { ...rows, rowDelimiter: '\n' };

test('columns are added from text to text, each file its own path', async () => {
  const fixture = new TableFixture({ fileLimits: { partBytes: 64 } });
  const lines = Array.from({ length: 50 }, (_, index) => String(index));
  fixture.files.source.put('in/1.csv', `id\n${lines.join('\n')}\n`);
  fixture.files.source.put('in/sub/é 2.csv', 'id\n7\n');
  receiptOf(await fixture.run(tableJob(fileEnd('a', csv), fileEnd('b', csv), { additionalColumns })));
  const expected = ['id,batch,file,copy', ...lines.map((line) => `${line},"May ""5""",1.csv,${line}`), ''].join('\n');
  assert.equal(fixture.text('1.csv'), expected);
  assert.equal(fixture.text('sub/é 2.csv'), 'id,batch,file,copy\n7,"May ""5""",sub/é 2.csv,7\n');
  assert.equal(fixture.openHandles, 0);
});

test('merged files keep their own paths', async () => {
  const fixture = new TableFixture();
  fixture.files.source.put('in/1.csv', 'id\n1\n');
  fixture.files.source.put('in/2.csv', 'id\n2\n');
  const sink = { ...fileEnd('b', csv, { fileName: 'all.csv' }), settings: { copyBehavior: 'MergeFiles' } };
  receiptOf(await fixture.run(tableJob(fileEnd('a', csv), sink, { additionalColumns: additionalColumns.slice(1, 2) })));
  assert.equal(fixture.text('all.csv'), 'id,file\n1,1.csv\n2,2.csv\n');
});

test('columns are added from text to a table, by name, by position and by a mapping', async () => {
  for (const way of ['names', 'positions', 'mapping'] as const) {
    const fixture = new TableFixture();
    const format = { ...csv, firstRowAsHeader: way !== 'positions' };
    fixture.files.source.put('in/1.csv', way === 'positions' ? '1\n2\n' : 'id\n1\n2\n');
    fixture.db1.create('t', ['id', 'batch', 'file', 'copy']);
    const added = way === 'positions'
      ? [...additionalColumns.slice(0, 2), { name: 'copy', value: { kind: 'column', column: 'Prop_0' } as const }] : additionalColumns;
    const translator = translatorOf([
      { source: { name: 'file' }, sink: { name: 'batch' } }, { source: { name: 'id' }, sink: { name: 'id' } },
    ]);
    const job = tableJob(fileEnd('a', format), tableEnd('db1', 't'), {
      additionalColumns: added, ...(way === 'mapping' ? { translator } : {}),
    });
    receiptOf(await fixture.run(job));
    const rows = fixture.db1.tables.get('t')?.rows.toSorted();
    assert.deepEqual(rows, way === 'mapping' ? [['1', '1.csv', null, null], ['2', '1.csv', null, null]]
      : [['1', 'May "5"', '1.csv', '1'], ['2', 'May "5"', '1.csv', '2']]);
  }
});

test('columns are added from a table to text and to a table that is made for them', async () => {
  const fixture = new TableFixture();
  fixture.db1.create('t', ['id#'], [['1'], ['2']]);
  receiptOf(await fixture.run(tableJob(tableEnd('db1', 't'), fileEnd('b', csv, { fileName: 't.csv' }), { additionalColumns: forTables })));
  assert.equal(fixture.text('t.csv'), 'id,batch,copy\n1,"May ""5""",1\n2,"May ""5""",2\n');
  const made = tableEnd('db2', 'u', { tableOption: 'autoCreate' });
  receiptOf(await fixture.run(tableJob(tableEnd('db1', 't'), made, { additionalColumns: forTables })));
  const table = fixture.db2.tables.get('u');
  assert.deepEqual(table?.rows.toSorted(), [['1', 'May "5"', '1'], ['2', 'May "5"', '2']]);
  assert.deepEqual(table?.columns.map(({ name, type }) => [name, type]), [['id', 'Int32'], ['batch', 'String'], ['copy', 'Int32']]);
});

test('a name that is there already is refused', async () => {
  const fixture = new TableFixture();
  fixture.files.source.put('in/1.csv', 'id\n1\n');
  const job = tableJob(fileEnd('a', csv), fileEnd('b', csv), { additionalColumns: [{ name: 'id', value: { kind: 'text', text: '' } }] });
  assert.equal(codeOf(await fixture.run(job)), 'DMG_FORMATS_ADDED_COLUMN');
});

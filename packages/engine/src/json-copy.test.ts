import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonFormat } from '@dmg/model';
import { CopyFixture, csv, csvTable, makeJob, receiptOf } from './testing/copy-fixture.ts';

const json: JsonFormat = { type: 'Json', encodingName: 'UTF-8' };
const array: JsonFormat = { ...json, filePattern: 'arrayOfObjects' };
const lines: JsonFormat = { ...json, filePattern: 'setOfObjects' };
const out = { ...csv, escapeChar: '"', rowDelimiter: '\n' };
const objects = Array.from({ length: 2_000 }, (_, id) => ({ id, name: `n\n"${id}"` }));

async function copy(shape: Parameters<typeof makeJob>[0], files: Readonly<Record<string, string>>, partBytes = 500) {
  const fixture = new CopyFixture({ limits: { partBytes } });
  for (const [path, text] of Object.entries(files)) fixture.source.put(`in/${path}`, text);
  const receipt = receiptOf(await fixture.run(makeJob(shape)));
  assert.equal(fixture.openHandles, 0);
  const target = [...fixture.sink.objects.keys()].find((path) => path.startsWith('out/')) ?? '';
  return { receipt, text: Buffer.from(fixture.sink.get(target) ?? []).toString() };
}

test('objects of lines or arrays become rows, in many chunks', async () => {
  const expected = `id,name\n${objects.map(({ id, name }) => `${id},"${name.replaceAll('"', '""')}"\n`).join('')}`;
  const set = objects.map((each) => JSON.stringify(each)).join('\n');
  for (const text of [set, JSON.stringify(objects), JSON.stringify(objects, undefined, 1)]) {
    const { receipt, text: written } = await copy({ sourceFormat: json, sinkFormat: out }, { 't.json': text });
    assert.ok(written === expected, 'the rows differ');
    assert.ok(receipt.chunks > 3);
    assert.deepEqual([receipt.rowsWritten, receipt.bytesRead], [2_000, text.length]);
  }
});

test('rows become one object a line, or one array over all chunks and merged files', async () => {
  const rows = Array.from({ length: 900 }, (_, id) => ({ id: `${id}`, name: `name ${id}` }));
  const set = await copy({ sourceFormat: csv, sinkFormat: lines }, { 't.csv': csvTable(900) });
  assert.deepEqual(set.text.trimEnd().split('\n').map((line) => JSON.parse(line) as unknown), rows);
  const one = await copy({ sourceFormat: csv, sinkFormat: array }, { 't.csv': csvTable(900) });
  assert.deepEqual(JSON.parse(one.text), rows);
  assert.ok(set.receipt.chunks > 3 && one.receipt.chunks > 3);
  const merged = await copy(
    { sourceFormat: csv, sinkFormat: array, copyBehavior: 'MergeFiles', sinkFile: 'all.json' },
    { '0.csv': '', '1.csv': csvTable(900), '2.csv': 'id,name\n', '3.csv': csvTable(2), '4.csv': '' },
  );
  assert.deepEqual(JSON.parse(merged.text), [...rows, ...rows.slice(0, 2)]);
  assert.equal((await copy({ sourceFormat: csv, sinkFormat: array }, { 't.csv': '' })).text, '[\n]\n');
});

test('skipped rows leave no gap in an array', async () => {
  const text = `id,name\n${Array.from({ length: 300 }, (_, row) => (row % 3 === 0 ? 'bad\n' : `${row},x\n`)).join('')}`;
  const shape = { sourceFormat: csv, sinkFormat: array, activity: { skipIncompatibleRows: true } };
  const { text: written, receipt } = await copy(shape, { 't.csv': text }, 50);
  const found = (JSON.parse(written) as { id: string }[]).map(({ id }) => Number(id));
  assert.deepEqual(found, Array.from({ length: 300 }, (_, row) => row).filter((row) => row % 3 > 0));
  assert.equal(receipt.rowsSkipped, 100);
});

test('JSON to JSON is copied as it is, or object by object into the other shape', async () => {
  const text = JSON.stringify([{ a: 1 }, { b: { c: [1.50] } }, {}]);
  assert.equal((await copy({ sourceFormat: json, sinkFormat: json }, { 't.json': text })).text, text);
  assert.equal((await copy({ sourceFormat: json, sinkFormat: lines }, { 't.json': text }, 5)).text, '{"a":1}\n{"b":{"c":[1.5]}}\n{}\n');
});

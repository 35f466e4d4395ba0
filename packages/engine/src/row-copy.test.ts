import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectorErrors } from '@dmg/connector-api';
import { engineErrors } from './errors.ts';
import { codeOf, CopyFixture, csv, csvTable, makeJob, receiptOf, semicolons } from './testing/copy-fixture.ts';

test('rows are transcoded, in one chunk or many, with one header', async () => {
  const text = csvTable(3_000);
  const expected = text.replaceAll(',', ';').replaceAll('"', '');
  for (const partBytes of [100, 1_000, 1_000_000]) {
    const fixture = new CopyFixture({ limits: { partBytes } });
    fixture.source.put('in/t.csv', text);
    const receipt = receiptOf(await fixture.run(makeJob({ sourceFormat: csv, sinkFormat: semicolons })));
    assert.equal(Buffer.from(fixture.sink.get('out/t.csv') ?? []).toString(), expected);
    assert.deepEqual([receipt.rowsRead, receipt.rowsWritten, receipt.bytesRead], [3_000, 3_000, text.length]);
    assert.equal(receipt.chunks > 1, partBytes < 1_000_000);
    assert.equal(fixture.openHandles, 0);
  }
});

test('text files merge under one header, across chunk and file ends, with and without a last line end', async () => {
  for (const partBytes of [50, 100_000]) {
    const fixture = new CopyFixture({ limits: { partBytes } });
    fixture.source.put('in/0.csv', '');
    fixture.source.put('in/1.csv', 'id,name\n1,a\n2,b');
    fixture.source.put('in/2.csv', 'id,name\n');
    fixture.source.put('in/3.csv', csvTable(200));
    receiptOf(await fixture.run(makeJob({ sourceFormat: csv, sinkFormat: semicolons, copyBehavior: 'MergeFiles', sinkFile: 'all.csv' })));
    const rows = csvTable(200).replaceAll(',', ';').replaceAll('"', '').split('\n').slice(1);
    assert.equal(Buffer.from(fixture.sink.get('out/all.csv') ?? []).toString(), ['id;name', '1;a', '2;b', ...rows].join('\n'));
  }
});

test('files with other columns are not merged', async () => {
  const fixture = new CopyFixture();
  fixture.source.put('in/1.csv', 'id,name\n1,a\n');
  fixture.source.put('in/2.csv', 'name,id\nb,2\n');
  const job = makeJob({ sourceFormat: csv, sinkFormat: csv, copyBehavior: 'MergeFiles', sinkFile: 'all' });
  assert.equal(codeOf(await fixture.run(job)), engineErrors.MERGE_COLUMNS.code);
  assert.equal(fixture.sink.objects.size, 0);
});

test('a failed part of rows is seen before the mark', async () => {
  const fixture = new CopyFixture({ limits: { partBytes: 100 } });
  fixture.source.put('in/t.csv', csvTable(12));
  fixture.sink.intercept = (call) => {
    if (call === 'writePart') throw connectorErrors.NO_SPACE.create({ path: 't.csv', store: 'memory' });
  };
  assert.equal(codeOf(await fixture.run(makeJob({ sourceFormat: csv, sinkFormat: semicolons }))), connectorErrors.NO_SPACE.code);
});

test('a bad row fails the job and shows nothing', async () => {
  const fixture = new CopyFixture({ limits: { partBytes: 100 } });
  fixture.source.put('in/t.csv', `${csvTable(100)}too,many,fields\n`);
  const outcome = await fixture.run(makeJob({ sourceFormat: csv, sinkFormat: semicolons }));
  assert.equal(codeOf(outcome), 'DMG_FORMATS_COLUMN_COUNT');
  assert.equal(outcome.kind === 'failed' && outcome.fault.params.row, 101);
  assert.equal(fixture.sink.objects.size, 0);
});

test('chunks that end at records of several blocks lose none of the rows behind them', async () => {
  // A long record is looked at only when what is held of it has doubled: its end, and other rows with it, may lie in a block before
  // the one that showed it.
  const record = (id: number, megabytes: number): string => `${id},"${'x'.repeat(megabytes * 1_000_000)}"\n`;
  const small = Array.from({ length: 50 }, (_, index) => `${index + 100},${'y'.repeat(20_000)}\n`).join('');
  const text = `id,text\n${record(1, 5)}${small}${record(2, 5.5)}${small}${record(3, 1.1)}${small}`;
  const fixture = new CopyFixture({ limits: { partBytes: 100_000 } });
  fixture.source.put('in/t.csv', text);
  const receipt = receiptOf(await fixture.run(makeJob({ sourceFormat: csv, sinkFormat: semicolons })));
  assert.equal(receipt.rowsWritten, 153);
  assert.ok(receipt.chunks > 3);
  const written = Buffer.from(fixture.sink.get('out/t.csv') ?? []).toString();
  assert.ok(written === text.replaceAll(',', ';').replaceAll('"', ''), 'the copy differs from its source');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CopyActivity, CopyLog, Translator } from '@dmg/model';
import { receiptDigest } from '@dmg/model';
import { engineErrors } from './errors.ts';
import { codeOf, CopyFixture, csv, makeJob, receiptOf, semicolons, unreachable } from './testing/copy-fixture.ts';

const toNumber: Translator = {
  mappings: [
    { source: { name: 'id', type: 'String' }, sink: { name: 'id', type: 'Int32' } }, { source: { name: 'name' }, sink: { name: 'name' } },
  ],
  typeConversion: true, typeConversionSettings: { allowDataTruncation: false, treatBooleanAsNumber: false },
};

function logOf(form: CopyLog['form'], level: CopyLog['level'] = 'Info'): CopyLog {
  const store = {
    connector: 'memory', connection: { store: 'log' }, location: { folderPath: 'logs' }, settings: {}, format: { type: 'Binary' },
  } as const;
  return { store, form, level };
}

function skipping(activity: Partial<CopyActivity> = {}, shape: Parameters<typeof makeJob>[0] = {}) {
  return makeJob({
    sourceFormat: csv, sinkFormat: semicolons, ...shape, activity: { skipIncompatibleRows: true, translator: toNumber, ...activity },
  });
}

/** Every tenth row cannot be converted, every fifteenth has too many columns. */
function rowsWithFaults(count: number): { text: string; good: string; bad: number } {
  const rows = Array.from({ length: count }, (_, id) => {
    if (id % 15 === 7) return `${id},a,b`;
    return id % 10 === 3 ? `"x${id}",name` : `${id},name ${id}`;
  });
  const good = rows.filter((row) => /^\d+,name/.test(row)).map((row) => `${row.replace(',', ';')}\n`);
  return { text: `id,name\n${rows.join('\n')}\n`, good: `id;name\n${good.join('')}`, bad: count - good.length };
}

function logs(fixture: CopyFixture): Map<string, string> {
  const found = new Map<string, string>();
  for (const [path, { bytes }] of fixture.stores.store('log').objects) found.set(path, Buffer.from(bytes).toString());
  return found;
}

/** Row numbers of all redirected rows. */
function redirected(fixture: CopyFixture): number[] {
  return [...logs(fixture).values()].flatMap((text) => text.trimEnd().split('\n').slice(1))
    .map((line) => Number(line.split(',').at(-2))).toSorted((a, b) => a - b);
}

test('bad rows are left out, counted and redirected, in one chunk or many', async () => {
  const { text, good, bad } = rowsWithFaults(600);
  for (const partBytes of [50, 1_000_000]) {
    const fixture = new CopyFixture({ limits: { partBytes } });
    fixture.source.put('in/t.csv', text);
    const receipt = receiptOf(await fixture.run(skipping({ log: logOf('rows') })));
    assert.equal(Buffer.from(fixture.sink.get('out/t.csv') ?? []).toString(), good);
    assert.deepEqual([receipt.rowsRead, receipt.rowsWritten, receipt.rowsSkipped], [600, 600 - bad, bad]);
    assert.equal(receipt.digest, receiptDigest(receipt));
    const ids = Array.from({ length: 600 }, (_, id) => id).filter((id) => id % 15 === 7 || id % 10 === 3);
    assert.deepEqual(redirected(fixture), ids.map((id) => id + 1));
    const [path = '', file = ''] = [...logs(fixture)][0] ?? [];
    assert.match(path, /^logs\/ar\/rows-0-0-0-[0-9a-f]{32}\.csv$/);
    const [header, first] = file.split('\n');
    assert.equal(header, 'OriginalRow,ErrorCode,ErrorMessage,FileName,RowNumber,ColumnName');
    assert.match(first ?? '', /^"""x3"",name",DMG_FORMATS_INVALID_VALUE,"Cannot convert column id in row 4 of t\.csv .*",t\.csv,4,id$/);
    assert.deepEqual([fixture.stores.store('log').sideFiles.size, fixture.openHandles, fixture.stores.store('log').openHandles], [0, 0, 0]);
  }
});

test('without a log rows are counted; without the switch the first one fails; equal formats are looked at as well', async () => {
  const fixture = new CopyFixture();
  fixture.source.put('in/t.csv', 'id,name\n1,a\n2,b,c\n3,d\n');
  const receipt = receiptOf(await fixture.run(makeJob({ sourceFormat: csv, sinkFormat: csv, activity: { skipIncompatibleRows: true } })));
  assert.deepEqual([receipt.rowsWritten, receipt.rowsSkipped], [2, 1]);
  const none = new CopyFixture();
  none.source.put('in/t.csv', 'id,name\n1,a\n');
  const log = { ...logOf('rows'), store: { ...logOf('rows').store, connector: 'none' } };
  assert.equal(codeOf(await none.run(skipping({ log }))), engineErrors.NO_SIDE_FILES.code);
});

test('a session log says what was read, written and skipped; at Warning only what was skipped', async () => {
  const fixture = new CopyFixture();
  fixture.source.put('in/a.csv', 'id,name\n1,a\nx,"b,\n2"\n');
  fixture.source.put('in/b.csv', 'id,name\n2,c\n');
  receiptOf(await fixture.run(skipping({ log: logOf('session') })));
  const files = [...logs(fixture)].toSorted(([a], [b]) => (a < b ? -1 : 1));
  assert.deepEqual(files.map(([path]) => path.replace(/-[0-9a-f]{32}/, '-ID')), [
    'logs/copyactivity-logs/a/ar/rows-0-0-0-ID.csv', 'logs/copyactivity-logs/a/ar/session-ID.csv',
  ]);
  const [rows = '', session = ''] = files.map(([, text]) => text.replaceAll(/^\d{4}-[^,]*Z/gm, 'T'));
  assert.match(rows, /^Timestamp,Level,OperationName,OperationItem,Message\nT,Warning,TabularRowSkip,/);
  assert.match(rows, /TabularRowSkip,"x,""b,\n2""","DMG_FORMATS_INVALID_VALUE: /);
  assert.deepEqual(session.split('\n').map((line) => line.split(',').slice(0, 4).join(',')), [
    'Timestamp,Level,OperationName,OperationItem', 'T,Info,FileRead,a.csv', 'T,Warning,TabularRowSkip,a.csv', 'T,Info,FileWrite,a.csv',
    'T,Info,FileRead,b.csv', 'T,Info,FileWrite,b.csv', '',
  ]);
  const quiet = new CopyFixture();
  quiet.source.put('in/b.csv', 'id,name\n2,c\n');
  receiptOf(await quiet.run(skipping({ log: logOf('session', 'Warning') })));
  assert.equal(logs(quiet).size, 0);
});

test('only files that marks name are published, whoever finishes, and those of a closed job never', async () => {
  const { text, good, bad } = rowsWithFaults(300);
  const fixture = new CopyFixture({ limits: { partBytes: 50 } });
  fixture.source.put('in/t.csv', text);
  const job = skipping({ log: logOf('rows') }, { job: { finalTry: false, policy: { timeoutMs: 60_000, retry: 1, retryIntervalMs: 1 } } });
  // The first attempt dies in its third chunk, after its rows were redirected and before the chunk was marked.
  let marks = 0;
  fixture.sink.intercept = (call) => {
    if (call === 'mark' && ++marks > 2) throw engineErrors.NO_SIDE_FILES.create({ connector: 'x' });
  };
  assert.equal((await fixture.run(job)).kind, 'failed');
  assert.equal(logs(fixture).size, 0);
  // The second one finishes, and dies before its files are published; the third finds the job done and publishes them.
  fixture.sink.intercept = undefined;
  let finished = false;
  fixture.sink.intercept = (call) => {
    finished ||= call === 'finish';
  };
  fixture.stores.store('log').intercept = (call) => {
    if (finished && call === 'sideFile') throw engineErrors.NO_SIDE_FILES.create({ connector: 'x' });
  };
  assert.equal((await fixture.run(job)).kind, 'failed');
  assert.equal(Buffer.from(fixture.sink.get('out/t.csv') ?? []).toString(), good);
  fixture.stores.store('log').intercept = undefined;
  const receipt = receiptOf(await fixture.run({ ...job, finalTry: true }));
  assert.equal(receipt.rowsSkipped, bad);
  assert.equal(redirected(fixture).length, bad);
  assert.equal(new Set(redirected(fixture)).size, bad);
  assert.equal(fixture.stores.store('log').sideFiles.size, 0);

  const failing = new CopyFixture({ limits: { partBytes: 50 } });
  failing.source.put('in/t.csv', `${text}1,"never closed`);
  assert.equal(codeOf(await failing.run(skipping({ log: logOf('rows') }))), 'DMG_FORMATS_UNCLOSED_QUOTE');
  assert.deepEqual([logs(failing).size, failing.stores.store('log').sideFiles.size], [0, 0]);
});

test('a log that cannot be written for a moment delays the copy, and loses no row', async () => {
  const { text, bad } = rowsWithFaults(200);
  const fixture = new CopyFixture({ limits: { partBytes: 100 } });
  fixture.source.put('in/t.csv', text);
  let calls = 0;
  fixture.stores.store('log').intercept = (call) => {
    if (call === 'sideFile' && ++calls % 3 === 1) throw unreachable();
  };
  const receipt = receiptOf(await fixture.run(skipping({ log: logOf('rows') })));
  assert.equal(receipt.rowsSkipped, bad);
  assert.equal(redirected(fixture).length, bad);
});

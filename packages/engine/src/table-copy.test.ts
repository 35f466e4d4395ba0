import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock, StopReason } from '@dmg/base';
import { connectorErrors } from '@dmg/connector-api';
import type { DelimitedTextFormat, JsonObject } from '@dmg/model';
import { engineErrors } from './errors.ts';
import { codeOf, csv, receiptOf, semicolons, unreachable } from './testing/copy-fixture.ts';
import { byKey, fileEnd, numbered, tableEnd, tableJob, TableFixture, translatorOf } from './testing/table-fixture.ts';

const lines: DelimitedTextFormat = { ...csv, rowDelimiter: '\n' };

test('a table becomes one file with one header, its bytes passed through, and the receipt is of one moment', async () => {
  const fixture = new TableFixture();
  fixture.db1.create('public.t', ['id#', 'name'], numbered(35));
  const receipt = receiptOf(await fixture.run(tableJob(tableEnd('db1', 'public.t'), fileEnd('b', lines))));
  assert.equal(fixture.text('public.t.txt'), `id,name\n${numbered(35).map(([id]) => `${id},"name ""${id}"""\n`).join('')}`);
  const plan = fixture.files.sink.job('job-1').plan;
  assert.deepEqual([plan?.representation, plan?.targets[0]?.cutting.kind, plan?.sourceKind], ['bytes', 'streams', 'addressable']);
  const { rowsRead, rowsWritten, chunks, guarantee, consistency, filesRead, filesWritten } = receipt;
  assert.deepEqual({ rowsRead, rowsWritten, chunks, guarantee, consistency, filesRead, filesWritten }, {
    rowsRead: 35, rowsWritten: 35, chunks: 4, guarantee: 'exactlyOnce', consistency: 'snapshot', filesRead: 0, filesWritten: 1,
  });
  assert.equal(receipt.bytesRead, receipt.bytesWritten - 'id,name\n'.length);
  assert.equal(fixture.openHandles, 0);
});

test("a server's own text without quotes stays out of files: its letters for line breaks are read by servers only", async () => {
  const fixture = new TableFixture();
  const rows = [['1', 'a\nb\tc\\d'], ['2', null], ['3', '\\N']];
  fixture.db1.create('t', ['id#', 'name'], rows);
  const own: DelimitedTextFormat = {
    ...lines, columnDelimiter: '\t', quoteChar: '', escapeChar: '\\', nullValue: '\\N', firstRowAsHeader: false,
  };
  receiptOf(await fixture.run(tableJob(tableEnd('db1', 't'), fileEnd('b', own, { fileName: 't.txt' }))));
  assert.equal(fixture.text('t.txt'), '1\ta\\\nb\\\tc\\\\d\n2\t\\N\n3\t\\\\N\n');
});

test('other row ends are replaced outside quotes, other dialects are transcoded, an empty table has its header', async () => {
  const rows = [['1', 'a\nb'], ['2', null], ['3', '']];
  const cases: [DelimitedTextFormat, string, string][] = [
    [{ ...csv, rowDelimiter: '\r\n' }, 'bytes', 'id,name\r\n1,"a\nb"\r\n2,\r\n3,""\r\n'],
    [csv, 'bytes', 'id,name\r\n1,"a\nb"\r\n2,\r\n3,""\r\n'],
    [{ ...csv, columnDelimiter: '||', rowDelimiter: '\n' }, 'rows', 'id||name\n1||"a\nb"\n2||\n3||""\n'],
    [{ ...semicolons, firstRowAsHeader: false, nullValue: 'NULL' }, 'bytes', '1;"a\nb"\n2;NULL\n3;\n'],
  ];
  for (const [format, representation, expected] of cases) {
    const fixture = new TableFixture();
    fixture.db1.create('t', ['id#', 'name'], rows);
    receiptOf(await fixture.run(tableJob(tableEnd('db1', 't'), fileEnd('b', format, { fileName: 'x.csv' }))));
    assert.equal(fixture.text('x.csv'), expected);
    assert.equal(fixture.files.sink.job('job-1').plan?.representation, representation);
    fixture.db1.create('t', ['id#', 'name']);
    receiptOf(await fixture.run(tableJob(tableEnd('db1', 't'), fileEnd('b', format, { fileName: 'y.csv' }), {}, { jobId: 'empty' })));
    assert.equal(fixture.text('y.csv'), expected.slice(0, expected.indexOf('1')));
  }
});

test('a value that begins like a byte order mark is quoted at the beginning of a file, and only there', async () => {
  const fixture = new TableFixture();
  fixture.db1.create('t', ['id#', 'name'], [['1', '\uFEFFa'], ['2', '\uFEFFb']]);
  const translator = translatorOf([{ source: { name: 'name' }, sink: { name: 'n' } }]);
  receiptOf(await fixture.run(tableJob(tableEnd('db1', 't'), fileEnd('b', { ...lines, firstRowAsHeader: false }), { translator })));
  assert.equal(fixture.text('t.txt'), '"\uFEFFa"\n"\uFEFFb"\n');
  receiptOf(await fixture.run(tableJob(tableEnd('db1', 't'), fileEnd('b', lines, { fileName: 'h' }), { translator }, { jobId: 'h' })));
  assert.equal(fixture.text('h'), 'n\n\uFEFFa\n\uFEFFb\n');
});

test('columns are chosen, ordered, renamed and converted', async () => {
  const columns = [{ source: { name: 'name' }, sink: { name: 'called' } }, { source: { ordinal: 1 }, sink: { name: 'number' } }];
  const converted = [{ source: { name: 'id', type: 'Int32' as const }, sink: { name: 'number', type: 'Decimal' as const } }];
  for (const choosesColumns of [true, false]) {
    const fixture = new TableFixture({ tables: { choosesColumns } });
    fixture.db1.create('t', ['id#', 'name', 'rest'], [['1', 'a', 'x'], ['2', 'b', 'y']]);
    const to = (fileName: string) => fileEnd('b', lines, { fileName });
    receiptOf(await fixture.run(tableJob(tableEnd('db1', 't'), to('x'), { translator: translatorOf(columns) })));
    assert.equal(fixture.text('x'), 'called,number\na,1\nb,2\n');
    assert.equal(fixture.files.sink.job('job-1').plan?.representation, choosesColumns ? 'bytes' : 'rows');
    receiptOf(await fixture.run(tableJob(tableEnd('db1', 't'), to('y'), { translator: translatorOf(converted) }, { jobId: 'c' })));
    assert.equal(fixture.text('y'), 'number\n1\n2\n');
    assert.equal(fixture.files.sink.job('c').plan?.representation, 'rows');
  }
});

test('files go into a table: by name, in another order and case, with hostile values; the script runs once', async () => {
  const fixture = new TableFixture({ tables: { limits: { partBytes: 64 } } });
  fixture.db2.create('t', ['id#', 'name', 'extra'], [['99', 'old', null]]);
  const rows = Array.from({ length: 100 }, (_, index) => `"tab\tline\nreturn\r\\ ""${index}""",${index}\r\n`).join('');
  fixture.files.source.put('in/1.csv', `Name,ID\r\n${rows}`);
  fixture.files.source.put('in/2.csv', 'id,name\r\n100,\r\n101,""\r\n');
  fixture.files.source.put('in/3.csv', '');
  const receipt = receiptOf(await fixture.run(tableJob(fileEnd('a'), tableEnd('db2', 't', { preCopyScript: 'truncate' }))));
  const expected = Array.from({ length: 100 }, (_, index) => [String(index), `tab\tline\nreturn\r\\ "${index}"`, null]);
  assert.deepEqual(byKey(fixture.db2.tables.get('t')?.rows), [...expected, ['100', null, null], ['101', '', null]]);
  assert.deepEqual(fixture.db2.scripts, ['job-1']);
  assert.deepEqual([receipt.rowsWritten, receipt.filesRead, receipt.filesWritten, receipt.consistency], [102, 3, 0, 'perChunk']);
  assert.ok(receipt.chunks > 3);
  assert.deepEqual(fixture.db2.job('job-1').plan?.targets.map(({ path, base }) => [path, base]), Array(3).fill(['t', 'table']));
  assert.equal(fixture.openHandles, 0);
});

test('a table that is not there is created where that is asked for, and refused otherwise', async () => {
  const fixture = new TableFixture();
  fixture.files.source.put('in/0.csv', '');
  fixture.files.source.put('in/1.csv', 'id,name\n1,a\n');
  fixture.files.source.put('in/2.csv', 'NAME,ID\nb,2\n');
  const refused = await fixture.run(tableJob(fileEnd('a'), tableEnd('db2', 't'), {}, { jobId: 'no' }));
  assert.equal(codeOf(refused), engineErrors.TABLE_NOT_FOUND.code);
  receiptOf(await fixture.run(tableJob(fileEnd('a'), tableEnd('db2', 't', { tableOption: 'autoCreate' }))));
  assert.deepEqual(fixture.db2.tables.get('t'), {
    columns: ['id', 'name'].map((name) => ({ name, type: 'String', nullable: true })), rows: [['1', 'a'], ['2', 'b']],
  });
  fixture.db1.create('s', ['id#', 'name'], [['1', 'a']]);
  receiptOf(await fixture.run(tableJob(tableEnd('db1', 's'), tableEnd('db2', 'n', { tableOption: 'autoCreate' }), {}, { jobId: 'n' })));
  assert.deepEqual(fixture.db2.tables.get('n'), fixture.db1.tables.get('s'));
  const empty = new TableFixture();
  empty.files.source.put('in/0.csv', '');
  const nothing = await empty.run(tableJob(fileEnd('a'), tableEnd('db2', 't', { tableOption: 'autoCreate' })));
  assert.equal(codeOf(nothing), engineErrors.NO_COLUMNS.code);
});

test('table to table passes text through; a query is one chunk of one moment', async () => {
  const rows = [['1', 'a\tb\\\n'], ['2', null], ['3', '\\N'], ['4', '']];
  for (const settings of [{}, { query: 'select' }] satisfies JsonObject[] as readonly JsonObject[]) {
    const fixture = new TableFixture({ tables: { partitionRows: 1 } });
    fixture.db1.create('t', ['id#', 'name'], rows);
    fixture.db2.create('u', ['name', 'other', 'ID#']);
    const receipt = receiptOf(await fixture.run(tableJob(tableEnd('db1', 't', settings), tableEnd('db2', 'u'))));
    assert.deepEqual(
      fixture.db2.tables.get('u')?.rows.toSorted((a, b) => Number(a[2]) - Number(b[2])), rows.map(([id, name]) => [name, null, id]),
    );
    const plan = fixture.db2.job('job-1').plan;
    assert.deepEqual([plan?.representation, plan?.targets[0]?.columns?.map((column) => column.name)], ['bytes', ['ID', 'name']]);
    assert.deepEqual([receipt.chunks, receipt.guarantee, receipt.consistency], ['query' in settings ? 1 : 4, 'exactlyOnce', 'snapshot']);
    assert.equal(fixture.openHandles, 0);
  }
});

test('ends that do not fit are refused before anything is written', async () => {
  const fixture = new TableFixture();
  fixture.db1.create('t', ['id#', 'name'], [['1', 'a']]);
  fixture.files.source.put('in/1.csv', 'id,nome\n1,a\n');
  const binary = { ...fileEnd('a'), format: { type: 'Binary' as const } };
  const jobs: [ReturnType<typeof tableJob>, string][] = [
    [tableJob(binary, tableEnd('db1', 't')), engineErrors.FORMATS_MIXED.code],
    [tableJob(tableEnd('db1', 't'), { ...fileEnd('b'), format: { type: 'Binary' } }), engineErrors.FORMATS_MIXED.code],
    [tableJob(tableEnd('db1', 't'), tableEnd('db1', 't')), engineErrors.TABLE_ONTO_ITSELF.code],
    [tableJob({ ...fileEnd('a'), format: { type: 'Table' } }, fileEnd('b')), engineErrors.NO_TABLES.code],
    [tableJob(fileEnd('a'), { ...fileEnd('b'), format: { type: 'Table' } }), engineErrors.NO_TABLES.code],
    [tableJob(fileEnd('a'), { ...tableEnd('db1', 't'), format: csv }), engineErrors.NO_TABLES.code],
    [tableJob(fileEnd('a'), tableEnd('db1', 't')), engineErrors.COLUMN_NOT_IN_TABLE.code],
    [tableJob(tableEnd('db1', 't'), fileEnd('b', { ...lines, encodingName: 'UTF-16' })), 'DMG_FORMATS_BAD_FORMAT'],
  ];
  for (const [index, [job, code]] of jobs.entries()) {
    const outcome = await fixture.run({ ...job, jobId: `refused-${index}` });
    assert.equal(codeOf(outcome), code, `${index}`);
    assert.equal(outcome.kind === 'failed' && outcome.sink, 'aborted', `${index}`);
  }
  assert.deepEqual(fixture.db1.tables.get('t')?.rows, [['1', 'a']]);
  assert.equal(fixture.openHandles, 0);
});

test('columns that changed between attempts, rows that do not arrive and targets that outgrow their sink end the copy', async () => {
  const fixture = new TableFixture({ fileLimits: { partBytes: 10, partBytesMax: 10, partsPerTargetMax: 40 } });
  fixture.db1.create('t', ['id#', 'name'], numbered(20));
  let opened = 0;
  fixture.db1.intercept = (call) => {
    if (call === 'open' && ++opened === 2) fixture.db1.create('t', ['id#', 'called'], numbered(20));
  };
  const job = tableJob(tableEnd('db1', 't'), fileEnd('b', lines), { parallelCopies: 1 });
  assert.equal(codeOf(await fixture.run(job)), connectorErrors.SOURCE_CHANGED.code);
  fixture.db1.intercept = undefined;
  fixture.db1.create('t', ['id#', 'name'], numbered(60));
  assert.equal(codeOf(await fixture.run({ ...job, jobId: 'large' })), connectorErrors.TOO_LARGE.code);
  // The plan is made when the table is small.
  fixture.db1.create('t', ['id#', 'name'], numbered(4));
  fixture.db1.intercept = (call) => {
    if (call === 'open') fixture.db1.create('t', ['id#', 'name'], numbered(60));
  };
  const grows = tableJob(tableEnd('db1', 't', { consistency: 'perChunk' }), fileEnd('b', lines), {}, { jobId: 'grows' });
  assert.equal(codeOf(await fixture.run(grows)), connectorErrors.TOO_LARGE.code);
  fixture.db1.intercept = undefined;
  const connector = fixture.tables();
  const losing: typeof connector = {
    ...connector,
    async openTableSource(end, context) {
      const table = await connector.openTableSource?.(end, context);
      assert.ok(table !== undefined);
      const open = table.open.bind(table);
      table.open = async (partition, format, signal) => {
        const stream = await open(partition, format, signal);
        return { next: (next) => stream.next(next), close: () => stream.close(), get rows() {
          return stream.rows + 1;
        } };
      };
      return table;
    },
  };
  fixture.db1.create('t', ['id#', 'name'], numbered(4));
  const transcoded = tableJob(tableEnd('db1', 't'), fileEnd('b', { ...lines, columnDelimiter: '||' }), {}, { jobId: 'lost' });
  const connectors = new Map([...fixture.connectors(), ['memory-table', losing] as const]);
  assert.equal(codeOf(await fixture.run(transcoded, { connectors })), engineErrors.ROWS_DIFFER.code);
  assert.equal(fixture.files.sink.objects.size, 0);
  assert.equal(fixture.openHandles, 0);
});

test('transient errors of every call are survived', async () => {
  const fixture = new TableFixture({ tables: { limits: { partBytes: 100 } } });
  fixture.db1.create('t', ['id#', 'name'], numbered(40));
  fixture.db2.create('u', ['id#', 'name']);
  for (const store of [fixture.db1, fixture.db2]) {
    const failed = new Map<string, number>();
    store.intercept = (call, subject) => {
      const times = (failed.get(`${call} ${subject}`) ?? 0) + 1;
      failed.set(`${call} ${subject}`, times);
      if (times <= 2) throw unreachable();
    };
  }
  const limits = { retryForMs: 5_000, backoff: { firstMs: 0.1, factor: 1, maxMs: 0.1 } };
  const receipt = receiptOf(await fixture.run(tableJob(tableEnd('db1', 't'), tableEnd('db2', 'u')), { limits }));
  assert.deepEqual(byKey(fixture.db2.tables.get('u')?.rows), numbered(40));
  assert.equal(receipt.rowsWritten, 40);
  assert.equal(fixture.openHandles, 0);
});

test('a stream that hangs is given up at its deadline and read again; the first rows may take longer', async () => {
  const fixture = new TableFixture();
  fixture.db1.create('t', ['id#', 'name'], numbered(5));
  const clock = new ManualClock();
  let blocks = 0;
  fixture.db1.intercept = (call) => {
    if (call !== 'next') return undefined;
    blocks++;
    if (blocks === 1) clock.advance(4_000);
    if (blocks !== 3) return undefined;
    // Nobody answers any more; time passes when the deadline has been set.
    setImmediate(() => clock.advance(20));
    return new Promise(() => undefined);
  };
  const limits = { nextRowsLimitMs: 20, firstRowLimitMs: 5_000, backoff: { firstMs: 0, factor: 1, maxMs: 0 } };
  const running = fixture.run(tableJob(tableEnd('db1', 't'), fileEnd('b', lines)), { limits, clock });
  const ended = running.then(() => true);
  // The pause before the repetition ends at once, as it has no length.
  while (!await Promise.race([ended, new Promise<false>((resolve) => setImmediate(() => resolve(false)))])) clock.advance(0);
  receiptOf(await running);
  assert.ok(blocks > 3);
  assert.equal(fixture.text('t.txt').split('\n').length, 7);
});

test('a cancel in the middle of a stream ends it at once', async () => {
  const fixture = new TableFixture();
  fixture.db1.create('t', ['id#', 'name'], numbered(50));
  fixture.db2.create('u', ['id#', 'name']);
  const controller = new AbortController();
  let blocks = 0;
  fixture.db1.intercept = (call) => {
    if (call !== 'next' || ++blocks < 5) return undefined;
    controller.abort(new StopReason('cancelled'));
    return new Promise(() => undefined);
  };
  const job = tableJob(tableEnd('db1', 't'), tableEnd('db2', 'u'));
  assert.deepEqual(await fixture.run(job, { signal: controller.signal }), { kind: 'cancelled', sink: 'aborted' });
  assert.equal(fixture.db2.job('job-1').phase, 'aborted');
  assert.equal(fixture.openHandles, 0);
});

test('columns that change places while the plan is made are not taken for each other', async () => {
  const fixture = new TableFixture();
  fixture.db1.create('t', ['id#', 'first', 'second'], [['1', 'a', 'b']]);
  fixture.db2.create('t', ['id#', 'first', 'second']);
  let calls = 0;
  fixture.db1.intercept = () => {
    if (++calls === 2) fixture.db1.create('t', ['id#', 'second', 'first'], [['1', 'b', 'a']]);
  };
  const outcome = await fixture.run(tableJob(tableEnd('db1', 't'), tableEnd('db2', 't')));
  assert.equal(codeOf(outcome), connectorErrors.SOURCE_CHANGED.code);
  assert.deepEqual(fixture.db2.tables.get('t')?.rows, []);
});

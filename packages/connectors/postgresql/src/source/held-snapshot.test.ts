import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { isDmgError } from '@dmg/base';
import { connectorErrors, type SharedSnapshots, type TablePartitions, type TableSource } from '@dmg/connector-api';
import { startPostgres } from '../testing/postgres-server.ts';
import { dynamicRange, readAll, readText, SourceFixture } from '../testing/source-fixture.ts';
import { csvText } from './copy-format.ts';

const { signal } = new AbortController();
const server = await startPostgres({ after });
const fixture = new SourceFixture(server);
const byId = dynamicRange({ partitionColumnName: 'id' });

/** 4,000 rows, which `oldRows` lists. */
async function create(table: string, key: 'key' | 'no key'): Promise<void> {
  await server.query(`CREATE TABLE ${table} (id int NOT NULL${key === 'key' ? ' PRIMARY KEY' : ''}, name text)`);
  await server.query(`INSERT INTO ${table} SELECT g, 'old ' || repeat('x', g % 100) FROM generate_series(1, 4000) g`);
}

const oldRows = Array.from({ length: 4000 }, (_, index) => `${index + 1},old ${'x'.repeat((index + 1) % 100)}`);

/** Every row is moved, some go, others come: what lies in which page is another thing afterwards. */
async function churn(table: string): Promise<void> {
  for (const step of [
    `UPDATE ${table} SET name = 'new'`, `DELETE FROM ${table} WHERE id % 3 = 0`, `VACUUM ${table}`,
    `INSERT INTO ${table} SELECT g + (SELECT max(id) FROM ${table}), 'later' FROM generate_series(1, 3000) g`,
    `UPDATE ${table} SET name = 'newer' WHERE id % 2 = 0`, `VACUUM ${table}`,
  ]) await server.query(step);
}

function sharedOf(source: TableSource): SharedSnapshots {
  assert.ok(source.snapshots !== undefined);
  return source.snapshots;
}

async function planned(table: string, settings = byId): Promise<{ source: TableSource; parts: TablePartitions; key: string }> {
  const source = await fixture.open(fixture.end({ table }, settings));
  const parts = await source.partition(signal, { partitionsMax: 100, snapshotBound: true });
  assert.ok(parts.partitions.length >= 4 && parts.snapshotKey !== undefined);
  return { source, parts, key: parts.snapshotKey };
}

/** A source of another attempt that has joined the snapshot. */
async function joined(table: string, key: string): Promise<TableSource> {
  const source = await fixture.open(fixture.end({ table }, byId));
  assert.equal(await sharedOf(source).join(key, signal), true);
  return source;
}

const holders = (key: string): string => `SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'dmg:s:${key}:%'`;
const sorted = (lines: readonly (readonly string[])[]): string[] =>
  lines.flat().toSorted((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    return isDmgError(error) ? error.code : String(error);
  }
  return 'none';
}

for (const kind of ['key', 'no key'] as const) {
  const what = kind === 'key' ? 'ranges of a key' : 'ranges of pages';

  test(`${what}: the snapshot outlives who exported it, as long as somebody holds it, whatever becomes of the table`, async () => {
    const table = kind === 'key' ? 'keyed' : 'bare';
    await create(table, kind);
    const { source: first, parts, key } = await planned(table, kind === 'key' ? byId : dynamicRange());
    assert.equal(parts.kind, kind === 'key' ? 'addressable' : 'snapshotBound');
    const second = await joined(table, key);
    await churn(table);
    // As a node that is killed: its session ends without a word.
    await server.admin(`SELECT pg_terminate_backend(pid) FROM (${holders(key)} ORDER BY xact_start LIMIT 1) AS s`);
    await first.close();
    await churn(table);
    const third = await joined(table, key);
    await second.close();
    await server.query(`VACUUM ${table}`);
    assert.deepEqual(sorted(await readAll(third, parts)), oldRows);
    assert.equal((await server.admin(holders(key))).length, 1);
    await third.close();
    await fixture.waitFor(`SELECT 1 WHERE NOT EXISTS (${holders(key)})`);
    const late = await fixture.open(fixture.end({ table }, byId));
    assert.equal(await sharedOf(late).join(key, signal), false);
    const [part] = parts.partitions;
    assert.ok(part !== undefined);
    if (kind === 'key') assert.notEqual((await readText(late, part)).rows, 0);
    else assert.equal(await codeOf(late.open(part, csvText, signal)), connectorErrors.SNAPSHOT_LOST.code);
    await late.close();
  });
}

test('an attempt whose own session is ended goes on under the snapshot that another one holds, and under none other', async () => {
  await create('ended', 'key');
  const { source, parts, key } = await planned('ended');
  const keeper = await joined('ended', key);
  await churn('ended');
  await server.admin(`SELECT pg_terminate_backend(pid) FROM (${holders(key)} ORDER BY xact_start LIMIT 1) AS s`);
  assert.deepEqual(sorted(await readAll(source, parts)), oldRows);
  assert.equal((await server.admin(holders(key))).length, 2);
  await keeper.close();
  // Sessions that read under the snapshot see it to their end; none of them can be asked for it.
  await server.admin(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'dmg:s%'`);
  const [part] = parts.partitions;
  assert.ok(part !== undefined);
  await fixture.waitFor(`SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name LIKE 'dmg:s%')`);
  // Of which sessions the end was not heard of yet, is found out by using them.
  let code: string;
  do code = await codeOf(source.open(part, csvText, signal)); while (code === connectorErrors.UNREACHABLE.code);
  assert.equal(code, connectorErrors.SNAPSHOT_LOST.code);
  await sharedOf(source).leave();
  assert.ok((await readText(source, part)).text.includes('newer'));
  await source.close();
});

test('who joins holds the table as well: it cannot be emptied or rewritten while the snapshot is needed', async () => {
  await create('kept', 'key');
  const { source, key } = await planned('kept');
  const keeper = await joined('kept', key);
  await source.close();
  await assert.rejects(server.query(`SET lock_timeout = 100; TRUNCATE kept`), /lock timeout/);
  await keeper.close();
  await fixture.waitFor(`SELECT 1 WHERE NOT EXISTS (${holders(key)})`);
  await server.query('TRUNCATE kept');
});

test('a session that only says that it holds a snapshot is passed over', async () => {
  await create('claimed', 'key');
  const { source, parts, key } = await planned('claimed');
  const claim = `set_config('application_name', 'dmg:s:${key}:00000009-00000009-1', false)`;
  const liar = await fixture.open(fixture.end({}, { query: `SELECT ${claim}, pg_sleep(5)` }));
  const stream = await liar.open((await liar.partition(signal)).partitions[0] ?? assert.fail(), csvText, signal);
  await fixture.waitFor(`SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'dmg:s:${key}:00000009%'`);
  const second = await joined('claimed', key);
  await churn('claimed');
  assert.deepEqual(sorted(await readAll(second, parts)), oldRows);
  await stream.close();
  await Promise.all([source, second, liar].map((one) => one.close()));
});

test('pages are ranges only where the copy begins anew without them, and never of what has children, or is a view', async () => {
  await create('plain', 'no key');
  await server.query('CREATE VIEW seen AS SELECT * FROM plain; CREATE TABLE parent (id int); CREATE TABLE child () INHERITS (parent)');
  await server.query('INSERT INTO parent SELECT generate_series(1, 20000); INSERT INTO child SELECT generate_series(1, 20000)');
  const kindOf = (table: string, snapshotBound: boolean, settings = dynamicRange()): Promise<string> =>
    fixture.with(fixture.end({ table }, settings), async (source) =>
      (await source.partition(signal, { partitionsMax: 9, snapshotBound })).kind);
  assert.equal(await kindOf('plain', true), 'snapshotBound');
  // Too small to be cut unless somebody asks for it.
  assert.equal(await kindOf('plain', true, {}), 'onePass');
  for (const [table, bound] of [['plain', false], ['seen', true], ['parent', true]] as const) {
    assert.equal(await codeOf(kindOf(table, bound)), connectorErrors.BAD_SETTING.code, table);
  }
  assert.equal(await codeOf(kindOf('plain', true, { ...dynamicRange(), consistency: 'perChunk' })), connectorErrors.BAD_SETTING.code);
});

test('A table that is attached while the copy runs never shows in a part of the partitions.', async () => {
  await server.query(`CREATE TABLE divided (id int NOT NULL, name text) PARTITION BY RANGE (id);
    CREATE TABLE divided_1 PARTITION OF divided FOR VALUES FROM (0) TO (10000);
    CREATE TABLE divided_2 (id int NOT NULL, name text); INSERT INTO divided_2 SELECT g, 'attached' FROM generate_series(10000, 10999) g;
    INSERT INTO divided SELECT g, 'old' FROM generate_series(1, 4000) g`);
  await create('inherited', 'no key');
  await server.query('CREATE TABLE heir AS SELECT * FROM inherited; ALTER TABLE heir ALTER COLUMN id SET NOT NULL');
  const attachments = [
    ['divided', 'ALTER TABLE divided ATTACH PARTITION divided_2 FOR VALUES FROM (10000) TO (20000)'],
    ['inherited', 'ALTER TABLE heir INHERIT inherited'],
  ] as const;
  for (const [table, attach] of attachments) {
    const { source, parts } = await planned(table);
    const [first, second, third] = parts.partitions;
    assert.ok(first !== undefined && second !== undefined && third !== undefined);
    await readText(source, first);
    const stream = await source.open(second, csvText, signal);
    await server.query(attach);
    const last = parts.partitions.at(-1) ?? third;
    assert.equal(await codeOf(readText(source, last)), connectorErrors.SNAPSHOT_LOST.code);
    await stream.close();
    // At moments of their own partitions are what they are.
    await sharedOf(source).leave();
    assert.equal(await codeOf(readText(source, last)), 'none');
    await source.close();
  }
});

test('A reader of an earlier snapshot, or of none, is not lent for the one that is held now.', async () => {
  await create('twice', 'key');
  const { source, parts } = await planned('twice');
  const [first] = parts.partitions;
  assert.ok(first !== undefined);
  const stream = await source.open(first, csvText, signal);
  while (await stream.next(signal) !== undefined);
  await server.query("INSERT INTO twice SELECT g, 'later' FROM generate_series(10001, 14000) g");
  const again = await source.partition(signal);
  await stream.close();
  assert.equal((await readAll(source, again)).flat().length, 8000);
  await source.close();
});

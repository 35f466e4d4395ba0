import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { isDmgError, systemClock } from '@dmg/base';
import type { TableSource } from '@dmg/connector-api';
import { postgresqlConnector } from '../postgresql-connector.ts';
import { startPostgres } from '../testing/postgres-server.ts';
import { dynamicRange, readText, SourceFixture } from '../testing/source-fixture.ts';
import { csvText } from './copy-format.ts';

const server = await startPostgres({ after });
const fixture = new SourceFixture(server);
const { signal } = new AbortController();

const endless = `SELECT generate_series(1, 100000000), repeat('x', 1000)`;
const ours = `SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'dmg:s%'`;

async function onlyPartition(source: TableSource) {
  const [partition] = (await source.partition(signal)).partitions;
  assert.ok(partition !== undefined);
  return partition;
}

async function failure(work: Promise<unknown>): Promise<{ code: string; text: string; retry: string }> {
  try {
    await work;
  } catch (error) {
    assert.ok(isDmgError(error), String(error));
    return { code: error.code, text: JSON.stringify(error.toFault()), retry: error.retry };
  }
  assert.fail('it did not fail');
}

test('a stream that is cancelled in its middle ends at the server within 2 s, and so does one that is closed', async () => {
  for (const how of ['abort', 'close'] as const) {
    const source = await fixture.open(fixture.end({}, { query: endless }));
    const controller = new AbortController();
    const stream = await source.open(await onlyPartition(source), csvText, controller.signal);
    assert.equal((await stream.next(controller.signal))?.length, 256 * 1024);
    await fixture.waitFor(`${ours} AND state = 'active' AND query LIKE 'COPY%'`);
    const startMs = systemClock.monotonicMs();
    if (how === 'abort') {
      const reading = (async (): Promise<void> => {
        while (await stream.next(controller.signal) !== undefined) await new Promise((resolve) => setImmediate(resolve));
      })();
      controller.abort(new Error('enough'));
      await assert.rejects(reading, /enough/);
    } else {
      await stream.close();
    }
    await fixture.waitFor(`SELECT 1 WHERE NOT EXISTS (${ours} AND query LIKE 'COPY%')`, 2000);
    await source.close();
    assert.ok(systemClock.monotonicMs() - startMs < 2000);
  }
});

test('a statement that computes without giving a row is cancelled too', async () => {
  const source = await fixture.open(fixture.end({}, { query: 'SELECT pg_sleep(600)' }));
  const controller = new AbortController();
  const stream = await source.open(await onlyPartition(source), csvText, signal);
  const next = stream.next(controller.signal);
  await fixture.waitFor(`${ours} AND wait_event = 'PgSleep'`);
  controller.abort(new Error('enough'));
  await assert.rejects(next, /enough/);
  // Sooner than the server notices by itself that nobody is there.
  await fixture.waitFor(`SELECT 1 WHERE NOT EXISTS (${ours} AND wait_event = 'PgSleep')`, 1500);
  await source.close();
});

test('a consumer that takes nothing stops the server, in bounded memory', async () => {
  const source = await fixture.open(fixture.end({}, { query: endless }));
  const stream = await source.open(await onlyPartition(source), csvText, signal);
  await stream.next(signal);
  await fixture.waitFor(`${ours} AND wait_event = 'ClientWrite'`);
  await source.close();
  await fixture.waitFor(`SELECT 1 WHERE NOT EXISTS (${ours})`, 2000);
});

test('a server that computes for longer than a call may take is waited for; commandTimeout ends it', async () => {
  const query = 'SELECT 7 AS n FROM pg_sleep(0.6)';
  const patient = await fixture.open(fixture.end({}, { query }), fixture.context(200));
  assert.equal((await readText(patient, await onlyPartition(patient))).text, '7\n');
  await patient.close();
  const hasty = await fixture.open(fixture.end({}, { query: 'SELECT pg_sleep(60)' }, { commandTimeout: 1 }), fixture.context(400));
  const { code } = await failure(readText(hasty, await onlyPartition(hasty)));
  assert.equal(code, 'DMG_POSTGRESQL_CANCELLED');
  await hasty.close();
});

test('a server that is killed in the middle of a stream is a transient error', async () => {
  const source = await fixture.open(fixture.end({}, { query: endless }));
  const stream = await source.open(await onlyPartition(source), csvText, signal);
  await stream.next(signal);
  await server.kill9();
  const dead = await failure((async (): Promise<void> => {
    while (await stream.next(signal) !== undefined);
  })());
  assert.deepEqual([dead.code, dead.retry], ['DMG_CONNECTOR_UNREACHABLE', 'backoff']);
  await source.close();
  assert.equal((await failure(postgresqlConnector.check(fixture.end({}), fixture.context()))).code, 'DMG_CONNECTOR_UNREACHABLE');
  await server.restart();
  await postgresqlConnector.check(fixture.end({}), fixture.context());
});

test('a server that freezes is noticed by its silence', async () => {
  const source = await fixture.open(fixture.end({}, { query: 'SELECT pg_sleep(600)' }), fixture.context(300));
  const stream = await source.open(await onlyPartition(source), csvText, signal);
  const [row] = await server.admin<{ pid: number }>(`SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int AS pid`);
  assert.ok(row !== undefined);
  process.kill(row.pid, 'SIGSTOP');
  try {
    const frozen = await failure(stream.next(signal));
    assert.deepEqual([frozen.code, frozen.retry], ['DMG_BASE_DEADLINE', 'backoff']);
  } finally {
    process.kill(row.pid, 'SIGCONT');
  }
  await source.close();
});

test('a snapshot that is lost is said to be', async () => {
  await server.query('CREATE TABLE held (id int PRIMARY KEY); INSERT INTO held SELECT generate_series(1, 100)');
  const source = await fixture.open(fixture.end({ table: 'held' }, dynamicRange({ partitionColumnName: 'id' })));
  const [first] = (await source.partition(signal)).partitions;
  assert.ok(first !== undefined);
  await server.admin(`SELECT pg_terminate_backend(pid) FROM (${ours} AND state = 'idle in transaction') AS s`);
  assert.deepEqual((await failure(source.open(first, csvText, signal))).code, 'DMG_CONNECTOR_SNAPSHOT_LOST');
  assert.ok((await source.partition(signal)).partitions.length > 1);
  assert.equal((await readText(source, first)).rows > 0, true);
  await source.close();
});

test('what cannot be read says why, and keeps secrets', async () => {
  await server.admin('CREATE TABLE forbidden (id int PRIMARY KEY)');
  await server.query('CREATE TABLE fine (id int PRIMARY KEY)');
  const secret = 'a-secret-password';
  const cases: [code: string, work: () => Promise<unknown>][] = [
    ['DMG_CONNECTOR_ACCESS_DENIED', () => columnsOf({ table: 'fine' }, {}, {}, secret)],
    ['DMG_CONNECTOR_ACCESS_DENIED', () => columnsOf({ table: 'forbidden' })],
    ['DMG_POSTGRESQL_DATABASE_MISSING', () => columnsOf({ table: 'fine' }, {}, { database: 'nowhere' })],
    ['DMG_POSTGRESQL_TABLE_MISSING', () => columnsOf({ table: 'Fine' })],
    ['DMG_POSTGRESQL_TABLE_MISSING', () => columnsOf({ schema: 'nowhere', table: 'fine' })],
    ['DMG_POSTGRESQL_BAD_SQL', () => columnsOf({}, { query: 'SELEC 1' })],
    ['DMG_POSTGRESQL_BAD_SQL', () => columnsOf({}, { query: 'DELETE FROM fine RETURNING id' })],
    ['DMG_CONNECTOR_BAD_SETTING', () => columnsOf({})],
    ['DMG_CONNECTOR_BAD_SETTING', () => columnsOf({}, { query: 'SELECT 1', partitionOption: 'DynamicRange' })],
    ['DMG_CONNECTOR_BAD_SETTING', () => partitionsOf({ table: 'fine' }, dynamicRange({ partitionColumnName: 'none' }))],
    ['DMG_CONNECTOR_BAD_SETTING', () => postgresqlConnector.openSource(fixture.end({ table: 'fine' }), fixture.context())],
    ['DMG_POSTGRESQL_BAD_VALUE', () => rowsOf({}, { query: 'SELECT 1 / (g - 5) FROM generate_series(1, 10) g' })],
  ];
  for (const [index, [code, work]] of cases.entries()) {
    const seen = await failure(work());
    assert.equal(seen.code, code, `${index}: ${seen.text}`);
    assert.ok(!seen.text.includes(secret) && !seen.text.includes(server.password), seen.text);
  }
});

type Ends = Parameters<SourceFixture['end']>;

async function columnsOf(location: Ends[0], settings?: Ends[1], connection?: Ends[2], password = server.password): Promise<void> {
  const source = await fixture.open(fixture.end(location, settings, connection), fixture.context(5000, new Map([['password', password]])));
  try {
    await source.columns(signal);
  } finally {
    await source.close();
  }
}

function partitionsOf(...end: Ends): Promise<unknown> {
  return fixture.with(fixture.end(...end), (source) => source.partition(signal));
}

function rowsOf(...end: Ends): Promise<unknown> {
  return fixture.with(fixture.end(...end), async (source) => await readText(source, await onlyPartition(source)));
}

import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { BlobServiceClient } from '@azure/storage-blob';
import { type PostgresServer, startPostgres } from '../../packages/connectors/postgresql/src/testing/postgres-server.ts';
import { type ActivityRun, type Rig, startRig, waitForEnd } from '../fault/rig.ts';
import { CleanupScope } from '../harness/cleanup.ts';
import { waitFor } from '../harness/wait-for.ts';

// Tables of a real PostgreSQL, through a real gateway of one node, by REST alone. What is right is decided inside the database by SQL.
const scope = new CleanupScope();
let rig: Rig;
let db: PostgresServer;

const via = { type: 'IntegrationRuntimeReference', referenceName: 'local' };
const container = 'tables';
/** Every kind of value that a text format could harm. */
const oddTable = `
  CREATE TABLE odd (id bigint PRIMARY KEY, words text, amount numeric(20, 6), at timestamptz, day date, span interval,
    yes boolean, raw bytea, list text[], facts jsonb, real8 float8);
  INSERT INTO odd SELECT i, (ARRAY['plain', 'a,b', 'say "x"', E'two\\nlines', E'tab\\there', E'\\\\.', E'back\\\\slash', E'\\r', '', NULL,
      ' edge ', '\\N', 'ünïcödé 🚚'])[1 + i % 13],
    CASE WHEN i % 7 = 0 THEN NULL ELSE 12345678901234.567891 + i END, '2024-02-29 23:59:59.123456+00'::timestamptz + i * interval '1 hour',
    '0001-01-01'::date + i, make_interval(days => i, secs => 0.25), i % 2 = 0, decode(md5(i::text), 'hex'), ARRAY['a', NULL, 'b"c,d'],
    jsonb_build_object('i', i, 's', E'x\\ny'), 'NaN'::float8
    FROM generate_series(1, 5000) AS i;`;

before(async () => {
  db = await startPostgres(scope);
  rig = await startRig(scope);
  await db.query('CREATE SCHEMA shop; CREATE TABLE shop.items (id int PRIMARY KEY, name text NOT NULL, price numeric(10, 2))');
  await db.query("INSERT INTO shop.items SELECT i, 'item ' || i, i * 1.25 FROM generate_series(1, 20000) AS i");
  await db.query(oddTable);
  await rig.rest.put('linkedServices', 'pg', {
    type: 'PostgreSqlV2', connectVia: via,
    typeProperties: {
      server: db.host, port: db.port, database: db.database, username: db.user, sslMode: 0,
      password: { type: 'SecureString', value: db.password },
    },
  });
  // The same server by a connection string, as the client's own types name it.
  await rig.rest.put('linkedServices', 'pgString', {
    type: 'AzurePostgreSql', connectVia: via,
    typeProperties: { connectionString: { type: 'SecureString', value: db.connectionString } },
  });
}, { timeout: 120_000 });
after(() => scope.close(), { timeout: 60_000 });

interface EndDefinition {
  readonly dataset: object;
  readonly copy: object;
}

function table(schema: string, name: string, copy: object = {}): { readonly source: EndDefinition; readonly sink: EndDefinition } {
  const dataset = (type: string, linkedService: string): object => ({
    type, linkedServiceName: { type: 'LinkedServiceReference', referenceName: linkedService }, typeProperties: { schema, table: name },
  });
  return {
    source: { dataset: dataset('PostgreSqlV2Table', 'pg'), copy: { type: 'PostgreSqlV2Source', ...copy } },
    sink: { dataset: dataset('AzurePostgreSqlTable', 'pgString'), copy: { type: 'AzurePostgreSqlSink', ...copy } },
  };
}

function csv(store: 'files' | 'blob', folderPath: string, fileName?: string, copy: object = {}): EndDefinition & { sink: EndDefinition } {
  const location = store === 'files'
    ? { type: 'FileServerLocation', folderPath }
    : { type: 'AzureBlobStorageLocation', container, folderPath };
  const dataset = {
    type: 'DelimitedText', linkedServiceName: { type: 'LinkedServiceReference', referenceName: store },
    typeProperties: {
      location: fileName === undefined ? location : { ...location, fileName }, firstRowAsHeader: true, nullValue: 'NULL', escapeChar: '"',
    },
  };
  return {
    dataset, copy: { type: 'DelimitedTextSource', ...copy }, sink: { dataset, copy: { type: 'DelimitedTextSink', ...copy } },
  };
}

async function start(name: string, from: EndDefinition, to: EndDefinition, more: object = {}): Promise<string> {
  await rig.rest.put('datasets', `${name}-in`, from.dataset);
  await rig.rest.put('datasets', `${name}-out`, to.dataset);
  await rig.rest.put('pipelines', name, {
    activities: [{
      name: 'copy', type: 'Copy',
      inputs: [{ type: 'DatasetReference', referenceName: `${name}-in` }],
      outputs: [{ type: 'DatasetReference', referenceName: `${name}-out` }],
      typeProperties: { source: from.copy, sink: to.copy, ...more },
    }],
  });
  return rig.rest.createRun(name);
}

async function ended(runId: string): Promise<{ status: string; activity: ActivityRun; output: Record<string, unknown> }> {
  const status = await waitForEnd(rig, runId, 60_000);
  const [activity] = await rig.rest.activities(runId);
  assert.ok(activity !== undefined);
  return { status, activity, output: activity.output as Record<string, unknown> };
}

async function copied(...definition: Parameters<typeof start>): Promise<Record<string, unknown>> {
  const { status, activity, output } = await ended(await start(...definition));
  assert.equal(status, 'Succeeded', JSON.stringify(activity.error));
  return output;
}

/** Error of a copy that must fail: code, sentence and remedy in one text. */
async function failed(...definition: Parameters<typeof start>): Promise<string> {
  const { status, activity } = await ended(await start(...definition));
  assert.equal(status, 'Failed');
  const { errorCode, message, failureType } = activity.error as Record<string, string>;
  assert.equal(failureType, 'UserError', `${errorCode}: ${message}`);
  return `${errorCode}: ${message}`;
}

/** Rows that are in one of two queries and not in the other, each as often as it is there. */
async function difference(left: string, right: string): Promise<unknown[]> {
  return db.query(`(${left} EXCEPT ALL ${right}) UNION ALL (${right} EXCEPT ALL ${left}) LIMIT 5`);
}

async function count(from: string): Promise<number> {
  const [row] = await db.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${from}`);
  return row?.n ?? -1;
}

async function blobTexts(folder: string): Promise<Record<string, string>> {
  const client = BlobServiceClient.fromConnectionString(rig.line.blob).getContainerClient(container);
  const texts: Record<string, string> = {};
  for await (const { name } of client.listBlobsFlat({ prefix: `${folder}/` })) {
    texts[name.slice(folder.length + 1)] = (await client.getBlobClient(name).downloadToBuffer()).toString();
  }
  return texts;
}

test('a table becomes a CSV blob: header, every row once, rows counted', async () => {
  const output = await copied('out', table('shop', 'items').source, csv('blob', 'out', 'items.csv').sink);
  assert.deepEqual([output['rowsRead'], output['rowsCopied'], output['filesRead'], output['filesWritten']], [20_000, 20_000, undefined, 1]);
  assert.match(JSON.stringify(output['receipt']), /"guarantee":"exactlyOnce"/);
  assert.match(JSON.stringify(output['receipt']), /"consistency":"snapshot"/);
  const [header, ...rows] = (await blobTexts('out'))['items.csv']?.trimEnd().split(/\r?\n/) ?? [];
  assert.equal(header, 'id,name,price');
  const expected = await db.query<{ line: string }>("SELECT id || ',' || name || ',' || price AS line FROM shop.items");
  assert.deepEqual(rows.toSorted(), expected.map(({ line }) => line).toSorted());
});

test('a folder without a file name gets a file that is called after the table, with the extension asked for', async () => {
  const settings = { formatSettings: { type: 'DelimitedTextWriteSettings', fileExtension: 'csv' } };
  await copied('named', table('shop', 'items').source, csv('blob', 'named', undefined, settings).sink);
  const [name, ...others] = Object.keys(await blobTexts('named'));
  assert.deepEqual(others, []);
  assert.match(name ?? '', /items.*\.csv$/);
});

test('a query becomes a CSV file, and that file a table that was not there', async () => {
  const select = { query: 'SELECT id, name FROM shop.items WHERE id <= 100 -- the first' };
  const out = await copied('query', table('shop', 'items', select).source, csv('files', 'query', 'first.csv').sink);
  assert.equal(out['rowsCopied'], 100);
  const output = await copied('create', csv('files', 'query', 'first.csv'), table('shop', 'first', { tableOption: 'autoCreate' }).sink);
  assert.deepEqual([output['filesRead'], output['filesWritten'], output['rowsRead'], output['rowsCopied']], [1, undefined, 100, 100]);
  assert.deepEqual(await difference('SELECT id::text, name FROM shop.first', 'SELECT id::text, name FROM shop.items WHERE id <= 100'), []);
});

test('a CSV file fills a table with types; each run adds, unless its script empties the table first', async () => {
  await db.query('CREATE TABLE shop.typed (price numeric(10, 2), id int PRIMARY KEY, name text, note text DEFAULT \'none\')');
  await mkdir(join(rig.files, 'typed'), { recursive: true });
  await writeFile(join(rig.files, 'typed/a.csv'), 'id,name,price\n1,"x ""y"", z",1.50\n2,"two\nlines",NULL\n');
  const into = (copy: object): Promise<Record<string, unknown>> =>
    copied('typed', csv('files', 'typed', 'a.csv'), table('shop', 'typed', copy).sink);
  const expected = "VALUES (1, 'x \"y\", z', 1.50, 'none'), (2, E'two\\nlines', NULL, 'none')";
  await into({});
  assert.deepEqual(await difference('SELECT id, name, price, note FROM shop.typed', expected), []);
  await into({ preCopyScript: 'DELETE FROM shop.typed', writeMode: 'staged' });
  assert.deepEqual(await difference('SELECT id, name, price, note FROM shop.typed', expected), []);
  await db.query("UPDATE shop.typed SET note = 'kept', price = 0; DELETE FROM shop.typed WHERE id = 2");
  await into({ writeMethod: 'Upsert', upsertSettings: { keys: ['id'] } });
  const upserted = "VALUES (1, 'x \"y\", z', 1.50, 'kept'), (2, E'two\\nlines', NULL, 'none')";
  assert.deepEqual(await difference('SELECT id, name, price, note FROM shop.typed', upserted), []);
  const again = await failed('typed', csv('files', 'typed', 'a.csv'), table('shop', 'typed').sink);
  assert.match(again, /typed/);
  assert.equal(await count('shop.typed'), 2);
});

test('a table becomes a table, value for value', async () => {
  const output = await copied('within', table('public', 'odd').source, table('public', 'odd_copy', { tableOption: 'autoCreate' }).sink);
  assert.deepEqual([output['rowsRead'], output['rowsCopied'], output['filesWritten']], [5000, 5000, undefined]);
  const all = (name: string): string => `SELECT id, words, amount, at, day, span, yes, raw, list, facts::text, real8 FROM ${name}`;
  assert.deepEqual(await difference(all('odd'), all('odd_copy')), []);
});

test('a table by way of a CSV blob becomes the same table', async () => {
  await db.query('CREATE TABLE odd_back (LIKE odd)');
  await copied('odd-out', table('public', 'odd').source, csv('blob', 'odd', 'odd.csv').sink);
  await copied('odd-back', csv('blob', 'odd', 'odd.csv'), table('public', 'odd_back').sink);
  const all = (name: string): string => `SELECT id, words, amount, at, day, span, yes, raw, list, facts::text, real8 FROM ${name}`;
  assert.deepEqual(await difference(all('odd'), all('odd_back')), []);
});

test('columns are mapped by name', async () => {
  await db.query('CREATE TABLE shop.mapped (title text, number int)');
  const mappings = [{ source: { name: 'name' }, sink: { name: 'title' } }, { source: { name: 'id' }, sink: { name: 'number' } }];
  await copied('mapped', table('shop', 'items').source, table('shop', 'mapped').sink, {
    translator: { type: 'TabularTranslator', mappings },
  });
  assert.deepEqual(await difference('SELECT title, number FROM shop.mapped', 'SELECT name, id FROM shop.items'), []);
});

test('a bad row fails the copy, names table and column, and leaves nothing', async () => {
  await db.query('CREATE TABLE shop.strict (id int, name text)');
  await mkdir(join(rig.files, 'bad'), { recursive: true });
  await writeFile(join(rig.files, 'bad/a.csv'), 'id,name\n1,good\nnot a number,bad\n3,good\n');
  const error = await failed('bad', csv('files', 'bad', 'a.csv'), table('shop', 'strict').sink);
  assert.match(error, /shop\.strict: .*line 2 .*column id/);
  assert.equal(await count('shop.strict'), 0);
});

test('a table that is not there is named, whichever side it is', async () => {
  assert.match(await failed('no-source', table('shop', 'nowhere').source, csv('blob', 'none', 'x.csv').sink), /nowhere/);
  const error = await failed('no-sink', table('shop', 'items').source, table('shop', 'nothing').sink);
  assert.match(error, /nothing[^]*autoCreate/);
  assert.deepEqual(await blobTexts('none'), {});
});

test('a wrong password says what to do and shows no secret', async () => {
  await rig.rest.put('linkedServices', 'locked', {
    type: 'PostgreSql', connectVia: via,
    typeProperties: { connectionString: db.connectionString.replace(db.password, 'canary-of-mine') },
  });
  const { dataset, copy } = table('shop', 'items').source;
  const locked = { ...dataset, linkedServiceName: { type: 'LinkedServiceReference', referenceName: 'locked' } };
  const error = await failed('locked', { dataset: locked, copy }, csv('blob', 'locked', 'x.csv').sink);
  assert.match(error, /password/i);
  assert.ok(!error.includes('canary'), error);
});

test('a cancelled copy ends at once, closes the sink and leaves no session behind', async () => {
  await db.query('CREATE TABLE shop.slow (id int, waited int)');
  const query = 'SELECT i AS id, CASE WHEN pg_sleep(0.01) IS NULL THEN 0 ELSE 1 END AS waited FROM generate_series(1, 1000000) AS i';
  const runId = await start('cancel', table('shop', 'items', { query }).source, table('shop', 'slow').sink);
  const reading = "pg_stat_activity WHERE application_name LIKE 'dmg:%' AND state = 'active' AND query ILIKE 'COPY%pg_sleep%'";
  await waitFor('the server to be read', async () => (await count(reading)) > 0);
  await rig.rest.cancel(runId);
  const { status, output } = await ended(runId);
  assert.equal(status, 'Cancelled');
  assert.equal(output['sink'], 'aborted', JSON.stringify(output));
  assert.equal(await count('shop.slow'), 0);
  assert.equal(await count("shop.dmg_job WHERE phase = 'open'"), 0, 'ended jobs are closed at the sink, whatever their end');
  await waitFor('all sessions of the copy to be gone', async () => (await count(reading)) === 0);
});

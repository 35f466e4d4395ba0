import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { hasCode, isDmgError } from '@dmg/base';
import { connectorErrors } from '@dmg/connector-api';
import { interimTypes, type JsonObject, type Plan, type TableColumn } from '@dmg/model';
import { postgresqlErrors } from '../errors.ts';
import { startPostgres } from '../testing/postgres-server.ts';
import { allMarks, column, never, planOf, receiptOf, SinkBench, writeChunk } from '../testing/sink-bench.ts';
import { createdType, isPlainType } from './column-type.ts';
import type { PostgresTableSink } from './postgres-table-sink.ts';

const server = await startPostgres({ after });

beforeEach(() => server.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE t (id int, v text)'));

async function failure(work: Promise<unknown>): Promise<Error> {
  const error: unknown = await work.then(() => undefined, (reason: unknown) => reason);
  assert.ok(isDmgError(error), `no DmgError: ${String(error)}`);
  return error;
}

test('Columns are told in order, without those that take no values; those that are numbered always are meant by name only.', async (t) => {
  await server.query(`
    CREATE TYPE mood AS ENUM ('good', 'bad');
    CREATE DOMAIN code AS varchar(4) NOT NULL;
    CREATE TABLE "Odd.Name" (
      id int GENERATED ALWAYS AS IDENTITY, "Ä ""b""" numeric(15,2) NOT NULL, dropped int, total int GENERATED ALWAYS AS (1 + 1) STORED,
      at timestamptz, m mood[], c code, flag boolean DEFAULT true NOT NULL, raw bytea);
    ALTER TABLE "Odd.Name" DROP COLUMN dropped`);
  const bench = new SinkBench(t, server);
  const sink = bench.sink({ attempt: 'a', table: 'Odd.Name' });
  const path = 'public."Odd.Name"';
  assert.equal(sink.table.path, path);
  assert.deepEqual(await sink.table.columns(path, never), [
    { name: 'id', type: 'Int32', nativeType: 'integer', nullable: false, numbered: true },
    { name: 'Ä "b"', type: 'Decimal', nativeType: 'numeric(15,2)', nullable: false },
    { name: 'at', type: 'DateTimeOffset', nativeType: 'timestamp with time zone', nullable: true },
    { name: 'm', type: 'String', nativeType: 'mood[]', nullable: true },
    { name: 'c', type: 'String', nativeType: 'code', nullable: false },
    { name: 'flag', type: 'Boolean', nativeType: 'boolean', nullable: false },
    { name: 'raw', type: 'Byte[]', nativeType: 'bytea', nullable: true },
  ]);
  const columns = [column('at'), column('Ä "b"'), column('c')];
  const plan = await sink.insertPlan(planOf({ chunks: 1, path, columns }), never);
  assert.equal(await writeChunk(sink, plan, { target: 0, chunk: 0 }, [['2024-01-02 03:04:05.678901+02', '12.30', 'ab']]), 'marked');
  const moment = "at = '2024-01-02 01:04:05.678901Z' AS at";
  assert.deepEqual(
    await server.query(`SELECT id, "Ä ""b"""::text AS n, total, ${moment}, c, flag FROM "Odd.Name"`),
    [{ id: 1, n: '12.30', total: 2, at: true, c: 'ab', flag: true }],
  );
  const absent = bench.sink({ attempt: 'a', table: 'none' });
  assert.equal(await absent.table.columns('public.none', never), undefined);
  assert.deepEqual(await absent.bases(['public.none', 'public.none'], never), ['absent', 'absent']);
});

test('What cannot be written is refused with the plan, by name and with a remedy.', async (t) => {
  await server.query(`
    CREATE TABLE full_of (
      id int GENERATED ALWAYS AS IDENTITY, a int NOT NULL, b int NOT NULL DEFAULT 1, g int GENERATED ALWAYS AS (1) STORED);
    CREATE SEQUENCE numbers; CREATE VIEW plain AS SELECT 1 AS a`);
  const bench = new SinkBench(t, server);
  const wrong: [columns: string[], reason: RegExp][] = [
    [['a', 'nope', 'Nope'], /full_of: it has no columns "nope", "Nope"/],
    [['a', 'g'], /column "g" takes no values: it is generated/],
    [['b'], /no source column fills column "a", which must not be null and has no default/],
    [['a', 'b', 'a'], /column "a" would be written twice/],
  ];
  for (const [names, reason] of wrong) {
    const sink = bench.sink({ attempt: 'a', table: 'full_of' });
    const plan = planOf({ chunks: 1, path: 'public.full_of', columns: names.map((name) => column(name)) });
    const error = await failure(sink.insertPlan(plan, never));
    assert.match(error.message, reason);
    assert.ok(isDmgError(error) && error.retry === 'never' && error.fix.length > 10);
    assert.equal((await sink.state(never)).phase, 'none');
  }
  const sequence = bench.sink({ attempt: 'a', table: 'numbers' });
  assert.ok(hasCode(await failure(sequence.bases(['public.numbers'], never)), connectorErrors.TARGET_BLOCKED.code));
  const absent = bench.sink({ attempt: 'a', table: 'none' });
  const unknown = await failure(absent.insertPlan(planOf({ chunks: 1, path: 'public.none' }), never));
  assert.ok(hasCode(unknown, postgresqlErrors.TABLE_MISSING.code), unknown.message);
  const nowhere = bench.sink({ attempt: 'a', schema: 'nowhere' });
  const missing = await failure(nowhere.insertPlan(planOf({ chunks: 1, path: 'nowhere.t' }), never));
  assert.ok(hasCode(missing, postgresqlErrors.TABLE_MISSING.code), missing.message);
  const view = bench.sink({ attempt: 'a', table: 'plain' });
  const plan = await view.insertPlan(planOf({ chunks: 1, path: 'public.plain', columns: [column('a')] }), never);
  const refused = await failure(writeChunk(view, plan, { target: 0, chunk: 0 }, [[1]]));
  assert.ok(isDmgError(refused) && refused.retry === 'never');
  assert.match(refused.message, /view/);
});

test('A schema that may not be written into is named, and ends the job.', async (t) => {
  await server.admin(`
    CREATE SCHEMA closed; CREATE TABLE closed.t (id int, v text); GRANT USAGE ON SCHEMA closed TO dmg; GRANT ALL ON closed.t TO dmg`);
  t.after(() => server.admin('DROP SCHEMA closed CASCADE'));
  const sink = new SinkBench(t, server).sink({ attempt: 'a', schema: 'closed' });
  const error = await failure(sink.insertPlan(planOf({ chunks: 1, path: 'closed.t' }), never));
  assert.ok(hasCode(error, postgresqlErrors.RIGHTS_MISSING.code) && isDmgError(error), error.message);
  assert.match(error.message, /closed\.t: the user dmg/);
  assert.equal(error.fix, 'Let the owner run: GRANT CREATE ON SCHEMA "closed" TO "dmg";');
  assert.equal((await sink.abort(never)).phase, 'aborted');
});

test('Tables of ours that belong to another user are named with what has to be granted.', async (t) => {
  await server.admin(`CREATE SCHEMA shared AUTHORIZATION dmg; CREATE ROLE second LOGIN PASSWORD '${server.password}'`);
  t.after(() => server.admin('DROP SCHEMA shared CASCADE; DROP OWNED BY second; DROP ROLE second'));
  await server.query('CREATE TABLE shared.t (id int PRIMARY KEY, v text)');
  const bench = new SinkBench(t, server);
  const planOfJob = (jobId: string): Plan => planOf({ chunks: 1, jobId, path: 'shared.t' });
  await bench.sink({ attempt: 'a', jobId: 'first', schema: 'shared' }).insertPlan(planOfJob('first'), never);
  const open = (jobId: string, settings: JsonObject = {}): PostgresTableSink =>
    bench.sink({ attempt: 'a', jobId, schema: 'shared', user: 'second', settings });
  const upsert = { writeMethod: 'Upsert' };
  const fix = async (settings: JsonObject): Promise<string> => {
    const error = await failure(open('second', settings).insertPlan(planOfJob('second'), never));
    assert.ok(isDmgError(error) && hasCode(error, postgresqlErrors.RIGHTS_MISSING.code), error.message);
    return error.fix;
  };
  const ours = 'GRANT SELECT, INSERT, UPDATE, DELETE ON "shared"."dmg_job" TO "second"; '
    + 'GRANT SELECT, INSERT, UPDATE, DELETE ON "shared"."dmg_chunk" TO "second";';
  const usage = 'GRANT USAGE ON SCHEMA "shared" TO "second";';
  assert.equal(await fix({}), `Let the owner run: ${ours} GRANT INSERT ON "shared"."t" TO "second"; ${usage}`);
  await server.query(`${ours} ${usage}`);
  const needed = 'GRANT INSERT, SELECT, UPDATE ON "shared"."t" TO "second"; GRANT CREATE ON SCHEMA "shared" TO "second";';
  assert.equal(await fix(upsert), `Let the owner run: ${needed}`);
  // What the message says is enough.
  await server.query(needed);
  const sink = open('second', upsert);
  const plan = await sink.insertPlan(planOfJob('second'), never);
  await writeChunk(sink, plan, { target: 0, chunk: 0 }, [[1, 'x']]);
  await sink.finish(plan, receiptOf('a', 'second'), never);
  assert.deepEqual(await server.query('SELECT id FROM shared.t'), [{ id: 1 }]);
});

test('A table is made from the types of the source, once, however many jobs want it.', async (t) => {
  await server.query("CREATE TYPE mood AS ENUM ('good', 'bad')");
  const bench = new SinkBench(t, server);
  const columns: TableColumn[] = [
    { name: 'id', type: 'Int32', nativeType: 'integer', nullable: false },
    { name: 'Price', type: 'Decimal', nativeType: 'numeric(15,2)', nullable: true },
    { name: 'at', type: 'DateTime', nativeType: 'timestamp(3) without time zone', nullable: true },
    { name: 'm', type: 'String', nativeType: 'mood', nullable: true },
    { name: 'other', type: 'String', nativeType: 'no_such_type', nullable: true },
    { name: 'any', type: 'String', nativeType: 'record', nullable: true },
    { name: 'evil', type: 'Int64', nativeType: 'int); DROP TABLE t; --', nullable: true },
    { name: 'tags', type: 'String', nativeType: 'character varying(5)[]', nullable: true },
  ];
  const made = planOf({ chunks: 1, path: 'public.Made', columns });
  const settings = { tableOption: 'autoCreate' };
  await Promise.all(['j1', 'j2', 'j3'].map(async (jobId) => {
    const sink = bench.sink({ attempt: 'a', jobId, table: 'Made', settings });
    const plan = await sink.insertPlan({ ...made, jobId }, never);
    const row = ['1', '1.50', '2024-01-02 03:04:05.678', 'bad', 'x', 'y', '9', '{a,b}'];
    assert.equal(await writeChunk(sink, plan, { target: 0, chunk: 0 }, [row]), 'marked');
    assert.equal((await allMarks(sink, plan)).length, 1);
    await sink.finish(plan, receiptOf('a', jobId), never);
  }));
  const types = await server.query<{ name: string; type: string; required: boolean }>(`
    SELECT attname AS name, format_type(atttypid, atttypmod) AS type, attnotnull AS required FROM pg_attribute
    WHERE attrelid = '"Made"'::regclass AND attnum > 0 ORDER BY attnum`);
  assert.deepEqual(types.map(({ name, type }) => `${name} ${type}`), [
    'id integer', 'Price numeric(15,2)', 'at timestamp(3) without time zone', 'm mood', 'other text', 'any text', 'evil bigint',
    'tags character varying(5)[]',
  ]);
  assert.deepEqual(types.map(({ required }) => required), [true, false, false, false, false, false, false, false]);
  assert.deepEqual(await server.query('SELECT count(*)::int AS n FROM "Made"'), [{ n: 3 }]);
  const again = bench.sink({ attempt: 'a', jobId: 'j4', settings });
  await again.insertPlan(planOf({ chunks: 1, jobId: 'j4' }), never);
  assert.equal((await server.query('SELECT 1 FROM pg_attribute WHERE attrelid = \'t\'::regclass AND attnum > 0')).length, 2);
});

test('Every interim type becomes a type that the server has.', async () => {
  for (const type of interimTypes) {
    const sqlType = createdType({ name: 'c', type, nullable: true }, new Set());
    assert.equal((await server.query(`SELECT to_regtype('${sqlType}') IS NOT NULL AS known`))[0]?.known, true, `${type}: ${sqlType}`);
    assert.ok(isPlainType(sqlType));
  }
  const odd = ['int); --', "text'", 'a"b', 'text;', '', 'a b(1) -- c', 'numeric(1,2) DEFAULT 1'];
  for (const type of odd) assert.equal(isPlainType(type), false, type);
  const plain = ['"char"', 'public."My Type"', 'bit varying(3)', 'time(3) with time zone', 'numeric(5,-2)', 'interval day to second(3)'];
  for (const type of plain) assert.equal(isPlainType(type), true, type);
});

test('A pre-copy script runs once, with the plan, and can make the table.', async (t) => {
  const bench = new SinkBench(t, server);
  const settings = {
    preCopyScript: "CREATE TABLE made (id int, v text); INSERT INTO made VALUES (0, 'by the script'); SET datestyle TO 'SQL, DMY'",
  };
  const [a, b] = [bench.sink({ attempt: 'a', table: 'made', settings }), bench.sink({ attempt: 'b', table: 'made', settings })];
  const made = planOf({ chunks: 1, path: 'public.made' });
  const [plan, other] = await Promise.all([a.insertPlan(made, never), b.insertPlan({ ...made, activityDigest: 'other' }, never)]);
  assert.deepEqual(plan, other);
  await writeChunk(b, plan, { target: 0, chunk: 0 }, [[1, 'x']]);
  await b.insertPlan(made, never);
  await b.finish(plan, receiptOf('b'), never);
  assert.deepEqual(await server.query('SELECT id FROM made ORDER BY id'), [{ id: 0 }, { id: 1 }]);
});

test('A script that fails, or wants to end the transaction, leaves no plan and nothing of itself.', async (t) => {
  const bench = new SinkBench(t, server);
  const wrong: [script: string, reason: RegExp][] = [
    ["INSERT INTO t VALUES (1, 'x'); COMMIT; SELECT 1", /pre-copy script for public\.t: .*transaction/i],
    ["INSERT INTO t VALUES (1, 'x'); SELECT * FROM no_such", /relation "no_such" does not exist.*42P01/],
    ["INSERT INTO t VALUES (1, 'x'); SELEKT", /syntax error at or near "SELEKT"/],
    ["INSERT INTO t VALUES (1, 'x'); SELECT 1/0", /division by zero/],
    ["INSERT INTO t VALUES (1, 'x'); VACUUM t", /VACUUM/],
    ["INSERT INTO t VALUES (1, 'x'); DROP TABLE t", /no such table/],
  ];
  for (const [preCopyScript, reason] of wrong) {
    const sink = bench.sink({ attempt: 'a', settings: { preCopyScript } });
    const error = await failure(sink.insertPlan(planOf({ chunks: 1 }), never));
    assert.match(error.message, reason);
    assert.ok(isDmgError(error) && error.retry === 'never', preCopyScript);
    assert.equal((await sink.state(never)).phase, 'none');
    assert.deepEqual(await server.query('SELECT id FROM t'), []);
  }
});

import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { hasCode, isDmgError } from '@dmg/base';
import { connectorErrors, type Sink } from '@dmg/connector-api';
import type { JsonObject, Plan, TableColumn } from '@dmg/model';
import { postgresqlErrors } from '../errors.ts';
import { startPostgres } from '../testing/postgres-server.ts';
import { allMarks, column, factsOf, never, planOf, receiptOf, rowsText, SinkBench, writeChunk } from '../testing/sink-bench.ts';
import { tableSinkSettings } from './open-table-sink.ts';

const server = await startPostgres({ after });

beforeEach(() => server.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE t (id int, v text)'));

const staged: JsonObject = { writeMode: 'staged' };
const upsert: JsonObject = { writeMethod: 'Upsert' };

async function failure(work: Promise<unknown>): Promise<Error & { fix: string; code: string; scope: string }> {
  const error: unknown = await work.then(() => undefined, (reason: unknown) => reason);
  assert.ok(isDmgError(error) && error.retry === 'never', `not refused for good: ${String(error)}`);
  return error;
}

type Rows = readonly (readonly (string | number)[])[];

/** A whole copy, each list of rows a chunk. */
async function copy(sink: Sink, plan: Plan, chunks: readonly Rows[]): Promise<void> {
  await sink.insertPlan(plan, never);
  for (const [chunk, rows] of chunks.entries()) await writeChunk(sink, plan, { target: 0, chunk }, rows);
  await sink.finish(plan, receiptOf('a', plan.jobId), never);
}

async function stages(): Promise<string[]> {
  const rows = await server.query<{ name: string }>(
    "SELECT oid::regclass::text AS name FROM pg_class WHERE relname LIKE 'dmg_stage%' AND relkind = 'r' ORDER BY 1");
  return rows.map(({ name }) => name);
}

const integers = (...names: string[]): TableColumn[] => names.map((name) => column(name, 'integer'));

test('Nothing shows before the end; then the script runs and all rows are there. Nothing is left over.', async (t) => {
  await server.query("INSERT INTO t VALUES (0, 'old')");
  const bench = new SinkBench(t, server);
  const settings = { ...staged, preCopyScript: "DELETE FROM t; INSERT INTO t VALUES (7, 'by the script'); SET lock_timeout = 1" };
  const sink = bench.sink({ attempt: 'a', settings });
  const plan = await sink.insertPlan(planOf({ chunks: 2 }), never);
  assert.equal(await writeChunk(sink, plan, { target: 0, chunk: 0 }, [[1, 'x'], [2, '\\N']]), 'marked');
  await assert.rejects(sink.finish(plan, receiptOf('a'), never), (error) => hasCode(error, connectorErrors.MARKS_MISSING.code));
  const other = bench.sink({ attempt: 'b', settings });
  assert.deepEqual(await other.insertPlan({ ...plan, activityDigest: 'other' }, never), plan);
  assert.equal(await writeChunk(other, plan, { target: 0, chunk: 1 }, [[3, 'a\\\tb\\\nc']]), 'marked');
  assert.equal(await writeChunk(sink, plan, { target: 0, chunk: 1 }, [[9, 'second writer']]), 'already');
  assert.deepEqual(await server.query('SELECT id FROM t'), [{ id: 0 }]);
  assert.equal((await stages()).length, 1);
  assert.equal((await allMarks(sink, plan)).length, 2);
  assert.deepEqual(await other.finish(plan, receiptOf('b'), never), receiptOf('b'));
  assert.deepEqual(await sink.finish(plan, receiptOf('a'), never), receiptOf('b'));
  assert.deepEqual(await server.query('SELECT id, v FROM t ORDER BY id'), [
    { id: 1, v: 'x' }, { id: 2, v: null }, { id: 3, v: 'a\tb\nc' }, { id: 7, v: 'by the script' },
  ]);
  assert.deepEqual(await stages(), []);
});

test('What fails or is cancelled leaves the table as it was, and nothing beside it.', async (t) => {
  await server.query("INSERT INTO t VALUES (0, 'old')");
  const bench = new SinkBench(t, server);
  const sink = bench.sink({ attempt: 'a', settings: { ...staged, preCopyScript: 'TRUNCATE t' } });
  const plan = await sink.insertPlan(planOf({ chunks: 2 }), never);
  await writeChunk(sink, plan, { target: 0, chunk: 0 }, [[1, 'x']]);
  const late = bench.sink({ attempt: 'late', settings: staged });
  const writer = await late.openChunk(plan, { target: 0, chunk: 1 }, never);
  assert.equal((await bench.sink({ attempt: 'c', settings: staged }).abort(never)).phase, 'aborted');
  const bytes = rowsText([[2, 'x']]);
  assert.ok(hasCode(await failure(writer.mark(factsOf(bytes, 1), { part: 0, bytes }, never)), connectorErrors.JOB_CLOSED.code));
  assert.deepEqual(await stages(), []);
  const bad = bench.sink({ attempt: 'a', jobId: 'bad', settings: { ...staged, preCopyScript: 'TRUNCATE t; SELECT 1/0' } });
  const error = await failure(copy(bad, planOf({ chunks: 1, jobId: 'bad' }), [[[1, 'x']]]));
  assert.equal(error.code, postgresqlErrors.SCRIPT_FAILED.code);
  assert.equal((await bad.abort(never)).phase, 'aborted');
  assert.deepEqual(await stages(), []);
  assert.deepEqual(await server.query('SELECT id FROM t'), [{ id: 0 }]);
});

test('A wrong row is refused while its line is known; foreign and unique keys at the end, deferred ones too.', async (t) => {
  await server.query(`
    CREATE COLLATION odd (provider = icu, locale = 'de@colStrength=secondary', deterministic = false);
    CREATE DOMAIN positive AS int CHECK (VALUE > 0);
    CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1), (2);
    CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES parent DEFERRABLE INITIALLY DEFERRED, short varchar(3) COLLATE odd NOT NULL,
      n positive, CHECK (short <> 'bad'), CHECK (id > n), other int CHECK (other > 0) DEFAULT 1)`);
  const bench = new SinkBench(t, server);
  const columns = [...integers('id', 'p'), column('short'), column('n')];
  const plan = (jobId: string): Plan => planOf({ chunks: 1, jobId, path: 'public.c', columns });
  const wrong: [rows: Rows, reason: RegExp][] = [
    [[[5, 1, 'abc', 1], [6, 1, 'abcd', 1]], /too long.*line 2 of the chunk, column short/],
    [[[5, 1, '\\N', 1]], /not-null.*line 1 of the chunk/], [[[5, 1, 'BAD', 1]], /c_short_check.*line 1 of the chunk/],
    [[[5, 1, 'a', -1]], /positive_check.*line 1 of the chunk/], [[[5, 1, 'a', 7]], /line 1 of the chunk/],
    [[[5, 1, 'a', 1], [5, 1, 'a', 1]], /c_pkey.*row is not known/], [[[5, 9, 'a', 1]], /c_p_fkey.*row is not known/],
  ];
  for (const [index, [rows, reason]] of wrong.entries()) {
    const sink = bench.sink({ attempt: 'a', jobId: `j${index}`, table: 'c', settings: staged });
    const error = await failure(copy(sink, plan(`j${index}`), [rows]));
    assert.match(error.message, reason);
    assert.equal(error.scope, 'row');
    await sink.abort(never);
  }
  assert.deepEqual(await server.query('SELECT id FROM c'), []);
  await copy(bench.sink({ attempt: 'a', jobId: 'ok', table: 'c', settings: staged }), plan('ok'), [[[5, 1, 'ok', 3]]]);
  assert.deepEqual(await server.query('SELECT id, other FROM c'), [{ id: 5, other: 1 }]);
});

test('Defaults, generated and identity columns, triggers, partitions and views are as with any INSERT.', async (t) => {
  await server.query(`
    CREATE TABLE full_of (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int NOT NULL, b int NOT NULL DEFAULT 5,
      g int GENERATED ALWAYS AS (a * 2) STORED, s serial);
    CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.a := coalesce(NEW.a, 42); RETURN NEW; END';
    CREATE TRIGGER fill BEFORE INSERT ON full_of FOR EACH ROW EXECUTE FUNCTION fill();
    CREATE TABLE parts (id int NOT NULL, v text) PARTITION BY RANGE (id);
    CREATE TABLE low PARTITION OF parts FOR VALUES FROM (0) TO (10);
    CREATE TABLE high PARTITION OF parts FOR VALUES FROM (10) TO (20);
    CREATE VIEW seen AS SELECT id, v FROM t WHERE id > 0;
    CREATE FUNCTION through() RETURNS trigger LANGUAGE plpgsql
      AS 'BEGIN INSERT INTO t VALUES (NEW.id, ''through ''||NEW.v); RETURN NEW; END';
    CREATE TRIGGER through INSTEAD OF INSERT ON seen FOR EACH ROW EXECUTE FUNCTION through()`);
  const bench = new SinkBench(t, server);
  const run = (jobId: string, table: string, columns: TableColumn[], rows: Rows): Promise<void> =>
    copy(
      bench.sink({ attempt: 'a', jobId, table, settings: staged }), planOf({ chunks: 1, jobId, path: `public.${table}`, columns }), [rows],
    );
  await run('1', 'full_of', integers('a'), [[1], ['\\N']]);
  await run('2', 'full_of', integers('id', 'a', 'b'), [[100, 3, 4]]);
  assert.deepEqual(await server.query('SELECT * FROM full_of ORDER BY id'), [
    { id: 1, a: 1, b: 5, g: 2, s: 1 }, { id: 2, a: 42, b: 5, g: 84, s: 2 }, { id: 100, a: 3, b: 4, g: 6, s: 3 },
  ]);
  await run('3', 'parts', [...integers('id'), column('v')], [[1, 'x'], [11, 'y']]);
  assert.deepEqual(await server.query('SELECT tableoid::regclass::text AS part, id FROM parts ORDER BY id'), [
    { part: 'low', id: 1 }, { part: 'high', id: 11 },
  ]);
  await run('4', 'seen', [...integers('id'), column('v')], [[1, 'x']]);
  assert.deepEqual(await server.query('SELECT v FROM t'), [{ v: 'through x' }]);
  const gap = await failure(run('5', 'parts', [...integers('id'), column('v')], [[99, 'z']]));
  assert.match(gap.message, /no partition of relation "parts" found/);
  const generated = await failure(run('6', 'full_of', integers('a', 'g'), [[1, 1]]));
  assert.match(generated.message, /column "g" takes no values/);
  // Rows that a trigger leaves out are noticed; the table is as it was.
  await server.query(`CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER skip BEFORE INSERT ON low FOR EACH ROW EXECUTE FUNCTION skip()`);
  const left = await failure(run('7', 'parts', [...integers('id'), column('v')], [[2, 'x'], [12, 'y']]));
  assert.equal(left.code, postgresqlErrors.MOVED_DIFFER.code);
  assert.match(left.message, /moved 1 of 2 staged rows/);
  assert.deepEqual(await server.query('SELECT count(*)::int AS n FROM parts'), [{ n: 2 }]);
});

test('Files of different columns, an absent table, an interim schema.', async (t) => {
  await server.query("CREATE SCHEMA interim; CREATE TABLE d (a int DEFAULT 7, b int DEFAULT 8, c int DEFAULT 9)");
  t.after(() => server.query('DROP SCHEMA interim CASCADE'));
  const bench = new SinkBench(t, server);
  const settings = { ...staged, interimSchemaName: 'interim', tableOption: 'autoCreate' };
  const [first] = planOf({ chunks: 1, path: 'public.d' }).targets;
  assert.ok(first !== undefined);
  const sets = [integers('a', 'b'), integers('c'), integers('b', 'a'), []];
  const plan = { ...planOf({ chunks: 1 }), targets: sets.map((columns, target) => ({ ...first, target, columns })) };
  const sink = bench.sink({ attempt: 'a', table: 'd', settings });
  await sink.insertPlan(plan, never);
  assert.deepEqual((await stages()).map((name) => name.replace(/[0-9a-f]{20}/, 'job')), [
    'interim.dmg_stage_job_1', 'interim.dmg_stage_job_1_1',
  ]);
  for (const [target, rows] of [[[1, 2]], [[3]], [[5, 4]], []].entries()) await writeChunk(sink, plan, { target, chunk: 0 }, rows);
  await sink.finish(plan, receiptOf('a'), never);
  assert.deepEqual(await server.query('SELECT * FROM d ORDER BY a'), [{ a: 1, b: 2, c: 9 }, { a: 4, b: 5, c: 9 }, { a: 7, b: 8, c: 3 }]);

  const columns: TableColumn[] = [{ name: 'Id', type: 'Int32', nativeType: 'integer', nullable: false }, column('v', 'no_such_type')];
  const jobs = ['m1', 'm2'];
  const made = (jobId: string): Plan => planOf({ chunks: 1, jobId, path: 'public.Made', columns });
  const sinks = jobs.map((jobId) => bench.sink({ attempt: 'a', jobId, table: 'Made', settings }));
  await Promise.all(sinks.map((each, index) => each.insertPlan(made(jobs[index] ?? ''), never)));
  assert.deepEqual(await server.query('SELECT to_regclass($1) AS found', ['"Made"']), [{ found: null }]);
  await Promise.all(sinks.map((each, index) => copy(each, made(jobs[index] ?? ''), [[[index, 'x']]])));
  assert.deepEqual(await server.query('SELECT "Id" FROM "Made" ORDER BY 1'), [{ Id: 0 }, { Id: 1 }]);
  assert.deepEqual(await stages(), []);
  const nowhere = bench.sink({ attempt: 'a', jobId: 'n', settings: { ...staged, interimSchemaName: 'nowhere' } });
  const unknown = await failure(nowhere.insertPlan(planOf({ chunks: 1, jobId: 'n' }), never));
  assert.match(unknown.message, /interimSchemaName: there is no schema nowhere/);
});

test('Upsert: rows replace those with their key, others are added; columns that are not written stay.', async (t) => {
  await server.query(`
    CREATE TABLE u (id int PRIMARY KEY, code text UNIQUE, v text, kept int DEFAULT 3); CREATE UNIQUE INDEX ON u (code, v);
    INSERT INTO u VALUES (1, 'a', 'old', 1), (2, 'b', 'old', 2), (9, 'z', 'old', 9);
    CREATE TABLE only_key (id int PRIMARY KEY); INSERT INTO only_key VALUES (1);
    CREATE TABLE numbered (id int GENERATED ALWAYS AS IDENTITY, k int UNIQUE, v int)`);
  const bench = new SinkBench(t, server);
  const columns = [...integers('id'), column('code'), column('v')];
  const plan = (jobId: string): Plan => planOf({ chunks: 2, jobId, path: 'public.u', columns });
  await copy(bench.sink({ attempt: 'a', table: 'u', jobId: 'pk', settings: upsert }), plan('pk'), [
    [[1, 'a', 'new'], [3, 'c', 'new']], [[2, 'B', 'new']],
  ]);
  assert.deepEqual(await server.query('SELECT * FROM u ORDER BY id'), [
    { id: 1, code: 'a', v: 'new', kept: 1 }, { id: 2, code: 'B', v: 'new', kept: 2 }, { id: 3, code: 'c', v: 'new', kept: 3 },
    { id: 9, code: 'z', v: 'old', kept: 9 },
  ]);
  const byCode = { writeBehavior: 'upsert', upsertSettings: { keys: ['code'] } };
  await copy(bench.sink({ attempt: 'a', table: 'u', jobId: 'code', settings: byCode }), plan('code'), [[[4, 'z', 'v2']], []]);
  assert.deepEqual(await server.query("SELECT id, v, kept FROM u WHERE code = 'z'"), [{ id: 4, v: 'v2', kept: 9 }]);
  const keyOnly = planOf({ chunks: 1, jobId: 'only', path: 'public.only_key', columns: integers('id') });
  await copy(bench.sink({ attempt: 'a', table: 'only_key', jobId: 'only', settings: upsert }), keyOnly, [[[1], [2]]]);
  assert.deepEqual(await server.query('SELECT id FROM only_key ORDER BY id'), [{ id: 1 }, { id: 2 }]);
  const numbered = planOf({ chunks: 1, jobId: 'num', path: 'public.numbered', columns: integers('id', 'k', 'v') });
  const byK = { ...upsert, upsertSettings: { keys: 'k' } };
  await copy(bench.sink({ attempt: 'a', table: 'numbered', jobId: 'num', settings: byK }), numbered, [[[50, 1, 1]]]);
  await copy(bench.sink({ attempt: 'a', table: 'numbered', jobId: 'num2', settings: byK }), { ...numbered, jobId: 'num2' }, [[[51, 1, 2]]]);
  assert.deepEqual(await server.query('SELECT * FROM numbered'), [{ id: 50, k: 1, v: 2 }]);
  const created = { ...upsert, upsertSettings: { keys: ['id'] }, tableOption: 'autoCreate' };
  const fresh = planOf({ chunks: 1, jobId: 'fresh', path: 'public.fresh', columns: integers('id', 'v') });
  for (const [jobId, v] of [['fresh', 1], ['fresh2', 2]] as const) {
    await copy(bench.sink({ attempt: 'a', table: 'fresh', jobId, settings: created }), { ...fresh, jobId }, [[[1, v]]]);
  }
  assert.deepEqual(await server.query('SELECT * FROM fresh'), [{ id: 1, v: 2 }]);
});

test('Upsert: what cannot work is refused with the plan and a remedy; a key that comes twice at the end.', async (t) => {
  await server.query('CREATE TABLE u (id int PRIMARY KEY, v int); CREATE VIEW plain AS SELECT 1 AS id, 2 AS v');
  const bench = new SinkBench(t, server);
  const refusal = async (table: string, settings: JsonObject, names = ['id', 'v']): Promise<Error & { fix: string; code: string }> => {
    const sink = bench.sink({ attempt: 'a', table, settings: { ...upsert, ...settings } });
    const error = await failure(sink.insertPlan(planOf({ chunks: 1, path: `public.${table}`, columns: integers(...names) }), never));
    assert.equal((await sink.state(never)).phase, 'none');
    return error;
  };
  const unique = await refusal('u', { upsertSettings: { keys: ['v', 'id'] } });
  assert.equal(unique.code, postgresqlErrors.KEY_NOT_UNIQUE.code);
  assert.match(unique.fix, /CREATE UNIQUE INDEX ON "public"\."u" \("v", "id"\);/);
  assert.match((await refusal('t', {})).message, /public\.t has no primary key/);
  assert.match((await refusal('u', {}, ['v'])).message, /no source column|must not be null/);
  assert.match((await refusal('u', { upsertSettings: { keys: ['ID'] } })).message, /no source column is mapped to "ID"/);
  await refusal('plain', { upsertSettings: { keys: ['id'] } });
  assert.match((await refusal('absent', { tableOption: 'autoCreate' })).message, /no primary key/);

  const sink = bench.sink({ attempt: 'a', table: 'u', settings: { ...upsert, preCopyScript: 'DELETE FROM u' } });
  await server.query('INSERT INTO u VALUES (5, 5)');
  const twice = await failure(copy(sink, planOf({ chunks: 2, path: 'public.u', columns: integers('id', 'v') }), [[[1, 1]], [[1, 2]]]));
  assert.equal(twice.code, postgresqlErrors.KEY_TWICE.code);
  assert.match(twice.message, /same key \("id"\)/);
  assert.equal((await sink.abort(never)).phase, 'aborted');
  assert.deepEqual(await server.query('SELECT * FROM u'), [{ id: 5, v: 5 }]);
  const wrong: [settings: JsonObject, reason: RegExp][] = [
    [{ writeMode: 'odd' }, /writeMode: odd is unknown/], [{ ...upsert, writeMode: 'direct' }, /an upsert is always staged/],
    [{ upsertSettings: { keys: ['id'] } }, /upsertSettings\.keys: rows are not upserted/],
    [{ interimSchemaName: 'x' }, /interimSchemaName: rows are not staged/],
    [{ ...upsert, upsertSettings: { keys: ['a', 'a'] } }, /upsertSettings\.keys/],
    [{ ...upsert, upsertSettings: { keys: [1] } }, /upsertSettings\.keys/],
  ];
  for (const [settings, reason] of wrong) {
    const end = { connector: 'postgresql', connection: {}, location: { table: 't' }, settings, format: { type: 'Table' } } as const;
    assert.throws(() => tableSinkSettings(end), reason);
  }
});

test('A new generation throws away what the one before it wrote, and refuses whoever still writes for that.', async (t) => {
  const bench = new SinkBench(t, server);
  const [old, next] = [bench.sink({ attempt: 'old', settings: staged }), bench.sink({ attempt: 'next', settings: staged })];
  const plan = await old.insertPlan(planOf({ chunks: 2 }), never);
  await writeChunk(old, plan, { target: 0, chunk: 0 }, [[1, 'old']]);
  const open = await old.openChunk(plan, { target: 0, chunk: 1 }, never);
  const second = { ...planOf({ chunks: 1 }), generation: 2 };
  const [made, same] = await Promise.all([
    next.beginGeneration(second, never), bench.sink({ attempt: 'third', settings: staged }).beginGeneration(second, never),
  ]);
  assert.deepEqual([made, same], [second, second]);
  const bytes = rowsText([[2, 'old']]);
  const isClosed = (error: unknown): boolean => hasCode(error, connectorErrors.JOB_CLOSED.code);
  await assert.rejects(open.mark(factsOf(bytes, 1), { part: 0, bytes }, never), isClosed);
  await assert.rejects(writeChunk(old, plan, { target: 0, chunk: 1 }, [[2, 'old']]), isClosed);
  await assert.rejects(allMarks(old, plan), isClosed);
  await assert.rejects(old.finish(plan, receiptOf('old'), never), isClosed);
  // A generation that is not later changes nothing.
  assert.deepEqual(await old.beginGeneration({ ...second, activityDigest: 'late' }, never), second);
  assert.deepEqual(await allMarks(next, second), []);
  await writeChunk(next, second, { target: 0, chunk: 0 }, [[3, 'next']]);
  // The table of the first one could not be removed while somebody wrote it: the job's end does so, or a later plan.
  await next.finish(second, receiptOf('next'), never);
  assert.deepEqual(await server.query('SELECT id FROM t'), [{ id: 3 }]);
  await bench.sink({ attempt: 'a', jobId: 'later' }).insertPlan(planOf({ chunks: 1, jobId: 'later' }), never);
  assert.deepEqual(await stages(), []);
  await assert.rejects(next.beginGeneration({ ...second, generation: 3 }, never), isClosed);
});

test('What jobs of long ago have left is removed with a later plan; what is open or in use is not.', async (t) => {
  const bench = new SinkBench(t, server);
  for (const jobId of ['done', 'fresh', 'open', 'aborted', 'read']) {
    const sink = bench.sink({ attempt: 'a', jobId, settings: staged });
    const plan = await sink.insertPlan(planOf({ chunks: 1, jobId }), never);
    await writeChunk(sink, plan, { target: 0, chunk: 0 }, [[1, jobId]]);
    if (jobId === 'done' || jobId === 'fresh') await sink.finish(plan, receiptOf('a', jobId), never);
  }
  // Ended without their staging tables being removed.
  await server.query("UPDATE dmg_job SET phase = 'aborted' WHERE job_id IN ('aborted', 'read')");
  await server.query("UPDATE dmg_job SET updated_at = now() - interval '31 days' WHERE job_id <> 'fresh'");
  assert.equal((await stages()).length, 3);
  const reader = await server.client();
  const [name] = await server.query<{ name: string }>(
    "SELECT oid::regclass::text AS name FROM pg_class WHERE obj_description(oid) LIKE '%job read %'");
  await reader.query(`BEGIN; SELECT * FROM ${name?.name}`);
  await bench.sink({ attempt: 'a', jobId: 'later' }).insertPlan(planOf({ chunks: 1, jobId: 'later' }), never);
  assert.equal((await stages()).length, 2);
  const jobs = await server.query('SELECT job_id FROM dmg_job ORDER BY 1');
  assert.deepEqual(jobs, [{ job_id: 'fresh' }, { job_id: 'later' }, { job_id: 'open' }]);
  assert.deepEqual(await server.query('SELECT DISTINCT job_id FROM dmg_chunk ORDER BY 1'), [{ job_id: 'fresh' }, { job_id: 'open' }]);
  await reader.query('COMMIT');
  await bench.sink({ attempt: 'a', jobId: 'latest' }).insertPlan(planOf({ chunks: 1, jobId: 'latest' }), never);
  assert.equal((await stages()).length, 1);
});

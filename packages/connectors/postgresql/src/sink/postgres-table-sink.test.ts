import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { hasCode, isDmgError } from '@dmg/base';
import { connectorErrors } from '@dmg/connector-api';
import { postgresqlErrors } from '../errors.ts';
import { startPostgres } from '../testing/postgres-server.ts';
import {
  allMarks, attemptIdOf, column, factsOf, never, planOf, receiptOf, rowsText, SinkBench, writeChunk,
} from '../testing/sink-bench.ts';

const server = await startPostgres({ after });

beforeEach(() => server.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE t (id int, v text)'));

const closed = (error: unknown): boolean => hasCode(error, connectorErrors.JOB_CLOSED.code);
const withCode = (code: string) => (error: unknown): boolean => hasCode(error, code);

async function failure(work: Promise<unknown>): Promise<Error> {
  const error: unknown = await work.then(() => undefined, (reason: unknown) => reason);
  assert.ok(isDmgError(error), `no DmgError: ${String(error)}`);
  return error;
}

test('Chunks are copied, marked and finished; the receipt stands for everybody.', async (t) => {
  const bench = new SinkBench(t, server);
  const sink = bench.sink({ attempt: 'a' });
  assert.deepEqual(await sink.state(never), { phase: 'none', plan: undefined, receipt: undefined });
  const [base] = await sink.bases(['public.t'], never);
  const plan = await sink.insertPlan(planOf({ chunks: 3, base: base ?? '' }), never);
  assert.deepEqual(await sink.state(never), { phase: 'open', plan, receipt: undefined });
  const many = Array.from({ length: 200 }, (_, row) => [row, `value ${row}`]);
  assert.equal(await writeChunk(sink, plan, { target: 0, chunk: 0 }, many), 'marked');
  assert.equal(await writeChunk(sink, plan, { target: 0, chunk: 2 }, [[1000, '\\N'], [1001, 'a\\\tb\\\nc\\\r\\\\d']]), 'marked');
  const missing = await failure(sink.finish(plan, receiptOf('a'), never));
  assert.match(missing.message, /1 of its chunks/);
  assert.equal(await writeChunk(sink, plan, { target: 0, chunk: 1 }, []), 'marked');
  const marks = await allMarks(bench.sink({ attempt: 'b' }), plan);
  assert.deepEqual(marks.map(({ chunk, rows }) => [chunk, rows]), [[0, 200], [1, 0], [2, 2]]);
  assert.deepEqual(marks[1], { target: 0, chunk: 1, attemptId: attemptIdOf('a'), ...factsOf(new Uint8Array(), 0) });
  assert.deepEqual(await sink.finish(plan, receiptOf('a'), never), receiptOf('a'));
  assert.deepEqual(await bench.sink({ attempt: 'b' }).finish(plan, receiptOf('b'), never), receiptOf('a'));
  assert.deepEqual(await sink.state(never), { phase: 'done', plan: undefined, receipt: receiptOf('a') });
  assert.deepEqual(await bench.sink({ attempt: 'c' }).abort(never), { phase: 'done', plan: undefined, receipt: receiptOf('a') });
  const late: (() => Promise<unknown>)[] = [
    () => sink.insertPlan(plan, never), () => sink.openChunk(plan, { target: 0, chunk: 0 }, never), () => allMarks(sink, plan),
  ];
  for (const work of late) await assert.rejects(work(), closed);
  const rows = await server.query("SELECT count(*)::int AS n, count(DISTINCT id)::int AS ids FROM t");
  assert.deepEqual(rows, [{ n: 202, ids: 202 }]);
  assert.deepEqual(await server.query('SELECT v FROM t WHERE id >= 1000 ORDER BY id'), [{ v: null }, { v: 'a\tb\nc\r\\d' }]);
});

test('Of two writers of a chunk the first one counts and the second one is told so.', async (t) => {
  const bench = new SinkBench(t, server);
  const [a, b] = [bench.sink({ attempt: 'a' }), bench.sink({ attempt: 'b' })];
  const plan = await a.insertPlan(planOf({ chunks: 1 }), never);
  assert.deepEqual(await b.insertPlan({ ...plan, activityDigest: 'other' }, never), plan);
  const bytes = rowsText([[1, 'a']]);
  const writer = await a.openChunk(plan, { target: 0, chunk: 0 }, never);
  // It waits at the mark, not at the rows.
  const second = writeChunk(b, plan, { target: 0, chunk: 0 }, [[2, 'b']]);
  assert.equal(await writer.mark(factsOf(bytes, 1), { part: 0, bytes }, never), 'marked');
  assert.equal(await second, 'already');
  assert.deepEqual(await server.query('SELECT id FROM t'), [{ id: 1 }]);
  await writer.discard();
  assert.equal((await allMarks(b, plan)).length, 1);
});

test('A chunk that is given up leaves nothing, and another attempt writes it.', async (t) => {
  const bench = new SinkBench(t, server);
  const [a, b] = [bench.sink({ attempt: 'a' }), bench.sink({ attempt: 'b' })];
  const plan = await a.insertPlan(planOf({ chunks: 1 }), never);
  const writer = await a.openChunk(plan, { target: 0, chunk: 0 }, never);
  await writer.writePart(0, rowsText([[1, 'x']]), never);
  await writer.discard();
  await writer.discard();
  assert.deepEqual(await allMarks(a, plan), []);
  assert.equal(await writeChunk(b, plan, { target: 0, chunk: 0 }, [[2, 'y']]), 'marked');
  assert.deepEqual(await server.query('SELECT id FROM t'), [{ id: 2 }]);
});

test('A write that is given up rejects with the reason and ends its session.', async (t) => {
  const bench = new SinkBench(t, server);
  const sink = bench.sink({ attempt: 'a' });
  const plan = await sink.insertPlan(planOf({ chunks: 1 }), never);
  const writer = await sink.openChunk(plan, { target: 0, chunk: 0 }, never);
  const controller = new AbortController();
  const reason = new Error('enough');
  const marking = writer.mark(factsOf(rowsText([[1, 'x']]), 1), { part: 0, bytes: rowsText([[1, 'x']]) }, controller.signal);
  controller.abort(reason);
  assert.equal(await marking.catch((error: unknown) => error), reason);
  const { signal } = controller;
  const later: (() => Promise<unknown>)[] = [
    () => writer.writePart(1, rowsText([[1, 'x']]), signal), () => sink.openChunk(plan, { target: 0, chunk: 0 }, signal),
    () => sink.finish(plan, receiptOf('a'), signal), () => sink.abort(signal), () => sink.state(signal),
  ];
  for (const work of later) assert.equal(await work().catch((error: unknown) => error), reason);
  assert.equal(await writeChunk(sink, plan, { target: 0, chunk: 0 }, [[2, 'y']]), 'marked');
  await sink.close();
  const left = "SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name LIKE 'dmg:%'";
  while ((await server.query(left))[0]?.n !== 0) await new Promise((resolve) => setImmediate(resolve));
});

test('After an abort no writer, planner or finisher changes anything; whole chunks stay.', async (t) => {
  const bench = new SinkBench(t, server);
  const [a, late, aborter] = [bench.sink({ attempt: 'a' }), bench.sink({ attempt: 'late' }), bench.sink({ attempt: 'c' })];
  const plan = await a.insertPlan(planOf({ chunks: 2 }), never);
  assert.equal(await writeChunk(a, plan, { target: 0, chunk: 0 }, [[1, 'in']]), 'marked');
  const writer = await late.openChunk(plan, { target: 0, chunk: 1 }, never);
  await writer.writePart(0, rowsText([[2, 'x'.repeat(60)]]), never);
  assert.equal((await aborter.abort(never)).phase, 'aborted');
  const bytes = rowsText([[3, 'late']]);
  await assert.rejects(writer.mark(factsOf(bytes, 2), { part: 1, bytes }, never), closed);
  await writer.discard();
  const later: (() => Promise<unknown>)[] = [
    () => late.insertPlan(plan, never), () => a.openChunk(plan, { target: 0, chunk: 1 }, never),
    () => a.finish(plan, receiptOf('a'), never),
  ];
  for (const work of later) await assert.rejects(work(), closed);
  assert.deepEqual(await aborter.abort(never), { phase: 'aborted', plan: undefined, receipt: undefined });
  assert.deepEqual(await server.query('SELECT id FROM t'), [{ id: 1 }]);
});

test('A job that was aborted before it had a plan never gets one.', async (t) => {
  const bench = new SinkBench(t, server);
  assert.equal((await bench.sink({ attempt: 'a' }).abort(never)).phase, 'aborted');
  await assert.rejects(bench.sink({ attempt: 'b' }).insertPlan(planOf({ chunks: 1 }), never), closed);
  await assert.rejects(bench.sink({ attempt: 'b' }).finish(planOf({ chunks: 1 }), receiptOf('b'), never), closed);
  // Where the schema is missing nothing can stand.
  assert.equal((await bench.sink({ attempt: 'a', schema: 'nowhere' }).abort(never)).phase, 'aborted');
});

test('Finish without a plan publishes nothing; abort and finish at once agree.', async (t) => {
  const bench = new SinkBench(t, server);
  const sink = bench.sink({ attempt: 'a' });
  await assert.rejects(sink.finish(planOf({ chunks: 1 }), receiptOf('a'), never), withCode(connectorErrors.MARKS_MISSING.code));
  for (let round = 0; round < 10; round++) {
    const jobId = `job-${round}`;
    const [first, second] = [bench.sink({ attempt: 'a', jobId }), bench.sink({ attempt: 'b', jobId })];
    const plan = await first.insertPlan(planOf({ chunks: 1, jobId }), never);
    await writeChunk(first, plan, { target: 0, chunk: 0 }, [[round, 'x']]);
    // An abort that waited for a slow finisher ends its session, before the phase says why: the finisher asks again, as the engine does.
    const finish = (): Promise<string> => first.finish(plan, receiptOf('a', jobId), never).then(() => 'done', (error: unknown) => {
      if (isDmgError(error) && error.retry === 'backoff') return finish();
      return closed(error) ? 'aborted' : String(error);
    });
    const [finished, aborted] = await Promise.all([
      finish(),
      second.abort(never).then(({ phase }) => phase),
    ]);
    assert.equal(finished, aborted);
    assert.equal((await bench.sink({ attempt: 'c', jobId }).state(never)).phase, aborted);
  }
});

test('A bad row rolls its chunk back; the error names table, line, column and reason, and is not repeated.', async (t) => {
  await server.query('CREATE TABLE strict (id int PRIMARY KEY, short varchar(3), needed int NOT NULL CHECK (needed > 0))');
  const bench = new SinkBench(t, server);
  const sink = bench.sink({ attempt: 'a', table: 'strict' });
  const columns = [column('id', 'integer'), column('short'), column('needed', 'integer')];
  const plan = await sink.insertPlan(planOf({ chunks: 2, path: 'public.strict', columns }), never);
  assert.equal(await writeChunk(sink, plan, { target: 0, chunk: 0 }, [[1, 'abc', 1]]), 'marked');
  const wrong: [text: string, reason: RegExp][] = [
    ['2\tabc\t1\nnope\tabc\t1\n', /invalid input syntax for type integer.*line 2 of the chunk, column id.*22P02/],
    ['2\tabcd\t1\n', /too long.*line 1 of the chunk, column short.*22001/],
    ['2\tabc\t\\N\n', /"needed".*not-null.*line 1 of the chunk.*23502/],
    ['2\tabc\t0\n', /strict_needed_check.*line 1 of the chunk.*23514/],
    ['3\tabc\t1\n1\tabc\t1\n', /strict_pkey.*line 2 of the chunk.*23505/],
    ['2\tabc\n', /missing data for column "needed".*line 1 of the chunk.*22P04/],
    ['2\tabc\t1\t1\n', /extra data after last expected column.*line 1 of the chunk.*22P04/],
    ['2\tab\0\t1\n', /line 1 of the chunk.*22021/],
  ];
  for (const [text, reason] of wrong) {
    const writer = await sink.openChunk(plan, { target: 0, chunk: 1 }, never);
    const bytes = Buffer.from(text);
    const error = await failure(writer.mark(factsOf(bytes, text.split('\n').length - 1), { part: 0, bytes }, never));
    assert.ok(isDmgError(error) && error.retry === 'never' && error.scope === 'row', error.message);
    assert.match(error.message, reason);
    assert.match(error.message, /public\.strict/);
    await writer.discard();
  }
  assert.deepEqual(await server.query('SELECT id FROM strict'), [{ id: 1 }]);
  assert.equal((await allMarks(sink, plan)).length, 1);
});

test('An error in a long chunk ends it early, and constraints that are checked at the end end it late.', async (t) => {
  await server.query(`
    CREATE TABLE parent (id int PRIMARY KEY);
    CREATE TABLE child (id int, v text, FOREIGN KEY (id) REFERENCES parent DEFERRABLE INITIALLY DEFERRED)`);
  const bench = new SinkBench(t, server);
  const sink = bench.sink({ attempt: 'a', table: 'child' });
  const plan = await sink.insertPlan(planOf({ chunks: 2, path: 'public.child' }), never);
  const long = await sink.openChunk(plan, { target: 0, chunk: 0 }, never);
  const part = Buffer.from(`bad\t${'x'.repeat(1_000_000)}\n`);
  const writing = (async () => {
    for (let index = 0; index < 50; index++) await long.writePart(index, part, never);
    return 'written to the end';
  })();
  assert.match((await failure(writing)).message, /line 1 of the chunk, column id/);
  await long.discard();
  const error = await failure(writeChunk(sink, plan, { target: 0, chunk: 0 }, [[7, 'x']]));
  assert.match(error.message, /child_id_fkey/);
  assert.ok(isDmgError(error) && error.retry === 'never');
  assert.deepEqual(await allMarks(sink, plan), []);
});

test('Rows that a trigger leaves out are noticed.', async (t) => {
  await server.query(`
    CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.id = 2 THEN RETURN NULL; END IF; RETURN NEW; END';
    CREATE TRIGGER skip BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION skip()`);
  const sink = new SinkBench(t, server).sink({ attempt: 'a' });
  const plan = await sink.insertPlan(planOf({ chunks: 1 }), never);
  const error = await failure(writeChunk(sink, plan, { target: 0, chunk: 0 }, [[1, 'x'], [2, 'y']]));
  assert.ok(hasCode(error, postgresqlErrors.ROWS_DIFFER.code));
  assert.match(error.message, /stored 1 of 2 rows/);
  assert.deepEqual(await server.query('SELECT count(*)::int AS n FROM t'), [{ n: 0 }]);
});

test('A table that was replaced meanwhile is no target any more, neither for a chunk nor for the end.', async (t) => {
  const bench = new SinkBench(t, server);
  const sink = bench.sink({ attempt: 'a' });
  const plan = await sink.insertPlan(planOf({ chunks: 2 }), never);
  await writeChunk(sink, plan, { target: 0, chunk: 0 }, [[1, 'x']]);
  await server.query('DROP TABLE t; CREATE TABLE t (id int, v text)');
  const changed = withCode(connectorErrors.TARGET_CHANGED.code);
  await assert.rejects(writeChunk(sink, plan, { target: 0, chunk: 1 }, [[2, 'x']]), changed);
  await server.query('UPDATE dmg_job SET table_oid = 0');
  await server.query("INSERT INTO dmg_chunk SELECT job_id, 1, 0, 1, 'x', 0, 0, '', 0, 0 FROM dmg_job");
  await assert.rejects(sink.finish(plan, receiptOf('a'), never), changed);
});

test('Chunks of rows that are cut as they come must join on.', async (t) => {
  const sink = new SinkBench(t, server).sink({ attempt: 'a' });
  const made = planOf({ chunks: 1 });
  const [first] = made.targets;
  assert.ok(first !== undefined);
  const sources = [{ path: 's', sizeBytes: 12, identity: 'i' }];
  const plan = await sink.insertPlan({ ...made, targets: [{ ...first, sources, cutting: { kind: 'sequential', chunkBytes: 4 } }] }, never);
  const write = async (chunk: number, sourceStart: number): Promise<string> => {
    const bytes = rowsText([[chunk, 'x']]);
    const writer = await sink.openChunk(plan, { target: 0, chunk }, never);
    return writer.mark(factsOf(bytes, 1, sourceStart), { part: 0, bytes }, never);
  };
  assert.equal(await write(0, 0), 'marked');
  await assert.rejects(write(1, 5), withCode(postgresqlErrors.CHUNKS_DIFFER.code));
  assert.equal(await write(1, 4), 'marked');
  await assert.rejects(sink.finish(plan, receiptOf('a'), never), withCode(connectorErrors.MARKS_MISSING.code));
  assert.equal(await write(2, 8), 'marked');
  await sink.finish(plan, receiptOf('a'), never);
});

test('A direct copy begins anew as long as no chunk is in, without its script; afterwards the plan stands.', async (t) => {
  await server.query('CREATE TABLE runs (n int)');
  const bench = new SinkBench(t, server);
  const settings = { preCopyScript: 'INSERT INTO runs VALUES (1)' };
  const [old, next] = [bench.sink({ attempt: 'old', settings }), bench.sink({ attempt: 'next', settings })];
  const plan = await old.insertPlan(planOf({ chunks: 2 }), never);
  const open = await old.openChunk(plan, { target: 0, chunk: 0 }, never);
  const second = { ...planOf({ chunks: 1 }), generation: 2 };
  assert.deepEqual(await next.beginGeneration(second, never), second);
  const bytes = rowsText([[1, 'old']]);
  await assert.rejects(open.mark(factsOf(bytes, 1), { part: 0, bytes }, never), closed);
  assert.equal(await writeChunk(next, second, { target: 0, chunk: 0 }, [[2, 'next']]), 'marked');
  assert.deepEqual(await old.beginGeneration({ ...second, generation: 3 }, never), second);
  await next.finish(second, receiptOf('next'), never);
  assert.deepEqual(await server.query('SELECT id FROM t'), [{ id: 2 }]);
  assert.deepEqual(await server.query('SELECT n FROM runs'), [{ n: 1 }]);
});

test('A new generation waits for a chunk that is being committed, and then does not begin.', async (t) => {
  const bench = new SinkBench(t, server);
  const [sink, next] = [bench.sink({ attempt: 'a' }), bench.sink({ attempt: 'b' })];
  const plan = await sink.insertPlan(planOf({ chunks: 2 }), never);
  // As a chunk's transaction stands just before its COMMIT.
  const chunk = await server.client();
  await chunk.query('BEGIN');
  await chunk.query(`INSERT INTO dmg_chunk (job_id, generation, target, chunk, attempt_id, bytes, rows, hash, source_start, source_end)
    VALUES ('job-1', 1, 0, 0, '${attemptIdOf('a')}', 0, 0, '', 0, 0)`);
  await chunk.query("SELECT FROM dmg_job WHERE job_id = 'job-1' FOR SHARE");
  const begun = next.beginGeneration({ ...planOf({ chunks: 1 }), generation: 2 }, never);
  const waits = `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FOR UPDATE%'`;
  while ((await server.admin(waits)).length === 0) assert.ok(server.running);
  await chunk.query('COMMIT');
  await chunk.end();
  assert.deepEqual(await begun, plan);
});

test('Whatever the database has as default, a null in an array stays one.', async (t) => {
  await server.query('CREATE TABLE lists (id int, v text[])');
  await server.admin(`ALTER DATABASE ${server.database} SET array_nulls = off`);
  try {
    const sink = new SinkBench(t, server).sink({ attempt: 'a', table: 'lists' });
    const columns = [column('id', 'integer'), column('v', 'text[]')];
    const plan = await sink.insertPlan(planOf({ chunks: 1, path: 'public.lists', columns }), never);
    await writeChunk(sink, plan, { target: 0, chunk: 0 }, [[1, '{NULL,"NULL",x}']]);
  } finally {
    await server.admin(`ALTER DATABASE ${server.database} RESET array_nulls`);
  }
  assert.deepEqual(await server.query('SELECT v FROM lists'), [{ v: [null, 'NULL', 'x'] }]);
});

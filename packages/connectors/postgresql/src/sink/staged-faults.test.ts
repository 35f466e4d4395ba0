import assert from 'node:assert/strict';
import { after, beforeEach, type TestContext, test } from 'node:test';
import { firstLine, hasCode, isDmgError } from '@dmg/base';
import { connectorErrors } from '@dmg/connector-api';
import type { JsonObject, Plan } from '@dmg/model';
import { postgresqlErrors } from '../errors.ts';
import { type Fate, PostgresProxy } from '../testing/postgres-proxy.ts';
import { startPostgres } from '../testing/postgres-server.ts';
import { column, never, planOf, receiptOf, SinkBench, writeChunk } from '../testing/sink-bench.ts';
import type { PostgresTableSink } from './postgres-table-sink.ts';

const server = await startPostgres({ after });

const start = "DROP TABLE IF EXISTS t, dmg_job, dmg_chunk; CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (0, 'old')";
beforeEach(() => server.query(`DROP SCHEMA public CASCADE; CREATE SCHEMA public; ${start}`));

const transient = (error: unknown): boolean => isDmgError(error) && error.retry !== 'never';
const closed = (error: unknown): boolean => hasCode(error, connectorErrors.JOB_CLOSED.code);
const columns = [column('id', 'integer'), column('v')];

async function values(): Promise<string[]> {
  return (await server.query<{ row: string }>("SELECT id||v AS row FROM t ORDER BY id")).map(({ row }) => row);
}

const stageNames = "SELECT oid::regclass::text AS name FROM pg_class WHERE relname LIKE 'dmg_stage%' AND relkind = 'r'";

async function stages(): Promise<number> {
  return (await server.query(stageNames)).length;
}

/** A plan whose rows are all staged. */
async function copied(sink: PostgresTableSink, plan: Plan = planOf({ chunks: 2, columns })): Promise<Plan> {
  const standing = await sink.insertPlan(plan, never);
  for (const chunk of [0, 1]) await writeChunk(sink, standing, { target: 0, chunk }, [[chunk, 'new']]);
  return standing;
}

const ways: [name: string, settings: JsonObject, result: string[]][] = [
  ['staged', { writeMode: 'staged', preCopyScript: 'TRUNCATE t' }, ['0new', '1new']],
  ['upsert', { writeMethod: 'Upsert', tableOption: 'autoCreate' }, ['0new', '1new']],
];

for (const [name, settings, result] of ways) {
  test(`${name}: the session ended at every step of plan and end: all rows at once, once.`, async (t) => {
    const bench = new SinkBench(t, server);
    const counting = await PostgresProxy.start(t, server);
    const counted = bench.sink({ attempt: 'count', settings, port: counting.port });
    await counted.insertPlan(planOf({ chunks: 2, columns }), never);
    const planned = counting.statements.length;
    await copied(counted);
    const before = counting.statements.length;
    await counted.finish(planOf({ chunks: 2, columns }), receiptOf('count'), never);
    const statements = [...counting.statements.entries()];
    // The steps between them, those of chunks, are struck where rows are written directly.
    const steps = statements.filter(([step, text]) =>
      (step >= before || (step < planned && name === 'staged')) && !text.startsWith('SELECT set_config'));
    t.diagnostic(`${steps.length} steps`);
    assert.ok(planned > 10 && steps.length > 8, counting.statements.join('\n'));
    for (const [step, text] of steps) {
      // A transaction that is cut after a statement is cut before the next one; only its end makes a difference.
      for (const fate of text === 'COMMIT' ? ['cut', 'cutAfter'] as const : ['cut'] as const) {
        await server.query(start);
        const what = `${fate} at ${text}`;
        const proxy = await PostgresProxy.start(t, server);
        proxy.fate = ({ index }) => (index === step ? fate : 'pass');
        const sink = bench.sink({ attempt: 'a', settings, port: proxy.port });
        const error: unknown = await copied(sink).then((plan) => sink.finish(plan, receiptOf('a'), never))
          .then(() => undefined, (reason: unknown) => reason);
        const other = bench.sink({ attempt: 'b', settings });
        const { phase } = await other.state(never);
        if (error !== undefined) assert.ok(transient(error) || (closed(error) && phase === 'done'), `${what}: ${firstLine(error)}`);
        assert.deepEqual(await values(), phase === 'done' ? result : ['0old'], what);
        assert.equal(await stages(), phase === 'open' ? 1 : 0, what);
        const receipt = phase === 'done' ? await other.finish(planOf({ chunks: 2, columns }), receiptOf('b'), never)
          : await copied(other).then((plan) => other.finish(plan, receiptOf('b'), never));
        assert.deepEqual(receipt, receiptOf(phase === 'done' ? 'a' : 'b'), what);
        assert.deepEqual(await values(), result, what);
        assert.equal(await stages(), 0, what);
        await Promise.all([sink.close(), other.close(), proxy.close()]);
      }
    }
  });
}

/** Strikes once, at the first statement that matches; resolves when it has. */
async function strike(t: TestContext, at: RegExp, fate: Fate): Promise<{ port: number; struck: Promise<void> }> {
  const proxy = await PostgresProxy.start(t, server);
  const { promise, resolve } = Promise.withResolvers<void>();
  let done = false;
  proxy.fate = ({ text }) => {
    if (done || !at.test(text)) return 'pass';
    done = true;
    resolve();
    return fate;
  };
  return { port: proxy.port, struck: promise };
}

const settings = { writeMode: 'staged' };
const outcome = (work: Promise<unknown>): Promise<unknown> => work.then(() => undefined, (error: unknown) => error);

test('A finisher that is frozen before its COMMIT is ended by the next one, which ends the job.', async (t) => {
  await server.query('TRUNCATE t');
  const bench = new SinkBench(t, server);
  const plan = await copied(bench.sink({ attempt: 'a', settings }));
  const { port, struck } = await strike(t, /^COMMIT/, 'hold');
  const frozen = outcome(bench.sink({ attempt: 'frozen', settings, port }).finish(plan, receiptOf('frozen'), never));
  await struck;
  const next = bench.sink({ attempt: 'next', settings, blockerPatienceMs: 150 });
  assert.deepEqual(await next.finish(plan, receiptOf('next'), never), receiptOf('next'));
  const error = await frozen;
  assert.ok(transient(error) || closed(error), String(error));
  assert.deepEqual(await values(), ['0new', '1new']);
  assert.equal(await stages(), 0);
});

/** Each row that is moved takes its time. */
const slow = `CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.3); RETURN NEW; END';
  TRUNCATE t; CREATE TRIGGER slow BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION slow()`;

test('A finisher that is at work is waited for, longer than for a lock; its receipt stands.', async (t) => {
  await server.query(slow);
  const bench = new SinkBench(t, server);
  const first = bench.sink({ attempt: 'first', settings });
  const plan = await copied(first);
  // With this limit of a call, a lock is waited for one second at most: twice as long as the rows take.
  const second = bench.sink({ attempt: 'second', settings, blockerPatienceMs: 50, callLimitMs: 500 });
  const work = first.finish(plan, receiptOf('first'), never);
  while ((await server.admin("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'INSERT%dmg_stage%' AND state = 'active'")).length === 0);
  assert.deepEqual(await second.finish(plan, receiptOf('second'), never), receiptOf('first'));
  assert.deepEqual(await work, receiptOf('first'));
  assert.deepEqual(await values(), ['0new', '1new']);
});

test('An abort ends a finisher that is at work: nothing of it shows.', async (t) => {
  await server.query(slow);
  const bench = new SinkBench(t, server);
  const sink = bench.sink({ attempt: 'a', settings });
  const plan = await copied(sink);
  const finishing = outcome(sink.finish(plan, receiptOf('a'), never));
  while ((await server.admin("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'INSERT%dmg_stage%' AND state = 'active'")).length === 0);
  assert.equal((await bench.sink({ attempt: 'c', settings }).abort(never)).phase, 'aborted');
  const error = await finishing;
  assert.ok(closed(error) || transient(error), String(error));
  await assert.rejects(sink.finish(plan, receiptOf('a'), never), closed);
  assert.deepEqual(await values(), []);
  assert.equal(await stages(), 0);
});

test('The server is killed while rows are staged and while they are moved: they are all there, once.', async (t) => {
  const bench = new SinkBench(t, server);
  const upsert = { writeMethod: 'Upsert' };
  const sink = bench.sink({ attempt: 'a', settings: upsert });
  const plan = await sink.insertPlan(planOf({ chunks: 2, columns }), never);
  await writeChunk(sink, plan, { target: 0, chunk: 0 }, [[0, 'new']]);
  await server.kill9();
  await server.restart();
  const next = bench.sink({ attempt: 'b', settings: upsert });
  assert.equal(await writeChunk(next, plan, { target: 0, chunk: 0 }, [[0, 'again']]), 'already');
  await writeChunk(next, plan, { target: 0, chunk: 1 }, [[1, 'new']]);
  const { port, struck } = await strike(t, /^COMMIT/, 'hold');
  const frozen = outcome(bench.sink({ attempt: 'frozen', settings: upsert, port }).finish(plan, receiptOf('frozen'), never));
  await struck;
  await server.kill9();
  assert.ok(transient(await frozen));
  await server.restart();
  assert.deepEqual(await values(), ['0old']);
  await bench.sink({ attempt: 'd', settings: upsert }).finish(plan, receiptOf('d'), never);
  assert.deepEqual(await values(), ['0new', '1new']);
  assert.equal(await stages(), 0);
});

test('A chunk whose staging table goes with its generation is told so; one that a stranger has removed ends the job.', async (t) => {
  const bench = new SinkBench(t, server);
  const proxy = await PostgresProxy.start(t, server);
  const { promise: copying, resolve } = Promise.withResolvers<void>();
  proxy.lateMs = 300;
  proxy.fate = ({ text }) => {
    if (!text.startsWith('COPY')) return 'pass';
    resolve();
    return 'late';
  };
  const plan = await bench.sink({ attempt: 'a', settings }).insertPlan(planOf({ chunks: 2, columns }), never);
  const old = outcome(bench.sink({ attempt: 'old', settings, port: proxy.port }).openChunk(plan, { target: 0, chunk: 0 }, never));
  await copying;
  const second = { ...plan, generation: 2 };
  const next = bench.sink({ attempt: 'next', settings });
  await next.beginGeneration?.(second, never);
  const error = await old;
  assert.ok(closed(error), String(error));
  const [stage] = await server.query<{ name: string }>(stageNames);
  await server.query(`DROP TABLE ${stage?.name}`);
  await assert.rejects(writeChunk(next, second, { target: 0, chunk: 0 }, [[1, 'x']]), { code: postgresqlErrors.STAGE_LOST.code });
  await server.query(`INSERT INTO dmg_chunk SELECT job_id, 2, 0, n, 'x', 0, 0, '', 0, 0 FROM dmg_job, generate_series(0, 1) n`);
  await assert.rejects(next.finish(second, receiptOf('a'), never), { code: postgresqlErrors.STAGE_LOST.code });
});

test('Somebody who reads the staging table, a backup say, does not keep a copy from its end.', async (t) => {
  const bench = new SinkBench(t, server);
  const upsert = { writeMethod: 'Upsert' };
  const sink = bench.sink({ attempt: 'a', settings: upsert });
  const plan = await copied(sink);
  const reader = await server.client();
  const [stage] = await server.query<{ name: string }>(stageNames);
  await reader.query(`BEGIN; SELECT FROM ${stage?.name}`);
  await sink.finish(plan, receiptOf('a'), never);
  assert.deepEqual(await values(), ['0new', '1new']);
  await reader.query('COMMIT');
  assert.equal(await stages(), 1);
  await bench.sink({ attempt: 'b', jobId: 'later' }).insertPlan(planOf({ chunks: 1, jobId: 'later' }), never);
  assert.equal(await stages(), 0);
});

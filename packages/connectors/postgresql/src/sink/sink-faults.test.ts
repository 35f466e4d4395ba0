import assert from 'node:assert/strict';
import { after, beforeEach, type TestContext, test } from 'node:test';
import { firstLine, hasCode, isDmgError } from '@dmg/base';
import { connectorErrors, type Sink } from '@dmg/connector-api';
import type { Plan } from '@dmg/model';
import { postgresqlErrors } from '../errors.ts';
import { type Fate, PostgresProxy } from '../testing/postgres-proxy.ts';
import { startPostgres } from '../testing/postgres-server.ts';
import { allMarks, factsOf, never, planOf, receiptOf, rowsText, SinkBench, writeChunk } from '../testing/sink-bench.ts';

const server = await startPostgres({ after });

beforeEach(() => server.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE t (id int, v text)'));

const transient = (error: unknown): boolean => isDmgError(error) && error.retry !== 'never';
const closed = (error: unknown): boolean => hasCode(error, connectorErrors.JOB_CLOSED.code);

async function rowIds(): Promise<number[]> {
  return (await server.query<{ id: number }>('SELECT id FROM t ORDER BY id')).map(({ id }) => id);
}

async function begun(bench: SinkBench, chunks: number): Promise<Plan> {
  return bench.sink({ attempt: 'planner' }).insertPlan(planOf({ chunks }), never);
}

/** Strikes once, at the first statement that matches. */
async function strike(t: TestContext, options: { at: RegExp; fate: Fate }): Promise<PostgresProxy> {
  const proxy = await PostgresProxy.start(t, server);
  let struck = false;
  proxy.fate = ({ text }) => {
    if (struck || !options.at.test(text)) return 'pass';
    struck = true;
    return options.fate;
  };
  return proxy;
}

for (const fate of ['cut', 'cutAfter', 'loseReply', 'hold'] as const) {
  test(`A chunk whose COMMIT meets "${fate}" is done again: its rows are there once.`, async (t) => {
    const bench = new SinkBench(t, server);
    const plan = await begun(bench, 2);
    const proxy = await strike(t, { at: /^COMMIT/, fate });
    const sink = bench.sink({ attempt: 'a', port: proxy.port, callLimitMs: 2000 });
    const giveUp = AbortSignal.timeout(400);
    const rows = [[1, 'x'], [2, 'y']];
    const outcome: unknown = await writeChunk(sink, plan, { target: 0, chunk: 0 }, rows, giveUp).catch((error: unknown) => error);
    assert.ok(transient(outcome) || outcome === giveUp.reason, String(outcome));
    const result = await writeChunk(sink, plan, { target: 0, chunk: 0 }, rows);
    if (fate === 'cutAfter' || fate === 'loseReply') assert.equal(result, 'already');
    if (fate === 'cut') assert.equal(result, 'marked');
    assert.deepEqual(await rowIds(), [1, 2]);
    assert.equal((await allMarks(sink, plan)).length, 1);
  });
}

test('A writer that is frozen before its COMMIT is found by its tag and ended; the next one writes the chunk.', async (t) => {
  const bench = new SinkBench(t, server);
  const plan = await begun(bench, 1);
  const frozen = await strike(t, { at: /^COMMIT/, fate: 'hold' });
  const first = writeChunk(bench.sink({ attempt: 'frozen', port: frozen.port }), plan, { target: 0, chunk: 0 }, [[1, 'frozen']])
    .then(() => undefined, (error: unknown) => error);
  while (frozen.statements.at(-1) !== 'COMMIT') await new Promise((resolve) => setImmediate(resolve));
  const sink = bench.sink({ attempt: 'next', blockerPatienceMs: 200 });
  assert.equal(await writeChunk(sink, plan, { target: 0, chunk: 0 }, [[2, 'next']]), 'marked');
  assert.deepEqual(await rowIds(), [2]);
  assert.ok(transient(await first));
});

test('A writer that is frozen in the middle of its rows is ended too, but never one of another job.', async (t) => {
  const bench = new SinkBench(t, server);
  const plan = await begun(bench, 1);
  const frozen = await bench.sink({ attempt: 'frozen' }).openChunk(plan, { target: 0, chunk: 0 }, never);
  await frozen.writePart(0, rowsText([[1, 'x'.repeat(60)]]), never);
  const sink = bench.sink({ attempt: 'next', blockerPatienceMs: 100 });
  assert.equal(await writeChunk(sink, plan, { target: 0, chunk: 0 }, [[2, 'next']]), 'marked');
  await assert.rejects(frozen.writePart(1, rowsText([[1, 'x']]), never), transient);
  await frozen.discard();
  assert.deepEqual(await rowIds(), [2]);

  const stranger = await server.client();
  await stranger.query("SET application_name = 'dmg:other:1'; BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE");
  const third = bench.sink({ attempt: 'third', jobId: 'job-3', blockerPatienceMs: 50, callLimitMs: 1500 });
  const refused: unknown = await third.insertPlan(planOf({ chunks: 1, jobId: 'job-3' }), never)
    .then((other) => writeChunk(third, other, { target: 0, chunk: 0 }, [[3, 'x']])).catch((error: unknown) => error);
  assert.ok(transient(refused), String(refused));
  assert.match(String(refused), /lock timeout/);
  await stranger.query('COMMIT');
});

test('A writer whose rows get on is not ended: who waits for its chunk is told so, and finds it written.', async (t) => {
  const bench = new SinkBench(t, server);
  const plan = await begun(bench, 1);
  const slow = await bench.sink({ attempt: 'slow' }).openChunk(plan, { target: 0, chunk: 0 }, never);
  // More than a server reads at once, so that it counts.
  const block = rowsText(Array.from({ length: 2000 }, (_, row) => [row, 'x'.repeat(100)]));
  const waiting = bench.sink({ attempt: 'next', blockerPatienceMs: 300 }).openChunk(plan, { target: 0, chunk: 0 }, never)
    .then(() => undefined, (error: unknown) => error);
  let part = 0;
  let isOver = false;
  const refusal = waiting.finally(() => {
    isOver = true;
  });
  while (!isOver) await slow.writePart(part++, Uint8Array.from(block), never);
  const refused = await refusal;
  assert.ok(hasCode(refused, connectorErrors.CHUNK_BUSY.code), String(refused));
  const facts = { ...factsOf(new Uint8Array(), part * 2000), bytes: part * block.length };
  assert.equal(await slow.mark(facts, { part, bytes: new Uint8Array() }, never), 'marked');
  assert.equal(await writeChunk(bench.sink({ attempt: 'next' }), plan, { target: 0, chunk: 0 }, [[1, 'next']]), 'already');
});

test('The COMMIT of an old attempt that comes after the abort changes nothing.', async (t) => {
  const bench = new SinkBench(t, server);
  const plan = await begun(bench, 1);
  const frozen = await strike(t, { at: /FOR SHARE$/, fate: 'hold' });
  const old = writeChunk(bench.sink({ attempt: 'old', port: frozen.port }), plan, { target: 0, chunk: 0 }, [[1, 'old']])
    .then(() => undefined, (error: unknown) => error);
  while (frozen.statements.at(-1)?.endsWith('FOR SHARE') !== true) await new Promise((resolve) => setImmediate(resolve));
  assert.equal((await bench.sink({ attempt: 'c' }).abort(never)).phase, 'aborted');
  assert.ok(closed(await old));
  assert.deepEqual(await rowIds(), []);

  // The same without its session being ended: the check itself refuses it.
  const second = await bench.sink({ attempt: 'p', jobId: 'job-2' }).insertPlan(planOf({ chunks: 1, jobId: 'job-2' }), never);
  const writer = await bench.sink({ attempt: 'old', jobId: 'job-2' }).openChunk(second, { target: 0, chunk: 0 }, never);
  await server.query("UPDATE dmg_job SET phase = 'aborted' WHERE job_id = 'job-2'");
  const bytes = rowsText([[1, 'x']]);
  await assert.rejects(writer.mark(factsOf(bytes, 1), { part: 0, bytes }, never), closed);
  assert.deepEqual(await rowIds(), []);
});

test('An abort waits for a COMMIT under way, and ends one that never comes.', async (t) => {
  const bench = new SinkBench(t, server);
  const plan = await begun(bench, 1);
  const frozen = await strike(t, { at: /^COMMIT/, fate: 'hold' });
  const old = writeChunk(bench.sink({ attempt: 'old', port: frozen.port }), plan, { target: 0, chunk: 0 }, [[1, 'old']])
    .then(() => undefined, (error: unknown) => error);
  while (frozen.statements.at(-1) !== 'COMMIT') await new Promise((resolve) => setImmediate(resolve));
  assert.equal((await bench.sink({ attempt: 'c' }).abort(never)).phase, 'aborted');
  // Its session was ended while the abort still waited for it, so it may not know why yet.
  const error = await old;
  assert.ok(closed(error) || transient(error), String(error));
  assert.deepEqual(await rowIds(), []);
});

test('TRUNCATE as pre-copy script, the session ended at every step: it runs with the plan or not at all.', async (t) => {
  const bench = new SinkBench(t, server);
  const settings = { preCopyScript: 'TRUNCATE t', tableOption: 'autoCreate' };
  const counting = await PostgresProxy.start(t, server);
  const counted = bench.sink({ attempt: 'count', jobId: 'count', settings, port: counting.port });
  await counted.insertPlan(planOf({ chunks: 1, jobId: 'count' }), never);
  const steps = counting.statements.length;
  assert.ok(steps > 8, counting.statements.join('\n'));
  for (const fate of ['cut', 'cutAfter'] as const) {
    for (let step = 0; step < steps; step++) {
      await server.query("DROP TABLE IF EXISTS t, dmg_job, dmg_chunk; CREATE TABLE t (id int, v text); INSERT INTO t VALUES (0, 'before')");
      const proxy = await PostgresProxy.start(t, server);
      proxy.fate = ({ index }) => (index === step ? fate : 'pass');
      const sink = bench.sink({ attempt: 'a', settings, port: proxy.port });
      const error: unknown = await sink.insertPlan(planOf({ chunks: 1 }), never).then(() => undefined, (reason: unknown) => reason);
      const what = `${fate} at ${counting.statements[step]}`;
      if (error !== undefined) assert.ok(transient(error), `${what}: ${firstLine(error)}`);
      const other = bench.sink({ attempt: 'b', settings });
      const { phase } = await other.state(never);
      assert.deepEqual(await rowIds(), phase === 'open' ? [] : [0], what);
      // The next attempt goes on: the script does not run again once rows are in.
      const plan = await other.insertPlan(planOf({ chunks: 1 }), never);
      assert.deepEqual(await rowIds(), [], what);
      assert.equal(await writeChunk(other, plan, { target: 0, chunk: 0 }, [[1, 'copied']]), 'marked');
      await sink.insertPlan(planOf({ chunks: 1 }), never);
      await bench.sink({ attempt: 'c', settings }).insertPlan(planOf({ chunks: 1 }), never);
      assert.deepEqual(await rowIds(), [1], what);
      await Promise.all([sink.close(), other.close(), proxy.close()]);
    }
  }
});

test('The server is killed and started again between chunks and in the middle of one: nothing is lost or doubled.', async (t) => {
  const bench = new SinkBench(t, server);
  const sink = bench.sink({ attempt: 'a' });
  const plan = await sink.insertPlan(planOf({ chunks: 3 }), never);
  await writeChunk(sink, plan, { target: 0, chunk: 0 }, [[1, 'x'], [2, 'x']]);
  await server.kill9();
  await server.restart();
  const writer = await opened(sink, plan);
  await writer.writePart(0, rowsText([[3, 'x'.repeat(60)]]), never);
  await server.kill9();
  const bytes = rowsText([[4, 'x']]);
  await assert.rejects(writer.mark(factsOf(bytes, 2), { part: 1, bytes }, never), transient);
  await writer.discard();
  const refused: unknown = await bench.sink({ attempt: 'b' }).state(never).catch((error: unknown) => error);
  assert.ok(hasCode(refused, connectorErrors.UNREACHABLE.code), String(refused));
  await server.restart();
  assert.deepEqual((await sink.state(never)).plan, plan);
  assert.deepEqual((await allMarks(sink, plan)).map(({ chunk }) => chunk), [0]);
  assert.equal(await writeChunk(sink, plan, { target: 0, chunk: 1 }, [[3, 'x'], [4, 'x']]), 'marked');
  assert.equal(await writeChunk(sink, plan, { target: 0, chunk: 2 }, [[5, 'x']]), 'marked');
  await sink.finish(plan, receiptOf('a'), never);
  await server.kill9();
  await server.restart();
  assert.deepEqual((await bench.sink({ attempt: 'b' }).state(never)).receipt, receiptOf('a'));
  assert.deepEqual(await rowIds(), [1, 2, 3, 4, 5]);
});

test('A full disk, a deadlock and too many sessions end the chunk, not the job; it is written when they have passed.', async (t) => {
  const bench = new SinkBench(t, server);
  await server.query("CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION USING ERRCODE = TG_ARGV[0]; END'");
  const sink = bench.sink({ attempt: 'a' });
  const plan = await sink.insertPlan(planOf({ chunks: 1 }), never);
  const expected: [sqlState: string, code: string][] = [
    ['53100', connectorErrors.NO_SPACE.code], ['40P01', postgresqlErrors.BUSY.code], ['53300', postgresqlErrors.BUSY.code],
    ['57P03', connectorErrors.UNREACHABLE.code],
  ];
  for (const [sqlState, code] of expected) {
    await server.query(`CREATE TRIGGER fail BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION fail('${sqlState}')`);
    const error: unknown = await writeChunk(sink, plan, { target: 0, chunk: 0 }, [[1, 'x']]).catch((reason: unknown) => reason);
    assert.ok(isDmgError(error) && error.code === code && error.scope === 'attempt', `${sqlState}: ${firstLine(error)}`);
    await server.query('DROP TRIGGER fail ON t');
  }
  assert.equal(await writeChunk(sink, plan, { target: 0, chunk: 0 }, [[1, 'x']]), 'marked');
  assert.deepEqual(await rowIds(), [1]);
});

/** Sessions that the server's end has cut may fail once more; then a new one is made. */
async function opened(sink: Sink, plan: Plan): ReturnType<Sink['openChunk']> {
  for (;;) {
    try {
      return await sink.openChunk(plan, { target: 0, chunk: 1 }, never);
    } catch (error) {
      if (!transient(error)) throw error;
    }
  }
}

test('An unlogged table that a crash has emptied is not taken for whole, although the marks are there.', async (t) => {
  await server.query('DROP TABLE t; CREATE UNLOGGED TABLE t (id int, v text)');
  const bench = new SinkBench(t, server);
  const whole = await bench.sink({ attempt: 'a', jobId: 'before' }).insertPlan(planOf({ chunks: 1, jobId: 'before' }), never);
  await writeChunk(bench.sink({ attempt: 'a', jobId: 'before' }), whole, { target: 0, chunk: 0 }, [[1, 'a']]);
  await bench.sink({ attempt: 'a', jobId: 'before' }).finish(whole, receiptOf('a', 'before'), never);
  const plan = await begun(bench, 2);
  await writeChunk(bench.sink({ attempt: 'a' }), plan, { target: 0, chunk: 0 }, [[2, 'b']]);
  await server.kill9();
  await server.restart();
  const later = bench.sink({ attempt: 'b' });
  assert.equal((await allMarks(later, plan)).length, 1);
  await writeChunk(later, plan, { target: 0, chunk: 1 }, [[3, 'c']]);
  await assert.rejects(later.finish(plan, receiptOf('b'), never), (error) => hasCode(error, postgresqlErrors.ROWS_LOST.code));
  assert.deepEqual(await rowIds(), [3]);
});

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { hasCode, isDmgError, type Random, seededRandom } from '@dmg/base';
import { connectorErrors, missingChunks } from '@dmg/connector-api';
import type { JsonObject, Plan } from '@dmg/model';
import { startPostgres } from '../testing/postgres-server.ts';
import { column, never, planOf, receiptOf, SinkBench, writeChunk } from '../testing/sink-bench.ts';
import type { PostgresTableSink } from './postgres-table-sink.ts';

const server = await startPostgres({ after });

const rounds = 60;
const roundsAtOnce = 4;
const seed = Number(process.env['DMG_TEST_SEED'] ?? 20_240_607);
const columns = ['job', 'chunk', 'row', 'attempt'].map((name) => column(name));

/** Whole number from 0 to `below` - 1. */
const pick = (random: Random, below: number): number => Math.floor(random.unit() * below);

/** Every second job writes into `t` itself, the others into `s` by way of a staging table. */
interface Round {
  readonly jobId: string;
  readonly staged: boolean;
  readonly chunks: number;
  readonly random: Random;
  kills: number;
}

/** What an attempt does until it is told that the job is over, however often its sessions are ended. */
async function runAttempt(sink: PostgresTableSink, round: Round, name: string): Promise<'done' | 'aborted'> {
  const { jobId, chunks, random } = round;
  for (let tries = 0; tries < 60; tries++) {
    try {
      const { phase } = await sink.state(never);
      if (phase === 'done' || phase === 'aborted') return phase;
      const plan = await sink.insertPlan(planOf({ chunks, jobId, path: round.staged ? 'public.s' : 'public.t', columns }), never);
      await copyMissing(sink, plan, random, name);
      await sink.finish(plan, receiptOf(name, jobId), never);
    } catch (error) {
      const passing = isDmgError(error) && (error.retry !== 'never' || hasCode(error, connectorErrors.JOB_CLOSED.code));
      if (!passing) throw error;
    }
  }
  throw new Error(`attempt ${name} of ${jobId} came to no end`);
}

async function copyMissing(sink: PostgresTableSink, plan: Plan, random: Random, name: string): Promise<void> {
  const [target] = plan.targets;
  assert.ok(target !== undefined);
  for (let tries = 0; tries < 60; tries++) {
    const marks = await sink.marks(plan, target, never);
    if (missingChunks(target, marks) === 0) return;
    const present = new Set(marks.map((mark) => mark.chunk));
    const missing = target.sources.map((_, chunk) => chunk).filter((chunk) => !present.has(chunk));
    const chunk = missing[pick(random, missing.length)] ?? 0;
    const rows = Array.from({ length: 5 + chunk * 3 }, (_, row) => [plan.jobId, chunk, row, name]);
    await writeChunk(sink, plan, { target: 0, chunk }, rows);
  }
}

/** Ends sessions of the job at random, until the job is over. */
async function strike(round: Round, over: () => boolean): Promise<void> {
  const wanted = 1 + pick(round.random, 5);
  for (let strikes = 0; strikes < wanted && !over(); strikes++) {
    for (let pause = pick(round.random, 12); pause > 0; pause--) await server.admin('SELECT 1');
    const ended = await server.admin(
      `SELECT pg_terminate_backend(pid) FROM (
         SELECT pid FROM pg_stat_activity WHERE application_name LIKE $1 ORDER BY pid OFFSET $2 LIMIT 1) AS s`,
      [`dmg:${round.jobId}:%`, pick(round.random, 3)],
    );
    round.kills += ended.length;
  }
}

async function runRound(bench: SinkBench, round: Round): Promise<'done' | 'aborted'> {
  const attempts = 2 + pick(round.random, 2);
  const { jobId } = round;
  const sinks = Array.from({ length: attempts }, (_, index) =>
    bench.sink({ attempt: `a${index}`, jobId, blockerPatienceMs: 300, ...sinkOf(round) }));
  let over = false;
  const striking = strike(round, () => over);
  const aborting = round.random.unit() < 0.3 ? abortLate(bench, round) : undefined;
  const outcomes = await Promise.all(sinks.map((sink, index) => runAttempt(sink, round, `a${index}`)));
  over = true;
  await Promise.all([striking, aborting]);
  const [first] = outcomes;
  assert.ok(first !== undefined && outcomes.every((outcome) => outcome === first), `${round.jobId}: ${outcomes.join()}`);
  for (const sink of sinks) assert.equal((await persisting(() => sink.state(never))).phase, first);
  await Promise.all(sinks.map((each) => each.close()));
  return first;
}

function sinkOf({ staged }: Round): { table: string; settings: JsonObject } {
  return staged ? { table: 's', settings: { writeMode: 'staged' } } : { table: 't', settings: {} };
}

async function abortLate(bench: SinkBench, round: Round): Promise<void> {
  for (let pause = pick(round.random, 20); pause > 0; pause--) await server.admin('SELECT 1');
  const sink = bench.sink({ attempt: 'aborter', jobId: round.jobId, ...sinkOf(round) });
  await persisting(() => sink.abort(never));
  await sink.close();
}

/** Repeats what fails because its session has been ended. */
async function persisting<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (tries > 20 || !isDmgError(error) || error.retry === 'never') throw error;
    }
  }
}

test(`${rounds} rounds of attempts that race, with sessions ended at random: every chunk is in once, whole (seed ${seed}).`, async (t) => {
  for (const table of ['t', 's']) await server.query(`CREATE TABLE ${table} (job text, chunk int, row int, attempt text)`);
  const bench = new SinkBench(t, server);
  const counts = { done: 0, aborted: 0, kills: 0 };
  const run = async (from: number): Promise<void> => {
    for (let index = from; index < rounds; index += roundsAtOnce) {
      const random = seededRandom(seed + index);
      const round: Round = { jobId: `job-${index}`, staged: index % 2 === 1, chunks: 1 + pick(random, 6), random, kills: 0 };
      counts[await runRound(bench, round)]++;
      counts.kills += round.kills;
    }
  };
  await Promise.all(Array.from({ length: roundsAtOnce }, (_, from) => run(from)));
  t.diagnostic(JSON.stringify(counts));
  assert.ok(counts.done > rounds / 2 && counts.aborted > 0 && counts.kills > rounds / 2);

  // A row is there as often as its chunk has a mark: once, or not at all. Staged rows are there when their job is done.
  const wrong = await server.query(`
    WITH
      rows AS (SELECT *, false AS staged FROM t UNION ALL SELECT *, true FROM s),
      stored AS (
        SELECT job, chunk, row, count(*) AS copies, min(attempt) AS first, max(attempt) AS last FROM rows GROUP BY job, chunk, row),
      marks AS (
        SELECT c.* FROM dmg_chunk c JOIN dmg_job j USING (job_id)
        WHERE substr(c.job_id, 5)::int % 2 = 0 OR j.phase = 'done')
    SELECT 'doubled or of two attempts' AS what, job, chunk FROM stored WHERE copies <> 1 OR first <> last
    UNION ALL
    SELECT 'not what the mark says', coalesce(c.job_id, s.job), coalesce(c.chunk, s.chunk)
    FROM marks c
    FULL JOIN (SELECT job, chunk, count(*) AS rows FROM stored GROUP BY job, chunk) s ON s.job = c.job_id AND s.chunk = c.chunk
    WHERE s.rows IS DISTINCT FROM c.rows OR c.rows <> 5 + c.chunk * 3
    UNION ALL
    SELECT 'in the table of the others', job, chunk FROM rows WHERE (substr(job, 5)::int % 2 = 1) <> staged
    UNION ALL
    SELECT 'done without a mark', j.job_id, n
    FROM dmg_job j, generate_series(0, json_array_length(j.plan::json -> 'targets' -> 0 -> 'sources') - 1) n
    WHERE j.phase = 'done' AND NOT EXISTS (SELECT FROM dmg_chunk c WHERE c.job_id = j.job_id AND c.chunk = n)
    UNION ALL
    SELECT 'not over', job_id, 0 FROM dmg_job WHERE phase = 'open'`);
  assert.deepEqual(wrong, []);
  assert.deepEqual(await server.query('SELECT count(*)::int AS n FROM dmg_job'), [{ n: rounds }]);
  const last = bench.sink({ attempt: 'last', jobId: 'last', table: 's', settings: { writeMode: 'staged' } });
  await last.insertPlan(planOf({ chunks: 1, jobId: 'last', path: 'public.s', columns }), never);
  assert.equal((await server.query("SELECT 1 FROM pg_class WHERE relname LIKE 'dmg_stage%' AND relkind = 'r'")).length, 1);
});

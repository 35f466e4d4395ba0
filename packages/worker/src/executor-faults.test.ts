import { type Labels, type Meter, type MetricDefinition, silentMeter } from '@dmg/base';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { identifyProcess } from './process-facts.ts';
import { startScriptedWorker, temporaryDirectory, until } from './testing/scripted-worker.ts';

const timeout = 60_000;

function countingMeter(): { meter: Meter; count(name: string, labels: Labels): number } {
  const counts = new Map<string, number>();
  const key = (name: string, labels: Labels | undefined): string => `${name} ${JSON.stringify(labels)}`;
  return {
    meter: {
      ...silentMeter,
      add: (metric: MetricDefinition, value, labels) => {
        const counted = key(metric.name, labels);
        counts.set(counted, (counts.get(counted) ?? 0) + value);
      },
    },
    count: (name, labels) => counts.get(key(name, labels)) ?? 0,
  };
}

test('a killed executor is a lost attempt and a free slot', { timeout }, async (context) => {
  const { meter, count } = countingMeter();
  const scripted = await startScriptedWorker(context, { concurrentJobsLimit: 1, meter });
  await scripted.accepted('job', { behaviour: 'wait' });
  const [pid] = scripted.worker.executorPids;
  assert(pid !== undefined);
  process.kill(pid, 'SIGKILL');
  const { outcome } = await scripted.ended('job');
  assert(outcome.kind === 'lost' && outcome.reason.includes('SIGKILL'), JSON.stringify(outcome));
  await scripted.accepted('next', { behaviour: 'succeed' });
  assert.equal((await scripted.ended('next')).outcome.kind, 'succeeded');
  assert.equal(count('dmg_worker_executor_deaths_total', { reason: 'crashed' }), 1);
  assert.equal(count('dmg_worker_attempts_total', { outcome: 'lost', source: 'Scripted', sink: 'Scripted' }), 1);
  assert.equal(count('dmg_worker_attempts_total', { outcome: 'succeeded', source: 'Scripted', sink: 'Scripted' }), 1);
});

test('an uncaught error ends the executor only, and its last words are the reason, without secrets', { timeout }, async (context) => {
  const lines: string[] = [];
  const scripted = await startScriptedWorker(context, { takeExecutorLine: (line) => lines.push(line) });
  await scripted.accepted('bystander', { behaviour: 'succeed', afterMs: 400 });
  await scripted.accepted('crash', { behaviour: 'crash' });
  const crash = (await scripted.ended('crash')).outcome;
  assert(crash.kind === 'lost' && crash.reason.includes('a driver threw'), JSON.stringify(crash));
  assert(!crash.reason.includes('hunter2'));
  assert(lines.some((line) => line.includes('a driver threw')), 'the log gets every line');
  await scripted.accepted('exit', { behaviour: 'exit' });
  const exit = (await scripted.ended('exit')).outcome;
  assert(exit.kind === 'lost' && exit.reason.includes('exit code 7'), JSON.stringify(exit));
  assert.equal((await scripted.ended('bystander')).outcome.kind, 'succeeded');
});

describe('executors without a sign of life', { concurrency: true }, () => {
  for (const behaviour of ['freeze', 'loop'] as const) {
    test(`an executor without a sign of life is killed (${behaviour})`, { timeout }, async (context) => {
      const scripted = await startScriptedWorker(context, { concurrentJobsLimit: 1, times: { tickLimitMs: 1_500 } });
      await scripted.accepted('job', { behaviour });
      const before = performance.now();
      const { outcome } = await scripted.ended('job');
      assert(outcome.kind === 'lost' && outcome.reason.includes('no sign of life'), JSON.stringify(outcome));
      const tookMs = performance.now() - before;
      assert(tookMs > 1_000 && tookMs < 10_000, `killed after ${tookMs} ms`);
      await scripted.accepted('next', { behaviour: 'succeed' });
      await scripted.ended('next');
    });
  }

  test('an idle executor that freezes is replaced', { timeout }, async (context) => {
    const scripted = await startScriptedWorker(context, { concurrentJobsLimit: 1, times: { tickLimitMs: 1_500 } });
    await scripted.accepted('first', { behaviour: 'succeed' });
    await scripted.ended('first');
    const [pid] = scripted.worker.executorPids;
    assert(pid !== undefined);
    process.kill(pid, 'SIGSTOP');
    await until(context, () => identifyProcess(pid) === undefined);
    await until(context, () => scripted.worker.slots.used === 0);
    await scripted.accepted('second', { behaviour: 'succeed' });
    await scripted.ended('second');
  });
});

test('an executor that breaks the protocol is killed and not used again', { timeout }, async (context) => {
  const scripted = await startScriptedWorker(context, { concurrentJobsLimit: 1 });
  await scripted.accepted('job', { behaviour: 'garble' });
  const [pid] = scripted.worker.executorPids;
  const { outcome } = await scripted.ended('job');
  assert(outcome.kind === 'lost' && outcome.reason.includes('not known'), JSON.stringify(outcome));
  assert(pid !== undefined && identifyProcess(pid) === undefined);
});

test('an attempt that takes too much memory fails with MEMORY_LIMIT, alone', { timeout }, async (context) => {
  const scripted = await startScriptedWorker(context, { memoryBudgetBytes: 60e6 });
  await scripted.accepted('modest', { behaviour: 'succeed', afterMs: 500 });
  await scripted.accepted('leak', { behaviour: 'leak' }, { finalTry: false });
  const { outcome } = await scripted.ended('leak');
  assert(outcome.kind === 'failed' && outcome.fault.code === 'DMG_WORKER_MEMORY_LIMIT' && outcome.sink === 'open', JSON.stringify(outcome));
  assert.equal((await scripted.ended('modest')).outcome.kind, 'succeeded');
});

test('executors have lower priority and are the first to go when memory ends', { timeout }, async (context) => {
  const scripted = await startScriptedWorker(context, { concurrentJobsLimit: 1 });
  await scripted.accepted('job', { behaviour: 'wait' });
  const [pid] = scripted.worker.executorPids;
  assert.equal(readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8').trim(), '500');
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  assert.equal(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16], '1');
});

test('the heap of an executor is bounded, the space for young objects too', { timeout }, async (context) => {
  const scripted = await startScriptedWorker(context, { warmExecutors: 1 });
  const [pid] = scripted.worker.executorPids;
  const flags = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  for (const flag of ['--max-old-space-size', '--max-semi-space-size']) assert.ok(flags.some((each) => each.startsWith(`${flag}=`)), flag);
});

test('executors have lower priority already while their program is being loaded', { timeout }, async (context) => {
  const scripted = await startScriptedWorker(context, { concurrentJobsLimit: 1, warmExecutors: 1, executorNiceness: 1 });
  const [pid] = scripted.worker.executorPids;
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  assert.equal(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16], '1');
});

test('an executor is replaced after its number of jobs, and two are kept warm', { timeout }, async (context) => {
  const scripted = await startScriptedWorker(context, { concurrentJobsLimit: 1, jobsPerExecutorMax: 3, times: { replaceAgeMs: 0 } });
  const pidOfJob: (number | undefined)[] = [];
  for (let index = 0; index < 7; index++) {
    await scripted.accepted(`job-${index}`, { behaviour: 'succeed' });
    pidOfJob.push(scripted.worker.executorPids.at(-1));
    await scripted.ended(`job-${index}`);
  }
  assert.equal(new Set(pidOfJob).size, 3, pidOfJob.join(' '));
  assert.equal(new Set(pidOfJob.slice(0, 3)).size, 1);
  scripted.worker.setLimit(8);
  await until(context, () => scripted.worker.executorPids.length === 2);
});

test('idle executors above the warm ones go after a while, those above a lowered limit at once', { timeout }, async (context) => {
  const scripted = await startScriptedWorker(context, { concurrentJobsLimit: 4, times: { idleKeepMs: 300 } });
  await Promise.all([0, 1, 2, 3].map((index) => scripted.accepted(`job-${index}`, { behaviour: 'succeed', afterMs: 100 })));
  await Promise.all([0, 1, 2, 3].map((index) => scripted.ended(`job-${index}`)));
  await until(context, () => scripted.worker.executorPids.length === 2);
  scripted.worker.setLimit(0);
  await until(context, () => scripted.worker.executorPids.length === 0);
});

test('executors that cannot start refuse their jobs with the evidence, and are not started in a loop', { timeout }, async (context) => {
  const executorModule = join(temporaryDirectory(context), 'missing.ts');
  const { meter, count } = countingMeter();
  const scripted = await startScriptedWorker(context, { executorModule, meter });
  const answer = await scripted.dispatch('job', { behaviour: 'succeed' });
  assert(!answer.accepted && answer.reason === 'NO_FREE_SLOT', JSON.stringify(answer));
  assert(answer.evidence.includes('No executor could be started'), answer.evidence);
  assert(count('dmg_worker_executor_deaths_total', { reason: 'crashed' }) <= 4);
  assert.equal(scripted.worker.slots.used, 0);
});

test('a signal to the whole group leaves the decision to the host', { timeout }, async (context) => {
  const scripted = await startScriptedWorker(context, { concurrentJobsLimit: 1 });
  await scripted.accepted('job', { behaviour: 'succeed', afterMs: 300 });
  const [pid] = scripted.worker.executorPids;
  assert(pid !== undefined);
  process.kill(pid, 'SIGINT');
  process.kill(pid, 'SIGTERM');
  assert.equal((await scripted.ended('job')).outcome.kind, 'succeeded');
});

import { type Labels, ManualClock, type Meter, type MetricDefinition, silentMeter } from '@dmg/base';
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readAvailableMemory } from './available-memory.ts';
import { addIncrements, CounterTally, readIncrements } from './counter-tally.ts';
import { MemoryGate } from './memory-gate.ts';
import { testCounter } from './testing/scripted-job.ts';
import { startScriptedWorker, temporaryDirectory } from './testing/scripted-worker.ts';

const timeout = 60_000;
const mebibyte = 1024 * 1024;

function recordingMeter(): { meter: Meter; counts: Map<string, number>; gauges: Map<string, number> } {
  const [counts, gauges] = [new Map<string, number>(), new Map<string, number>()];
  const key = (metric: MetricDefinition, labels: Labels = {}): string => [metric.name, ...Object.values(labels)].join(' ');
  return {
    counts, gauges,
    meter: {
      ...silentMeter,
      add: (metric, value, labels) => void counts.set(key(metric, labels), (counts.get(key(metric, labels)) ?? 0) + value),
      set: (metric, value, labels) => void gauges.set(key(metric, labels), value),
    },
  };
}

test('available memory is the machine\'s, or what control groups leave of it, file pages counted as free', (context) => {
  const folder = temporaryDirectory(context);
  const write = (path: string, text: string): void => {
    mkdirSync(join(folder, path, '..'), { recursive: true });
    writeFileSync(join(folder, path), text);
  };
  const places = { proc: join(folder, 'proc'), cgroups: join(folder, 'cgroup') };
  assert.equal(readAvailableMemory(places), undefined);
  write('proc/meminfo', 'MemTotal: 8388608 kB\nMemFree: 1 kB\nMemAvailable:   1048576 kB\n');
  assert.equal(readAvailableMemory(places), 1024 * mebibyte);
  write('proc/self/cgroup', '0::/box/inner\n');
  write('cgroup/box/inner/memory.max', 'max\n');
  write('cgroup/box/inner/memory.current', '5\n');
  write('cgroup/box/memory.max', `${500 * mebibyte}\n`);
  write('cgroup/box/memory.current', `${450 * mebibyte}\n`);
  write('cgroup/box/memory.stat', `anon 1\nactive_file 7\ninactive_file ${100 * mebibyte}\n`);
  assert.equal(readAvailableMemory(places), 150 * mebibyte, 'the limit of the group above');
  write('proc/self/cgroup', '4:cpu,memory:/host/path\n3:cpuset:/\n0::/\n');
  write('cgroup/memory/memory.limit_in_bytes', `${300 * mebibyte}\n`);
  write('cgroup/memory/memory.usage_in_bytes', `${290 * mebibyte}\n`);
  write('cgroup/memory/memory.stat', `inactive_file 3\ntotal_inactive_file ${20 * mebibyte}\n`);
  assert.equal(readAvailableMemory(places), 30 * mebibyte, 'version 1, in a container that does not show its own path');
  assert((readAvailableMemory() ?? 0) > mebibyte, 'of this machine');
});

test('attempts that began after memory was looked at count whole; a look is believed for a moment only', () => {
  const clock = new ManualClock();
  let availableBytes = 650;
  const gate = new MemoryGate({ clock, cacheMs: 100, budgetBytes: 200, reserveBytes: 50, availableBytes: () => availableBytes });
  const attempt = (attemptId: string, usedBytes: number) => ({ attemptId, memoryBytes: () => usedBytes });
  const old = attempt('old', 150);
  assert.equal(gate.refusal([old], 0), undefined);
  availableBytes = 10_000;
  assert.equal(gate.refusal([old, attempt('new', 150)], 0), undefined, '650 − 50 − 200 = 400');
  assert.match(gate.refusal([old, attempt('new', 150)], 1) ?? '', /3 running attempts/, 'one that waits for its executor counts as well');
  clock.advance(100);
  assert.equal(gate.refusal([old, attempt('new', 150)], 1), undefined);
});

test('a job for which there is no memory is refused with the figures; one that closes a sink is not', { timeout }, async (context) => {
  let availableBytes: number | undefined = 900 * mebibyte;
  const scripted = await startScriptedWorker(context, {
    concurrentJobsLimit: 3, memoryBudgetBytes: 200 * mebibyte, memoryReserveBytes: 100 * mebibyte,
    availableMemoryBytes: () => availableBytes, times: { memoryCacheMs: 0 },
  });
  await scripted.accepted('first', { behaviour: 'wait' });
  await scripted.accepted('second', { behaviour: 'wait' });
  const third = await scripted.dispatch('third', { behaviour: 'wait' });
  assert(!third.accepted && third.reason === 'NO_MEMORY', JSON.stringify(third));
  assert.match(third.evidence, /^900 MiB of memory are available; 2 running attempts may still take [56]\d\d MiB, and .* needs 300/);
  availableBytes = 0;
  await scripted.accepted('closing', { behaviour: 'succeed' }, { step: 'abort' });
  await scripted.ended('closing');
  availableBytes = undefined;
  await scripted.accepted('third', { behaviour: 'wait' });
  availableBytes = 0;
  const full = await scripted.dispatch('fourth', { behaviour: 'wait' });
  assert(!full.accepted && full.reason === 'NO_FREE_SLOT', 'a full node says so first');
});

test('dispatches at the same moment share the memory, not each the whole of it', { timeout }, async (context) => {
  const scripted = await startScriptedWorker(context, {
    concurrentJobsLimit: 4, memoryBudgetBytes: 200 * mebibyte, memoryReserveBytes: 0, availableMemoryBytes: () => 700 * mebibyte,
  });
  const answers = await Promise.all(['a', 'b', 'c', 'd'].map((jobId) => scripted.dispatch(jobId, { behaviour: 'wait' })));
  assert.deepEqual(answers.map((answer) => (answer.accepted ? 'accepted' : answer.reason)).toSorted(), [
    'NO_MEMORY', 'NO_MEMORY', 'accepted', 'accepted',
  ]);
});

test('whether a node may run a job can take a while; no answer and a failure are a no', { timeout }, async (context) => {
  const answers: Readonly<Record<string, () => Promise<string | undefined>>> = {
    fine: () => Promise.resolve(undefined),
    elsewhere: () => Promise.resolve('the path is local to Node_2'),
    broken: () => Promise.reject(new Error('the control plane is away')),
    silent: () => new Promise(() => undefined),
  };
  const scripted = await startScriptedWorker(context, {
    concurrentJobsLimit: 4, times: { eligibilityLimitMs: 200 }, ineligible: (job) => answers[job.jobId]?.(),
  });
  await scripted.accepted('fine', { behaviour: 'wait' });
  const evidence = async (jobId: string): Promise<string> => {
    const answer = await scripted.dispatch(jobId, { behaviour: 'wait' });
    assert(!answer.accepted && answer.reason === 'NOT_ELIGIBLE', jobId);
    return answer.evidence;
  };
  assert.equal(await evidence('elsewhere'), 'the path is local to Node_2');
  assert.equal(await evidence('broken'), 'the control plane is away');
  assert.match(await evidence('silent'), /no answer within 200 ms/);
});

test('what executors count reaches the meter of the host before the end of the attempt is told', { timeout }, async (context) => {
  const { meter, counts } = recordingMeter();
  const scripted = await startScriptedWorker(context, { meter, executorCounters: [testCounter] });
  await scripted.accepted('short', { behaviour: 'succeed', counts: 4 });
  await scripted.ended('short');
  assert.equal(counts.get('dmg_test_steps_total copy'), 6);
  assert.equal(counts.get('dmg_worker_troubles_total counter'), 2, 'a counter and a label that the host does not know are not added');
  await scripted.accepted('long', { behaviour: 'wait', counts: 2 });
  while (counts.get('dmg_test_steps_total copy') === 6) await scripted.nextEvent(1_000);
  assert.equal(counts.get('dmg_test_steps_total copy'), 9);
  assert.equal(scripted.endsOf('long'), 0, 'also while it runs');
});

test('increments add up until they are taken, and only well-formed ones are read', () => {
  let grown = 0;
  const tally = new CounterTally(() => void grown++);
  for (const stage of ['read', 'written', 'read']) tally.add(testCounter, 2, { stage });
  tally.observe();
  tally.set();
  assert.equal(grown, 1);
  const taken = tally.take();
  assert.deepEqual(taken, [
    { name: testCounter.name, labels: { stage: 'read' }, value: 4 }, { name: testCounter.name, labels: { stage: 'written' }, value: 2 },
  ]);
  assert.deepEqual(tally.take(), []);
  tally.add(testCounter, 1);
  assert.equal(grown, 2);
  assert.deepEqual(readIncrements(structuredClone(taken)), taken);
  const [good] = taken;
  for (const bad of [undefined, {}, [1], [{ ...good, value: -1 }], [{ ...good, value: null }], [{ ...good, labels: { a: 1 } }]]) {
    assert.equal(readIncrements(bad), undefined);
  }
  const gauge: MetricDefinition = { ...testCounter, kind: 'gauge' };
  assert.deepEqual(addIncrements(silentMeter, new Map([[gauge.name, gauge]]), taken), [testCounter.name, testCounter.name]);
});

test('memory of host and executors and the delay of the host are measured', { timeout }, async (context) => {
  const { meter, gauges } = recordingMeter();
  const scripted = await startScriptedWorker(context, { meter, times: { residentIntervalMs: 0 } });
  await scripted.accepted('job', { behaviour: 'wait' });
  while ((gauges.get('dmg_process_resident_bytes executor') ?? 0) < 20e6) await scripted.nextEvent(1_000);
  assert((gauges.get('dmg_process_resident_bytes host') ?? 0) > 20e6);
  assert((gauges.get('dmg_worker_executors') ?? 0) >= 1);
  const blockedUntil = performance.now() + 150;
  while (performance.now() < blockedUntil);
  while ((gauges.get('dmg_host_event_loop_delay_seconds 0.999') ?? 0) < 0.12) await scripted.nextEvent(1_000);
  const median = gauges.get('dmg_host_event_loop_delay_seconds 0.5') ?? NaN;
  assert(median >= 0 && median < 0.1, `${median} s`);
  // The start of a host is not held against it.
  scripted.worker.measureFromNow();
  while ((gauges.get('dmg_host_event_loop_delay_seconds 0.999') ?? 1) >= 0.12) await scripted.nextEvent(1_000);
});

import { newId, seededRandom, systemRandom } from '@dmg/base';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { identifyProcess } from './process-facts.ts';
import { readHeldSlots } from './slot-names.ts';
import { startScriptedWorker, until } from './testing/scripted-worker.ts';

const timeout = 60_000;

/** Jobs, cancels, kills and limits at random against real processes; the seed replays the order of what is asked. */
test('a storm never reserves at or above the limit, tells each end once, and leaves every slot free', { timeout }, async (context) => {
  const seed = Buffer.from(systemRandom.bytes(4)).readUInt32LE();
  context.diagnostic(`seed ${seed}`);
  const random = seededRandom(seed);
  const pick = (count: number): number => Math.floor(random.unit() * count);
  const nodeId = `test-${newId(systemRandom)}`;
  const options = { nodeId, concurrentJobsLimit: 3, jobsPerExecutorMax: 4, times: { replaceAgeMs: 0 } };
  const scripted = await startScriptedWorker(context, options);
  const { worker } = scripted;
  let reservations = 0;
  let before = { limit: 3, used: 0 };
  worker.subscribe((event) => {
    if (event.type !== 'slots') return;
    // More used under an unchanged limit is a reservation, or several at once: each happened below the limit.
    if (event.used > before.used && event.limit === before.limit) {
      reservations++;
      assert(event.used <= event.limit, `used ${event.used} of ${event.limit}`);
    }
    before = { limit: event.limit, used: event.used };
  });
  const accepted: string[] = [];
  const answers: Promise<void>[] = [];
  const behaviours = ['succeed', 'succeed', 'wait', 'crash', 'exit', 'fail'] as const;
  // It ends by what was done, not by time: a busy machine makes it longer, not weaker.
  for (let step = 0; accepted.length < 20 && !context.signal.aborted; step++) {
    const action = pick(20);
    if (action < 12) {
      const jobId = `job-${step}`;
      const behaviour = behaviours[pick(behaviours.length)] ?? 'succeed';
      answers.push(scripted.dispatch(jobId, { behaviour, afterMs: pick(50) }).then((answer) => {
        if (answer.accepted) accepted.push(jobId);
      }));
    } else if (action < 17) {
      worker.cancelJob(worker.running()[pick(4)]?.jobId ?? '');
    } else if (action < 19) {
      worker.setLimit(1 + pick(4));
    } else if (worker.running().length > 0) {
      const pid = worker.executorPids[pick(4)];
      if (pid !== undefined && identifyProcess(pid) !== undefined) process.kill(pid, 'SIGKILL');
    }
    await scripted.nextEvent(pick(30));
  }
  await Promise.all(answers);
  await until(context, () => {
    for (const attempt of worker.running()) worker.cancelJob(attempt.jobId);
    return worker.running().length === 0;
  });
  for (const jobId of accepted) assert.equal(scripted.endsOf(jobId), 1, jobId);
  assert(reservations > 5, `${reservations} reservations were seen`);
  await until(context, () => worker.slots.used === 0);
  await scripted.close();
  assert.deepEqual([...(await readHeldSlots(nodeId))], []);
});

/** As above, but what changes is whether and how much work the node takes. */
test('limits go up and down, drains come and go: no reservation at the limit or while draining', { timeout }, async (context) => {
  const seed = Buffer.from(systemRandom.bytes(4)).readUInt32LE();
  context.diagnostic(`seed ${seed}`);
  const random = seededRandom(seed);
  const pick = (count: number): number => Math.floor(random.unit() * count);
  const nodeId = `test-${newId(systemRandom)}`;
  const scripted = await startScriptedWorker(context, { nodeId, concurrentJobsLimit: 2 });
  const { worker } = scripted;
  const seen = { reservations: 0, above: 0, drains: 0, refusedForDrain: 0 };
  let before = { limit: 2, used: 0 };
  worker.subscribe((event) => {
    if (event.type !== 'slots') return;
    if (event.used > before.used) {
      seen.reservations++;
      assert.equal(worker.draining, false, 'a slot was reserved while draining');
      assert(event.used <= event.limit, `used ${event.used} of ${event.limit}`);
    }
    if (event.used > event.limit) seen.above++;
    before = { limit: event.limit, used: event.used };
  });
  const accepted: string[] = [];
  const answers: Promise<void>[] = [];
  const take = (jobId: string, behaviour: 'succeed' | 'wait'): void => {
    answers.push(scripted.dispatch(jobId, { behaviour, afterMs: pick(80) }).then((answer) => {
      if (answer.accepted) accepted.push(jobId);
      else if (answer.reason === 'DRAINING') seen.refusedForDrain++;
    }));
  };
  for (let step = 0; (accepted.length < 12 || seen.drains < 3 || seen.above < 1) && !context.signal.aborted; step++) {
    take(`job-${step}`, pick(3) === 0 ? 'wait' : 'succeed');
    const action = pick(8);
    if (action < 2) worker.setLimit(1 + pick(3));
    else if (action < 5) worker.setDraining(undefined);
    else if (action === 5) worker.cancelJob(worker.running()[pick(4)]?.jobId ?? '');
    else if (action === 6) {
      worker.setDraining({ graceMs: pick(100) });
      seen.drains++;
      take(`drained-${step}`, 'succeed');
    }
    await scripted.nextEvent(pick(30));
  }
  await Promise.all(answers);
  worker.setLimit(1);
  worker.setDraining({ graceMs: 0 });
  await until(context, () => worker.running().length === 0 && worker.slots.used === 0);
  worker.setDraining(undefined);
  await scripted.accepted('after all', { behaviour: 'succeed' });
  await scripted.ended('after all');
  for (const jobId of accepted) assert.equal(scripted.endsOf(jobId), 1, jobId);
  assert(seen.reservations > 5 && seen.above > 0 && seen.refusedForDrain > 0, JSON.stringify(seen));
  await scripted.close();
  assert.deepEqual([...(await readHeldSlots(nodeId))], []);
});

import { newId, seededRandom, sleep, systemClock, systemRandom } from '@dmg/base';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { identifyProcess } from './process-facts.ts';
import { readHeldSlots } from './slot-names.ts';
import { startScriptedWorker, until } from './testing/scripted-worker.ts';

/** Jobs, cancels, kills and limits at random against real processes; the seed replays the order of what is asked. */
test('a storm never reserves at or above the limit, tells each end once, and leaves every slot free', { timeout: 30_000 }, async (context) => {
  const seed = Buffer.from(systemRandom.bytes(4)).readUInt32LE();
  context.diagnostic(`seed ${seed}`);
  const random = seededRandom(seed);
  const pick = (count: number): number => Math.floor(random.unit() * count);
  const nodeId = `test-${newId(systemRandom)}`;
  const scripted = await startScriptedWorker(context, { nodeId, concurrentJobsLimit: 3, jobsPerExecutorMax: 4 });
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
  for (let step = 0; step < 150; step++) {
    const action = pick(10);
    if (action < 6) {
      const jobId = `job-${step}`;
      const behaviour = behaviours[pick(behaviours.length)] ?? 'succeed';
      answers.push(scripted.dispatch(jobId, { behaviour, afterMs: pick(50) }).then((answer) => {
        if (answer.accepted) accepted.push(jobId);
      }));
    } else if (action < 8) {
      worker.cancelJob(worker.running()[pick(4)]?.jobId ?? '');
    } else if (action < 9) {
      worker.setLimit(1 + pick(4));
    } else {
      const pid = worker.executorPids[pick(4)];
      if (pid !== undefined && identifyProcess(pid) !== undefined) process.kill(pid, 'SIGKILL');
    }
    assert((await readHeldSlots(nodeId)).size <= 8);
    await sleep(systemClock, pick(30));
  }
  await Promise.all(answers);
  await until(() => {
    for (const attempt of worker.running()) worker.cancelJob(attempt.jobId);
    return worker.running().length === 0;
  });
  for (const jobId of accepted) assert.equal(scripted.endsOf(jobId), 1, jobId);
  assert(accepted.length > 10 && reservations > 5, `${accepted.length} jobs ran`);
  await until(() => worker.slots.used === 0);
  await scripted.close();
  assert.deepEqual([...(await readHeldSlots(nodeId))], []);
});

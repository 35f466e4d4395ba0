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

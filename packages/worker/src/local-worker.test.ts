import type { AttemptOutcome } from '@dmg/model';
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { identifyProcess } from './process-facts.ts';
import { scriptedJob } from './testing/scripted-job.ts';
import { epochOne, startScriptedWorker } from './testing/scripted-worker.ts';

const timeout = 60_000;
/** Gives executors that do not stop little time; silence alone kills none. */
const stopsFast = { tickLimitMs: 60_000, stopAcknowledgeMs: 700, stopGraceMs: 900 };
const aborted: AttemptOutcome = { kind: 'cancelled', sink: 'aborted' };

test('a job runs in an executor, its end is told once, its slot is free before its end is told', { timeout }, async (context) => {
  const scripted = await startScriptedWorker(context);
  let usedAtEnd = -1;
  scripted.worker.subscribe((event) => {
    if (event.type === 'ended') usedAtEnd = scripted.worker.slots.used;
  });
  await scripted.accepted('job', { behaviour: 'succeed', reports: 60 });
  assert.deepEqual(scripted.worker.slots, { limit: 2, used: 1 });
  const [listed] = scripted.worker.running();
  assert.equal(listed?.jobId, 'job');
  assert(listed?.signedJob?.includes('"jobId":"job"'));
  const end = await scripted.ended('job');
  assert.equal(end.outcome.kind, 'succeeded');
  assert.equal(usedAtEnd, 0);
  assert.equal(scripted.endsOf('job'), 1);
  assert(end.endedAtMs >= end.startedAtMs);
  assert.deepEqual(scripted.worker.running(), []);
  const progress = scripted.events.filter((event) => event.type === 'progress');
  const intervals = (end.endedAtMs - end.startedAtMs) / 100;
  assert(progress.length >= 1 && progress.length <= intervals + 2, `${progress.length} progress messages in ${intervals} intervals`);
});

test('dispatches are refused with a reason: epoch, signature, eligibility, running job, full, draining', { timeout }, async (context) => {
  const scripted = await startScriptedWorker(context, {
    concurrentJobsLimit: 1,
    verify: (signed) => (signed === 'forged' ? undefined : (JSON.parse(signed) as ReturnType<typeof scriptedJob>)),
    ineligible: (job) => (job.jobId === 'elsewhere' ? 'the path is local to Node_2' : undefined),
  });
  const { worker } = scripted;
  const epochTwo = { n: 2, token: 'a'.repeat(32) };
  assert.deepEqual(await worker.hello(epochTwo), { accepted: true, attempts: [], limit: 1, used: 0 });
  assert.deepEqual(await worker.hello(epochOne), { accepted: false, known: epochTwo });
  const reasonOf = async (answer: ReturnType<typeof worker.dispatch>): Promise<string> => {
    const settled = await answer;
    return settled.accepted ? 'accepted' : settled.reason;
  };
  const wait = scriptedJob({ jobId: 'job', script: { behaviour: 'wait' } });
  assert.equal(await reasonOf(worker.dispatch(scripted.request(wait))), 'STALE_EPOCH');
  assert.equal(await reasonOf(worker.dispatch({ ...scripted.request(wait, { epoch: epochTwo }), signedJob: 'forged' })), 'BAD_SIGNATURE');
  const elsewhere = scriptedJob({ jobId: 'elsewhere', script: { behaviour: 'wait' } });
  assert.equal(await reasonOf(worker.dispatch(scripted.request(elsewhere, { epoch: epochTwo }))), 'NOT_ELIGIBLE');
  const request = scripted.request(wait, { epoch: epochTwo });
  assert.equal(await reasonOf(worker.dispatch(request)), 'accepted');
  assert.equal(await reasonOf(worker.dispatch(request)), 'accepted', 'the same dispatch heard twice is one');
  const again = await worker.dispatch(scripted.request(wait, { epoch: epochTwo }));
  assert(!again.accepted && again.reason === 'ALREADY_RUNNING' && again.evidence.includes(request.attemptId));
  assert.equal(await reasonOf(scripted.dispatch('other', { behaviour: 'wait' }, { epoch: epochTwo })), 'NO_FREE_SLOT');
  const hello = await worker.hello({ n: 3, token: '0' });
  assert(hello.accepted && hello.attempts.length === 1 && hello.attempts[0]?.attemptId === request.attemptId);
  const drained = worker.drain(0);
  assert.equal(await reasonOf(scripted.dispatch('late', { behaviour: 'wait' }, { epoch: { n: 3, token: '0' } })), 'DRAINING');
  await drained;
  assert.deepEqual((await scripted.ended('job')).outcome, { kind: 'stopped' });
});

test('a hello with a larger epoch refuses what still waits for an executor', { timeout }, async (context) => {
  const scripted = await startScriptedWorker(context, { concurrentJobsLimit: 1 });
  const waiting = scripted.dispatch('job', { behaviour: 'succeed' });
  await Promise.resolve();
  const hello = await scripted.worker.hello({ n: 2, token: '0' });
  assert(hello.accepted && hello.attempts.length === 0, 'what waits is not listed');
  const answer = await waiting;
  assert(!answer.accepted && answer.reason === 'STALE_EPOCH', 'what was not listed does not run');
});

test('what waits for an executor is on its dispatcher\'s list and begins unless it is superseded', { timeout }, async (context) => {
  const scripted = await startScriptedWorker(context, { warmExecutors: 0 });
  const { worker } = scripted;
  await worker.hello(epochOne);
  const [kept, dropped] = ['kept', 'dropped'].map((jobId) => scripted.request(scriptedJob({ jobId, script: { behaviour: 'succeed' } })));
  assert(kept !== undefined && dropped !== undefined);
  const answers = [kept, dropped].map((request) => worker.dispatch(request));
  // They are verified first; an executor takes far longer than that.
  while (worker.executorPids.length < 2) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(worker.running(), []);
  const hello = await worker.hello(epochOne);
  assert(hello.accepted);
  const listed = hello.attempts.map(({ attemptId, progress }) => [attemptId, progress]);
  assert.deepEqual(listed, [[kept.attemptId, undefined], [dropped.attemptId, undefined]]);
  await worker.supersede(dropped.attemptId);
  scripted.see();
  assert.deepEqual((await Promise.all(answers)).map(({ accepted }) => accepted), [true, false]);
  await scripted.ended('kept');
  assert.equal(scripted.endsOf('dropped'), 0);
});

test('a cancel of a well-behaved executor is quick and leaves the executor in use', { timeout }, async (context) => {
  const scripted = await startScriptedWorker(context, { concurrentJobsLimit: 1 });
  await scripted.accepted('job', { behaviour: 'wait' });
  const pids = scripted.worker.executorPids;
  const before = performance.now();
  assert.equal(scripted.worker.cancelJob('job'), true);
  assert.deepEqual((await scripted.ended('job')).outcome, aborted);
  const tookMs = performance.now() - before;
  context.diagnostic(`cancelled in ${Math.round(tookMs)} ms`);
  assert(tookMs < 1_000, 'well before an executor that does not listen would be killed');
  assert.equal(scripted.worker.cancelJob('job'), false);
  await scripted.accepted('next', { behaviour: 'succeed' });
  await scripted.ended('next');
  assert.deepEqual(scripted.worker.executorPids, pids);
});

describe('executors that do not stop', { concurrency: true }, () => {
  for (const behaviour of ['ignore', 'freeze', 'loop'] as const) {
    test(`a cancel ends an executor that does not stop (${behaviour}), and a fresh one closes the sink`, { timeout }, async (context) => {
      const scripted = await startScriptedWorker(context, { concurrentJobsLimit: 1, times: stopsFast });
      await scripted.accepted('job', { behaviour });
      const [pid] = scripted.worker.executorPids;
      assert(pid !== undefined);
      const { attemptId } = scripted.worker.running()[0] ?? assert.fail('it runs');
      await scripted.worker.cancel(attemptId);
      assert.deepEqual((await scripted.ended('job')).outcome, aborted);
      assert.equal(identifyProcess(pid), undefined);
      assert.equal(scripted.endsOf('job'), 1);
      const most = Math.max(...scripted.events.flatMap((event) => (event.type === 'slots' ? [event.used] : [])));
      assert.equal(most, 1, 'the fresh executor works under the same reservation');
    });
  }

  test('a sink that cannot be closed after a kill is unconfirmed', { timeout }, async (context) => {
    const scripted = await startScriptedWorker(context, { times: stopsFast });
    await scripted.accepted('crashing', { behaviour: 'freeze', abort: 'crash' });
    await scripted.accepted('unconfirmed', { behaviour: 'freeze', abort: 'unconfirmed' });
    scripted.worker.cancelJob('crashing');
    scripted.worker.cancelJob('unconfirmed');
    assert.deepEqual((await scripted.ended('crashing')).outcome, { kind: 'cancelled', sink: 'unconfirmed' });
    assert.deepEqual((await scripted.ended('unconfirmed')).outcome, { kind: 'cancelled', sink: 'unconfirmed' });
  });
});

test('a cancel before the executor began closes the sink without copying', { timeout }, async (context) => {
  const scripted = await startScriptedWorker(context);
  const answer = scripted.dispatch('job', { behaviour: 'wait' });
  await Promise.resolve();
  await Promise.resolve();
  assert.equal(scripted.worker.cancelJob('job'), true);
  assert.deepEqual(await answer, { accepted: true });
  assert.deepEqual((await scripted.ended('job')).outcome, aborted);
});

test('a failed final try is reported with its sink closed, an earlier one with its sink open', { timeout }, async (context) => {
  const scripted = await startScriptedWorker(context);
  await scripted.accepted('final', { behaviour: 'fail' }, { finalTry: true });
  await scripted.accepted('early', { behaviour: 'throw' }, { finalTry: false });
  const final = (await scripted.ended('final')).outcome;
  assert(final.kind === 'failed' && final.sink === 'aborted' && final.fault.code === 'DMG_BASE_UNEXPECTED');
  const early = (await scripted.ended('early')).outcome;
  assert(early.kind === 'failed' && early.sink === 'open' && early.fault.code === 'DMG_BASE_UNEXPECTED');
});

test('the limit of a try is enforced in the executor, and by the host where the executor does not', { timeout }, async (context) => {
  const scripted = await startScriptedWorker(context, { times: { timeoutGraceMs: 300 } });
  await scripted.accepted('waits', { behaviour: 'wait' }, { finalTry: false, timeoutMs: 100 });
  await scripted.accepted('loops', { behaviour: 'loop' }, { finalTry: false, timeoutMs: 100 });
  for (const jobId of ['waits', 'loops']) {
    const { outcome } = await scripted.ended(jobId);
    assert(outcome.kind === 'failed' && outcome.fault.code === 'DMG_WORKER_TIMED_OUT' && outcome.sink === 'open', JSON.stringify(outcome));
  }
});

test('a copy of which nothing is heard is stopped', { timeout }, async (context) => {
  const scripted = await startScriptedWorker(context, { times: { progressLimitMs: 400 } });
  await scripted.accepted('silent', { behaviour: 'wait' }, { finalTry: false });
  const silent = (await scripted.ended('silent')).outcome;
  assert(silent.kind === 'failed' && silent.fault.code === 'DMG_WORKER_NO_PROGRESS', JSON.stringify(silent));
});

test('drain lets running attempts finish within the grace and stops the rest', { timeout }, async (context) => {
  const scripted = await startScriptedWorker(context);
  await scripted.accepted('quick', { behaviour: 'succeed', afterMs: 100 });
  await scripted.accepted('endless', { behaviour: 'wait' });
  await scripted.worker.drain(700);
  assert.equal((await scripted.ended('quick')).outcome.kind, 'succeeded');
  assert.deepEqual((await scripted.ended('endless')).outcome, { kind: 'stopped' });
});

test('a drain by the user refuses work, hands over what does not end in its grace, and can be taken back', { timeout }, async (context) => {
  const scripted = await startScriptedWorker(context, { concurrentJobsLimit: 3 });
  const { worker } = scripted;
  await scripted.accepted('quick', { behaviour: 'succeed', afterMs: 100 });
  await scripted.accepted('endless', { behaviour: 'wait' });
  assert.equal(worker.draining, false);
  for (let round = 0; round < 3; round++) worker.setDraining({ graceMs: 600 });
  assert.equal(worker.draining, true);
  const refused = await scripted.dispatch('late', { behaviour: 'wait' });
  assert(!refused.accepted && refused.reason === 'DRAINING' && refused.evidence.includes('by the user'), JSON.stringify(refused));
  assert.equal((await scripted.ended('quick')).outcome.kind, 'succeeded');
  assert.deepEqual((await scripted.ended('endless')).outcome, { kind: 'stopped' });
  const told = scripted.events.length;
  worker.setDraining(undefined);
  assert.deepEqual(scripted.events.slice(told), [{ type: 'slots', limit: 3, used: 0 }], 'the dispatcher need not wait to ask again');
  await scripted.accepted('late', { behaviour: 'succeed' });
  assert.equal((await scripted.ended('late')).outcome.kind, 'succeeded');
  await scripted.accepted('spared', { behaviour: 'succeed', afterMs: 300 });
  worker.setDraining({ graceMs: 100 });
  worker.setDraining(undefined);
  assert.equal((await scripted.ended('spared')).outcome.kind, 'succeeded', 'a drain taken back in time stops nothing');
});

test('executors that do not hand over are killed after two seconds, and the sink is left alone', { timeout }, async (context) => {
  const scripted = await startScriptedWorker(context, { concurrentJobsLimit: 2, times: { tickLimitMs: 60_000 } });
  await scripted.accepted('ignores', { behaviour: 'ignore' });
  await scripted.accepted('frozen', { behaviour: 'freeze' });
  const before = performance.now();
  scripted.worker.setDraining({ graceMs: 0 });
  for (const jobId of ['ignores', 'frozen']) assert.deepEqual((await scripted.ended(jobId)).outcome, { kind: 'stopped' }, jobId);
  const tookMs = performance.now() - before;
  context.diagnostic(`handed over in ${Math.round(tookMs)} ms`);
  assert(tookMs >= 1_900 && tookMs < 5_000, `${tookMs} ms`);
  assert.equal(scripted.worker.slots.used, 0);
});

test('a superseded attempt ends stopped and leaves its sink open', { timeout }, async (context) => {
  const scripted = await startScriptedWorker(context);
  await scripted.accepted('job', { behaviour: 'wait' });
  await scripted.worker.supersede(scripted.worker.running()[0]?.attemptId ?? '');
  assert.deepEqual((await scripted.ended('job')).outcome, { kind: 'stopped' });
});

test('a worker says that it lives about twice a second, also when it has nothing to do', { timeout }, async (context) => {
  const scripted = await startScriptedWorker(context, { concurrentJobsLimit: 0, times: { watchIntervalMs: 250 } });
  const seenAtMs: number[] = [];
  scripted.worker.subscribe((event) => {
    if (event.type === 'alive') seenAtMs.push(performance.now());
  });
  while (seenAtMs.length < 4) await scripted.nextEvent(1_000);
  const meanMs = ((seenAtMs.at(-1) ?? 0) - (seenAtMs[0] ?? 0)) / (seenAtMs.length - 1);
  assert(meanMs > 400 && meanMs < 1_500, `every ${meanMs} ms`);
});

test('close stops what listens, kills what does not, and leaves no process', { timeout }, async (context) => {
  const scripted = await startScriptedWorker(context, { concurrentJobsLimit: 3, times: { tickLimitMs: 60_000 } });
  await scripted.accepted('listens', { behaviour: 'wait' });
  await scripted.accepted('frozen', { behaviour: 'freeze' });
  await scripted.accepted('ignores', { behaviour: 'ignore' });
  scripted.worker.cancelJob('ignores');
  await scripted.close();
  for (const jobId of ['listens', 'frozen', 'ignores']) {
    assert.deepEqual((await scripted.ended(jobId)).outcome, { kind: 'stopped' }, jobId);
    assert.equal(scripted.endsOf(jobId), 1);
  }
  assert.deepEqual(scripted.worker.executorPids, []);
  const late = await scripted.dispatch('late', { behaviour: 'wait' });
  assert(!late.accepted && late.reason === 'DRAINING');
});

test('a limit lowered under running jobs ends none and admits none until usage is below it', { timeout }, async (context) => {
  const scripted = await startScriptedWorker(context, { concurrentJobsLimit: 3 });
  for (const jobId of ['a', 'b', 'c']) await scripted.accepted(jobId, { behaviour: 'wait' });
  scripted.worker.setLimit(2);
  assert.deepEqual(scripted.worker.slots, { limit: 2, used: 3 });
  const refused = async (jobId: string): Promise<boolean> => {
    const answer = await scripted.dispatch(jobId, { behaviour: 'wait' });
    return !answer.accepted && answer.reason === 'NO_FREE_SLOT';
  };
  assert(await refused('d'));
  scripted.worker.cancelJob('a');
  await scripted.ended('a');
  assert(await refused('d'), 'two of two are used');
  scripted.worker.cancelJob('b');
  await scripted.ended('b');
  await scripted.accepted('d', { behaviour: 'wait' });
  assert.equal(scripted.worker.running().length, 2);
});

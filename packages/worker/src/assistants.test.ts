import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DispatchAnswer } from '@dmg/core';
import type { AttemptStep } from '@dmg/model';
import { scriptedJob, type Script } from './testing/scripted-job.ts';
import { type ScriptedWorker, startScriptedWorker } from './testing/scripted-worker.ts';

const wait: Script = { behaviour: 'wait' };
const share = { index: 1, of: 2 };

/** An attempt of job `j`, unless told otherwise. */
async function dispatch(scripted: ScriptedWorker, attemptId: string, step: AttemptStep, jobId = 'j'): Promise<DispatchAnswer> {
  const request = scripted.request(scriptedJob({ jobId, script: wait }), { attemptId, step });
  const answer = await scripted.worker.dispatch(step === 'assist' ? { ...request, share } : request);
  scripted.see();
  return answer;
}

const stepsOf = ({ worker }: ScriptedWorker): string[] => worker.running().map(({ attemptId, step }) => `${attemptId} ${step}`).sort();

async function outcomeOf(scripted: ScriptedWorker, attemptId: string): Promise<string> {
  const event = await scripted.when((one) => one.type === 'ended' && one.attemptId === attemptId);
  return event.type === 'ended' ? event.outcome.kind : '';
}

test('an assistant takes a slot, a keeper takes none and waits for none; both end without closing the sink', async (t) => {
  const scripted = await startScriptedWorker(t, { concurrentJobsLimit: 1 });
  const { worker } = scripted;
  assert.deepEqual(await dispatch(scripted, 'h', 'assist'), { accepted: true });
  assert.deepEqual(worker.slots, { limit: 1, used: 1 });
  assert.deepEqual(await dispatch(scripted, 'k', 'keep'), { accepted: true });
  assert.deepEqual(worker.slots, { limit: 1, used: 1 });
  assert.deepEqual(stepsOf(scripted), ['h assist', 'k keep']);
  assert.equal((await dispatch(scripted, 'h2', 'assist', 'other')).accepted, false);
  assert.partialDeepStrictEqual(await dispatch(scripted, 'k2', 'keep'), { accepted: false, reason: 'ALREADY_RUNNING' });
  // The user cancels the job: who leads it closes the sink.
  assert.equal(worker.cancelJob('j'), true);
  assert.deepEqual([await outcomeOf(scripted, 'h'), await outcomeOf(scripted, 'k')], ['stopped', 'stopped']);
  assert.deepEqual(worker.slots, { limit: 1, used: 0 });
});

test('an assistant makes way for the attempt that leads its job; a keeper stays', async (t) => {
  const scripted = await startScriptedWorker(t);
  await dispatch(scripted, 'k', 'keep');
  await dispatch(scripted, 'h', 'assist');
  assert.partialDeepStrictEqual(await dispatch(scripted, 'h2', 'assist'), { accepted: false, reason: 'ALREADY_RUNNING' });
  assert.deepEqual(await dispatch(scripted, 'lead', 'copy'), { accepted: true });
  assert.equal(await outcomeOf(scripted, 'h'), 'stopped');
  assert.deepEqual(stepsOf(scripted), ['k keep', 'lead copy']);
  assert.partialDeepStrictEqual(await dispatch(scripted, 'h3', 'assist'), { accepted: false, reason: 'ALREADY_RUNNING' });
});

test('a drain ends assistants and keepers at once and lets the rest finish', async (t) => {
  const scripted = await startScriptedWorker(t);
  await dispatch(scripted, 'k', 'keep');
  await dispatch(scripted, 'h', 'assist');
  await dispatch(scripted, 'lead', 'copy', 'other');
  scripted.worker.setDraining({ graceMs: 3_600_000 });
  assert.deepEqual([await outcomeOf(scripted, 'h'), await outcomeOf(scripted, 'k')], ['stopped', 'stopped']);
  assert.deepEqual(stepsOf(scripted), ['lead copy']);
});

test('a failure, a death and a timeout of an assistant of a final try close nothing', async (t) => {
  const scripted = await startScriptedWorker(t);
  for (const [behaviour, kind] of [['fail', 'failed'], ['exit', 'lost'], ['wait', 'failed']] as const) {
    const timeoutMs = behaviour === 'wait' ? 50 : 60_000;
    const job = scriptedJob({ jobId: behaviour, script: { behaviour }, timeoutMs });
    await scripted.worker.dispatch({ ...scripted.request(job, { attemptId: behaviour, step: 'assist' }), share });
    const event = await scripted.when((one) => one.type === 'ended' && one.attemptId === behaviour);
    assert.ok(event.type === 'ended');
    assert.equal(event.outcome.kind, kind);
    if (event.outcome.kind === 'failed') assert.equal(event.outcome.sink, 'open');
  }
});

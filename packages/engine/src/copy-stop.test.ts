import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StopReason, systemClock } from '@dmg/base';
import type { AttemptOutcome } from '@dmg/model';
import { runAbort } from './copy-attempt.ts';
import { engineErrors } from './errors.ts';
import { codeOf, CopyFixture, makeJob, receiptOf, someBytes, unreachable } from './testing/copy-fixture.ts';

/** Runs a copy whose store hangs in `call` for good once it was called `after` times, and stops it then. */
async function stopAt(fixture: CopyFixture, call: string, stop: StopReason): Promise<{ outcome: AttemptOutcome; tookMs: number }> {
  const controller = new AbortController();
  const hang = new Promise<void>(() => undefined);
  let stoppedMs = 0;
  for (const store of [fixture.source, fixture.sink]) {
    store.intercept = (seen) => {
      if (seen !== call || controller.signal.aborted) return undefined;
      queueMicrotask(() => {
        stoppedMs = systemClock.monotonicMs();
        controller.abort(stop);
      });
      return hang;
    };
  }
  const outcome = await fixture.run(makeJob(), { signal: controller.signal });
  return { outcome, tookMs: systemClock.monotonicMs() - stoppedMs };
}

test('a job that was aborted is cancelled, whatever it finds', async () => {
  const fixture = new CopyFixture();
  fixture.source.put('in/a', someBytes(30_000, 1));
  let marks = 0;
  fixture.sink.intercept = (call) => {
    if (call === 'mark' && ++marks === 2) fixture.sink.job('job-1').phase = 'aborted';
  };
  assert.deepEqual(await fixture.run(makeJob()), { kind: 'cancelled', sink: 'aborted' });
  assert.deepEqual(await fixture.run(makeJob()), { kind: 'cancelled', sink: 'aborted' });
  assert.equal(fixture.openHandles, 0);
});

test('a cancel that comes while the state of a closed job is read is a cancel', async () => {
  const fixture = new CopyFixture();
  fixture.source.put('in/a', 'aaa');
  const controller = new AbortController();
  let states = 0;
  fixture.sink.intercept = (call) => {
    if (call === 'openChunk') fixture.sink.job('job-1').phase = 'aborted';
    if (call === 'state' && ++states === 2) controller.abort(new StopReason('cancelled'));
  };
  const outcome = await fixture.run(makeJob({ job: { finalTry: false } }), { signal: controller.signal });
  assert.deepEqual(outcome, { kind: 'cancelled', sink: 'aborted' });
});

test('cancel closes the sink first and leaves nothing, even when a call hangs', async () => {
  for (const call of ['check', 'state', 'list', 'bases', 'insertPlan', 'read', 'openChunk', 'writePart', 'mark', 'marks', 'finish']) {
    const fixture = new CopyFixture();
    fixture.source.put('in/a', someBytes(30_000, 1));
    const { outcome, tookMs } = await stopAt(fixture, call, new StopReason('cancelled'));
    assert.deepEqual(outcome, { kind: 'cancelled', sink: 'aborted' }, call);
    assert.equal(fixture.sink.job('job-1').phase, 'aborted');
    assert.equal(fixture.sink.objects.size, 0);
    assert.ok(tookMs < 1_000, `${call}: ${tookMs} ms`);
  }
});

test('cancel of a job that has just been finished is its success', async () => {
  const fixture = new CopyFixture();
  fixture.source.put('in/a', 'aaa');
  const controller = new AbortController();
  fixture.sink.intercept = async (call) => {
    if (call !== 'finish' || controller.signal.aborted) return;
    fixture.sink.intercept = undefined;
    receiptOf(await fixture.run(makeJob()));
    controller.abort(new StopReason('cancelled'));
  };
  const outcome = await fixture.run(makeJob(), { signal: controller.signal });
  assert.equal(outcome.kind, 'succeeded');
  assert.equal(fixture.sink.publications.length, 1);
});

test('draining leaves the sink open for the next attempt', async () => {
  for (const kind of ['draining', 'shutdown', 'superseded', 'host-gone'] as const) {
    const fixture = new CopyFixture();
    fixture.source.put('in/a', someBytes(30_000, 1));
    const { outcome } = await stopAt(fixture, 'mark', new StopReason(kind));
    assert.deepEqual(outcome, { kind: 'stopped' });
    assert.equal(fixture.sink.job('job-1').phase, 'open');
    fixture.sink.intercept = undefined;
    fixture.source.intercept = undefined;
    receiptOf(await fixture.run(makeJob()));
    assert.deepEqual(Buffer.from(fixture.sink.get('out/a') ?? []), Buffer.from(someBytes(30_000, 1)));
  }
});

test('the policy limits the running time of a try', async () => {
  const fixture = new CopyFixture();
  fixture.source.put('in/a', 'aaa');
  fixture.source.intercept = (call) => (call === 'read' ? new Promise(() => undefined) : undefined);
  const job = makeJob({ job: { policy: { timeoutMs: 30, retry: 0, retryIntervalMs: 0 } } });
  const outcome = await fixture.run(job);
  assert.equal(codeOf(outcome), engineErrors.TIMEOUT.code);
  assert.equal(outcome.kind === 'failed' && outcome.sink, 'aborted');
  const open = await fixture.run({ ...job, jobId: 'other', finalTry: false });
  assert.equal(open.kind === 'failed' && open.sink, 'open');
});

test('the abort step closes an open job, confirms a closed one and reports a finished one', async () => {
  const fixture = new CopyFixture();
  fixture.source.put('in/a', 'aaa');
  const job = makeJob();
  assert.deepEqual(await runAbort(fixture.options(job)), { kind: 'cancelled', sink: 'aborted' });
  assert.deepEqual(await runAbort(fixture.options(job)), { kind: 'cancelled', sink: 'aborted' });
  assert.deepEqual(await fixture.run(job), { kind: 'cancelled', sink: 'aborted' });
  const other = makeJob({ job: { jobId: 'other' } });
  const receipt = receiptOf(await fixture.run(other));
  assert.deepEqual(receiptOf(await runAbort(fixture.options(other))), receipt);
  fixture.sink.intercept = () => {
    throw unreachable();
  };
  assert.deepEqual(await runAbort(fixture.options(job)), { kind: 'cancelled', sink: 'unconfirmed' });
  assert.equal(fixture.openHandles, 0);
});

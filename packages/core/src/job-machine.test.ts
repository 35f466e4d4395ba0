import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AttemptOutcome, AttemptProgress, Receipt } from '@dmg/model';
import type { JobEvent, JobStep } from './job-events.ts';
import { nextStep } from './job-changes.ts';
import { isFinal, restored, stepJob } from './job-machine.ts';
import type { JobRecord } from './job-record.ts';

const context = { jobId: 'j', epochN: 1, nowWallMs: 1000, nodeName: 'here' };
const fault = { code: 'DMG_X', category: 'config', retry: 'never', scope: 'job', message: 'm', fix: 'f', params: {} } as const;
const receipt: Receipt = {
  formatVersion: 1, jobId: 'j', generation: 1, guarantee: 'exactlyOnce', verification: 'acknowledged', consistency: 'perChunk',
  filesRead: 0, filesWritten: 0, bytesRead: 0, bytesWritten: 0, rowsRead: 0, rowsWritten: 0, rowsSkipped: 0, chunks: 0,
  hash: '0', attempts: ['a1'],
  finishedBy: { attemptId: 'a1', nodeName: 'n', epoch: '1.x' }, finishedAt: '2024-01-01T00:00:00.000Z',
};
const details = { planMs: 0, copyMs: 0, finishMs: 0, readMs: 0, writeMs: 0, parallelCopies: 1 };
const succeeded: AttemptOutcome = { kind: 'succeeded', receipt, details };
const failedOpen: AttemptOutcome = { kind: 'failed', fault, sink: 'open' };
const progress = undefined;

const received = (more: Partial<JobEvent & { type: 'received' }> = {}): JobEvent =>
  ({ type: 'received', tryNumber: 1, finalTry: true, sendNo: 7, firstDelivery: true, signedJob: 'signed', ...more });
const placed = (attemptId: string, step: 'copy' | 'abort' = 'copy'): JobEvent => ({ type: 'placed', attemptId, nodeId: 'n1', step });
const ended = (attemptId: string, outcome: AttemptOutcome, tryNumber = 1): JobEvent =>
  ({ type: 'ended', attemptId, tryNumber, nodeName: 'one', outcome, startedAtWallMs: 1, endedAtWallMs: 2 });
const lost = (attemptId: string): JobEvent => ended(attemptId, { kind: 'lost', reason: 'signal SIGSEGV' });

/** Plays events and gives the last step. */
function play(...events: readonly JobEvent[]): JobStep & { record: JobRecord } {
  let step: JobStep = { record: undefined, effects: [] };
  for (const event of events) step = stepJob(step.record, event, context);
  assert.ok(step.record !== undefined);
  return { ...step, record: step.record };
}
const types = (step: JobStep): string[] => step.effects.map((effect) => effect.type);
const running = [received(), placed('a1'), { type: 'accepted', attemptId: 'a1' }] as const;

describe('receiving', () => {
  test('a new job is written before its message is completed', () => {
    const step = play(received());
    assert.equal(step.record.state, 'Waiting');
    assert.deepEqual(types(step), ['write', 'complete']);
  });
  test('a known job is completed as a duplicate and goes on as it was', () => {
    const step = play(...running, received());
    assert.equal(step.record.state, 'Running');
    assert.deepEqual(types(step), ['write', 'complete']);
  });
  test('a job that ended has its report sent again', () => {
    const step = play(...running, ended('a1', succeeded), received());
    assert.deepEqual(types(step), ['report', 'write', 'complete']);
    assert.equal(step.record.reported, false);
  });
  test('a higher try after a failed one waits again under the same id, knowing that the sink may know it', () => {
    const failed = ended('a1', failedOpen);
    const step = play(received({ finalTry: false }), placed('a1'), failed, received({ tryNumber: 2, sendNo: 9, signedJob: 'signed2' }));
    assert.equal(step.record.state, 'Waiting');
    const { tryNumber, attempts, signedJob, executorDeaths } = step.record;
    assert.deepEqual([tryNumber, attempts, signedJob, executorDeaths], [2, 1, 'signed2', 0]);
  });
  test('a lower try is a duplicate', () => {
    const step = play(received({ tryNumber: 2 }), received({ tryNumber: 1, signedJob: 'older' }));
    assert.deepEqual([step.record.tryNumber, step.record.signedJob], [2, 'signed']);
    assert.deepEqual(types(step), ['write', 'complete']);
  });
  test('a higher try of a job that succeeded repeats the receipt under the new try', () => {
    const step = play(...running, ended('a1', succeeded), received({ tryNumber: 2 }));
    assert.equal(step.record.end?.tryNumber, 2);
    assert.deepEqual(types(step), ['report', 'write', 'complete']);
  });
  test('an attempt of the old try that fails after the new try arrived starts the new try', () => {
    const step = play(
      received({ finalTry: false }), placed('a1'), received({ tryNumber: 2, finalTry: true }), ended('a1', failedOpen),
    );
    assert.equal(step.record.state, 'Waiting');
    assert.equal(nextStep(step.record), 'copy');
  });
});

describe('placing', () => {
  test('the attempt is in the ledger before it is sent', () => {
    assert.deepEqual(types(play(received(), placed('a1'))), ['write', 'dispatch']);
  });
  test('a refusal and a withheld dispatch leave no attempt behind', () => {
    const refused = play(received(), placed('a1'), { type: 'refused', attemptId: 'a1', reason: 'NO_FREE_SLOT', evidence: '' });
    const withheld = play(received(), placed('a1'), { type: 'undispatched', attemptId: 'a1' });
    for (const step of [refused, withheld]) assert.deepEqual([step.record.state, step.record.attempts], ['Waiting', 0]);
  });
  test('a signature that workers refuse three times ends the job', () => {
    const round = (id: string): JobEvent[] => [placed(id), { type: 'refused', attemptId: id, reason: 'BAD_SIGNATURE', evidence: 'key 1' }];
    const step = play(received(), ...round('a1'), ...round('a2'), ...round('a3'));
    assert.equal(step.record.end?.outcome.kind, 'failed');
    assert.match(JSON.stringify(step.record.end), /DMG_CORE_SIGNATURE_REFUSED/);
    assert.deepEqual(types(step), ['write', 'report']);
  });
});

describe('ends', () => {
  test('an end is reported before it is written: reports do not depend on the ledger', () => {
    assert.deepEqual(types(play(...running, ended('a1', succeeded))), ['report', 'write']);
  });
  test('success counts from a former attempt and stops the current one', () => {
    const step = play(...running, { type: 'notListed', nodeId: 'n1' }, placed('a2'), ended('a1', succeeded));
    assert.equal(step.record.end?.attemptId, 'a1');
    assert.deepEqual(step.effects[0], { type: 'stop', attemptId: 'a2', nodeId: 'n1' });
  });
  test('failure and cancellation do not count from a former attempt', () => {
    const outcomes: readonly AttemptOutcome[] = [
      { kind: 'failed', fault, sink: 'aborted' }, { kind: 'cancelled', sink: 'aborted' }, { kind: 'lost', reason: '' },
    ];
    for (const outcome of outcomes) {
      const step = play(...running, { type: 'notListed', nodeId: 'n1' }, placed('a2'), ended('a1', outcome));
      assert.deepEqual([step.record.state, types(step)], ['Dispatched', []]);
    }
  });
  test('success over a reported cancellation is told as well, and nothing after it', () => {
    const step = play(...running, ended('a1', { kind: 'cancelled', sink: 'unconfirmed' }), ended('a0', succeeded));
    assert.deepEqual([step.record.end?.outcome.kind, types(step)], ['succeeded', ['report', 'write']]);
    assert.deepEqual(types(stepJob(step.record, ended('a1', succeeded), context)), []);
  });
  test('success of a job unknown to the ledger is reported', () => {
    assert.deepEqual(types(play(ended('a1', succeeded))), ['report', 'write']);
  });
  test('stopped places the job again and counts nothing', () => {
    const step = play(...running, ended('a1', { kind: 'stopped' }));
    assert.deepEqual([step.record.state, step.record.executorDeaths], ['Waiting', 0]);
  });
  test('a final failure that left the sink open closes it first', () => {
    const step = play(...running, ended('a1', failedOpen));
    assert.deepEqual([step.record.state, nextStep(step.record)], ['Waiting', 'abort']);
    const closing = [placed('a2', 'abort'), ended('a2', { kind: 'cancelled', sink: 'aborted' })];
    const closed = play(...running, ended('a1', failedOpen), ...closing);
    assert.deepEqual(closed.record.end?.outcome, { kind: 'failed', fault, sink: 'aborted' });
  });
});

describe('executors that die', () => {
  const thrice = [placed('a1'), lost('a1'), placed('a2'), lost('a2'), placed('a3'), lost('a3')];
  test('twice: the job is placed again', () => assert.equal(play(received(), ...thrice.slice(0, 4)).record.state, 'Waiting'));
  test('three times, final try: the sink is closed, then Failed with the last reason', () => {
    const step = play(received(), ...thrice, placed('a4', 'abort'), ended('a4', { kind: 'cancelled', sink: 'aborted' }));
    const text = JSON.stringify(step.record.end?.outcome);
    assert.match(text, /DMG_CORE_CRASHES_EXECUTOR.*SIGSEGV/);
    assert.match(text, /"sink":"aborted"/);
  });
  test('three times, tries left: Failed with the sink open', () => {
    const step = play(received({ finalTry: false }), ...thrice);
    assert.ok(step.record.end !== undefined && !isFinal(step.record.end));
  });
  test('also while closing the sink: the end is not confirmed', () => {
    const closing = ['b1', 'b2', 'b3'].flatMap((id) => [placed(id, 'abort'), lost(id)]);
    assert.match(JSON.stringify(play(received(), ...thrice, ...closing).record.end?.outcome), /"sink":"unconfirmed"/);
  });
});

describe('cancel', () => {
  test('before any attempt: Cancelled at once, after the ledger has it', () => {
    const step = play(received(), { type: 'cancelRequested' });
    assert.deepEqual([step.record.end?.outcome, types(step)], [{ kind: 'cancelled', sink: 'aborted' }, ['write', 'report']]);
  });
  test('an end that the ledger did not take is taken back: the sink has to be closed now', () => {
    const step = play(received(), { type: 'cancelRequested' });
    assert.ok(step.record.end !== undefined);
    const { record } = stepJob(step.record, { type: 'endWithheld', end: step.record.end }, context);
    assert.deepEqual([record?.state, record && nextStep(record), record?.firstDelivery], ['Waiting', 'abort', false]);
  });
  test('when an attempt may have been made unseen: an abort step', () => {
    const cancel: JobEvent = { type: 'cancelRequested' };
    const secondSend = play(received({ firstDelivery: false }), cancel);
    const secondTry = play(received({ tryNumber: 2 }), cancel);
    const readBack = stepJob(restored(play(received()).record), cancel, context).record;
    for (const record of [secondSend.record, secondTry.record, readBack]) {
      assert.deepEqual([record?.state, record && nextStep(record)], ['Waiting', 'abort']);
    }
  });
  test('while running: stopped at once, whether or not the ledger answers; repeated requests ask the worker again', () => {
    const step = play(...running, { type: 'cancelRequested' });
    assert.deepEqual(types(step), ['stop', 'write']);
    assert.deepEqual(types(stepJob(step.record, { type: 'cancelRequested' }, context)), ['stop']);
  });
  test('before the worker answered: stopped when it accepts', () => {
    const step = play(received(), placed('a1'), { type: 'cancelRequested' }, { type: 'accepted', attemptId: 'a1' });
    assert.deepEqual(types(step), ['stop']);
  });
  test('a failure that left the sink open does not end a cancelled job', () => {
    const step = play(received({ finalTry: false }), placed('a1'), { type: 'cancelRequested' }, ended('a1', failedOpen));
    assert.deepEqual([step.record.state, nextStep(step.record)], ['Waiting', 'abort']);
  });
  test('between two tries: somebody closes the sink', () => {
    const step = play(received({ finalTry: false }), placed('a1'), ended('a1', failedOpen), { type: 'cancelRequested' });
    assert.deepEqual([step.record.state, nextStep(step.record)], ['Waiting', 'abort']);
  });
  test('lost the race: an abort step that finds the sink done reports success', () => {
    const step = play(received({ firstDelivery: false }), { type: 'cancelRequested' }, placed('a1', 'abort'), ended('a1', succeeded));
    assert.equal(step.record.end?.outcome.kind, 'succeeded');
  });
});

describe('lists of the workers', () => {
  const listed = (attemptId: string, more: { signedJob?: string; tryNumber?: number } = {}): JobEvent =>
    ({ type: 'listed', nodeId: 'n1', finalTry: true, attempt: { jobId: 'j', tryNumber: 1, attemptId, step: 'copy', progress, ...more } });
  test('listed and known: adopted', () => assert.equal(play(received(), placed('a1'), listed('a1')).record.state, 'Running'));
  test('listed and unknown: written from the copy of the worker', () => {
    const step = play(listed('a1', { signedJob: 'copy' }));
    assert.deepEqual([step.record.state, step.record.signedJob, types(step)], ['Running', 'copy', ['write']]);
  });
  test('known and not listed: waits again, not counted as a death', () => {
    const step = play(...running, { type: 'notListed', nodeId: 'n1' });
    assert.deepEqual([step.record.state, step.record.executorDeaths], ['Waiting', 0]);
    assert.equal(play(...running, { type: 'notListed', nodeId: 'n2' }).record.state, 'Running');
  });
  test('a job adopted without its signed form and then lost is forgotten, so that the control plane sends it again', () => {
    const step = stepJob(play(listed('a1')).record, lost('a1'), context);
    assert.deepEqual([step.record, types(step)], [undefined, ['remove']]);
  });
  test('an attempt of a job that is over is stopped, but not while another try is to use the sink', () => {
    assert.deepEqual(types(play(...running, ended('a1', succeeded), listed('a0'))), ['stop']);
    assert.deepEqual(types(play(received({ finalTry: false }), placed('a1'), ended('a1', failedOpen), listed('a0'))), []);
  });
  const at = (bytesWritten: number, step: 'plan' | 'copy' | 'finish' = 'copy'): AttemptProgress =>
    ({ step, bytesWritten, bytesTotal: 100, bytesRead: 0, rowsWritten: 0, filesTotal: 1, filesWritten: 0 });
  type Progress = AttemptProgress | undefined;
  const second = (current: Progress, other: Progress, ...before: JobEvent[]): JobStep & { record: JobRecord } => {
    const attempt = { jobId: 'j', tryNumber: 1, attemptId: 'a0', step: 'copy', progress: other } as const;
    return play(...running, ...before, { type: 'listed', nodeId: 'n2', finalTry: true, attempt, current });
  };
  test('of two attempts that copy, the one that is further goes on; the other is ended with the sink open', () => {
    const ahead = second(at(10), at(60));
    assert.deepEqual([ahead.record.attempt?.attemptId, ahead.record.attempt?.nodeId], ['a0', 'n2']);
    assert.deepEqual(ahead.effects, [{ type: 'write' }, { type: 'supersede', attemptId: 'a1', nodeId: 'n1' }]);
    for (const behind of [second(at(60), at(10)), second(at(5, 'finish'), at(60)), second(at(5), at(5)), second(at(0), undefined)]) {
      assert.equal(behind.record.attempt?.attemptId, 'a1');
      assert.deepEqual(behind.effects, [{ type: 'supersede', attemptId: 'a0', nodeId: 'n2' }]);
    }
  });
  test('an attempt that runs goes before one that nobody has accepted yet', () => {
    const step = second(undefined, undefined, { type: 'notListed', nodeId: 'n1' }, placed('a2'));
    assert.deepEqual([step.record.state, step.record.attempt?.attemptId], ['Running', 'a0']);
    assert.deepEqual(step.effects[1], { type: 'supersede', attemptId: 'a2', nodeId: 'n1' });
  });
  test('a second attempt of a job that is to be cancelled is stopped for good', () => {
    const step = second(at(10), at(60), { type: 'cancelRequested' });
    assert.deepEqual([step.record.attempt?.attemptId, step.effects], ['a1', [{ type: 'stop', attemptId: 'a0', nodeId: 'n2' }]]);
  });
  test('a new try that the ledger does not know is adopted', () => {
    const failed = ended('a1', failedOpen);
    const step = play(received({ finalTry: false }), placed('a1'), failed, listed('a2', { tryNumber: 2, signedJob: 'signed2' }));
    assert.deepEqual([step.record.state, step.record.tryNumber, step.record.signedJob], ['Running', 2, 'signed2']);
  });
});

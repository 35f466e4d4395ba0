import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AssistStep, AttemptOutcome } from '@dmg/model';
import type { JobEvent, JobStep } from './job-events.ts';
import { stepJob } from './job-machine.ts';
import type { JobRecord } from './job-record.ts';

const context = { jobId: 'j', epochN: 1, nowWallMs: 1000, nodeName: 'here' };
const fault = { code: 'DMG_X', category: 'config', retry: 'never', scope: 'job', message: 'm', fix: 'f', params: {} } as const;
const received: JobEvent = { type: 'received', tryNumber: 1, finalTry: true, sendNo: 7, firstDelivery: true, signedJob: 'signed' };
const placed = (attemptId: string, nodeId: string): JobEvent => ({ type: 'placed', attemptId, nodeId, step: 'copy' });
const accepted = (attemptId: string): JobEvent => ({ type: 'accepted', attemptId });
const assist = (attemptId: string, nodeId: string, step: AssistStep = 'assist'): JobEvent =>
  ({ type: 'assistantPlaced', assistant: { attemptId, nodeId, step, index: 1 }, of: 4 });
const ended = (attemptId: string, outcome: AttemptOutcome): JobEvent =>
  ({ type: 'ended', attemptId, tryNumber: 1, nodeName: 'one', outcome, startedAtWallMs: 1, endedAtWallMs: 2 });
const listed = (attemptId: string, nodeId: string, step: AssistStep = 'assist'): JobEvent => ({
  type: 'listed', nodeId, finalTry: true, attempt: { jobId: 'j', tryNumber: 1, attemptId, step, progress: undefined },
});
const running = [received, placed('a1', 'n1'), accepted('a1')] as const;
const assisted = [...running, assist('h1', 'n2'), assist('h2', 'n3')] as const;

function play(...events: readonly JobEvent[]): JobStep & { record: JobRecord } {
  let step: JobStep = { record: undefined, effects: [] };
  for (const event of events) step = stepJob(step.record, event, context);
  assert.ok(step.record !== undefined);
  return { ...step, record: step.record };
}
const ids = ({ record }: { record: JobRecord }): string[] => (record.assistants ?? []).map(({ attemptId }) => attemptId);
const types = ({ effects }: JobStep): string[] =>
  effects.map((effect) => (effect.type === 'dismiss' ? `dismiss ${effect.attemptId}` : effect.type));

describe('assistants of a job', () => {
  test('one is written before it is dispatched, and the lead is told of it', () => {
    const step = play(...running, assist('h1', 'n2'));
    assert.deepEqual(step.effects, [
      { type: 'tell', attemptId: 'a1', nodeId: 'n1', assistants: 1 }, { type: 'write' },
      { type: 'dispatch', attemptId: 'h1', nodeId: 'n2', step: 'assist', share: { index: 1, of: 4 } },
    ]);
  });
  test('none comes where the lead is, twice to a node, before the lead runs, or while the sink is to be closed', () => {
    assert.deepEqual(ids(play(...running, assist('h1', 'n1'))), []);
    assert.deepEqual(ids(play(...assisted, assist('h3', 'n3'))), ['h1', 'h2']);
    assert.deepEqual(ids(play(received, placed('a1', 'n1'), assist('h1', 'n2'))), []);
    assert.deepEqual(ids(play(...running, { type: 'cancelRequested' }, assist('h1', 'n2'))), []);
  });
  test('its end, its failure and its loss change nothing of the job', () => {
    for (const outcome of [{ kind: 'stopped' }, { kind: 'failed', fault, sink: 'open' }, { kind: 'lost', reason: 'killed' }] as const) {
      const step = play(...assisted, ended('h1', outcome));
      const { state, attempt, executorDeaths } = step.record;
      assert.deepEqual([state, attempt?.attemptId, executorDeaths, ids(step)], ['Running', 'a1', 0, ['h2']]);
      assert.deepEqual(types(step), ['tell', 'write']);
    }
    assert.deepEqual(ids(play(...assisted, { type: 'refused', attemptId: 'h2', reason: 'NO_FREE_SLOT', evidence: '' })), ['h1']);
    assert.deepEqual(ids(play(...assisted, { type: 'undispatched', attemptId: 'h2' })), ['h1']);
    assert.deepEqual(ids(play(...assisted, { type: 'assistantGone', attemptId: 'h2' })), ['h1']);
  });
  test('they go on while the job waits for another node, and the next lead hears of them', () => {
    const lost = play(...assisted, assist('k1', 'n2', 'keep'), { type: 'notListed', nodeId: 'n1' });
    assert.deepEqual([lost.record.state, ids(lost), types(lost)], ['Waiting', ['h1', 'h2', 'k1'], ['write']]);
    const again = play(
      ...assisted, assist('k1', 'n2', 'keep'), { type: 'notListed', nodeId: 'n1' }, placed('a2', 'n4'), accepted('a2'),
    );
    assert.deepEqual([ids(again), again.effects[0]], [['h1', 'h2', 'k1'], { type: 'tell', attemptId: 'a2', nodeId: 'n4', assistants: 2 }]);
  });
  test('the one on whose node the next lead is placed makes way; a keeper does not', () => {
    const step = play(...assisted, assist('k1', 'n2', 'keep'), { type: 'notListed', nodeId: 'n1' }, placed('a2', 'n2'));
    assert.deepEqual([ids(step), types(step)], [['h2', 'k1'], ['dismiss h1', 'write', 'dispatch']]);
  });
  test('the end of the job and a cancel end them first', () => {
    const failed = ended('a1', { kind: 'failed', fault, sink: 'aborted' });
    assert.deepEqual(types(play(...assisted, failed)), ['dismiss h1', 'dismiss h2', 'report', 'write']);
    const cancelled = play(...assisted, { type: 'cancelRequested' });
    assert.deepEqual([ids(cancelled), types(cancelled)], [[], ['dismiss h1', 'dismiss h2', 'stop', 'write']]);
    const failing = play(...assisted, ended('a1', { kind: 'failed', fault, sink: 'open' }));
    assert.deepEqual([failing.record.failing, types(failing)], [fault, ['dismiss h1', 'dismiss h2', 'write']]);
  });
  test('one that a worker lists is taken on where it fits, and ended where nothing is copied', () => {
    const step = play(...running, listed('h9', 'n4'));
    assert.deepEqual([ids(step), types(step)], [['h9'], ['tell', 'write']]);
    assert.deepEqual(types(play(...assisted, listed('h1', 'n2'))), []);
    assert.deepEqual(types(play(...assisted, listed('h9', 'n2'))), ['dismiss h9']);
    assert.deepEqual(types(play(...running, { type: 'cancelRequested' }, listed('h9', 'n4'))), ['dismiss h9']);
    assert.deepEqual(stepJob(undefined, listed('h9', 'n4'), context), {
      record: undefined, effects: [{ type: 'dismiss', attemptId: 'h9', nodeId: 'n4' }],
    });
  });
});

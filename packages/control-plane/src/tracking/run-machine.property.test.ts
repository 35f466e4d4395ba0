import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import type { AttemptOutcome, Receipt } from '@dmg/model';
import { controlPlaneErrors } from '../errors.ts';
import {
  type ActivityState, activityStatus, deadLettersMax, type DependencyCondition, isEnded, isEndPhase, mustBeCancelled, type RunEvent,
  type RunState,
  runStatus, stepRun,
} from './run-machine.ts';

const fault = controlPlaneErrors.RUN_TIMED_OUT.create({ seconds: 1 }).toFault();
const succeeded: AttemptOutcome = {
  kind: 'succeeded', receipt: {} as Receipt, details: { planMs: 0, copyMs: 0, finishMs: 0, readMs: 0, writeMs: 0, parallelCopies: 1 },
};
const failed = (sink: 'open' | 'aborted' | 'unconfirmed'): AttemptOutcome => ({ kind: 'failed', fault, sink });
const outcomes: readonly AttemptOutcome[] = [
  succeeded, failed('open'), failed('open'), failed('aborted'), failed('unconfirmed'), { kind: 'cancelled', sink: 'aborted' },
  { kind: 'cancelled', sink: 'unconfirmed' }, { kind: 'stopped' }, { kind: 'lost', reason: 'x' },
];

function activity(name: string, change: Partial<ActivityState> = {}): ActivityState {
  return {
    name, dependsOn: [], retry: 0, retryIntervalMs: 30_000, phase: 'Pending', tryNumber: 0, sent: false, resends: 0, deadLetters: 0,
    abandoned: false,
    ...change,
  };
}

const conditions = fc.uniqueArray(fc.constantFrom<DependencyCondition>('Succeeded', 'Failed', 'Skipped', 'Completed'), {
  minLength: 1, maxLength: 4,
});
/** Any acyclic graph: an activity depends on earlier ones only. */
const run: fc.Arbitrary<RunState> = fc
  .array(
    fc.record({
      retry: fc.integer({ min: 0, max: 2 }),
      dependsOn: fc.array(fc.record({ back: fc.nat(4), dependencyConditions: conditions }), { maxLength: 3 }),
    }),
    { maxLength: 5 },
  )
  .map((drafts) => ({
    cancelRequested: false,
    activities: drafts.map(({ retry, dependsOn }, index) => {
      const names = new Map(
        dependsOn.filter(({ back }) => back < index).map(({ back, dependencyConditions }) => [`a${back}`, dependencyConditions]),
      );
      return activity(`a${index}`, {
        retry, dependsOn: [...names].map(([name, dependencyConditions]) => ({ activity: name, dependencyConditions })),
      });
    }),
  }));

const name = fc.nat(4).map((index) => `a${index}`);
const event: fc.Arbitrary<RunEvent> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant('claimed' as const), activity: name }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant('named' as const), activity: name, tryNumber: fc.integer({ min: 1, max: 3 }) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constant('reported' as const), activity: name, tryNumber: fc.integer({ min: 1, max: 3 }),
      outcome: fc.constantFrom(...outcomes),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('lost' as const), activity: name }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('deadLettered' as const), activity: name, poison: fc.constant(fault) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('abandoned' as const), activity: name, fault: fc.constant(fault) }) },
  { weight: 1, arbitrary: fc.constant({ type: 'cancelRequested' as const }) },
);

function applicable(state: RunState, each: RunEvent): boolean {
  return !('activity' in each) || state.activities.some((candidate) => candidate.name === each.activity);
}

test('whatever comes in whatever order, an activity ends at most once and the run exactly when the last one does', () => {
  fc.assert(fc.property(run, fc.array(event, { maxLength: 60 }), (initial, events) => {
    const ends = new Map<string, number>();
    let runEnds = 0;
    let state = initial;
    for (const each of [{ type: 'started' } as const, ...events.filter((candidate) => applicable(initial, candidate))]) {
      const before = state;
      const step = stepRun(before, each);
      state = step.state;
      for (const effect of step.effects) {
        if (effect.type === 'end') ends.set(effect.activity, (ends.get(effect.activity) ?? 0) + 1);
        if (effect.type === 'runEnd') runEnds += 1;
        if (effect.type === 'runEnd') assert.equal(effect.status, runStatus(state));
        if (effect.type === 'send') assert.equal(state.activities.find(({ name: known }) => known === effect.activity)?.phase, 'Queued');
      }
      for (const [index, after] of state.activities.entries()) {
        const was = before.activities[index];
        if (was !== undefined && isEndPhase(was.phase)) assert.equal(after.phase, was.phase);
        assert.ok(after.tryNumber <= Math.max(3, after.retry + 1));
        if (activityStatus(state, after) === 'Canceling') assert.ok(
          mustBeCancelled(state, after), 'what is being cancelled is told to the nodes',
        );
      }
      assert.equal(runEnds, isEnded(state) ? 1 : 0);
    }
    for (const after of state.activities) assert.equal(ends.get(after.name) ?? 0, isEndPhase(after.phase) ? 1 : 0);
  }), { numRuns: 1000 });
});

test('the same reports in any order, each any number of times, give one end', () => {
  const reports = [
    { type: 'reported', activity: 'a', tryNumber: 1, outcome: failed('open') },
    { type: 'reported', activity: 'a', tryNumber: 2, outcome: succeeded },
  ] as const;
  fc.assert(fc.property(fc.array(fc.constantFrom(...reports), { minLength: 4, maxLength: 12 }), (shuffled) => {
    let state = stepRun({ cancelRequested: false, activities: [activity('a', { retry: 1 })] }, { type: 'started' }).state;
    for (const each of [...shuffled, ...reports]) state = stepRun(state, each).state;
    assert.deepEqual(state.activities.map(({ phase }) => phase), ['Succeeded']);
  }));
});

test('every accepted run ends, if every try that is sent is answered in the end', () => {
  fc.assert(fc.property(run, fc.infiniteStream(fc.constantFrom(...outcomes.slice(0, 7))), fc.nat(30), (initial, answers, cancelAt) => {
    let step = stepRun(initial, { type: 'started' });
    for (let round = 0; !isEnded(step.state); round++) {
      assert.ok(round < 100, 'it goes on for ever');
      if (round === cancelAt) step = stepRun(step.state, { type: 'cancelRequested' });
      const open = step.state.activities.find(({ phase }) => phase === 'Queued' || phase === 'Running');
      if (open === undefined) continue;
      step = stepRun(step.state, { type: 'claimed', activity: open.name });
      // A node that knows of the cancel closes the sink and says so.
      const answer = answers.next().value as AttemptOutcome;
      const outcome: AttemptOutcome = step.state.cancelRequested ? { kind: 'cancelled', sink: 'aborted' } : answer;
      step = stepRun(step.state, { type: 'reported', activity: open.name, tryNumber: open.tryNumber, outcome });
    }
    assert.ok(['Succeeded', 'Failed', 'Cancelled'].includes(runStatus(step.state)));
  }));
});

test('a failed try that left its sink open is followed by the next after the interval, and the last one ends it', () => {
  let step = stepRun({ cancelRequested: false, activities: [activity('a', { retry: 1 })] }, { type: 'started' });
  assert.deepEqual(step.effects, [{ type: 'send', activity: 'a', afterMs: 0 }]);
  step = stepRun(step.state, { type: 'reported', activity: 'a', tryNumber: 1, outcome: failed('open') });
  assert.deepEqual(step.effects, [{ type: 'send', activity: 'a', afterMs: 30_000 }]);
  step = stepRun(step.state, { type: 'reported', activity: 'a', tryNumber: 1, outcome: failed('aborted') });
  assert.equal(step.verdict, 'ignored');
  step = stepRun(step.state, { type: 'reported', activity: 'a', tryNumber: 2, outcome: failed('aborted') });
  assert.deepEqual(step.effects.map(({ type }) => type), ['unsend', 'end', 'runEnd']);
  assert.equal(runStatus(step.state), 'Failed');
});

test('cancel ends at once what was never sent, and asks nodes to end the rest', () => {
  const two: RunState = {
    cancelRequested: false,
    activities: [activity('a'), activity('b'), activity('c', { dependsOn: [{ activity: 'a', dependencyConditions: ['Succeeded'] }] })],
  };
  let step = stepRun(stepRun(two, { type: 'started' }).state, { type: 'claimed', activity: 'b' });
  step = stepRun(step.state, { type: 'cancelRequested' });
  assert.deepEqual(step.state.activities.map(({ phase }) => phase), ['Cancelled', 'Queued', 'Cancelled']);
  assert.deepEqual(step.state.activities.map((each) => mustBeCancelled(step.state, each)), [false, true, false]);
  assert.equal(runStatus(step.state), 'Canceling');
  assert.equal(stepRun(step.state, { type: 'cancelRequested' }).verdict, 'ignored');
  step = stepRun(step.state, { type: 'reported', activity: 'b', tryNumber: 1, outcome: { kind: 'cancelled', sink: 'aborted' } });
  assert.equal(runStatus(step.state), 'Cancelled');
  const late = stepRun(step.state, { type: 'reported', activity: 'b', tryNumber: 1, outcome: succeeded });
  assert.equal(late.verdict, 'late');
  assert.equal(runStatus(late.state), 'Cancelled');
});

test('the activities on which nothing depends decide; one that was skipped is judged by what it depended on', () => {
  const dependsOn = (on: string, condition: DependencyCondition) => [{ activity: on, dependencyConditions: [condition] }];
  const end = (outcome: AttemptOutcome, activities: ActivityState[], second?: AttemptOutcome): string => {
    let step = stepRun({ cancelRequested: false, activities }, { type: 'started' });
    step = stepRun(step.state, { type: 'reported', activity: 'a', tryNumber: 1, outcome });
    if (second !== undefined) step = stepRun(step.state, { type: 'reported', activity: 'b', tryNumber: 1, outcome: second });
    assert.ok(isEnded(step.state));
    return `${step.state.activities.map(({ phase }) => phase).join(' ')}: ${runStatus(step.state)}`;
  };
  const onFailure = [activity('a'), activity('b', { dependsOn: dependsOn('a', 'Failed') })];
  const onSuccess = [activity('a'), activity('b', { dependsOn: dependsOn('a', 'Succeeded') })];
  assert.equal(end(succeeded, onFailure), 'Succeeded Skipped: Succeeded');
  assert.equal(end(failed('aborted'), onFailure, succeeded), 'Failed Succeeded: Succeeded');
  assert.equal(end(failed('aborted'), onSuccess), 'Failed Skipped: Failed');
  assert.equal(end(succeeded, onSuccess, failed('aborted')), 'Succeeded Failed: Failed');
});

test('a message that the queue gives up is sent three times more; then the run fails and nodes are told to stop', () => {
  let step = stepRun({ cancelRequested: false, activities: [activity('a')] }, { type: 'started' });
  step = stepRun(step.state, { type: 'claimed', activity: 'a' });
  for (let count = 1; count <= deadLettersMax; count++) {
    step = stepRun(step.state, { type: 'deadLettered', activity: 'a', poison: fault });
    assert.deepEqual(step.effects, [{ type: 'send', activity: 'a', afterMs: 0 }]);
  }
  step = stepRun(step.state, { type: 'deadLettered', activity: 'a', poison: fault });
  assert.equal(runStatus(step.state), 'Failed');
  assert.ok(step.state.activities.every((each) => mustBeCancelled(step.state, each)));
  step = stepRun(step.state, { type: 'reported', activity: 'a', tryNumber: 1, outcome: { kind: 'cancelled', sink: 'aborted' } });
  assert.ok(step.state.activities.every((each) => !mustBeCancelled(step.state, each)));
});

test('a pipeline without activities has succeeded when it starts, and a circle of dependencies is a defect', () => {
  assert.deepEqual(
    stepRun({ cancelRequested: false, activities: [] }, { type: 'started' }).effects, [{ type: 'runEnd', status: 'Succeeded' }],
  );
  const circle = [activity('a', { dependsOn: [{ activity: 'a', dependencyConditions: ['Succeeded'] }] })];
  assert.throws(() => stepRun({ cancelRequested: false, activities: circle }, { type: 'started' }), /circle/);
});

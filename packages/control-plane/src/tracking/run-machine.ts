import assert from 'node:assert/strict';
import type { Fault } from '@dmg/base';
import type { AttemptOutcome, RunStatus } from '@dmg/model';

/*
 * One pipeline run and its activity runs, as the control plane tracks them. Pure.
 *
 * Phases of an activity
 *   Pending    something it depends on has not ended
 *   Queued     its current try is to be sent, or was sent and nobody has been heard to run it
 *   Running    a node said that it runs the current try
 *   Succeeded, Failed, Cancelled, Skipped    its end; never left again
 *
 * Events: RunEvent. Effects and what must be durable with them: RunEffect.
 *
 * Invariants (asserted after each step, and by property tests)
 *   - an activity ends at most once, and the run ends in the step in which its last activity does
 *   - while the run has not ended, some activity is Queued or Running: something is always under way to end it
 *   - try n + 1 exists only after try n was reported failed with its sink left open
 *   - an activity of which no message was ever sent is cancelled at once; any other is cancelled by a node, which closes the sink
 */

export type ActivityPhase = 'Pending' | 'Queued' | 'Running' | 'Succeeded' | 'Failed' | 'Cancelled' | 'Skipped';
export type EndPhase = 'Succeeded' | 'Failed' | 'Cancelled' | 'Skipped';
export type DependencyCondition = 'Succeeded' | 'Failed' | 'Skipped' | 'Completed';

export interface ActivityState {
  readonly name: string;
  readonly dependsOn: readonly { readonly activity: string; readonly dependencyConditions: readonly DependencyCondition[] }[];
  /** Further tries after the first. */
  readonly retry: number;
  readonly retryIntervalMs: number;
  readonly phase: ActivityPhase;
  /** From 1; 0 while Pending. */
  readonly tryNumber: number;
  /** A message of it may have left. */
  readonly sent: boolean;
  /** How often the current try was sent again, and how often the queue gave its message up. */
  readonly resends: number;
  readonly deadLetters: number;
  /** It was given an end here, while a node may still run it: that node must be told to stop. */
  readonly abandoned: boolean;
}

export interface RunState {
  readonly cancelRequested: boolean;
  readonly activities: readonly ActivityState[];
}

export type RunEvent =
  | { readonly type: 'started' }
  /** A message of its current try is about to leave. */
  | { readonly type: 'claimed'; readonly activity: string }
  /** A node says that it runs this try. */
  | { readonly type: 'named'; readonly activity: string; readonly tryNumber: number }
  | { readonly type: 'reported'; readonly activity: string; readonly tryNumber: number; readonly outcome: AttemptOutcome }
  /** Nobody has known it for as long as the re-send rule asks. */
  | { readonly type: 'lost'; readonly activity: string }
  | { readonly type: 'deadLettered'; readonly activity: string; readonly poison: Fault }
  /** It is given up here: past its timeout, or too old to be sent again. */
  | {
    readonly type: 'abandoned'; readonly activity: string; readonly fault: Fault; readonly neverLeft?: boolean,
  }
  | { readonly type: 'cancelRequested' };

/** All effects of a step are stored in one transaction with the new state; nothing is sent before that is on disk. */
export type RunEffect =
  /** Put the activity's current try into the outbox, due after `afterMs`; an older entry of the activity is replaced. */
  | { readonly type: 'send'; readonly activity: string; readonly afterMs: number }
  /** What waits in the outbox for its time is due now. */
  | { readonly type: 'hasten'; readonly activity: string }
  | { readonly type: 'unsend'; readonly activity: string }
  | { readonly type: 'end'; readonly activity: string; readonly phase: EndPhase; readonly fault?: Fault }
  | { readonly type: 'runEnd'; readonly status: RunStatus };

/** `late`: a success with a receipt that came after another end; recorded as a note, never as a second end. */
export type RunVerdict = 'changed' | 'ignored' | 'late';

export interface RunStep {
  readonly state: RunState;
  readonly effects: readonly RunEffect[];
  readonly verdict: RunVerdict;
}

export const deadLettersMax = 3;

export function stepRun(before: RunState, event: RunEvent): RunStep {
  const effects: RunEffect[] = [];
  let verdict: RunVerdict = 'changed';
  let state = before;
  if (event.type === 'cancelRequested') state = cancelAll(before, effects);
  else if (event.type !== 'started') {
    const step = onActivity(before, activityNamed(before, event.activity), event, effects);
    ({ verdict } = step);
    state = { ...before, activities: before.activities.map((each) => (each.name === event.activity ? step.activity : each)) };
  }
  state = release(state, effects);
  if (isEnded(state) && (event.type === 'started' || !isEnded(before))) effects.push({ type: 'runEnd', status: runStatus(state) });
  check(state);
  if (verdict === 'changed' && event.type !== 'started' && state === before) verdict = 'ignored';
  return { state, effects, verdict };
}

export function isEndPhase(phase: ActivityPhase): phase is EndPhase {
  return phase === 'Succeeded' || phase === 'Failed' || phase === 'Cancelled' || phase === 'Skipped';
}

/** What REST shows. An activity that was not released yet is not shown at all: undefined. */
export function activityStatus(run: RunState, activity: ActivityState): RunStatus | 'Skipped' | undefined {
  if (activity.phase === 'Pending') return undefined;
  if (isEndPhase(activity.phase)) return activity.phase;
  if (run.cancelRequested) return 'Canceling';
  return activity.phase === 'Running' ? 'InProgress' : 'Queued';
}

/**
 * Status of the pipeline run. At its end Data Factory's rule holds: the activities on which nothing depends decide; one that was
 * skipped is judged by those that it depends on.
 */
export function runStatus(run: RunState): RunStatus {
  if (!isEnded(run)) {
    if (run.cancelRequested) return 'Canceling';
    return run.activities.every(({ phase }) => phase === 'Pending' || phase === 'Queued') ? 'Queued' : 'InProgress';
  }
  const cancelled = run.activities.some(({ phase }) => phase === 'Cancelled');
  if (run.cancelRequested && cancelled) return 'Cancelled';
  const decisive = decisivePhases(run);
  if (decisive.has('Failed')) return 'Failed';
  return decisive.has('Cancelled') ? 'Cancelled' : 'Succeeded';
}

/** True while nodes must be told to end this activity: it stays in their desired state until its end is reported. */
export function mustBeCancelled(run: RunState, activity: ActivityState): boolean {
  return activity.sent && (activity.abandoned || (run.cancelRequested && !isEndPhase(activity.phase)));
}

export function isEnded(run: RunState): boolean {
  return run.activities.every(({ phase }) => isEndPhase(phase));
}

type ActivityEvent = Exclude<RunEvent, { type: 'started' | 'cancelRequested' }>;
interface ActivityStep {
  readonly activity: ActivityState;
  readonly verdict: RunVerdict;
}

function onActivity(run: RunState, activity: ActivityState, event: ActivityEvent, effects: RunEffect[]): ActivityStep {
  const ignored: ActivityStep = { activity, verdict: 'ignored' };
  const changed = (change: Partial<ActivityState>): ActivityStep => ({ activity: { ...activity, ...change }, verdict: 'changed' });
  if (event.type === 'reported') return onReported(run, activity, event, effects);
  if (activity.phase !== 'Queued' && activity.phase !== 'Running') return ignored;
  switch (event.type) {
    case 'claimed': return activity.sent ? ignored : changed({ sent: true });
    case 'named':
      // A larger number than ours is known when this database was restored from a backup.
      if (event.tryNumber < activity.tryNumber || (activity.phase === 'Running' && event.tryNumber === activity.tryNumber)) return ignored;
      return changed({ phase: 'Running', sent: true, tryNumber: event.tryNumber });
    case 'lost':
      effects.push({ type: 'send', activity: activity.name, afterMs: 0 });
      return changed({ phase: 'Queued', resends: activity.resends + 1 });
    case 'deadLettered': {
      if (activity.phase === 'Running') return ignored;
      const deadLetters = activity.deadLetters + 1;
      if (deadLetters > deadLettersMax) return { activity: abandon(activity, event.poison, effects), verdict: 'changed' };
      effects.push({ type: 'send', activity: activity.name, afterMs: 0 });
      return changed({ deadLetters });
    }
    case 'abandoned': return {
      activity: abandon(event.neverLeft ? { ...activity, sent: false } : activity, event.fault, effects), verdict: 'changed',
    };
  }
}

function onReported(
  run: RunState, activity: ActivityState, event: Extract<RunEvent, { type: 'reported' }>, effects: RunEffect[],
): ActivityStep {
  const { outcome } = event;
  const ignored: ActivityStep = { activity, verdict: 'ignored' };
  const ended = (phase: EndPhase, fault?: Fault): ActivityStep => ({ activity: end(activity, phase, effects, fault), verdict: 'changed' });
  if (activity.phase === 'Pending') return ignored;
  if (isEndPhase(activity.phase)) {
    // The first end counts. A final word of a node ends our telling it to stop.
    const final = !(outcome.kind === 'failed' && outcome.sink === 'open');
    const quiet = final && activity.abandoned ? { ...activity, abandoned: false } : activity;
    if (outcome.kind === 'succeeded' && activity.phase !== 'Succeeded') return { activity: quiet, verdict: 'late' };
    return { activity: quiet, verdict: quiet === activity ? 'ignored' : 'changed' };
  }
  switch (outcome.kind) {
    case 'succeeded': return ended('Succeeded');
    case 'cancelled': return event.tryNumber >= activity.tryNumber || run.cancelRequested ? ended('Cancelled') : ignored;
    case 'failed': {
      if (event.tryNumber < activity.tryNumber) return ignored;
      if (outcome.sink !== 'open' || event.tryNumber > activity.retry) return ended('Failed', outcome.fault);
      // When it is to be cancelled the next try is sent at once: it closes the sink and ends Cancelled.
      effects.push({ type: 'send', activity: activity.name, afterMs: run.cancelRequested ? 0 : activity.retryIntervalMs });
      return {
        activity: { ...activity, phase: 'Queued', tryNumber: event.tryNumber + 1, sent: true, resends: 0, deadLetters: 0 },
        verdict: 'changed',
      };
    }
    case 'stopped':
    case 'lost': return ignored; // No end of a try: the dispatcher places the job again and reports neither.
  }
}

function cancelAll(run: RunState, effects: RunEffect[]): RunState {
  if (run.cancelRequested || isEnded(run)) return run;
  const activities = run.activities.map((activity) => {
    if (activity.phase === 'Pending') return end(activity, 'Cancelled', effects);
    if (activity.phase === 'Queued' && !activity.sent) return end(activity, 'Cancelled', effects);
    if (activity.phase === 'Queued') effects.push({ type: 'hasten', activity: activity.name });
    return activity;
  });
  return { cancelRequested: true, activities };
}

/** Releases or skips what has all its dependencies behind it, until nothing moves. */
function release(run: RunState, effects: RunEffect[]): RunState {
  let state = run;
  for (;;) {
    const next = state.activities.find(
      (activity) => activity.phase === 'Pending' && dependencies(state, activity).every(({ phase }) => isEndPhase(phase)),
    );
    if (next === undefined) return state;
    const wanted = next.dependsOn.every(({ activity, dependencyConditions }) => {
      const { phase } = activityNamed(state, activity);
      return dependencyConditions.some((condition) => meets(phase, condition));
    });
    if (wanted) effects.push({ type: 'send', activity: next.name, afterMs: 0 });
    const released: ActivityState = wanted ? { ...next, phase: 'Queued', tryNumber: 1 } : end(next, 'Skipped', effects);
    state = { ...state, activities: state.activities.map((each) => (each === next ? released : each)) };
  }
}

function meets(phase: ActivityPhase, condition: DependencyCondition): boolean {
  if (condition === 'Completed') return phase === 'Succeeded' || phase === 'Failed' || phase === 'Cancelled';
  return phase === condition;
}

function abandon(activity: ActivityState, fault: Fault, effects: RunEffect[]): ActivityState {
  return { ...end(activity, 'Failed', effects, fault), abandoned: activity.sent };
}

function end(activity: ActivityState, phase: EndPhase, effects: RunEffect[], fault?: Fault): ActivityState {
  // What waits to be sent must not leave after the end.
  if (activity.phase !== 'Pending') effects.push({ type: 'unsend', activity: activity.name });
  effects.push({ type: 'end', activity: activity.name, phase, ...(fault === undefined ? {} : { fault }) });
  return { ...activity, phase };
}

function decisivePhases(run: RunState): Set<ActivityPhase> {
  const needed = new Set(run.activities.flatMap(({ dependsOn }) => dependsOn.map(({ activity }) => activity)));
  const found = new Set<ActivityPhase>();
  const seen = new Set<string>();
  const queue = run.activities.filter(({ name }) => !needed.has(name));
  for (let activity = queue.pop(); activity !== undefined; activity = queue.pop()) {
    if (seen.has(activity.name)) continue;
    seen.add(activity.name);
    if (activity.phase === 'Skipped') queue.push(...dependencies(run, activity));
    else found.add(activity.phase);
  }
  return found;
}

function dependencies(run: RunState, activity: ActivityState): ActivityState[] {
  return activity.dependsOn.map((dependency) => activityNamed(run, dependency.activity));
}

function activityNamed(run: RunState, name: string): ActivityState {
  const found = run.activities.find((activity) => activity.name === name);
  assert(found !== undefined, `the run has no activity ${name}`);
  return found;
}

function check(run: RunState): void {
  const underWay = run.activities.some(({ phase }) => phase === 'Queued' || phase === 'Running');
  assert(underWay || isEnded(run), 'a run that has not ended has something under way; do its dependencies form a circle?');
  for (const activity of run.activities) {
    assert(activity.phase !== 'Running' || activity.sent, 'what runs was sent');
    assert((activity.tryNumber === 0) === (activity.phase === 'Pending') || isEndPhase(activity.phase), 'tries begin with the release');
  }
}

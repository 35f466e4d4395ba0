import type { Fault, StopKind } from '@dmg/base';
import type { AttemptOutcome, AttemptProgress } from '@dmg/model';
import fc from 'fast-check';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type AttemptEffect, type AttemptEvent, type AttemptState, type AttemptTerms, startAttempt, stepAttempt,
} from './attempt-machine.ts';

function fault(code: string): Fault {
  return { code, category: 'system', retry: 'never', scope: 'attempt', message: code, fix: code, params: {} };
}

const faults = { memoryLimit: fault('MEMORY'), timeout: fault('TIMEOUT'), noProgress: fault('SILENT') };
const limits = {
  tickLimitMs: 5_000, progressLimitMs: 600_000, stopAcknowledgeMs: 1_000, stopGraceMs: 10_000, handOverMs: 2_000, timeoutGraceMs: 10_000,
  abortLimitMs: 30_000, killLimitMs: 5_000, memoryLimitBytes: 225,
};
const copyTerms: AttemptTerms = { step: 'copy', finalTry: true, timeoutMs: 3_600_000, faults, limits };
const aborted: AttemptOutcome = { kind: 'cancelled', sink: 'aborted' };
const engineFailed: AttemptOutcome = { kind: 'failed', fault: fault('ENGINE'), sink: 'open' };
const gone: AttemptEvent = { type: 'gone', reason: 'signal SIGKILL', outOfMemory: false };

function progressOf(bytesRead: number): AttemptProgress {
  return { step: 'copy', bytesTotal: 100, bytesRead, bytesWritten: 0, rowsWritten: 0, filesTotal: 1, filesWritten: 0 };
}

type Timed = readonly [atMs: number, event: AttemptEvent];

/** Feeds timed events and collects every effect. */
function run(terms: AttemptTerms, events: readonly Timed[]): { state: AttemptState; effects: AttemptEffect[] } {
  let state = startAttempt(terms, 0);
  const effects: AttemptEffect[] = [];
  for (const [atMs, event] of events) {
    const transition = stepAttempt(state, event, atMs);
    state = transition.state;
    effects.push(...transition.effects);
  }
  return { state, effects };
}

function reported(effects: readonly AttemptEffect[]): AttemptOutcome[] {
  return effects.flatMap((effect) => (effect.type === 'report' ? [effect.outcome] : []));
}

const stop = (kind: StopKind): AttemptEvent => ({ type: 'stop', kind });
const ended = (outcome: AttemptOutcome): AttemptEvent => ({ type: 'ended', outcome });
const time: AttemptEvent = { type: 'time' };
const closingStarted: AttemptEvent = { type: 'closingStarted' };

test('a well-behaved cancel is reported as the executor reports it', () => {
  const { effects } = run(copyTerms, [[100, stop('cancelled')], [101, { type: 'stopAcknowledged' }], [300, ended(aborted)]]);
  assert.deepEqual(effects, [{ type: 'sendStop', kind: 'cancelled' }, { type: 'report', outcome: aborted }]);
});

test('a cancel that nobody acknowledges is a kill after a second, then an abort step in a fresh executor', () => {
  const { effects } = run(copyTerms, [
    [0, stop('cancelled')], [999, time], [1_000, time], [1_001, gone], [1_100, closingStarted], [1_200, ended(aborted)],
  ]);
  assert.deepEqual(effects, [
    { type: 'sendStop', kind: 'cancelled' }, { type: 'kill', reason: 'frozen' }, { type: 'close' }, { type: 'report', outcome: aborted },
  ]);
});

test('a cancel that is acknowledged and ignored is a kill after the grace', () => {
  const tick: AttemptEvent = { type: 'tick' };
  const { effects } = run(copyTerms, [
    [0, stop('cancelled')], [1, { type: 'stopAcknowledged' }], [5_000, tick], [9_000, tick], [9_999, time], [10_000, time],
    [10_001, gone], [10_002, { type: 'closingImpossible' }],
  ]);
  assert.deepEqual(effects.map((effect) => effect.type), ['sendStop', 'kill', 'close', 'report']);
  assert.deepEqual(reported(effects), [{ kind: 'cancelled', sink: 'unconfirmed' }]);
});

test('a hand-over that is acknowledged and ignored is a kill after two seconds; a cancel meanwhile gets the time to close the sink', () => {
  const acknowledged: AttemptEvent = { type: 'stopAcknowledged' };
  const drained = run(copyTerms, [[0, stop('draining')], [1, acknowledged], [1_999, time], [2_000, time], [2_001, gone]]);
  assert.deepEqual(drained.effects, [
    { type: 'sendStop', kind: 'draining' }, { type: 'kill', reason: 'stopIgnored' }, { type: 'report', outcome: { kind: 'stopped' } },
  ]);
  const cancelled = run(copyTerms, [[0, stop('draining')], [1, acknowledged], [1_500, stop('cancelled')], [2_500, time]]);
  assert.deepEqual(cancelled.effects, [{ type: 'sendStop', kind: 'draining' }]);
});

test('an abort step that fails leaves the sink unconfirmed and is not tried twice', () => {
  const crashed = run(copyTerms, [[0, stop('cancelled')], [1, gone], [2, { type: 'closingStarted' }], [3, gone]]);
  assert.deepEqual(crashed.effects.map((effect) => effect.type), ['sendStop', 'close', 'report']);
  assert.deepEqual(reported(crashed.effects), [{ kind: 'cancelled', sink: 'unconfirmed' }]);
  const hung = run(copyTerms, [[0, stop('cancelled')], [1, gone], [2, { type: 'closingStarted' }], [30_002, time], [30_003, gone]]);
  assert.deepEqual(hung.effects.map((effect) => effect.type), ['sendStop', 'close', 'kill', 'report']);
});

test('success is true whatever was asked meanwhile, also when the abort step finds it', () => {
  const success = { kind: 'succeeded' } as AttemptOutcome;
  assert.deepEqual(reported(run(copyTerms, [[0, stop('cancelled')], [1, ended(success)]]).effects), [success]);
  const found = run(copyTerms, [[0, stop('cancelled')], [1, gone], [2, closingStarted], [3, ended(success)]]);
  assert.deepEqual(reported(found.effects), [success]);
});

test('no tick for five seconds is a kill and a lost attempt; a pause of the host itself is not held against it', () => {
  const frozen = run(copyTerms, [[4_999, time], [5_000, time], [5_001, gone]]);
  assert.deepEqual(frozen.effects.map((effect) => effect.type), ['kill', 'report']);
  assert.equal(reported(frozen.effects)[0]?.kind, 'lost');
  const paused = run(copyTerms, [
    [60_000, { type: 'hostPaused', pausedMs: 60_000 }], [60_001, time], [60_002, { type: 'tick' }], [64_000, time],
  ]);
  assert.deepEqual(paused.effects, []);
});

test('the time in which an executor got no processor is no silence', () => {
  const starved = (starvedMs: number): AttemptEvent => ({ type: 'starved', starvedMs });
  const busy = run(copyTerms, [[4_000, starved(3_900)], [8_000, starved(3_900)], [12_000, starved(3_900)], [15_000, time]]);
  assert.deepEqual(busy.effects, []);
  const looping = run(copyTerms, [[4_000, starved(1_000)], [5_999, time], [6_000, time]]);
  assert.deepEqual(looping.effects, [{ type: 'kill', reason: 'frozen' }]);
  const ticked = run(copyTerms, [[4_000, { type: 'tick' }], [4_001, starved(60_000)], [9_000, time], [9_001, time]]);
  assert.deepEqual(ticked.effects, [{ type: 'kill', reason: 'frozen' }], 'it never counts for what is to come');
});

test('no byte for ten minutes stops the copy, unless it declared a wait', () => {
  const ticks = (untilMs: number): Timed[] => Array.from({ length: untilMs / 1_000 }, (_, index) => [index * 1_000, { type: 'tick' }]);
  const progress = (waiting: boolean): AttemptEvent => ({ type: 'progress', progress: progressOf(1), waiting });
  const silent = run({ ...copyTerms, finalTry: false }, [...ticks(600_000), [600_000, time], [600_100, ended({ kind: 'stopped' })]]);
  assert.deepEqual(silent.effects[0], { type: 'sendStop', kind: 'timeout' });
  assert.deepEqual(reported(silent.effects), [{ kind: 'failed', fault: faults.noProgress, sink: 'open' }]);
  const waiting = run(copyTerms, [[0, progress(true)], ...ticks(700_000), [699_999, time]]);
  assert.deepEqual(waiting.effects, []);
  const same = run(copyTerms, [[0, progress(false)], ...ticks(600_000), [599_999, progress(false)], [600_000, time]]);
  assert.equal(same.effects[0]?.type, 'sendStop');
});

test('a silent copy that closes its sink failed for its silence, however the executor calls it', () => {
  for (const answer of [aborted, { kind: 'failed', fault: fault('ENGINE'), sink: 'aborted' }] as const) {
    const terms: AttemptTerms = { ...copyTerms, limits: { ...limits, tickLimitMs: 10 * limits.progressLimitMs } };
    const { effects } = run(terms, [[600_000, time], [600_100, ended(answer)]]);
    assert.deepEqual(reported(effects), [{ kind: 'failed', fault: faults.noProgress, sink: 'aborted' }]);
  }
});

test('what a dying executor says about an open sink waits until it is gone', () => {
  const { effects } = run(copyTerms, [[0, stop('cancelled')], [1_000, time], [1_001, ended({ kind: 'stopped' })], [1_002, gone]]);
  assert.deepEqual(effects.map((effect) => effect.type), ['sendStop', 'kill', 'close']);
});

test('memory over the limit fails the attempt; the sink is closed first when the try is the last one', () => {
  const memory: AttemptEvent = { type: 'memory', overIdleBytes: 226 };
  const early = run({ ...copyTerms, finalTry: false }, [[0, { type: 'memory', overIdleBytes: 225 }], [1, memory], [2, gone]]);
  assert.deepEqual(early.effects[0], { type: 'kill', reason: 'memory' });
  assert.deepEqual(reported(early.effects), [{ kind: 'failed', fault: faults.memoryLimit, sink: 'open' }]);
  const last = run(copyTerms, [[1, memory], [2, gone], [3, { type: 'closingStarted' }], [4, ended(aborted)]]);
  assert.deepEqual(reported(last.effects), [{ kind: 'failed', fault: faults.memoryLimit, sink: 'aborted' }]);
});

test('the limit of the try is enforced ten seconds late, for executors that do not', () => {
  const terms: AttemptTerms = { ...copyTerms, timeoutMs: 1_000, finalTry: false };
  const { effects } = run(terms, [[8_000, { type: 'tick' }], [10_999, time], [11_000, time], [11_001, gone]]);
  assert.deepEqual(effects[0], { type: 'kill', reason: 'timeout' });
  assert.deepEqual(reported(effects), [{ kind: 'failed', fault: faults.timeout, sink: 'open' }]);
});

test('a crash is lost without a stop, stopped while draining, and closed while cancelling', () => {
  assert.equal(reported(run(copyTerms, [[0, gone]]).effects)[0]?.kind, 'lost');
  assert.deepEqual(reported(run(copyTerms, [[0, stop('draining')], [1, gone]]).effects), [{ kind: 'stopped' }]);
  assert.equal(run(copyTerms, [[0, stop('cancelled')], [1, gone]]).state.phase, 'closing');
});

test('a cancel during a drain closes the sink; a shutdown during a cancel leaves the job to be placed again', () => {
  const drained = run(copyTerms, [[0, stop('draining')], [1, stop('cancelled')], [2, ended({ kind: 'stopped' })]]);
  assert.equal(drained.state.phase, 'closing');
  const shut = run(copyTerms, [[0, stop('cancelled')], [1, stop('shutdown')], [2, gone]]);
  assert.deepEqual(reported(shut.effects), [{ kind: 'stopped' }]);
});

test('a failure with an open sink is closed when the try is the last one', () => {
  const { state } = run(copyTerms, [[0, ended(engineFailed)]]);
  assert.equal(state.phase, 'closing');
  assert.deepEqual(reported(run({ ...copyTerms, finalTry: false }, [[0, ended(engineFailed)]]).effects), [engineFailed]);
});

test('a process that cannot be killed does not hold the report back', () => {
  const { effects } = run(copyTerms, [[0, stop('cancelled')], [1_000, time], [6_000, time]]);
  assert.deepEqual(reported(effects), [{ kind: 'cancelled', sink: 'unconfirmed' }]);
});

test('an abort step ends cancelled: it cannot be cancelled, and its limit leaves the sink unconfirmed', () => {
  const terms: AttemptTerms = { ...copyTerms, step: 'abort' };
  assert.deepEqual(run(terms, [[0, stop('cancelled')]]).effects, []);
  assert.deepEqual(reported(run(terms, [[0, ended(engineFailed)]]).effects), [{ kind: 'cancelled', sink: 'unconfirmed' }]);
  const late = run(terms, [[29_000, { type: 'tick' }], [30_000, time], [30_001, gone]]);
  assert.deepEqual(reported(late.effects), [{ kind: 'cancelled', sink: 'unconfirmed' }]);
});

const outcomes = fc.constantFrom<AttemptOutcome>(
  aborted, engineFailed, { kind: 'stopped' }, { kind: 'cancelled', sink: 'unconfirmed' }, { kind: 'succeeded' } as AttemptOutcome,
  { kind: 'failed', fault: fault('ENGINE'), sink: 'aborted' },
);
const events = fc.oneof(
  fc.constantFrom<AttemptEvent>(
    { type: 'tick' }, time, time, { type: 'stopAcknowledged' }, gone, { type: 'memory', overIdleBytes: 300 },
    { type: 'protocolBroken', reason: 'x' },
  ),
  fc.constantFrom<StopKind>('cancelled', 'draining', 'shutdown', 'timeout').map(stop),
  outcomes.map(ended),
);

test('every history ends with one report, never with an open sink where it must be closed', () => {
  const histories = fc.array(fc.tuple(events, fc.nat(4_000)));
  const steps = fc.constantFrom<'copy' | 'abort'>('copy', 'abort');
  fc.assert(fc.property(steps, fc.boolean(), histories, fc.boolean(), (step, finalTry, list, fresh) => {
    let state = startAttempt({ ...copyTerms, step, finalTry }, 0);
    let nowMs = 0;
    let alive = true;
    let cancelled = false;
    const effects: AttemptEffect[] = [];
    const feed = (event: AttemptEvent): void => {
      const wasEnded = state.phase === 'ended';
      const transition = stepAttempt(state, event, nowMs);
      state = transition.state;
      assert(!wasEnded || transition.effects.length === 0, 'nothing is asked after the end');
      effects.push(...transition.effects);
      for (const effect of transition.effects) {
        if (effect.type === 'close') {
          alive = fresh;
          feed({ type: fresh ? 'closingStarted' : 'closingImpossible' });
        }
      }
    };
    for (const [event, byMs] of list) {
      nowMs += byMs;
      // A process that is gone says nothing more.
      if (!alive && !['time', 'stop'].includes(event.type)) continue;
      if (event.type === 'gone') alive = false;
      if (event.type === 'stop' && event.kind === 'cancelled' && step === 'copy' && state.phase === 'running') cancelled = true;
      feed(event);
    }
    // Time alone ends every attempt of which nothing more is heard.
    for (let round = 0; round < 5; round++) {
      nowMs += 100_000;
      feed(time);
    }
    assert.equal(state.phase, 'ended');
    const reports = reported(effects);
    assert.equal(reports.length, 1);
    const [outcome] = reports;
    if (outcome?.kind === 'failed' && finalTry && step === 'copy') assert.notEqual(outcome.sink, 'open');
    if (cancelled) assert.notEqual(outcome?.kind, 'lost');
    assert(effects.filter((effect) => effect.type === 'close').length <= 1, 'the sink is closed by one abort step');
  }), { numRuns: 500 });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  defaultWatchTimes as times, isConnected, isEmpty, newWatch, nextProbeMs, onAnswer, onDelivery, onNoAnswer, onTrouble, type ProbeContext,
} from './queue-watch.ts';

const at = (nowMs: number, more: Partial<ProbeContext> = {}): ProbeContext => ({ nowMs, times, isCreditOut: true, isOurs: false, ...more });
const first = { sequence: '7', lockedUntilMs: undefined };

test('the broker is asked at the start, and again when the queue has been silent for long', () => {
  let watch = newWatch(0);
  assert.equal(nextProbeMs(watch, times), 0);
  assert.equal(isConnected(watch), false);
  watch = onAnswer(watch, undefined, at(10)).watch;
  assert.ok(isConnected(watch));
  assert.equal(nextProbeMs(watch, times), 20_010);
  watch = onDelivery(watch, 15_000);
  assert.equal(nextProbeMs(watch, times), 35_000);
});

test('an empty answer means empty until something comes; else five silent seconds with credit out', () => {
  let watch = onAnswer(newWatch(0), undefined, at(10)).watch;
  assert.ok(isEmpty(watch, { nowMs: 11, times, creditSinceMs: undefined }));
  watch = onDelivery(watch, 100);
  assert.equal(isEmpty(watch, { nowMs: 5099, times, creditSinceMs: 0 }), false);
  assert.ok(isEmpty(watch, { nowMs: 5100, times, creditSinceMs: 0 }));
  assert.equal(isEmpty(watch, { nowMs: 5100, times, creditSinceMs: 200 }), false, 'credit came back later');
  assert.equal(isEmpty(watch, { nowMs: 9000, times, creditSinceMs: undefined }), false, 'we could take nothing');
  assert.equal(isEmpty(onTrouble(watch, 'gone'), { nowMs: 9000, times, creditSinceMs: 0 }), false);
});

test('a message that stays first without coming means a dead link, once a left lock has had time to lapse', () => {
  const seen = onAnswer(newWatch(0), first, at(20_000));
  assert.equal(seen.isStuck, false);
  assert.equal(isEmpty(seen.watch, { nowMs: 30_000, times, creditSinceMs: 0 }), false);
  assert.equal(nextProbeMs(seen.watch, times), 31_000);
  const early = onAnswer(seen.watch, first, at(25_000));
  assert.equal(early.isStuck, false);
  assert.equal(onAnswer(early.watch, first, at(31_000)).isStuck, true);
});

test('no suspicion: another message, a lock that moved, ours, no credit, or a delivery in between', () => {
  const { watch } = onAnswer(newWatch(0), { ...first, lockedUntilMs: 1 }, at(20_000));
  const later = at(40_000);
  assert.equal(onAnswer(watch, { sequence: '8', lockedUntilMs: 1 }, later).isStuck, false);
  assert.equal(onAnswer(watch, { ...first, lockedUntilMs: 2 }, later).isStuck, false);
  assert.equal(onAnswer(watch, { ...first, lockedUntilMs: 1 }, at(40_000, { isOurs: true })).isStuck, false);
  assert.equal(onAnswer(watch, { ...first, lockedUntilMs: 1 }, at(40_000, { isCreditOut: false })).isStuck, false);
  assert.equal(onAnswer(onDelivery(watch, 30_000), { ...first, lockedUntilMs: 1 }, later).isStuck, false);
  assert.equal(onAnswer(watch, { ...first, lockedUntilMs: 1 }, later).isStuck, true);
});

test('no answer in time means a dead connection at once, quick refusals only after five', () => {
  const watch = onAnswer(newWatch(0), undefined, at(10)).watch;
  const silent = onNoAnswer(watch, 'no answer', { nowMs: 100, isTimeout: true });
  assert.equal(silent.isDead, true);
  assert.equal(isConnected(silent.watch), false);
  assert.equal(nextProbeMs(silent.watch, times), 1100);
  let refused = { watch, isDead: false };
  const dead = [1, 2, 3, 4, 5, 6].map(() => (refused = onNoAnswer(refused.watch, 'refused', { nowMs: 200, isTimeout: false })).isDead);
  assert.deepEqual(dead, [false, false, false, false, true, false]);
  assert.equal(onDelivery(refused.watch, 300).trouble, undefined);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock, sleep, systemClock } from './clock.ts';

test('a manual clock fires in order of due time, and at equal times in order of registration', () => {
  const clock = new ManualClock();
  const fired: string[] = [];
  clock.after(20, () => fired.push(`late at ${clock.monotonicMs()}`));
  clock.after(10, () => fired.push(`first at ${clock.monotonicMs()}`));
  clock.after(10, () => fired.push('second'));
  clock.after(30, () => fired.push('never'));
  clock.advance(25);
  assert.deepEqual(fired, ['first at 10', 'second', 'late at 20']);
  assert.equal(clock.monotonicMs(), 25);
});

test('what a timer sets up within the advanced time fires as well, and a cancelled timer does not', () => {
  const clock = new ManualClock();
  const fired: number[] = [];
  const tick = (): void => {
    fired.push(clock.monotonicMs());
    clock.after(10, tick);
  };
  clock.after(10, tick);
  const cancelled = clock.after(5, () => fired.push(-1));
  cancelled.cancel();
  clock.advance(35);
  assert.deepEqual(fired, [10, 20, 30]);
});

test('a jump of the wall clock moves neither monotonic time nor timers', () => {
  const clock = new ManualClock({ wallMs: 1_000 });
  let fired = false;
  clock.after(10, () => (fired = true));
  clock.jumpWall(60_000);
  assert.equal(clock.wallMs(), 61_000);
  assert.equal(clock.monotonicMs(), 0);
  clock.advance(9);
  assert.equal(fired, false);
});

test('sleep ends by time, or by its signal with the reason and without a timer left', async () => {
  const clock = new ManualClock();
  const slept = sleep(clock, 100);
  clock.advance(100);
  await slept;

  const controller = new AbortController();
  const stopped = sleep(clock, 100, controller.signal);
  controller.abort(new Error('stop'));
  await assert.rejects(stopped, /stop/);
  await assert.rejects(sleep(clock, 100, controller.signal), /stop/);
});

test('the system clock waits, and its timers can be cancelled or left out of account', async () => {
  const startedMs = systemClock.monotonicMs();
  systemClock.after(1, () => assert.fail('it was cancelled')).cancel();
  systemClock.after(60_000, () => undefined, { unref: true });
  await sleep(systemClock, 15);
  const passedMs = systemClock.monotonicMs() - startedMs;
  assert.ok(passedMs >= 14, `${passedMs} ms`);
  assert.ok(Math.abs(systemClock.wallMs() - Date.now()) < 5_000);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from './clock.ts';
import { withDeadline } from './deadline.ts';
import { hasCode, isDmgError } from './errors.ts';

const never = (): Promise<never> => new Promise(() => undefined);

/** A clock that knows how many of its timers are set. */
class CountingClock extends ManualClock {
  timers = 0;

  override after(delayMs: number, fire: () => void): { cancel(): void } {
    this.timers++;
    const timer = super.after(delayMs, fire);
    return {
      cancel: () => {
        this.timers--;
        timer.cancel();
      },
    };
  }
}

test('work that ends in time gives its value or its own error, and leaves no timer', async () => {
  const clock = new CountingClock();
  const options = { clock, limitMs: 100, what: 'read the ledger' };
  assert.equal(await withDeadline(options, () => Promise.resolve(7)), 7);
  await assert.rejects(
    withDeadline(options, () => Promise.reject(new Error('refused'))),
    /refused/,
  );
  await assert.rejects(
    withDeadline(options, () => {
      throw new Error('at once');
    }),
    /at once/,
  );
  assert.equal(clock.timers, 0);
});

test('work that does not listen is left behind when its time is over', async () => {
  const clock = new ManualClock();
  let seen: AbortSignal | undefined;
  const result = withDeadline({ clock, limitMs: 100, what: 'read the ledger' }, (signal) => {
    seen = signal;
    return never();
  });
  clock.advance(99);
  assert.equal(seen?.aborted, false);
  clock.advance(1);
  await assert.rejects(result, (error) => {
    assert.ok(hasCode(error, 'DMG_BASE_DEADLINE') && isDmgError(error));
    assert.equal(error.message, 'Cannot read the ledger: no answer within 100 ms.');
    return true;
  });
  assert.equal(seen?.aborted, true);
});

test("the caller who gives up ends it with the caller's reason", async () => {
  const clock = new CountingClock();
  const controller = new AbortController();
  const options = { clock, limitMs: 100, what: 'read the ledger', signal: controller.signal };
  const result = withDeadline(
    options,
    (signal) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
  );
  controller.abort(new Error('draining'));
  await assert.rejects(result, /draining/);
  await assert.rejects(
    withDeadline(options, () => assert.fail('it must not begin')),
    /draining/,
  );
  assert.equal(clock.timers, 0);
});

test('an error that comes after the deadline is not an unhandled one', async () => {
  const clock = new ManualClock();
  const late = Promise.withResolvers<never>();
  const result = withDeadline({ clock, limitMs: 1, what: 'read' }, () => late.promise);
  clock.advance(1);
  await assert.rejects(result, /no answer within 1 ms/);
  late.reject(new Error('too late'));
  await new Promise((resolve) => setImmediate(resolve));
});

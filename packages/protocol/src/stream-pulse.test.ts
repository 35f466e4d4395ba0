import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { ManualClock } from '@dmg/base';
import { StreamPulse } from './stream-pulse.ts';
import { defaultStreamTimes } from './stream-times.ts';

interface World {
  readonly clock: ManualClock;
  readonly seen: { beats: number; silences: number; bytes: number };
  readonly pulse: StreamPulse;
}

const never = (): never => assert.fail('this must not happen');

function open(context: TestContext): World {
  const clock = new ManualClock();
  const seen = { beats: 0, silences: 0, bytes: 0 };
  const pulse = new StreamPulse({
    clock, times: defaultStreamTimes,
    bytesRead: () => seen.bytes, beat: () => seen.beats++, silent: () => seen.silences++, broken: never,
  });
  context.after(() => pulse.stop());
  return { clock, seen, pulse };
}

test('it beats twice a second, and is quiet when it was stopped', (context) => {
  const { clock, seen, pulse } = open(context);
  for (let tick = 0; tick < 12; tick++) {
    seen.bytes++;
    clock.advance(250);
  }
  assert.deepEqual(seen, { beats: 6, silences: 0, bytes: 12 });
  pulse.stop();
  clock.advance(60_000);
  assert.deepEqual(seen, { beats: 6, silences: 0, bytes: 12 });
});

test('silence is told after two seconds without a single byte, and not before', (context) => {
  const { clock, seen } = open(context);
  clock.advance(1_500);
  seen.bytes++;
  clock.advance(1_999);
  assert.equal(seen.silences, 0);
  clock.advance(251);
  assert.equal(seen.silences, 1);
});

/** A process that stood still fires one late timer, not those that it missed. */
class StoppedClock extends ManualClock {
  #lateMs = 0;

  standStill(forMs: number): void {
    this.#lateMs += forMs;
  }

  override monotonicMs(): number {
    return super.monotonicMs() + this.#lateMs;
  }
}

test('the time in which this process itself stood still is not held against the other side', (context) => {
  const clock = new StoppedClock();
  let silences = 0;
  const pulse = new StreamPulse({
    clock, times: defaultStreamTimes, bytesRead: () => 0, beat: () => undefined, silent: () => silences++, broken: never,
  });
  context.after(() => pulse.stop());
  clock.standStill(20_000);
  clock.advance(1_750);
  assert.equal(silences, 0);
  clock.advance(250);
  assert.equal(silences, 1);
});

test('facts that cannot be said are told to whoever keeps the stream, and do not end the process', (context) => {
  const clock = new ManualClock();
  const errors: unknown[] = [];
  const fault = new Error('no such number');
  const pulse = new StreamPulse({
    clock, times: defaultStreamTimes, bytesRead: () => 0, silent: never, broken: (error) => errors.push(error),
    beat: () => {
      throw fault;
    },
  });
  context.after(() => pulse.stop());
  clock.advance(500);
  assert.deepEqual(errors, [fault]);
});

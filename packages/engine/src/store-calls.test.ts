import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock, seededRandom, silentLogger, silentMeter } from '@dmg/base';
import { connectorErrors } from '@dmg/connector-api';
import { defaultEngineLimits, type EngineLimits } from './engine-limits.ts';
import { StoreCalls } from './store-calls.ts';

const unreachable = () => connectorErrors.UNREACHABLE.create({ store: 's', reason: 'down' });

/** Drives the clock until `done` is settled; returns how long that took. */
async function drive(clock: ManualClock, done: Promise<unknown>, stepMs: number): Promise<number> {
  let ended = false;
  const end = (): void => {
    ended = true;
  };
  done.then(end, end);
  for (;;) {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
    if (ended) return clock.monotonicMs();
    clock.advance(stepMs);
  }
}

function make(limits: Partial<EngineLimits> = {}): { clock: ManualClock; calls: StoreCalls; retries: () => number } {
  const clock = new ManualClock();
  let retries = 0;
  const meter = { ...silentMeter, add: () => void retries++ };
  const all = { ...defaultEngineLimits, ...limits };
  const calls = new StoreCalls({ clock, random: seededRandom(1), logger: silentLogger, meter, limits: all });
  return { clock, calls, retries: () => retries };
}

const signal = new AbortController().signal;

test('a store that is away for 20 s is waited for', async () => {
  const { clock, calls, retries } = make();
  const done = calls.repeated({ what: 'call', signal }, async () => {
    if (clock.monotonicMs() < 20_000) throw unreachable();
    return 'back';
  });
  const tookMs = await drive(clock, done, 100);
  assert.equal(await done, 'back');
  assert.ok(tookMs < 26_000, `${tookMs}`);
  assert.ok(retries() >= 5 && retries() <= 20, `${retries()}`);
});

test('a store that stays away ends the call after about a minute', async () => {
  const { clock, calls } = make();
  const done = calls.repeated({ what: 'call', signal }, () => Promise.reject(unreachable()));
  const tookMs = await drive(clock, done, 100);
  await assert.rejects(done, { code: connectorErrors.UNREACHABLE.code });
  assert.ok(tookMs >= 60_000 && tookMs < 70_000, `${tookMs}`);
});

test('a call that hangs is repeated at least twice, however long that takes', async () => {
  const { clock, calls } = make({ retryForMs: 1 });
  let runs = 0;
  const done = calls.repeated({ what: 'call', signal }, () => {
    runs++;
    return new Promise(() => undefined);
  });
  await drive(clock, done, 1_000);
  await assert.rejects(done, { code: 'DMG_BASE_DEADLINE' });
  assert.equal(runs, 3);
});

test('bytes lengthen the limit of a call', async () => {
  const { clock, calls } = make();
  const done = calls.once({ what: 'call', bytes: 6_400_000, signal }, () => new Promise(() => undefined));
  const tookMs = await drive(clock, done, 1_000);
  await assert.rejects(done);
  assert.ok(tookMs >= 130_000 && tookMs <= 131_000, `${tookMs}`);
});

test('other errors and missing marks go through at once', async () => {
  const { calls, retries } = make();
  const missing = connectorErrors.MARKS_MISSING.create({ jobId: 'j', missing: 1 });
  await assert.rejects(calls.repeated({ what: 'call', signal }, () => Promise.reject(missing)), missing);
  await assert.rejects(calls.repeated({ what: 'call', signal }, () => Promise.reject(new TypeError('defect'))), TypeError);
  assert.equal(retries(), 0);
});

test('a stop ends the waiting between two calls', async () => {
  const { clock, calls } = make();
  const controller = new AbortController();
  const done = calls.repeated({ what: 'call', signal: controller.signal }, () => Promise.reject(unreachable()));
  clock.after(500, () => controller.abort(new Error('stop')));
  await drive(clock, done, 100);
  await assert.rejects(done, /stop/);
});

test('a chunk that another attempt writes is come back to for as long as it takes', async () => {
  const { clock, calls } = make();
  const busy = connectorErrors.CHUNK_BUSY.create({ path: 't', chunk: 3 });
  const work = (endMs: number) => async (): Promise<string> => {
    if (clock.monotonicMs() < endMs) throw busy;
    if (clock.monotonicMs() < endMs + 30_000) throw unreachable();
    return 'written';
  };
  const done = calls.repeating('chunk', { what: 'chunk', signal }, work(3_600_000));
  await drive(clock, done, 500);
  // That was no failure: those that came after it had their own minute.
  assert.equal(await done, 'written');
});

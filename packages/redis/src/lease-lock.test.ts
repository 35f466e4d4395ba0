import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@dmg/base';
import { redisErrors } from './errors.ts';
import { LeaseLock } from './lease-lock.ts';
import type { Script } from './scripts.ts';

interface Call {
  readonly keys: readonly string[];
  readonly args: readonly string[];
  answer(reply: number): void;
  fail(): void;
}

/** Masters that answer when the test says so. */
function lockOn(count: number): { readonly lock: LeaseLock; readonly clock: ManualClock; readonly calls: Call[][] } {
  const clock = new ManualClock();
  const calls: Call[][] = Array.from({ length: count }, () => []);
  const connections = calls.map((own) => ({
    run(_script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown> {
      const { promise, resolve, reject } = Promise.withResolvers<number>();
      own.push({ keys, args, answer: resolve, fail: () => reject(redisErrors.TIMEOUT.create({ address: 'redis:6379', limitMs: 250 })) });
      return promise;
    },
  }));
  return { lock: new LeaseLock({ connections, key: 'lease', clock, commandTimeoutMs: 250 }), clock, calls };
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

test('granted after its deadline, it is given back', async () => {
  const { lock, clock, calls: [calls = []] } = lockOn(1);
  const acquired = lock.acquire('token', 1_000);
  assert.deepEqual(calls.map(({ keys, args }) => [keys, args]), [[['lease'], ['token', '1000']]]);
  clock.advance(250);
  assert.equal(await acquired, false);
  calls[0]?.answer(1);
  await turn();
  assert.deepEqual(calls.slice(1).map(({ keys, args }) => [keys, args]), [[['lease'], ['token']]]);
  calls[1]?.answer(1);
});

test('a renewal is what a majority says; without one it is undecided', async () => {
  const rows: readonly [answers: string, result: string][] = [
    ['yes yes no', 'renewed'], ['yes yes fail', 'renewed'], ['no no yes', 'lost'], ['no fail no', 'lost'],
    ['yes no fail', 'silent'], ['fail fail yes', 'silent'], ['fail fail fail', 'silent'], ['no fail fail', 'silent'],
  ];
  for (const [answers, result] of rows) {
    const { lock, calls } = lockOn(3);
    const renewed = lock.extend('token', 1_000);
    await turn();
    for (const [index, answer] of answers.split(' ').entries()) {
      const call = calls[index]?.[0];
      if (answer === 'fail') call?.fail();
      else call?.answer(answer === 'yes' ? 1 : 0);
    }
    assert.equal(await renewed, result, answers);
  }
});

test('no lease ends by what redlock reckons itself: so short a one would have run out', async () => {
  const { lock, calls: [calls = []] } = lockOn(1);
  for (let time = 0; time < 3; time++) {
    const renewed = lock.extend('token', 1);
    await turn();
    calls[time]?.answer(1);
    assert.equal(await renewed, 'renewed');
  }
});

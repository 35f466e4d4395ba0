import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@dmg/base';
import { RequestsUnderWay } from './requests-under-way.ts';

function start() {
  const clock = new ManualClock();
  const requests = new RequestsUnderWay({ clock, graceMs: 500 });
  const caller = new AbortController();
  const answer = Promise.withResolvers<string>();
  let cut: AbortSignal | undefined;
  const result = requests.run(caller.signal, (signal) => {
    cut = signal;
    signal.addEventListener('abort', () => answer.reject(signal.reason as Error));
    return answer.promise;
  });
  let ended = false;
  const end = (): Promise<void> => requests.ended().then(() => void (ended = true));
  return { clock, caller, answer, result, end, isCut: () => cut?.aborted, hasEnded: () => ended };
}

test('a request whose caller gives up may still end by itself, and that is waited for', async () => {
  const { caller, answer, result, end, isCut, hasEnded } = start();
  caller.abort(new Error('given up'));
  const ending = end();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(isCut(), false);
  assert.equal(hasEnded(), false);
  answer.resolve('staged');
  await ending;
  assert.equal(await result, 'staged');
});

test('a request that goes on for longer than the grace is cut', async () => {
  const { clock, caller, result, end, isCut } = start();
  caller.abort(new Error('given up'));
  clock.advance(499);
  assert.equal(isCut(), false);
  clock.advance(1);
  assert.equal(isCut(), true);
  await assert.rejects(result, /given up/);
  await end();
});

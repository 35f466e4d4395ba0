import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testRandom } from '../harness/seed.ts';
import { describeRound, faults, isClean, runRound } from './kill-rounds.ts';
import { startRig } from './rig.ts';

// The short form of `npm run fault`: every fault once, at a seeded moment.
test('whatever is killed or emptied while jobs run, every job ends once and its sinks are exact', async (t) => {
  const random = testRandom(t);
  const rig = await startRig(t);
  for (const fault of faults) {
    const result = await runRound(rig, fault, 1, random);
    t.diagnostic(describeRound(result));
    assert.ok(isClean(result), describeRound(result));
  }
});

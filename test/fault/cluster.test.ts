import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '@dmg/base';
import { testSeed } from '../harness/seed.ts';
import { clusterStrikes, describeClusterRound, drawRounds } from './cluster-rounds.ts';
import { describeClusterVerdict, runClusterSuite } from './cluster-suite.ts';

// The short form of `npm run fault`: the seed chooses three of its strikes.
test('whatever is killed, frozen or stopped in a cluster at work, every job ends once and no limit is exceeded', async (t) => {
  const verdict = await runClusterSuite({
    seed: testSeed(t), rounds: 3, freezeMaxMs: 4000, onRound: (result) => t.diagnostic(describeClusterRound(result)),
  });
  t.diagnostic(describeClusterVerdict(verdict));
  assert.deepEqual(verdict.problems, []);
  assert.equal(verdict.rounds.length, 3);
  assert.ok(verdict.load.jobs > 6, `${verdict.load.jobs} jobs`);
});

test('a seed gives the same rounds again, and every strike comes before any comes twice', () => {
  const rounds = drawRounds(seededRandom(7), 24);
  assert.deepEqual(drawRounds(seededRandom(7), 24), rounds);
  assert.notDeepEqual(drawRounds(seededRandom(8), 24), rounds);
  for (const half of [rounds.slice(0, 12), rounds.slice(12)]) {
    assert.deepEqual(half.map(({ strike }) => strike).sort(), [...clusterStrikes].sort());
  }
  for (const { forMs, atMs, choice } of rounds) assert.ok(forMs >= 500 && forMs <= 20_000 && atMs >= 0 && atMs < 1500 && choice < 1);
});

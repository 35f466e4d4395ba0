import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testSeed } from '../harness/seed.ts';
import { describeCopyRound } from './copy-rounds.ts';
import { describeCopyVerdict, runCopySuite } from './copy-suite.ts';

// The short form of `npm run fault -- --suite copy`.
test('copies between tables, files and blobs that are struck lose nothing and double nothing', { timeout: 120_000 }, async (t) => {
  const seed = testSeed(t);
  const verdict = await runCopySuite(t, {
    seed, rounds: 4, lateMsMax: 2_000, isShort: true, onRound: (result) => t.diagnostic(describeCopyRound(result)),
  });
  t.diagnostic(describeCopyVerdict(verdict));
  assert.deepEqual(verdict.problems, []);
  assert.ok(verdict.done + verdict.aborted === verdict.rounds && verdict.rounds === 4);
});

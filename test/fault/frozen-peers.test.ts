import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeFrozenPeers, runFrozenPeers } from './frozen-peers.ts';

// The short form of `npm run fault -- --suite frozen`.
test('with every peer frozen a node\'s calls end and are tried again, it stops when told to, and goes on with the others', async (t) => {
  const verdict = await runFrozenPeers(t, { frozenMs: 7_000, say: (line) => t.diagnostic(line) });
  t.diagnostic(describeFrozenPeers(verdict));
  assert.deepEqual(verdict.problems, []);
  assert.ok(verdict.metricsAnswers > 10, `${verdict.metricsAnswers} answers`);
});

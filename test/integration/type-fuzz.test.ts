import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeTypeVerdict, runTypeSuite } from '../fault/type-suite.ts';

// Every type of PostgreSQL at its boundaries, through the engine and the real connectors. `npm run fault -- --suite types` has at least
// 100 values in each cell, and more dialects.
test('values of every type arrive as they were, from table to table and by files', { timeout: 120_000 }, async (t) => {
  const verdict = await runTypeSuite(t, {
    seed: 1, count: 3, say: (line) => t.diagnostic(line), dialects: ['CSV of the server', 'defaults of a dataset', 'tabs and backslashes'],
    bareTypes: ['text'],
  });
  t.diagnostic(describeTypeVerdict(verdict).split('\n').at(-1) ?? '');
  assert.deepEqual(verdict.problems, []);
  assert.equal(verdict.changed, 0);
  assert.ok(verdict.refused > 0, 'text without quotes is refused where it cannot be written');
});

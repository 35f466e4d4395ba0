import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareEpochs, type Epoch, formatEpoch, parseEpoch } from './attempt.ts';

const epoch: fc.Arbitrary<Epoch> = fc.record({
  // Few numbers and few tokens, so that equal parts are frequent.
  n: fc.integer({ min: 0, max: 4 }),
  token: fc.integer({ min: 0, max: 5 }).map((value) => value.toString(16).repeat(32)),
});

test('epochs are in a total order: by number, then by token', () => {
  fc.assert(
    fc.property(epoch, epoch, epoch, (a, b, c) => {
      assert.equal(compareEpochs(a, a), 0);
      assert.equal(Math.sign(compareEpochs(a, b)), -Math.sign(compareEpochs(b, a)) + 0);
      assert.equal(compareEpochs(a, b) === 0, a.n === b.n && a.token === b.token);
      if (compareEpochs(a, b) <= 0 && compareEpochs(b, c) <= 0) assert.ok(compareEpochs(a, c) <= 0);
      if (a.n < b.n) assert.ok(compareEpochs(a, b) < 0);
      assert.equal(formatEpoch(a) === formatEpoch(b), compareEpochs(a, b) === 0);
      assert.deepEqual(parseEpoch(formatEpoch(a)), { ...a });
    }),
  );
});

test('a text that is no epoch is none', () => {
  for (const text of ['', 'x', '7', '.a', '-1.a', '1e3.a']) assert.equal(parseEpoch(text), undefined, text);
});

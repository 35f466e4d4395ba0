import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteCredits } from './credits.ts';

test('a wish that can never be granted is an error, not a wait without end', async () => {
  const pool = new ByteCredits(10);
  await assert.rejects(pool.take(11), RangeError);
  for (const bytes of [-1, Number.NaN, 1.5]) {
    await assert.rejects(pool.take(bytes), RangeError);
    assert.throws(() => pool.give(bytes), RangeError);
  }
  assert.throws(() => new ByteCredits(0), RangeError);
  assert.equal(pool.usedBytes, 0);
});

test('giving back more than was taken is an error of the caller: it would raise the bound', async () => {
  const pool = new ByteCredits(10);
  await pool.take(4);
  assert.throws(() => pool.give(5), RangeError);
  pool.give(4);
  assert.throws(() => pool.give(1), RangeError);
});

test('a taker that gives up lets those behind it through', async () => {
  const pool = new ByteCredits(10);
  await pool.take(6);
  const controller = new AbortController();
  const large = pool.take(8, controller.signal);
  const small = pool.take(3);
  controller.abort(new Error('given up'));
  await assert.rejects(large, /given up/);
  await small;
  assert.equal(pool.usedBytes, 9);
  await assert.rejects(pool.take(1, controller.signal), /given up/);
});

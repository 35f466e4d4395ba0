import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '@dmg/base';
import fc from 'fast-check';
import { BufferPool, type PooledBuffer } from './buffer-pool.ts';

const signal = new AbortController().signal;
const kib = 1024;

test('buffers are used again, and small needs take small buffers', async () => {
  const pool = new BufferPool({ capacityBytes: 1024 * kib, largestBytes: 512 * kib });
  const first = await pool.lend(10, signal);
  assert.equal(first.memory.length, 64 * kib);
  const { memory } = first;
  first.unpin();
  assert.equal((await pool.lend(60 * kib, signal)).memory, memory);
  assert.equal((await pool.lend(300 * kib, signal)).memory.length, 512 * kib);
  assert.equal(new BufferPool({ capacityBytes: 1, largestBytes: 100 }).capacityBytes, 100);
});

test('a buffer that a call still uses is not lent again', async () => {
  const pool = new BufferPool({ capacityBytes: 100, largestBytes: 100 });
  const buffer = await pool.lend(100, signal);
  buffer.pin();
  buffer.unpin();
  buffer.pin();
  buffer.unpin();
  assert.equal(pool.usedBytes, 100);
  let lent: PooledBuffer | undefined;
  const waiting = pool.lend(100, signal).then((next) => {
    lent = next;
  });
  await new Promise<void>((resolve) => {
    setImmediate(resolve);
  });
  assert.equal(lent, undefined);
  buffer.unpin();
  await waiting;
  assert.equal(pool.usedBytes, 100);
});

test('who waits is told when the copy is stopped', async () => {
  const pool = new BufferPool({ capacityBytes: 100, largestBytes: 100 });
  await pool.lend(100, signal);
  const controller = new AbortController();
  const waiting = pool.lend(1, controller.signal);
  controller.abort(new Error('stop'));
  await assert.rejects(waiting, /stop/);
});

test('what is lent and what is kept never exceed the capacity together', async () => {
  await fc.assert(fc.asyncProperty(fc.nat(), async (seed) => {
    const random = seededRandom(seed);
    const pool = new BufferPool({ capacityBytes: 1024 * kib, largestBytes: 512 * kib });
    const held: PooledBuffer[] = [];
    for (let step = 0; step < 100; step++) {
      const bytes = Math.ceil(random.unit() * 512 * kib);
      if (pool.usedBytes + pool.sizeFor(bytes) <= pool.capacityBytes) held.push(await pool.lend(bytes, signal));
      else held.splice(Math.floor(random.unit() * held.length), 1)[0]?.unpin();
      assert.equal(pool.usedBytes, held.reduce((sum, buffer) => sum + buffer.memory.length, 0));
      assert.equal(new Set(held.map((buffer) => buffer.memory)).size, held.length);
    }
    assert.ok(pool.peakBytes <= pool.capacityBytes);
  }), { numRuns: 50 });
});

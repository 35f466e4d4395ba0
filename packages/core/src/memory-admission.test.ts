import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { admitByMemory } from './memory-admission.ts';

const mebibyte = 1024 * 1024;

test('a job is let in while its budget and the reserve are left after those that run have grown', () => {
  const base = { reserveBytes: 100 * mebibyte, budgetBytes: 200 * mebibyte };
  assert.deepEqual(admitByMemory({ ...base, availableBytes: 300 * mebibyte, running: [] }), { admitted: true });
  assert.equal(admitByMemory({ ...base, availableBytes: 300 * mebibyte - 1, running: [] }).admitted, false);
  const half = { budgetBytes: 200 * mebibyte, usedBytes: 150 * mebibyte };
  assert.equal(admitByMemory({ ...base, availableBytes: 400 * mebibyte, running: [half, half] }).admitted, true);
  assert.deepEqual(admitByMemory({ ...base, availableBytes: 399 * mebibyte, running: [half, half] }), {
    admitted: false,
    evidence: '399 MiB of memory are available; 2 running attempts may still take 100 MiB, and another one needs 200 MiB with 100 MiB ' +
      'left over.',
  });
});

test('an attempt above its budget gives nothing back to the others', () => {
  const over = { budgetBytes: 10 * mebibyte, usedBytes: 500 * mebibyte };
  const situation = { availableBytes: 50 * mebibyte, reserveBytes: 0, budgetBytes: 60 * mebibyte, running: [over] };
  assert.equal(admitByMemory(situation).admitted, false);
});

test('however jobs come and grow, those let in never take more than there is and the reserve stays', () => {
  const sizes = fc.integer({ min: 0, max: 4_000 });
  fc.assert(
    fc.property(sizes, fc.integer({ min: 0, max: 500 }), fc.integer({ min: 1, max: 400 }), fc.array(fc.tuple(fc.boolean(), fc.nat())),
      (totalBytes, reserveBytes, budgetBytes, steps) => {
        const running: { budgetBytes: number; usedBytes: number }[] = [];
        let availableBytes = totalBytes;
        for (const [arrives, by] of steps) {
          const grown = running[by % Math.max(1, running.length)];
          if (arrives) {
            if (admitByMemory({ availableBytes, reserveBytes, running, budgetBytes }).admitted) running.push({ budgetBytes, usedBytes: 0 });
          } else if (grown !== undefined) {
            const more = Math.min(by % 50, grown.budgetBytes - grown.usedBytes);
            grown.usedBytes += more;
            availableBytes -= more;
          }
          assert(running.length === 0 || availableBytes >= reserveBytes);
        }
      }),
  );
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Mark, PlanTarget } from '@dmg/model';
import fc from 'fast-check';
import { chooseMarks, missingChunks } from './mark-chain.ts';

function mark(chunk: number, attemptId: string, sourceStart: number, sourceEnd: number): Mark {
  return { target: 0, chunk, attemptId, bytes: 0, rows: 0, hash: '0', sourceStart, sourceEnd };
}

const target = (cutting: PlanTarget['cutting'], sizeBytes: number): PlanTarget => ({
  target: 0, path: 'x', base: 'absent', sources: [{ path: 's', sizeBytes, identity: 'i' }], cutting,
});

test('of several versions the lowest attempt counts, and the order of the list does not matter', () => {
  const chunks = [0, 1, 2].map((chunk) => ({ chunk, source: 0, startByte: 0, endByte: 0 }));
  const ranges = target({ kind: 'ranges', chunks }, 30);
  const marks = fc.array(fc.record({ chunk: fc.nat(4), attempt: fc.constantFrom('a', 'b', 'c') }), { maxLength: 12 });
  fc.assert(fc.property(marks, fc.nat(), (given, turn) => {
    const complete = given.map(({ chunk, attempt }) => mark(chunk, attempt, 0, 0));
    const chosen = chooseMarks(ranges, complete);
    const turned = [...complete.slice(turn % (complete.length + 1)), ...complete.slice(0, turn % (complete.length + 1))];
    assert.deepEqual(chooseMarks(ranges, turned), chosen);
    for (const { chunk, attemptId } of chosen) {
      assert.ok(chunk <= 2);
      assert.ok(!complete.some((other) => other.chunk === chunk && other.attemptId < attemptId));
    }
    assert.equal(missingChunks(ranges, chosen), 3 - new Set(given.map(({ chunk }) => chunk).filter((chunk) => chunk <= 2)).size);
  }));
});

test('a sequential chain is unbroken from the start, and complete only at the end of the sources', () => {
  const sequential = target({ kind: 'sequential', chunkBytes: 10 }, 30);
  const marks = [mark(0, 'b', 0, 12), mark(1, 'a', 11, 20), mark(1, 'c', 12, 25), mark(2, 'a', 25, 30), mark(4, 'a', 30, 30)];
  const chosen = chooseMarks(sequential, marks);
  assert.deepEqual(chosen.map(({ chunk, attemptId }) => [chunk, attemptId]), [[0, 'b'], [1, 'c'], [2, 'a']]);
  assert.equal(missingChunks(sequential, chosen), 0);
  assert.equal(missingChunks(sequential, chosen.slice(0, 2)), 1);
  assert.equal(missingChunks(sequential, []), 1);
  assert.deepEqual(chooseMarks(sequential, [mark(0, 'a', 5, 30)]), []);
  const empty = target({ kind: 'sequential', chunkBytes: 10 }, 0);
  assert.equal(missingChunks(empty, chooseMarks(empty, [mark(0, 'a', 0, 0)])), 0);
  assert.equal(missingChunks(empty, []), 1);
});

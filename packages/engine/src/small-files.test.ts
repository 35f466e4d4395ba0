import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Plan, PlanTarget } from '@dmg/model';
import { parallelCopiesOf } from './copy-step.ts';

function planOf(sizes: readonly number[], kind: 'ranges' | 'sequential' = 'ranges'): Plan {
  const cutting: PlanTarget['cutting'] = kind === 'ranges' ? { kind, chunks: [] } : { kind, chunkBytes: 1 };
  const targets = sizes.map((sizeBytes, target): PlanTarget => ({
    target, path: `f${target}`, base: 'absent', sources: [{ path: `f${target}`, sizeBytes, identity: '' }], cutting,
  }));
  return {
    formatVersion: 1, jobId: 'j', generation: 1, activityDigest: '', sourceKind: 'addressable', representation: 'bytes', partBytes: 1024,
    targets,
  };
}

test('small files go 16 at once by default, however few the cores are; large ones and rows by cores', () => {
  assert.equal(parallelCopiesOf(0, planOf([1000, 0, 700_000]), 2), 16);
  assert.equal(parallelCopiesOf(0, planOf([1000, 1_000_000]), 2), 4);
  assert.equal(parallelCopiesOf(0, planOf([1_000_000]), 5), 10);
  assert.equal(parallelCopiesOf(0, planOf([1_000_000]), 64), 16);
  assert.equal(parallelCopiesOf(0, planOf([1000], 'sequential'), 2), 4);
  assert.equal(parallelCopiesOf(3, planOf([1000]), 2), 3);
  assert.equal(parallelCopiesOf(100, planOf([1000]), 2), 64);
});

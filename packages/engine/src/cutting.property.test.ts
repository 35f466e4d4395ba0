import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectorErrors, type SinkLimits } from '@dmg/connector-api';
import { isDmgError } from '@dmg/base';
import fc from 'fast-check';
import type { Mark, Plan, PlanTarget, Representation } from '@dmg/model';
import { cutTargets } from './cutting.ts';
import { engineErrors } from './errors.ts';
import { contiguousMarks, tiledMarks } from './tiling.ts';
import type { TargetLayout } from './target-layout.ts';

const limitsArbitrary: fc.Arbitrary<SinkLimits> = fc.record({
  partBytes: fc.integer({ min: 1, max: 64 }),
  growth: fc.integer({ min: 0, max: 500 }),
  partsPerTargetMax: fc.integer({ min: 1, max: 200 }),
  chunksPerTargetMax: fc.integer({ min: 1, max: 50 }),
}).map(({ growth, ...limits }) => ({ ...limits, partBytesMax: limits.partBytes + growth, parallelParts: 4 }));

const sizesArbitrary = fc.array(fc.nat({ max: 20_000 }), { minLength: 1, maxLength: 5 });

const layoutsArbitrary: fc.Arbitrary<TargetLayout[]> = fc.array(sizesArbitrary, { maxLength: 4 })
  .map((targets) => targets.map((sizes, target) => ({
    path: `t${target}`,
    sources: sizes.map((sizeBytes, index) => ({ path: `s${target}-${index}`, sizeBytes, identity: 'x' })),
  })));

function cut(
  layouts: readonly TargetLayout[], limits: SinkLimits, representation: Representation,
): { partBytes: number; targets: PlanTarget[] } | undefined {
  try {
    const { partBytes, cuttings } = cutTargets({ layouts, limits, representation, store: 'memory' });
    return {
      partBytes,
      targets: layouts.map((layout, target) => {
        const cutting = cuttings[target];
        assert.ok(cutting);
        return { target, path: layout.path, base: 'absent', sources: layout.sources, cutting };
      }),
    };
  } catch (error) {
    assert.ok(isDmgError(error));
    assert.ok([connectorErrors.TOO_LARGE.code, engineErrors.TOO_MANY_TO_MERGE.code].includes(error.code), error.code);
    return undefined;
  }
}

test('chunks of bytes tile every source exactly once, within the limits', () => {
  let cutCount = 0;
  fc.assert(fc.property(layoutsArbitrary, limitsArbitrary, (layouts, limits) => {
    const result = cut(layouts, limits, 'bytes');
    if (result === undefined) return;
    cutCount++;
    assert.ok(result.partBytes >= limits.partBytes && result.partBytes <= limits.partBytesMax);
    for (const target of result.targets) {
      assert.equal(target.cutting.kind, 'ranges');
      if (target.cutting.kind !== 'ranges') continue;
      const { chunks } = target.cutting;
      assert.deepEqual(chunks.map((chunk) => chunk.chunk), chunks.map((_, index) => index));
      assert.ok(chunks.length >= 1 && chunks.length <= limits.chunksPerTargetMax);
      const parts = chunks.reduce((sum, range) => sum + Math.ceil((range.endByte - range.startByte) / result.partBytes), 0);
      assert.ok(parts <= limits.partsPerTargetMax, `${parts} parts`);
      // In order of chunk the ranges run through each source from its first byte to its last, and through the sources in order.
      let next = { source: 0, byte: 0 };
      for (const range of chunks) {
        while (range.source > next.source) {
          assert.equal(next.byte, target.sources[next.source]?.sizeBytes);
          next = { source: next.source + 1, byte: 0 };
        }
        assert.equal(range.source, next.source);
        assert.equal(range.startByte, next.byte);
        assert.ok(range.endByte > range.startByte || chunks.length === 1);
        next = { source: range.source, byte: range.endByte };
      }
      assert.equal(next.byte, target.sources[next.source]?.sizeBytes);
      assert.ok(target.sources.slice(next.source + 1).every((source) => source.sizeBytes === 0));
    }
  }), { numRuns: 500 });
  assert.ok(cutCount > 50, 'nearly all cases were refused');
});

test('a target is refused only when its largest parts do not hold it', () => {
  fc.assert(fc.property(fc.nat({ max: 100_000 }), limitsArbitrary, (sizeBytes, limits) => {
    const layout = { path: 't', sources: [{ path: 's', sizeBytes, identity: 'x' }] };
    const fits = sizeBytes <= limits.partBytesMax * limits.partsPerTargetMax;
    assert.equal(cut([layout], limits, 'bytes') !== undefined, fits);
  }));
});

test('sequential chunks cannot become more than the sink takes', () => {
  fc.assert(fc.property(layoutsArbitrary, limitsArbitrary, (layouts, limits) => {
    for (const target of cut(layouts, limits, 'rows')?.targets ?? []) {
      const sizeBytes = target.sources.reduce((sum, source) => sum + source.sizeBytes, 0);
      assert.ok(target.cutting.kind === 'sequential' && Math.ceil(sizeBytes / target.cutting.chunkBytes) <= limits.chunksPerTargetMax);
    }
  }));
});

test('real limits: parts double only for targets that need it', () => {
  const mib = 1024 * 1024;
  const limits: SinkLimits = {
    partBytes: 8 * mib, partBytesMax: 100 * mib, partsPerTargetMax: 50_000, chunksPerTargetMax: 5000, parallelParts: 4,
  };
  const one = (sizeBytes: number): TargetLayout => ({ path: 't', sources: [{ path: 's', sizeBytes, identity: 'x' }] });
  assert.equal(cut([one(200 * mib)], limits, 'bytes')?.partBytes, 8 * mib);
  const small = cut([one(200 * mib)], limits, 'bytes')?.targets[0]?.cutting;
  assert.ok(small?.kind === 'ranges' && small.chunks.length === 4);
  assert.equal(cut([one(400_000 * mib)], limits, 'bytes')?.partBytes, 8 * mib);
  assert.equal(cut([one(400_001 * mib)], limits, 'bytes')?.partBytes, 16 * mib);
  assert.equal(cut([one(5_000_000 * mib)], limits, 'bytes')?.partBytes, 100 * mib);
  assert.equal(cut([one(5_000_000 * mib + 1)], limits, 'bytes'), undefined);
});

const plan = { jobId: 'j' } as Plan;
const markOf = (chunk: number, sourceStart: number, sourceEnd: number): Mark => ({
  target: 0, chunk, attemptId: 'a', bytes: sourceEnd - sourceStart, rows: 0, hash: '0'.repeat(16), sourceStart, sourceEnd,
});

test('marks pass only if they tile the sources: one dropped, doubled, moved or resized mark is seen', () => {
  fc.assert(fc.property(
    sizesArbitrary, limitsArbitrary, fc.nat(), fc.constantFrom('none', 'drop', 'double', 'move', 'resize'),
    (sizes, limits, pick, damage) => {
      const layout = { path: 't', sources: sizes.map((sizeBytes, index) => ({ path: `s${index}`, sizeBytes, identity: 'x' })) };
      const target = cut([layout], limits, 'bytes')?.targets[0];
      if (target?.cutting.kind !== 'ranges') return;
      const marks = target.cutting.chunks.map((range) => markOf(range.chunk, range.startByte, range.endByte));
      const index = pick % marks.length;
      const mark = marks[index] as Mark;
      if (damage === 'drop') marks.splice(index, 1);
      if (damage === 'double') marks.push(mark);
      if (damage === 'move') marks[index] = { ...mark, sourceStart: mark.sourceStart + 1, sourceEnd: mark.sourceEnd + 1 };
      if (damage === 'resize') marks[index] = { ...mark, bytes: mark.bytes + 1 };
      if (damage === 'none') assert.deepEqual(tiledMarks(plan, target, marks), marks);
      else assert.throws(() => tiledMarks(plan, target, marks));
    },
  ));
});

test('sequential marks count as far as each starts where the one before it ended', () => {
  const sources = [{ path: 's', sizeBytes: 30, identity: 'x' }];
  const target: PlanTarget = { target: 0, path: 't', base: 'absent', sources, cutting: { kind: 'sequential', chunkBytes: 10 } };
  const good = [markOf(0, 0, 12), markOf(1, 12, 24), markOf(2, 24, 30)];
  assert.deepEqual(tiledMarks(plan, target, good), good);
  assert.deepEqual(contiguousMarks([...good].reverse()), { chain: good, position: 30, rows: 0, rowsWritten: 0 });
  const stray = [markOf(0, 0, 12), markOf(1, 11, 24), markOf(2, 24, 30)];
  assert.equal(contiguousMarks(stray).position, 12);
  assert.throws(() => tiledMarks(plan, target, stray), { code: engineErrors.MARKS_INVALID.code });
  assert.throws(() => tiledMarks(plan, target, good.slice(0, 2)), { code: connectorErrors.MARKS_MISSING.code });
  assert.throws(() => tiledMarks(plan, target, []), { code: connectorErrors.MARKS_MISSING.code });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { nextUnit, parallelShare, sharesOf } from './chunk-order.ts';

const sizes = fc.record({
  units: fc.integer({ min: 0, max: 60 }), of: fc.integer({ min: 1, max: 5 }), window: fc.integer({ min: 0, max: 8 }),
});
const none: ReadonlySet<number> = new Set();

function without(shares: readonly (readonly number[])[], unit: number): number[][] {
  return shares.map((units) => units.filter((other) => other !== unit));
}

test('shares are disjoint and hold every unit', () => {
  fc.assert(fc.property(sizes, ({ units, of }) => {
    const shares = sharesOf(Array.from({ length: units }, (_, unit) => unit), of);
    assert.equal(shares.length, of);
    assert.deepEqual(shares.flat().toSorted((a, b) => a - b), Array.from({ length: units }, (_, unit) => unit));
    for (const [index, share] of shares.entries()) for (const unit of share) assert.equal(unit % of, index);
  }));
});

test('no attempt takes a unit twice; an assistant takes its share and ends; the lead takes all, if others are silent', () => {
  fc.assert(fc.property(sizes, fc.nat(), ({ units, of, window }, chosen) => {
    const index = chosen % of;
    const all = sharesOf(Array.from({ length: units }, (_, unit) => unit), of);
    let shares: number[][] = all;
    const taken: number[] = [];
    let silent: ReadonlySet<number> = none;
    for (;;) {
      const next = nextUnit({ shares, index, window, silent });
      if (next.kind === 'end') break;
      if (next.kind === 'wait') {
        assert.equal(silent.size, 0, 'it waits for nobody');
        for (const [share, left] of shares.entries()) if (share > 0) assert.ok(left.length <= window);
        silent = new Set(shares.keys());
        continue;
      }
      assert.ok(!taken.includes(next.unit));
      // Its own share comes first.
      if ((shares[index]?.length ?? 0) > 0) assert.equal(next.unit, shares[index]?.[0]);
      taken.push(next.unit);
      shares = without(shares, next.unit);
    }
    const expected = index === 0 ? all.flat() : all[index] ?? [];
    assert.deepEqual(taken.toSorted((a, b) => a - b), expected.toSorted((a, b) => a - b));
  }));
});

test('attempts that go on at the same pace copy no unit twice, though they see marks late only', () => {
  fc.assert(fc.property(sizes, fc.integer({ min: 1, max: 4 }), ({ units, of }, parallel) => {
    const marked = new Set<number>();
    const attempts = Array.from({ length: of }, (_, index) => ({ index, hand: [] as number[], taken: new Set<number>() }));
    let copies = 0;
    for (let turn = 0; marked.size < units; turn++) {
      assert.ok(turn < 500, 'it does not end');
      // What everybody had in hand is in; then everybody takes anew.
      for (const attempt of attempts) for (const unit of attempt.hand.splice(0)) marked.add(unit);
      for (const { index, hand, taken } of attempts) {
        while (hand.length < parallel) {
          const open = Array.from({ length: units }, (_, unit) => unit).filter((unit) => !marked.has(unit) && !taken.has(unit));
          const next = nextUnit({ shares: sharesOf(open, of), index, window: 2 * parallel, silent: none });
          if (next.kind !== 'take') break;
          taken.add(next.unit);
          hand.push(next.unit);
          copies++;
        }
      }
    }
    assert.equal(copies, units);
  }));
});

test('what may be under way over all nodes is shared out whole, and the lead never stands still', () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 8 }), (parallel, of) => {
    const shares = Array.from({ length: of }, (_, index) => parallelShare(parallel, { index, of }));
    assert.equal(shares.reduce((sum, share) => sum + share, 0), parallel);
    assert.ok((shares[0] ?? 0) >= 1);
  }));
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '@dmg/base';
import fc from 'fast-check';
import { conditionOf, digestOfColumns, formatAddress, type KeyRange, parseAddress, partitionCount, rangesOf } from './partition-address.ts';

const key = { column: 'k', type: 'pg_catalog.int8', nullable: true };

/** What the condition says, for whole numbers. */
function holds(range: KeyRange, value: bigint | null): boolean {
  if (value === null) return range.withNulls === true || (range.from === undefined && range.to === undefined);
  return (range.from === undefined || value >= BigInt(range.from)) && (range.to === undefined || value < BigInt(range.to));
}

test('each value, and null, is in exactly one of the ranges between bounds', () => {
  const bounds = fc.uniqueArray(fc.bigInt({ min: -20n, max: 20n }), { maxLength: 8 })
    .map((values) => values.toSorted((a, b) => (a < b ? -1 : 1)));
  fc.assert(fc.property(bounds, fc.option(fc.bigInt({ min: -25n, max: 25n })), (values, value) => {
    const ranges = rangesOf(key, values.map(String));
    assert.equal(ranges.length, values.length + 1);
    assert.equal(ranges.filter((range) => holds(range, value)).length, 1);
  }));
});

test('a condition says what the range is', () => {
  const [first, second] = rangesOf({ ...key, column: 'a"b' }, ["it's"]);
  assert.ok(first !== undefined && second !== undefined);
  assert.equal(conditionOf(first), `("a""b" < 'it''s'::pg_catalog.int8) OR "a""b" IS NULL`);
  assert.equal(conditionOf(second), `"a""b" >= 'it''s'::pg_catalog.int8`);
  assert.deepEqual(rangesOf({ ...key, nullable: true }, []).map(conditionOf), ['TRUE']);
});

test('an address is read back as it was written; another version\'s is a changed source', () => {
  const value = fc.option(fc.string({ unit: 'grapheme' }), { nil: undefined });
  fc.assert(fc.property(value, value, fc.boolean(), (from, to, withNulls) => {
    const range: KeyRange = {
      column: 'k', type: 't', ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }),
      ...(withNulls ? { withNulls } : {}),
    };
    const address = { columns: digestOfColumns([{ name: 'k', type: 't' }]), range };
    assert.deepEqual(parseAddress(formatAddress(address), 'p'), address);
  }));
  for (const identity of ['', '{}', '"x"', 'null', '{"v":2,"columns":"a"}']) {
    assert.throws(() => parseAddress(identity, 'p'), (error) => hasCode(error, 'DMG_CONNECTOR_SOURCE_CHANGED'), identity);
  }
});

test('columns have the same digest only when names, types and order are the same', () => {
  const columns = fc.array(fc.record({ name: fc.string(), type: fc.string() }), { maxLength: 4 });
  fc.assert(fc.property(columns, columns, (a, b) => {
    assert.equal(digestOfColumns(a) === digestOfColumns(b), JSON.stringify(a) === JSON.stringify(b));
  }));
  assert.notEqual(digestOfColumns([{ name: 'a', type: 'b' }]), digestOfColumns([{ name: 'a,b', type: '' }]));
});

test('tables are cut by their size, scattered ones and those of small targets into few', () => {
  const mebibyte = 1024 * 1024;
  const count = (heapMiB: number, correlation: number | undefined, wish: { min?: number; max: number }): number =>
    partitionCount({ heapBytes: heapMiB * mebibyte, correlation }, wish);
  assert.equal(count(0, undefined, { max: 100 }), 1);
  assert.equal(count(64, undefined, { max: 100 }), 1);
  assert.equal(count(65, 1, { max: 100 }), 2);
  assert.equal(count(6400, 1, { max: 100 }), 100);
  assert.equal(count(6400, 1, { max: 7 }), 7);
  assert.equal(count(6400, 0.1, { max: 100 }), 8);
  assert.equal(count(0, undefined, { min: 4, max: 100 }), 4);
  assert.equal(count(6400, 1, { max: 0 }), 1);
});

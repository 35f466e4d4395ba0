import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PlanTarget } from '@dmg/model';
import fc from 'fast-check';
import { type BlockFacts, decodeBlockId, encodeBlockId, isOwnLength, scopeOf } from './block-id.ts';
import { chooseVersions, completeVersions, intendedVersions, intentOf, type ListedBlock } from './block-list.ts';

const scope = scopeOf({ jobId: 'job', generation: 1, target: 0 });
const hex = (digits: number): fc.Arbitrary<string> => fc.string({
  unit: fc.constantFrom(...Array.from('0123456789abcdef')), minLength: digits, maxLength: digits,
});
const lastFacts = fc.record({
  rows: fc.nat({ max: 2 ** 40 - 1 }), hash: hex(16), sourceStart: fc.nat({ max: 2 ** 48 - 1 }), sourceEnd: fc.nat({ max: 2 ** 48 - 1 }),
  filler: fc.boolean(), tryNumber: fc.nat({ max: 3 }), rowsSkipped: fc.integer({ min: 1, max: 2 ** 40 - 17 }),
}, { noNullPrototype: true, requiredKeys: ['rows', 'hash', 'sourceStart', 'sourceEnd', 'filler', 'tryNumber'] });
const skippedFacts = fc.record({
  rows: fc.constant(0), hash: hex(16), sourceStart: fc.nat({ max: 2 ** 48 - 1 }), sourceEnd: fc.nat({ max: 2 ** 48 - 1 }),
  filler: fc.constant(true), tryNumber: fc.nat({ max: 3 }), fileSkipped: fc.constantFrom('missing', 'forbidden', 'changed'),
}, { noNullPrototype: true });
const identity = { chunk: fc.nat({ max: 65_535 }), attemptId: hex(32), writer: hex(8), part: fc.nat({ max: 65_535 }) };
const plain = { noNullPrototype: true };
const facts: fc.Arbitrary<BlockFacts> = fc.oneof(
  fc.record(identity, plain), fc.record({ ...identity, last: fc.oneof(lastFacts, skippedFacts) }, plain));

test('what is put into a block id comes out of it, and only for its own job and target', () => {
  fc.assert(fc.property(facts, (given) => {
    const id = encodeBlockId(scope, given);
    assert.equal(Buffer.from(id, 'base64').length, 61);
    assert.ok(isOwnLength(id));
    assert.deepEqual(decodeBlockId(scope, id), given);
    const job = { jobId: 'job', generation: 1, target: 0 };
    for (const change of [{ jobId: 'other' }, { generation: 2 }, { target: 1 }]) {
      assert.equal(decodeBlockId(scopeOf({ ...job, ...change }), id), undefined);
    }
  }));
  assert.equal(decodeBlockId(scope, Buffer.from('somebody else').toString('base64')), undefined);
  assert.throws(() => encodeBlockId(scope, { chunk: 70_000, attemptId: 'a'.repeat(32), writer: '0'.repeat(8), part: 0 }));
  assert.throws(() => encodeBlockId(scope, { chunk: 0, attemptId: 'short', writer: '0'.repeat(8), part: 0 }));
});

interface Writer {
  readonly attempt: string;
  readonly writer: string;
  readonly parts: number;
  readonly drop: number;
}

/** All blocks of one writer of a chunk but the one that `drop` names. */
function blocksOf(chunk: number, { attempt, writer, parts, drop }: Writer): ListedBlock[] {
  const all = Array.from({ length: parts }, (_, part) => {
    const last = { rows: parts, hash: '0'.repeat(16), sourceStart: 0, sourceEnd: 0, filler: false, tryNumber: 0 };
    const block: BlockFacts = { chunk, attemptId: attempt.repeat(32), writer, part, ...(part === parts - 1 ? { last } : {}) };
    return { name: encodeBlockId(scope, block), sizeBytes: 10 + part };
  });
  return all.filter((_, part) => part !== drop);
}

const target: PlanTarget = {
  target: 0, path: 'x', base: 'absent', sources: [], cutting: {
    kind: 'ranges', chunks: [0, 1].map((chunk) => ({ chunk, source: 0, startByte: 0, endByte: 0 })),
  },
};
const writer: fc.Arbitrary<Writer> = fc.record({
  attempt: fc.constantFrom('1', '2', '3'), writer: hex(8), parts: fc.integer({ min: 1, max: 4 }), drop: fc.integer({ min: -3, max: 4 }),
});

test('a chunk counts when all parts of one writer are there; parts of several are never mixed; the order of the list is nothing', () => {
  const writers = fc.uniqueArray(writer, { maxLength: 6, selector: ({ attempt, writer: name }) => `${attempt}.${name}` });
  fc.assert(fc.property(writers, writers, fc.nat(), (zero, one, turn) => {
    const perChunk = [zero, one];
    const listed = perChunk.flatMap((given, chunk) => given.flatMap((each) => blocksOf(chunk, each)));
    const at = turn % (listed.length + 1);
    const versions = completeVersions(scope, 0, [...listed.slice(at), ...listed.slice(0, at), { name: 'Zm9yZWlnbg==', sizeBytes: 5 }]);
    const isWhole = ({ parts, drop }: Writer): boolean => drop < 0 || drop >= parts;
    assert.equal(versions.length, perChunk.flat().filter(isWhole).length);
    const chosen = chooseVersions(target, versions);
    assert.deepEqual(chooseVersions(target, completeVersions(scope, 0, listed)), chosen);
    for (const { mark, blocks, key } of chosen) {
      const author = perChunk[mark.chunk]?.find((each) => each.attempt === mark.attemptId[0] && key === `${each.writer}0`);
      assert.ok(author !== undefined && isWhole(author));
      assert.deepEqual(blocks, blocksOf(mark.chunk, author).map(({ name }) => name));
      assert.equal(mark.bytes, blocksOf(mark.chunk, author).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
    }
    if (chosen.length < 2) return;
    const intent = intentOf([chosen]);
    assert.deepEqual(intendedVersions(intent, 0, versions), chosen);
    // Whatever another writer adds or whichever intended block goes, the intended list is only ever itself.
    const [first] = chosen;
    const without = listed.filter(({ name }) => name !== first?.blocks[0]);
    assert.equal(intendedVersions(intent, 0, completeVersions(scope, 0, without)), undefined);
  }));
});

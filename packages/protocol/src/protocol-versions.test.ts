import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DispatchAnswer } from '@dmg/core';
import { answerFor, chooseProtocol, factsFor, formatRanges, protocolVersion, spokenVersions } from './protocol-versions.ts';
import { testFacts } from './testing/mesh-node.ts';

const range = (major: number, minorMin: number, minorMax: number): { major: number; minorMin: number; minorMax: number } =>
  ({ major, minorMin, minorMax });

test('two releases speak the highest wire that both know; neighbours always find one', () => {
  const own = spokenVersions;
  const { major, minor } = protocolVersion;
  assert.deepEqual(chooseProtocol(own, own), protocolVersion);
  assert.deepEqual(chooseProtocol(own, [range(major, minor, minor + 1)]), protocolVersion, 'the next release');
  assert.deepEqual(chooseProtocol(own, [range(major, 0, minor - 1)]), { major, minor: minor - 1 }, 'the release before');
  assert.equal(chooseProtocol(own, [range(major, minor + 1, minor + 2)]), undefined, 'two releases on');
  assert.equal(chooseProtocol(own, [range(major + 1, 0, 9)]), undefined);
  assert.equal(chooseProtocol(own, []), undefined);
  assert.deepEqual(chooseProtocol([range(1, 0, 1), range(2, 0, 0)], [range(2, 0, 3), range(1, 1, 5)]), { major: 2, minor: 0 });
  assert.deepEqual(chooseProtocol([range(2, 0, 0), range(1, 0, 1)], [range(1, 1, 5), range(2, 0, 3)]), { major: 2, minor: 0 });
  assert.equal(formatRanges([range(1, 0, 1), range(2, 0, 0)]), '1.0 to 1.1 and 2.0');
  assert.equal(formatRanges([]), 'no protocol');
});

test('who speaks 1.0 is told what 1.0 has words for', () => {
  const [older, newer] = [{ major: 1, minor: 0 }, { major: 1, minor: 1 }];
  const noMemory: DispatchAnswer = { accepted: false, reason: 'NO_MEMORY', evidence: '1 MB free' };
  assert.deepEqual(answerFor(older, noMemory), { accepted: false, reason: 'NO_FREE_SLOT', evidence: '1 MB free' });
  assert.deepEqual(answerFor(newer, noMemory), noMemory);
  for (const answer of [{ accepted: true }, { accepted: false, reason: 'DRAINING', evidence: '' }] as const) {
    assert.deepEqual(answerFor(older, answer), answer);
  }
  assert.equal(factsFor(older, testFacts('n')).config, '');
  assert.deepEqual(factsFor(newer, testFacts('n')), testFacts('n'));
});

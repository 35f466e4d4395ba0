import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { compareVersions } from './version.ts';

test('versions are ordered as Semantic Versioning 2.0.0 orders its own examples', () => {
  const ascending = [
    'nonsense', '0.9.9', '1.0.0-alpha', '1.0.0-alpha.1', '1.0.0-alpha.beta', '1.0.0-beta', '1.0.0-beta.2', '1.0.0-beta.11', '1.0.0-rc.1',
    '1.0.0', '1.2.0', '1.10.0', '1.10.1', '2.0.0',
  ];
  for (const [index, version] of ascending.entries()) {
    const newer = ascending.slice(index + 1);
    assert.ok(newer.every((other) => compareVersions(version, other) < 0 && compareVersions(other, version) > 0), version);
  }
  assert.equal(compareVersions('1.2.3+one', '1.2.3+two'), 0);
  assert.equal(compareVersions('v1.2.3', ' 1.2.3'), 0);
  assert.ok(compareVersions('1.2', '0.0.1') < 0);
});

test('the order is total: antisymmetric and transitive, also among texts that are no versions', () => {
  const number = fc.nat({ max: 12 });
  const identifier = fc.oneof(number.map(String), fc.constantFrom('a', 'rc', 'b-1'));
  const version = fc
    .tuple(number, number, number, fc.option(fc.array(identifier, { minLength: 1, maxLength: 3 })))
    .map(([major, minor, patch, pre]) => `${major}.${minor}.${patch}${pre === null ? '' : `-${pre.join('.')}`}`);
  const text = fc.oneof(version, fc.string({ maxLength: 5 }));
  fc.assert(fc.property(text, text, text, (a, b, c) => {
    assert.equal(Math.sign(compareVersions(a, b)) + Math.sign(compareVersions(b, a)), 0);
    if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0) assert.ok(compareVersions(a, c) <= 0);
  }));
});

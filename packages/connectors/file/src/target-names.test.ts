import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '@dmg/base';
import { connectorErrors } from '@dmg/connector-api';
import { checkTargetNames } from './target-names.ts';

test('names that a file system can hold, one beside the other', () => {
  checkTargetNames('/root', 'out', ['a', 'a.b', 'a-b/c', 'ab/c', 'n'.repeat(255), `${'é'.repeat(127)}/x`, 'A', 'e\u0301', 'a b/c']);
  checkTargetNames('/root', '', []);
});

test('a name that is too long is refused before anything is published', () => {
  const bad = (path: string): void =>
    assert.throws(() => checkTargetNames('/root', 'out', ['good', path]), (error) => hasCode(error, connectorErrors.BAD_PATH.code), path);
  bad('n'.repeat(256));
  bad(`${'é'.repeat(128)}/x`);
  bad(Array.from({ length: 2_100 }, () => 'a').join('/'));
});

test('a file where another target needs a folder is refused, whichever comes first', () => {
  for (const paths of [['a', 'a/b'], ['x/y/z', 'x'], ['x/y/z', 'x/y', 'q']]) {
    assert.throws(() => checkTargetNames('/root', '', paths), (error) => hasCode(error, connectorErrors.TARGET_BLOCKED.code), paths.join());
  }
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDmgError } from '@dmg/base';
import { connectorErrors } from '@dmg/connector-api';
import { checkedBlobName } from './blob-name.ts';

test('names that the service keeps as they are', () => {
  const names = [
    'a', ' a b ', '😀.csv', 'e\u0301', '%41', '100%', 'a#b', 'a?b', '.hidden', '..twodots', 'a.b/c.d',
    '+&=;:*|<>"\'', '\u2028', 'x'.repeat(1022),
  ];
  for (const name of names) assert.equal(checkedBlobName('f', name), `f/${name}`);
  assert.equal(checkedBlobName('', 'a/b'), 'a/b');
});

test('names that the service would change or cannot list are refused, folders too', () => {
  const names: readonly (readonly [folder: string, path: string, reason: RegExp])[] = [
    ['', 'back\\slash', /backslash/], ['in\\side', 'a', /backslash/],
    ['', 'dot.', /drops the dot at the end of `dot\.`/], ['', 'a./b', /drops the dot/], ['f..', 'b', /drops the dot/],
    ['', '...', /drops the dot/],
    ['', 'line\nend', /control/], ['', '\u007f', /control/], ['', '\u0081', /control/], ['', '\uFFFE', /control/],
    ['', '\uFFFF', /control/],
    ['f', 'x'.repeat(1023), /at most 1024 characters/], ['', Array.from({ length: 255 }, () => 'a').join('/'), /at most 254 parts/],
    ['', '../a', /part `..`/], ['', '.dmg/jobs/x', /work files/], ['', 'a//b', /empty part/],
  ];
  for (const [folder, path, reason] of names) {
    assert.throws(() => checkedBlobName(folder, path), (error) => {
      assert.ok(isDmgError(error));
      assert.equal(error.code, connectorErrors.BAD_PATH.code);
      assert.match(error.message, reason);
      return true;
    }, JSON.stringify(path));
  }
});

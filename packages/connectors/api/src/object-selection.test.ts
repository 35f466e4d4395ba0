import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '@dmg/base';
import type { CopyEnd, JsonObject } from '@dmg/model';
import fc from 'fast-check';
import { connectorErrors } from './errors.ts';
import { mapParallel } from './map-parallel.ts';
import { checkedObjectPath, checkedPath, comparePaths, isOwnPath, joinPath } from './object-path.ts';
import { selectObjects } from './object-selection.ts';
import { choosePartBytes } from './part-size.ts';
import { hasWildcard, literalOf, matchesWildcard } from './wildcard.ts';

function endOf(location: JsonObject, settings: JsonObject): CopyEnd {
  return { connector: 'x', connection: {}, location, settings, format: { type: 'Binary' } };
}

test('wildcards: `*` any run, `?` one character or none, `^` takes the next as it is', () => {
  const table: [pattern: string, text: string, matches: boolean][] = [
    ['*', '', true], [
      '*', 'anything', true,
    ], ['a*', 'a', true], ['a*c', 'abbc', true], ['a*c', 'abcd', false], ['?', '', true], ['?', 'a', true],
    ['?', 'ab', false], ['a?c', 'ac', true], ['a?c', 'a😀c', true], ['*.csv', 'x.csv', true], ['*.csv', 'x.CSV', false], ['^*', '*', true],
    ['^*', 'a', false], ['a^^b', 'a^b', true], ['a^', 'a^', true], ['', '', true], ['', 'a', false], ['**', 'ab', true],
  ];
  for (const [pattern, text, matches] of table) assert.equal(matchesWildcard(pattern, text), matches, `${pattern} on ${text}`);
  assert.deepEqual([hasWildcard('a*'), hasWildcard('a^*'), hasWildcard('a?')], [true, false, true]);
  assert.equal(literalOf('a^*^?b'), 'a*?b');
});

test('wildcards agree with a regular expression, and no pattern takes long', () => {
  const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 8 });
  const text = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 8 });
  fc.assert(fc.property(pattern, text, (glob, name) => {
    const regex = new RegExp(`^${glob.replaceAll('*', '.*').replaceAll('?', '.?')}$`);
    assert.equal(matchesWildcard(glob, name), regex.test(name));
  }));
  assert.equal(matchesWildcard('*a'.repeat(60), 'b'.repeat(400)), false);
});

test('paths have one spelling and stay inside the root', () => {
  assert.deepEqual(['a/b', '/a/b/', '', '/'].map(checkedPath), ['a/b', 'a/b', '', '']);
  for (const path of ['..', 'a/../b', './a', 'a//b', 'a\0', '\ud800']) {
    assert.throws(() => checkedPath(path), (error) => hasCode(error, connectorErrors.BAD_PATH.code), JSON.stringify(path));
  }
  for (const path of ['', '.dmg', 'a/.dmg-x']) assert.throws(() => checkedObjectPath(path));
  assert.deepEqual([isOwnPath('a/.dmgx/b'), isOwnPath('a/x.dmg')], [true, false]);
  assert.deepEqual([joinPath('', 'a'), joinPath('a', 'b'), joinPath('a', '')], ['a', 'a/b', 'a']);
  assert.deepEqual(['\ufb01', '😀', 'a'].toSorted(comparePaths), ['a', '\ufb01', '😀']);
});

test('a selection: folder, what is relative to it, and what it takes', () => {
  const table: [location: JsonObject, settings: JsonObject, folder: string, takes: string[], leaves: string[]][] = [
    [{ folderPath: 'in/' }, { recursive: false }, 'in', ['a'], ['s/a', '.dmg']],
    [{ folderPath: 'in' }, { recursive: true }, 'in', ['a', 's/a'], ['.dmg/a', 's/.dmg-x']],
    [{ folderPath: 'in', fileName: 'a' }, { recursive: true }, 'in', ['a'], ['s/a', 'b']],
    [{ folderPath: 'in', fileName: 'a' }, { wildcardFileName: '*.c', recursive: false }, 'in', ['x.c'], ['a']],
    [{ folderPath: 'in' }, { fileFilter: 'x*', recursive: true }, 'in', ['x1', 's/x2'], ['y', 'x/y']],
    [
      { folderPath: 'no' }, { wildcardFolderPath: 'in/20*/m?', wildcardFileName: '*', recursive: false }, 'in', ['2024/m1/a'],
      ['2024/a', '2024/m1/s/a', '1999/m1/a'],
    ],
    [{}, { wildcardFolderPath: 'in/20*', recursive: true }, 'in', ['2024/a', '2024/s/a'], ['a', '1999/a']],
    [{}, { wildcardFolderPath: 'in/^*', wildcardFileName: '*', recursive: false }, 'in/*', ['a'], ['s/a']],
    [{}, { prefix: 'folder/sub', recursive: true }, 'folder', ['subfolder/file', 'sub'], ['other', 'x/sub']],
  ];
  for (const [location, settings, folder, takes, leaves] of table) {
    const selection = selectObjects(endOf(location, settings), { recursive: false });
    const shown = JSON.stringify([location, settings]);
    assert.equal(selection.folder, folder, shown);
    for (const path of takes) {
      assert.ok(selection.matches(path), `${shown} leaves ${path}`);
      assert.ok(path.startsWith(selection.pathPrefix));
      // Every folder on the way may hold it: a walk that prunes must not lose it.
      const parts = path.split('/').slice(0, -1);
      parts.forEach((_, index) => assert.ok(selection.mayHold(parts.slice(0, index + 1).join('/')), `${shown} prunes ${path}`));
    }
    for (const path of leaves) assert.ok(!selection.matches(path), `${shown} takes ${path}`);
  }
});

test('times are filtered from the start on and before the end, and are UTC when they do not say', () => {
  const selection = selectObjects(
    endOf({}, { modifiedDatetimeStart: '2024-01-01T00:00:00', modifiedDatetimeEnd: '2024-01-02T00:00:00+01:00' }), { recursive: true },
  );
  const at = (text: string): boolean => selection.inTime(Date.parse(text));
  assert.deepEqual(
    [at('2023-12-31T23:59:59.999Z'), at('2024-01-01T00:00:00Z'), at('2024-01-01T22:59:59Z'), at('2024-01-01T23:00:00Z')],
    [false, true, true, false],
  );
  assert.throws(
    () => selectObjects(endOf({ folderPath: 7 }, {}), { recursive: true }), (error) => hasCode(error, connectorErrors.BAD_SETTING.code),
  );
});

test('parts grow only as far as the number of parts demands', () => {
  const limits = { partBytes: 8, partBytesMax: 100, partsPerTargetMax: 10, chunksPerTargetMax: 5, parallelParts: 1 };
  const choose = (sizeBytes: number, chunks: number): number => choosePartBytes(limits, { path: 'x', sizeBytes, chunks }, 'store');
  assert.deepEqual([choose(0, 1), choose(72, 1), choose(73, 1), choose(900, 1)], [8, 8, 16, 100]);
  assert.throws(() => choose(901, 1), (error) => hasCode(error, connectorErrors.TOO_LARGE.code));
});

test('parallel work keeps order and limit, and after a failure starts nothing more', async () => {
  let running = 0;
  let most = 0;
  const results = await mapParallel([5, 3, 4, 1, 2], 2, async (item) => {
    most = Math.max(most, ++running);
    for (let turn = 0; turn < item; turn++) await Promise.resolve();
    running--;
    return item * 10;
  });
  assert.deepEqual([results, most], [[50, 30, 40, 10, 20], 2]);
  const started: number[] = [];
  await assert.rejects(mapParallel([0, 1, 2, 3, 4, 5], 2, async (item) => {
    started.push(item);
    await Promise.resolve();
    if (item === 1) throw new Error('one');
  }), /one/);
  assert.ok(started.length < 6);
});

import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { changes, copyBehaviors, wildcards } from '../fault/file-cases.ts';
import { type FileStores, type FilesVerdict, oddlyNamed, openFileStores, refusals, refused, thereAndBack } from '../fault/many-files.ts';
import { CleanupScope } from '../harness/cleanup.ts';

// Real connectors, a real folder and Azurite, through the engine. `npm run fault -- --suite files` does the same with 10,000 files.
const scope = new CleanupScope();
let stores: FileStores;
before(async () => {
  stores = await openFileStores(scope, 1);
}, { timeout: 60_000 });
after(() => scope.close());

function judge(t: TestContext, verdicts: readonly FilesVerdict[]): void {
  for (const { name, files, speed } of verdicts) {
    if (speed !== undefined) t.diagnostic(`${name}: ${files} files, ${Math.round(speed.filesPerSecond)} a second`);
  }
  const bad = verdicts.filter(({ problems }) => problems.length > 0).map(({ name, problems }) => `${name}: ${problems.join('; ')}`);
  assert.deepEqual(bad, []);
}

test('many files arrive whole and once: folder to container, back, and folder to folder', async (t) => {
  const verdicts: FilesVerdict[] = [];
  await thereAndBack(stores, { blobs: 30, files: 200 }, (verdict) => verdicts.push(verdict));
  assert.equal(verdicts.length, 3);
  judge(t, verdicts);
});

test('odd names stay what they are', async (t) => judge(t, await oddlyNamed(stores)));

test('what a store would name otherwise, or cannot hold, is refused before anything is to be seen', async (t) => {
  const verdicts: FilesVerdict[] = [];
  for (const refusal of await refusals(stores)) verdicts.push(await refused(refusal));
  judge(t, verdicts);
});

test('files are flattened and merged', async (t) => judge(t, await copyBehaviors(stores, 9)));

test('wildcards select what their rules say', async (t) => judge(t, await wildcards(stores, { patternsMax: 2 })));

test('a file that is changed or vanishes while it is read is told, and nothing is to be seen', async (t) => {
  judge(t, await changes(stores, ['small']));
});

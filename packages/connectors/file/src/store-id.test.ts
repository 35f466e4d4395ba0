import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { systemRandom } from '@dmg/base';
import type { CopyEnd, Job } from '@dmg/model';
import { findStoreId, localRootsOf } from './store-id.ts';
import { fileEnd } from './testing/file-fixture.ts';

const look = { create: false, random: systemRandom };
const make = { create: true, random: systemRandom };

async function newRoot(t: TestContext): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'dmg-store-id-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  return root;
}

test('the store id is made once, whoever asks first, and found again', async (t) => {
  const root = await newRoot(t);
  const ids = await Promise.all(Array.from({ length: 8 }, () => findStoreId(root, make)));
  assert.equal(new Set(ids).size, 1);
  assert.match(ids[0] ?? '', /^[0-9a-f]{32}$/);
  assert.equal(await findStoreId(`${root}/`, look), ids[0]);
  assert.deepEqual(await readdir(join(root, '.dmg')), ['store-id']);
  assert.equal((await readFile(join(root, '.dmg/store-id'), 'utf8')).trim(), ids[0]);
  const other = await newRoot(t);
  assert.notEqual(await findStoreId(other, make), ids[0]);
  await symlink(root, join(other, 'link'));
  assert.equal(await findStoreId(join(other, 'link'), look), ids[0], 'the same store by another path');
});

test('a look makes nothing, and tells folders without an id apart', async (t) => {
  const [one, two] = [await newRoot(t), await newRoot(t)];
  const id = await findStoreId(one, look);
  assert.match(id ?? '', /^derived-[0-9a-f]{32}$/);
  assert.equal(await findStoreId(one, look), id);
  assert.notEqual(await findStoreId(two, look), id);
  assert.deepEqual(await readdir(one), []);
});

test('a root that cannot be written has an id all the same', async () => {
  const id = await findStoreId('/sys/kernel', make);
  assert.match(id ?? '', /^derived-/);
  assert.equal(await findStoreId('/sys/kernel/', look), id);
});

test('where there is no folder there is no id; a file that holds none is told, not overwritten', async (t) => {
  const root = await newRoot(t);
  assert.equal(await findStoreId(join(root, 'nowhere'), make), undefined);
  await writeFile(join(root, 'plain'), '');
  assert.equal(await findStoreId(join(root, 'plain'), make), undefined);
  assert.equal(await findStoreId(join(root, 'plain/below'), make), undefined);
  await findStoreId(root, make);
  await writeFile(join(root, '.dmg/store-id'), '');
  await assert.rejects(findStoreId(root, make), { code: 'DMG_CONNECTOR_BAD_SETTING' });
});

test('local paths of a job are those of its file ends, each once', () => {
  const job = (source: CopyEnd, sink: CopyEnd): Job => ({
    formatVersion: 1, jobId: 'job', gatewayId: 'gateway', tryNumber: 1, finalTry: true,
    origin: { factoryName: 'f', pipelineName: 'p', runId: 'r', activityName: 'a', activityRunId: 'a' },
    policy: { timeoutMs: 1, retry: 0, retryIntervalMs: 0 },
    activity: { type: 'Copy', source, sink, parallelCopies: 0, validateDataConsistency: false },
  });
  const blob: CopyEnd = { ...fileEnd('/data'), connector: 'azure-blob' };
  assert.deepEqual(localRootsOf(job(fileEnd('/data/in/'), fileEnd('/data//out/.'))), ['/data/in', '/data/out']);
  assert.deepEqual(localRootsOf(job(fileEnd('/data'), fileEnd('/data/'))), ['/data']);
  assert.deepEqual(localRootsOf(job(blob, fileEnd('/'))), ['/']);
  assert.deepEqual(localRootsOf(job(blob, fileEnd('\\\\server\\share'))), []);
  assert.deepEqual(localRootsOf(job(fileEnd('data'), blob)), []);
});

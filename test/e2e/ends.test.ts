import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { BlobServiceClient } from '@azure/storage-blob';
import { systemClock } from '@dmg/base';
import { CleanupScope } from '../harness/cleanup.ts';
import { waitFor } from '../harness/wait-for.ts';
import { type ActivityRun, blobHashes, defineFolderCopy, fileHashes, makeFiles, type Rig, startRig, waitForEnd } from '../fault/rig.ts';

// How jobs end, on the whole gateway: cancelled, failed for each kind of reason, and under a consumer that takes results away.
const megabyte = 1024 * 1024;
const scope = new CleanupScope();
let rig: Rig;

before(async () => {
  rig = await startRig(scope);
}, { timeout: 90_000 });
after(() => scope.close(), { timeout: 60_000 });

async function onlyActivity(runId: string): Promise<ActivityRun> {
  const [activity] = await rig.rest.activities(runId);
  assert.ok(activity);
  return activity;
}

async function waitForBytes(runId: string): Promise<void> {
  await waitFor('the copy to be under way', async () => ((await onlyActivity(runId)).output?.dataWritten ?? 0) > 0, { withinMs: 30_000 });
}

for (const store of ['file', 'blob'] as const) {
  test(`cancel ends a running copy to a ${store} sink within 2 s and leaves nothing there`, async () => {
    const name = `cancel-${store}`;
    await makeFiles(rig, `in/${name}`, Array.from({ length: 12 }, () => 48 * megabyte), 5);
    const runId = await rig.rest.createRun(await defineFolderCopy(rig, name, `in/${name}`, { store, folder: `out/${name}` }));
    await waitForBytes(runId);
    const startedMs = systemClock.monotonicMs();
    await rig.rest.cancel(runId);
    assert.equal(await waitForEnd(rig, runId), 'Cancelled');
    const tookMs = systemClock.monotonicMs() - startedMs;
    assert.ok(tookMs < 2000, `cancel took ${Math.round(tookMs)} ms`);
    assert.deepEqual(store === 'file' ? await fileHashes(rig, `out/${name}`) : await blobHashes(rig, `out/${name}`), {});
    if (store === 'blob') await assertNoUncommittedBlobs(`out/${name}`);
    await rm(join(rig.files, 'in', name), { recursive: true });
  });
}

async function assertNoUncommittedBlobs(folder: string): Promise<void> {
  const container = BlobServiceClient.fromConnectionString(rig.line.blob).getContainerClient('fault');
  for await (const item of container.listBlobsFlat({ prefix: folder, includeUncommitedBlobs: true })) assert.fail(`${item.name} has staged blocks`);
}

test('a missing source folder fails the run with code, sentence, cause and remedy, and retries first as the policy says', async () => {
  const policy = { retry: 1, retryIntervalInSeconds: 30 };
  const name = await defineFolderCopy(rig, 'missing', 'in/there-is-no-such-folder', { store: 'file', folder: 'out/missing' }, { ...policy, retry: 0 });
  const runId = await rig.rest.createRun(name);
  assert.equal(await waitForEnd(rig, runId), 'Failed');
  const { error } = await onlyActivity(runId);
  assert.equal(error?.errorCode, 'DMG_CONNECTOR_SOURCE_NOT_FOUND');
  assert.match(error?.message ?? '', /there-is-no-such-folder/);
  assert.match(error?.message ?? '', /Check the folder/);
  assert.deepEqual(await fileHashes(rig, 'out/missing'), {});
});

test('a wrong account key is refused with its remedy, and the key is in no answer', async () => {
  const wrong = rig.line.blob.replace(/AccountKey=[^;]+/, `AccountKey=${Buffer.alloc(64, 9).toString('base64')}`);
  await rig.rest.put('linkedServices', 'wrong-blob', {
    type: 'AzureBlobStorage', typeProperties: { connectionString: { type: 'SecureString', value: wrong } },
    connectVia: { type: 'IntegrationRuntimeReference', referenceName: 'local' },
  });
  await makeFiles(rig, 'in/wrong-key', [1000], 6);
  const name = await defineFolderCopy(rig, 'wrong-key', 'in/wrong-key', { store: 'blob', folder: 'out/wrong-key' });
  await rig.rest.put('datasets', 'wrong-key-out', {
    type: 'Binary', linkedServiceName: { type: 'LinkedServiceReference', referenceName: 'wrong-blob' },
    typeProperties: { location: { type: 'AzureBlobStorageLocation', container: 'fault', folderPath: 'out/wrong-key' } },
  });
  const runId = await rig.rest.createRun(name);
  assert.equal(await waitForEnd(rig, runId), 'Failed');
  const activity = await onlyActivity(runId);
  assert.equal(activity.error?.errorCode, 'DMG_CONNECTOR_ACCESS_DENIED');
  assert.ok(!JSON.stringify(activity).includes(Buffer.alloc(64, 9).toString('base64')));
  assert.deepEqual(await blobHashes(rig, 'out/wrong-key'), {});
});

test('a full disk fails the run and shows nothing half-written; a later run succeeds', async (t) => {
  const disk = join(rig.files, 'small-disk');
  await mkdir(disk, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', disk]);
  t.after(() => void execFileSync('umount', ['-l', disk]));
  await makeFiles(rig, 'in/full', [3 * megabyte, 20 * megabyte], 7);
  const name = await defineFolderCopy(rig, 'full', 'in/full', { store: 'file', folder: 'small-disk/out' });
  const runId = await rig.rest.createRun(name);
  assert.equal(await waitForEnd(rig, runId), 'Failed');
  const { error } = await onlyActivity(runId);
  assert.equal(error?.errorCode, 'DMG_CONNECTOR_NO_SPACE');
  assert.deepEqual((await readdir(disk)).filter((entry) => !entry.startsWith('.dmg')).flatMap((entry) => (entry === 'out' ? [] : [entry])), []);
  assert.deepEqual(await fileHashes(rig, 'small-disk/out'), {});
  execFileSync('mount', ['-o', 'remount,size=64m', disk]);
  assert.equal(await waitForEnd(rig, await rig.rest.createRun(name)), 'Succeeded');
  assert.deepEqual(await fileHashes(rig, 'small-disk/out'), await fileHashes(rig, 'in/full'));
});

test('a bad row fails the copy with file, row, column and types; nothing is half-written', async () => {
  await mkdir(join(rig.files, 'in/bad-row'), { recursive: true });
  await writeFile(join(rig.files, 'in/bad-row/numbers.csv'), 'id,amount\r\n1,10\r\n2,eleven\r\n3,12\r\n');
  const csv = { columnDelimiter: ',', quoteChar: '"', escapeChar: '"', firstRowAsHeader: true };
  const dataset = (folderPath: string, fileName: string): object => ({
    type: 'DelimitedText', linkedServiceName: { type: 'LinkedServiceReference', referenceName: 'files' },
    typeProperties: { location: { type: 'FileServerLocation', folderPath, fileName }, ...csv },
  });
  await rig.rest.put('datasets', 'bad-row-in', dataset('in/bad-row', 'numbers.csv'));
  await rig.rest.put('datasets', 'bad-row-out', dataset('out/bad-row', 'numbers.csv'));
  await rig.rest.put('pipelines', 'bad-row', {
    activities: [{
      name: 'copy', type: 'Copy',
      inputs: [{ type: 'DatasetReference', referenceName: 'bad-row-in' }], outputs: [{ type: 'DatasetReference', referenceName: 'bad-row-out' }],
      typeProperties: {
        source: { type: 'DelimitedTextSource', storeSettings: { type: 'FileServerReadSettings' } },
        sink: { type: 'DelimitedTextSink', storeSettings: { type: 'FileServerWriteSettings' } },
        translator: {
          type: 'TabularTranslator', typeConversion: true,
          mappings: [{ source: { name: 'id', type: 'Int32' }, sink: { name: 'id', type: 'Int32' } }, { source: { name: 'amount', type: 'Int32' }, sink: { name: 'amount', type: 'Int32' } }],
        },
      },
    }],
  });
  const runId = await rig.rest.createRun('bad-row');
  assert.equal(await waitForEnd(rig, runId), 'Failed');
  const { error } = await onlyActivity(runId);
  assert.equal(error?.errorCode, 'DMG_FORMATS_INVALID_VALUE');
  assert.match(error?.message ?? '', /numbers\.csv/);
  assert.match(error?.message ?? '', /amount/);
  assert.match(error?.message ?? '', /eleven/);
  assert.deepEqual(await fileHashes(rig, 'out/bad-row'), {});
});

test('a consumer that takes finished files and blobs away at once never sees one come back', async () => {
  const sizes = Array.from({ length: 60 }, (_, index) => 20_000 + index * 7);
  await makeFiles(rig, 'in/taken', sizes, 8);
  const toFile = await defineFolderCopy(rig, 'taken-file', 'in/taken', { store: 'file', folder: 'out/taken' });
  const toBlob = await defineFolderCopy(rig, 'taken-blob', 'in/taken', { store: 'blob', folder: 'out/taken' });
  const taken = new Map<string, number>();
  const stop = new AbortController();
  const consuming = consume(taken, stop.signal);
  const runIds = [await rig.rest.createRun(toFile), await rig.rest.createRun(toBlob)];
  for (const runId of runIds) assert.equal(await waitForEnd(rig, runId), 'Succeeded');
  await waitFor('the consumer to have everything', () => taken.size === 2 * sizes.length, { withinMs: 10_000 });
  // The same jobs are delivered and reported again after Redis forgot them and the node restarted: nothing may come back.
  stop.abort();
  await consuming;
  assert.deepEqual([...taken].filter(([, times]) => times !== 1), []);
  assert.deepEqual(await fileHashes(rig, 'out/taken'), {});
  assert.deepEqual(await blobHashes(rig, 'out/taken'), {});
});

/** Moves each finished file away, and deletes each finished blob, as soon as it is seen; counts how often each was there. */
async function consume(taken: Map<string, number>, signal: AbortSignal): Promise<void> {
  const container = BlobServiceClient.fromConnectionString(rig.line.blob).getContainerClient('fault');
  const folder = join(rig.files, 'out/taken');
  const away = join(rig.folder, 'taken');
  await mkdir(away, { recursive: true });
  const note = (key: string): void => void taken.set(key, (taken.get(key) ?? 0) + 1);
  while (!signal.aborted) {
    for (const name of await readdir(folder).catch(() => [])) {
      await rename(join(folder, name), join(away, name));
      note(`file ${name}`);
    }
    try {
      for await (const item of container.listBlobsFlat({ prefix: 'out/taken/' })) {
        await container.deleteBlob(item.name);
        note(`blob ${item.name}`);
      }
    } catch (error) {
      if ((error as { statusCode?: number }).statusCode !== 404) throw error; // The container is not there yet.
    }
  }
}

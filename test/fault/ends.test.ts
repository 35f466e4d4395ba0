import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { BlobServiceClient } from '@azure/storage-blob';
import { systemClock } from '@dmg/base';
import { CleanupScope } from '../harness/cleanup.ts';
import { waitFor } from '../harness/wait-for.ts';
import { RedisControl } from './redis-control.ts';
import {
  type ActivityRun, blobHashes, defineFolderCopy, fileHashes, kill, makeFiles, type Rig, startRig, waitForEnd,
} from './rig.ts';

// How jobs end, on the whole gateway: cancelled, and failed for each kind of reason.
const megabyte = 1024 * 1024;
const scope = new CleanupScope();
let rig: Rig;

before(async () => {
  rig = await startRig(scope);
}, { timeout: 90_000 });
after(() => scope.close(), { timeout: 60_000 });

interface Activity extends ActivityRun {
  readonly retryAttempt?: number | null;
  /** Why it waits. */
  readonly reason?: string;
  readonly error?: { readonly errorCode?: string; readonly message?: string; readonly fix?: string; readonly details?: string };
}

async function onlyActivity(runId: string): Promise<Activity> {
  const [activity, ...others] = (await rig.rest.activities(runId)) as Activity[];
  assert.ok(activity);
  assert.equal(others.length, 0);
  return activity;
}

/** Returns when bytes have arrived at the sink; fails at once when the run has ended before. */
async function underWay(runId: string): Promise<void> {
  let last: Activity | undefined;
  try {
    await waitFor('the copy to be under way', async () => {
      last = await onlyActivity(runId);
      assert.ok(['Queued', 'InProgress'].includes(last.status), 'the run has ended');
      return (last.output?.dataWritten ?? 0) > 0;
    }, { withinMs: 30_000, everyMs: 50 });
  } catch (error) {
    throw new Error(`the copy does not get under way: ${JSON.stringify(last)}\n${rig.up.stderr.slice(-4000)}`, { cause: error });
  }
}

/** Files that are long to copy and quick to make: all zeros, which take no space at the source. */
async function makeLongFiles(folder: string): Promise<void> {
  await mkdir(join(rig.files, folder), { recursive: true });
  for (let index = 0; index < 48; index++) {
    const file = await open(join(rig.files, folder, `file-${index}.bin`), 'w');
    await file.truncate(64 * megabyte);
    await file.close();
  }
}

/** Everything in both stores but sources and end records: parts, marks, plans, staged blocks and empty folders included. */
async function leftovers(): Promise<string[]> {
  const endRecord = /^\.dmg(?:\/store-id|\/jobs(?:\/[0-9a-f]{2}(?:\/[0-9a-f]{32}(?:\/(?:begin|end))?)?)?)?$/;
  const files = (await readdir(rig.files, { recursive: true })).filter((path) => !/^in(?:$|\/)/.test(path) && !endRecord.test(path));
  const container = BlobServiceClient.fromConnectionString(rig.line.blob).getContainerClient('fault');
  const blobs: string[] = [];
  if (await container.exists()) {
    for await (const { name } of container.listBlobsFlat({ includeUncommitedBlobs: true })) {
      if (!/^\.dmg\/jobs\/[0-9a-f]{32}$/.test(name)) blobs.push(name);
    }
  }
  return [...files, ...blobs];
}

/** Every failure has a stable code, a sentence, a remedy, and the cause where there is one underneath. */
function assertExplained({ status, error }: Activity, expected: { code: string; message: RegExp; fix: RegExp; cause?: RegExp }): void {
  assert.equal(status, 'Failed');
  const { errorCode, message = '', fix = '', details = '' } = error ?? {};
  assert.equal(errorCode, expected.code);
  assert.match(message, /^Cannot .+: .+\. \S/s);
  assert.match(message, expected.message);
  assert.match(fix, expected.fix);
  assert.ok(message.endsWith(fix), 'the message ends with what to do');
  if (expected.cause !== undefined) assert.match(details, expected.cause);
}

for (const store of ['file', 'blob'] as const) {
  test(`cancel ends a running copy to a ${store} sink within 2 s and leaves nothing there`, async () => {
    const name = `cancel-${store}`;
    await makeLongFiles(`in/${name}`);
    const runId = await rig.rest.createRun(await defineFolderCopy(rig, name, `in/${name}`, { store, folder: `out/${name}` }));
    await underWay(runId);
    assert.notDeepEqual(await leftovers(), [], 'work is at the sink while the copy runs');
    const startedMs = systemClock.monotonicMs();
    await rig.rest.cancel(runId);
    assert.equal(await waitForEnd(rig, runId), 'Cancelled');
    const tookMs = systemClock.monotonicMs() - startedMs;
    assert.ok(tookMs < 2000, `cancel took ${Math.round(tookMs)} ms`);
    assert.deepEqual(await leftovers(), []);
    assert.partialDeepStrictEqual((await onlyActivity(runId)).output, { sink: 'aborted', confirmed: true });
    await rm(join(rig.files, 'in', name), { recursive: true });
  });
}

test('a run that waits for a place on a busy node is cancelled before it starts; the other goes on', async (t) => {
  const setLimit = (concurrentJobsLimit: number): Promise<unknown> =>
    rig.rest.call('PATCH', '/integrationRuntimes/local/nodes/node-1', { concurrentJobsLimit });
  await setLimit(1);
  t.after(() => setLimit(8));
  await makeLongFiles('in/busy');
  const busy = await rig.rest.createRun(await defineFolderCopy(rig, 'busy', 'in/busy', { store: 'file', folder: 'out/busy' }));
  await underWay(busy);
  const waiting = await rig.rest.createRun(await defineFolderCopy(rig, 'second', 'in/busy', { store: 'file', folder: 'out/second' }));
  await waitFor('the reason why it waits', async () => (await onlyActivity(waiting)).reason?.includes('free place'), { withinMs: 5000 });
  await rig.rest.cancel(waiting);
  assert.equal(await waitForEnd(rig, waiting, 2000), 'Cancelled');
  assert.deepEqual(await fileHashes(rig, 'out/second'), {});
  assert.equal((await onlyActivity(busy)).status, 'InProgress');
  await rig.rest.cancel(busy);
  assert.equal(await waitForEnd(rig, busy), 'Cancelled');
  assert.deepEqual(await leftovers(), []);
  await rm(join(rig.files, 'in/busy'), { recursive: true });
});

test('a run whose gateway has no node is cancelled while it waits', async () => {
  await rig.rest.put('integrationRuntimes', 'empty', { type: 'SelfHosted' });
  const via = { type: 'IntegrationRuntimeReference', referenceName: 'empty' };
  await rig.rest.put('linkedServices', 'unreached', { type: 'FileServer', typeProperties: { host: rig.files }, connectVia: via });
  await makeFiles(rig, 'in/waits', [1000], 3);
  const name = await defineFolderCopy(rig, 'waits', 'in/waits', { store: 'file', folder: 'out/waits' });
  for (const [dataset, folderPath] of [['waits-in', 'in/waits'], ['waits-out', 'out/waits']] as const) {
    await rig.rest.put('datasets', dataset, {
      type: 'Binary', linkedServiceName: { type: 'LinkedServiceReference', referenceName: 'unreached' },
      typeProperties: { location: { type: 'FileServerLocation', folderPath } },
    });
  }
  const runId = await rig.rest.createRun(name);
  assert.equal((await onlyActivity(runId)).status, 'Queued');
  await rig.rest.cancel(runId);
  assert.equal(await waitForEnd(rig, runId, 5000), 'Cancelled');
  assert.deepEqual(await leftovers(), []);
});

test('a failed try is repeated as the policy says: the folder that was missing is there for the second', async () => {
  const policy = { retry: 1, retryIntervalInSeconds: 2 };
  const name = await defineFolderCopy(rig, 'late', 'in/late', { store: 'blob', folder: 'out/late' }, policy);
  const runId = await rig.rest.createRun(name);
  await waitFor('the first try to fail', async () => {
    const { retryAttempt, status } = await onlyActivity(runId);
    return retryAttempt === 1 && status !== 'Failed';
  });
  await makeFiles(rig, 'in/late', [200_000, 0, 3], 4);
  assert.equal(await waitForEnd(rig, runId, 20_000), 'Succeeded');
  assert.deepEqual(await blobHashes(rig, 'out/late'), await fileHashes(rig, 'in/late'));
});

test('a missing source folder fails the run, after as many tries as the policy says', async () => {
  const policy = { retry: 1, retryIntervalInSeconds: 1 };
  const name = await defineFolderCopy(rig, 'missing', 'in/there-is-no-such-folder', { store: 'file', folder: 'out/missing' }, policy);
  const runId = await rig.rest.createRun(name);
  assert.equal(await waitForEnd(rig, runId), 'Failed');
  const activity = await onlyActivity(runId);
  assert.equal(activity.retryAttempt, 1);
  assert.ok((activity.durationInMs ?? 0) >= 1000, 'the second try waits for its time');
  assertExplained(activity, {
    code: 'DMG_CONNECTOR_SOURCE_NOT_FOUND', message: /in\/there-is-no-such-folder/, fix: /Check the folder/, cause: /^ENOENT/,
  });
  assert.match((await rig.rest.run(runId)).message ?? '', /copy failed: DMG_CONNECTOR_SOURCE_NOT_FOUND/);
  assert.deepEqual(await fileHashes(rig, 'out/missing'), {});
});

test('a wrong account key is refused with its remedy, and the key is in no answer', async () => {
  const wrong = Buffer.alloc(64, 9).toString('base64');
  await rig.rest.put('linkedServices', 'wrong-blob', {
    type: 'AzureBlobStorage',
    typeProperties: { connectionString: { type: 'SecureString', value: rig.line.blob.replace(/AccountKey=[^;]+/, `AccountKey=${wrong}`) } },
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
  assertExplained(activity, { code: 'DMG_CONNECTOR_ACCESS_DENIED', message: /refuse/, fix: /key|permission/i });
  for (const answer of [activity, await rig.rest.run(runId), await rig.rest.call('GET', '/linkedservices/wrong-blob'), rig.up.stderr]) {
    assert.ok(!JSON.stringify(answer).includes(wrong));
  }
  assert.deepEqual(await blobHashes(rig, 'out/wrong-key'), {});
});

test('a full disk fails the run and shows nothing half-written; a later run succeeds', async (t) => {
  const disk = join(rig.files, 'small-disk');
  await mkdir(disk, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', disk]);
  t.after(() => void execFileSync('umount', ['-l', disk]));
  await rig.rest.put('linkedServices', 'small-disk', {
    type: 'FileServer', typeProperties: { host: disk }, connectVia: { type: 'IntegrationRuntimeReference', referenceName: 'local' },
  });
  await makeFiles(rig, 'in/full', [3 * megabyte, 20 * megabyte], 7);
  const name = await defineFolderCopy(rig, 'full', 'in/full', { store: 'file', folder: 'out' });
  await rig.rest.put('datasets', 'full-out', {
    type: 'Binary', linkedServiceName: { type: 'LinkedServiceReference', referenceName: 'small-disk' },
    typeProperties: { location: { type: 'FileServerLocation', folderPath: 'out' } },
  });
  const runId = await rig.rest.createRun(name);
  assert.equal(await waitForEnd(rig, runId), 'Failed');
  assertExplained(await onlyActivity(runId), { code: 'DMG_CONNECTOR_NO_SPACE', message: /no space/i, fix: /space/i, cause: /ENOSPC/ });
  assert.deepEqual((await readdir(disk)).filter((entry) => entry !== '.dmg'), []);
  assert.deepEqual(await fileHashes(rig, 'small-disk/out'), {});
  execFileSync('mount', ['-o', 'remount,size=64m', disk]);
  assert.equal(await waitForEnd(rig, await rig.rest.createRun(name)), 'Succeeded');
  assert.deepEqual(await fileHashes(rig, 'small-disk/out'), await fileHashes(rig, 'in/full'));
});

test('a bad row fails the copy with file, row, column and types; nothing is half-written', async () => {
  await mkdir(join(rig.files, 'in/bad-row'), { recursive: true });
  await writeFile(join(rig.files, 'in/bad-row/numbers.csv'), 'id,amount\r\n1,10\r\n2,eleven\r\n3,12\r\n');
  const csv = { columnDelimiter: ',', quoteChar: '"', escapeChar: '"', firstRowAsHeader: true };
  const dataset = (folderPath: string): object => ({
    type: 'DelimitedText', linkedServiceName: { type: 'LinkedServiceReference', referenceName: 'files' },
    typeProperties: { location: { type: 'FileServerLocation', folderPath, fileName: 'numbers.csv' }, ...csv },
  });
  await rig.rest.put('datasets', 'bad-row-in', dataset('in/bad-row'));
  await rig.rest.put('datasets', 'bad-row-out', dataset('out/bad-row'));
  const column = (name: string): object => ({ source: { name, type: 'Int32' }, sink: { name, type: 'Int32' } });
  await rig.rest.put('pipelines', 'bad-row', {
    activities: [{
      name: 'copy', type: 'Copy',
      inputs: [{ type: 'DatasetReference', referenceName: 'bad-row-in' }],
      outputs: [{ type: 'DatasetReference', referenceName: 'bad-row-out' }],
      typeProperties: {
        source: { type: 'DelimitedTextSource', storeSettings: { type: 'FileServerReadSettings' } },
        sink: { type: 'DelimitedTextSink', storeSettings: { type: 'FileServerWriteSettings' } },
        translator: { type: 'TabularTranslator', typeConversion: true, mappings: [column('id'), column('amount')] },
      },
    }],
  });
  const runId = await rig.rest.createRun('bad-row');
  assert.equal(await waitForEnd(rig, runId), 'Failed');
  const activity = await onlyActivity(runId);
  assertExplained(activity, { code: 'DMG_FORMATS_INVALID_VALUE', message: /numbers\.csv/, fix: /\S/ });
  for (const part of [/eleven/, /amount/, /Int32/, /row 2/]) assert.match(activity.error?.message ?? '', part);
  assert.deepEqual(await fileHashes(rig, 'out/bad-row'), {});
});

test('a consumer that takes finished files and blobs away at once never sees one come back, whatever is killed meanwhile', async () => {
  const sizes = Array.from({ length: 40 }, (_, index) => 20_000 + index * 7);
  await makeFiles(rig, 'in/taken', sizes, 8);
  const toFile = await defineFolderCopy(rig, 'taken-file', 'in/taken', { store: 'file', folder: 'out/taken' });
  const toBlob = await defineFolderCopy(rig, 'taken-blob', 'in/taken', { store: 'blob', folder: 'out/taken' });
  const taken = new Map<string, number>();
  const stop = new AbortController();
  const consuming = Promise.all([takeFiles(taken, stop.signal), takeBlobs(taken, stop.signal)]);
  const runIds = [await rig.rest.createRun(toFile), await rig.rest.createRun(toBlob)];
  await waitFor('the first to be taken', () => taken.size > 0, { withinMs: 30_000, everyMs: 2 });
  for (const choice of [0, 0.5, 0.99]) await kill(rig, 'executor', choice);
  for (const runId of runIds) assert.equal(await waitForEnd(rig, runId), 'Succeeded');
  // Redis forgets both jobs, and the node starts anew: whatever is delivered or reported again must not publish again.
  const redis = await RedisControl.connect(rig.line.redis);
  assert.equal(await redis.send('FLUSHALL'), '+OK');
  redis.close();
  assert.ok(await kill(rig, 'node', 0));
  await makeFiles(rig, 'in/after', [1], 9);
  const after = await rig.rest.createRun(await defineFolderCopy(rig, 'after', 'in/after', { store: 'file', folder: 'out/after' }));
  assert.equal(await waitForEnd(rig, after), 'Succeeded');
  await waitFor('the consumer to have everything', () => taken.size === 2 * sizes.length, { withinMs: 10_000 });
  stop.abort();
  await consuming;
  assert.deepEqual([...taken].filter(([, times]) => times !== 1), []);
  assert.deepEqual(await fileHashes(rig, 'out/taken'), {});
  assert.deepEqual(await blobHashes(rig, 'out/taken'), {});
});

/** Moves each finished file away as soon as it is seen; counts how often each was there. */
async function takeFiles(taken: Map<string, number>, signal: AbortSignal): Promise<void> {
  const away = join(rig.folder, 'taken');
  const folder = join(rig.files, 'out/taken');
  await mkdir(away, { recursive: true });
  while (!signal.aborted) {
    for (const name of await readdir(folder).catch(() => [])) {
      await rename(join(folder, name), join(away, name));
      count(taken, `file ${name}`);
    }
  }
}

/** Deletes each finished blob as soon as it is seen; counts how often each was there. */
async function takeBlobs(taken: Map<string, number>, signal: AbortSignal): Promise<void> {
  const container = BlobServiceClient.fromConnectionString(rig.line.blob).getContainerClient('fault');
  while (!signal.aborted) {
    try {
      for await (const { name } of container.listBlobsFlat({ prefix: 'out/taken/' })) {
        await container.deleteBlob(name);
        count(taken, `blob ${name}`);
      }
    } catch (error) {
      if ((error as { statusCode?: number }).statusCode !== 404) throw error; // The container is not there yet.
    }
  }
}

function count(taken: Map<string, number>, name: string): void {
  taken.set(name, (taken.get(name) ?? 0) + 1);
}

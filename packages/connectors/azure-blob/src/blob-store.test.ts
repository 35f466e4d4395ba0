import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { BlobServiceClient, ContainerSASPermissions } from '@azure/storage-blob';
import { hasCode, newId, systemRandom } from '@dmg/base';
import { type ConnectorContext, connectorErrors, type Source } from '@dmg/connector-api';
import { testContext } from '@dmg/connector-testkit';
import type { Plan, Receipt, SourceObject } from '@dmg/model';
import { azureBlobConnector } from './azure-blob-connector.ts';
import { BlobStore } from './blob-store.ts';
import { azureBlobErrors } from './errors.ts';
import { type Azurite, emulatorKey, startAzurite } from './testing/azurite.ts';
import { blobEnd } from './testing/blob-fixture.ts';

const { signal } = new AbortController();
const receipt = { finishedAt: 'now' } as Receipt;
let azurite: Azurite;
before(async () => {
  azurite = await startAzurite();
});
after(() => azurite.stop());

const newContainer = (): string => `c${newId(systemRandom)}`;
const stranger = (name: string) => BlobServiceClient.fromConnectionString(azurite.connectionString).getContainerClient(name);
const withKey = (): ConnectorContext => testContext({ connectionString: azurite.connectionString });

async function listAll(source: Source): Promise<SourceObject[]> {
  const objects: SourceObject[] = [];
  for await (const object of source.list(signal)) objects.push(object);
  return objects;
}

/** Copies one chunk to `path` and finishes. */
async function copyOne(container: string, path: string, bytes: Buffer, partBytes: number, context: ConnectorContext): Promise<void> {
  const sink = await azureBlobConnector.openSink(
    blobEnd(container), { jobId: newId(systemRandom), attemptId: newId(systemRandom) }, context,
  );
  try {
    const [base] = await sink.bases([path], signal);
    const cutting = { kind: 'ranges' as const, chunks: [{ chunk: 0, source: 0, startByte: 0, endByte: bytes.length }] };
    const plan: Plan = await sink.insertPlan({
      formatVersion: 1, jobId: 'job', generation: 1, activityDigest: '', sourceKind: 'addressable', representation: 'bytes', partBytes,
      targets: [{ target: 0, path, base: base ?? '', sources: [], cutting }],
    }, signal);
    const writer = await sink.openChunk(plan, { target: 0, chunk: 0 }, signal);
    const last = Math.max(Math.ceil(bytes.length / partBytes) - 1, 0);
    const parts = Array.from(
      { length: last }, (_, part) => writer.writePart(part, bytes.subarray(part * partBytes, (part + 1) * partBytes), signal),
    );
    await Promise.all(parts);
    const facts = { bytes: bytes.length, rows: 0, hash: '0'.repeat(16), sourceStart: 0, sourceEnd: bytes.length };
    await writer.mark(facts, { part: last, bytes: bytes.subarray(last * partBytes) }, signal);
    await sink.finish(plan, receipt, signal);
  } finally {
    await sink.close();
  }
}

test('the address of the container, by every way to name an account', () => {
  const key = `AccountKey=${emulatorKey}`;
  const table: [secrets: Record<string, string>, url: string][] = [
    [
      { connectionString: `DefaultEndpointsProtocol=https;AccountName=acc;${key};EndpointSuffix=core.windows.net` },
      'https://acc.blob.core.windows.net/cont',
    ],
    [{ connectionString: `AccountName=acc;${key}` }, 'https://acc.blob.core.windows.net/cont'],
    [
      { connectionString: `AccountName=acc;BlobEndpoint=https://blob.example.com/` , accountKey: emulatorKey },
      'https://blob.example.com/cont',
    ],
    [
      { connectionString: 'BlobEndpoint=https://blob.example.com;SharedAccessSignature=sv=1&sig=x' },
      'https://blob.example.com/cont?sv=1&sig=x',
    ],
    [{ sasUri: 'https://acc.blob.core.windows.net/?sv=1&sig=x' }, 'https://acc.blob.core.windows.net/cont?sv=1&sig=x'],
    [{ sasUri: 'https://acc.blob.core.windows.net/other?sv=1&sig=x' }, 'https://acc.blob.core.windows.net/cont?sv=1&sig=x'],
    [{ sasUri: 'https://acc.blob.core.windows.net', sasToken: '?sv=1&sig=x' }, 'https://acc.blob.core.windows.net/cont?sv=1&sig=x'],
    [{ sasUri: 'http://127.0.0.1:10000/devstoreaccount1/cont?sv=1&sig=x' }, 'http://127.0.0.1:10000/devstoreaccount1/cont?sv=1&sig=x'],
  ];
  for (const [secrets, url] of table) assert.equal(BlobStore.open(blobEnd('cont'), testContext(secrets)).container.url, url);
});

test('a SAS of the container reads and writes; one that may only read is denied the rest', async () => {
  const name = newContainer();
  await stranger(name).create();
  const sasOf = async (permissions: string): Promise<ConnectorContext> => {
    const expiresOn = new Date(Date.parse('2099-01-01'));
    return testContext({
      sasUri: await stranger(name).generateSasUrl({ permissions: ContainerSASPermissions.parse(permissions), expiresOn }),
    });
  };
  await copyOne(name, 'by-sas', Buffer.from('content'), 1024, await sasOf('racwdl'));
  const reader = await sasOf('rl');
  await azureBlobConnector.check(blobEnd(name), reader);
  const source = await azureBlobConnector.openSource(blobEnd(name), reader);
  const [object] = await listAll(source);
  assert.equal(object?.path, 'by-sas');
  await source.close();
  await assert.rejects(copyOne(name, 'x', Buffer.from('y'), 1024, reader), (error) => hasCode(error, connectorErrors.ACCESS_DENIED.code));
});

test('a missing container is made by a sink, and is missing for a source', async () => {
  const name = newContainer();
  const source = await azureBlobConnector.openSource(blobEnd(name), withKey());
  await assert.rejects(listAll(source), (error) => hasCode(error, connectorErrors.SOURCE_NOT_FOUND.code));
  await source.close();
  await azureBlobConnector.check(blobEnd(name), withKey());
  await copyOne(name, 'x', Buffer.from('content'), 1024, withKey());
  assert.equal((await stranger(name).getBlobClient('x').downloadToBuffer()).toString(), 'content');
  assert.deepEqual((await stranger(name).getBlobClient('x').getProperties()).metadata?.dmgbytes, '7');
});

test('large blocks in parallel arrive whole, and are read back in ranges', async () => {
  const name = newContainer();
  const bytes = Buffer.alloc(9 * 1024 * 1024 + 77);
  for (let index = 0; index < bytes.length; index += 4) bytes.writeUInt32LE(
    (index * 2_654_435_761) >>> 0, Math.min(index, bytes.length - 4),
  );
  await copyOne(name, 'large', bytes, 2 * 1024 * 1024, withKey());
  const source = await azureBlobConnector.openSource(blobEnd(name, { fileName: 'large' }), withKey());
  const [object] = await listAll(source);
  assert.ok(object !== undefined);
  const whole = Buffer.alloc(bytes.length);
  const step = 1_500_000;
  await Promise.all(
    Array.from(
      { length: Math.ceil(bytes.length / step) },
      (_, index) => source.read(object, index * step, whole.subarray(index * step, (index + 1) * step), signal),
    ),
  );
  await source.close();
  const digest = (content: Buffer): string => createHash('sha256').update(content).digest('hex');
  assert.equal(digest(whole), digest(bytes));
});

test('blocks that another program left do not stop a copy, or are named when they cannot be discarded', async () => {
  const name = newContainer();
  await stranger(name).create();
  const id = Buffer.from('short').toString('base64');
  await stranger(name).getBlockBlobClient('absent').stageBlock(id, 'foreign', 7);
  await copyOne(name, 'absent', Buffer.from('content'), 1024, withKey());
  assert.equal((await stranger(name).getBlobClient('absent').downloadToBuffer()).toString(), 'content');
  const ofBlocks = stranger(name).getBlockBlobClient('of-blocks');
  await ofBlocks.stageBlock(id, 'older', 5);
  await ofBlocks.commitBlockList([id], { metadata: { owner: 'somebody' }, blobHTTPHeaders: { blobContentType: 'text/csv' } });
  await ofBlocks.stageBlock(Buffer.from('other').toString('base64'), 'foreign', 7);
  const sink = await azureBlobConnector.openSink(blobEnd(name), { jobId: 'job', attemptId: 'a'.repeat(32) }, withKey());
  const [base] = await sink.bases(['of-blocks'], signal);
  const properties = await ofBlocks.getProperties();
  assert.deepEqual([properties.metadata, properties.contentType, `"${base}"`], [{ owner: 'somebody' }, 'text/csv', properties.etag]);
  assert.equal((await ofBlocks.downloadToBuffer()).toString(), 'older');
  assert.deepEqual((await ofBlocks.getBlockList('uncommitted')).uncommittedBlocks ?? [], []);
  const onePiece = stranger(name).getBlockBlobClient('one-piece');
  await onePiece.upload('older', 5);
  await onePiece.stageBlock(id, 'foreign', 7);
  await assert.rejects(sink.bases(['one-piece'], signal), (error) => hasCode(error, azureBlobErrors.FOREIGN_BLOCKS.code));
  await stranger(name).getAppendBlobClient('append').create();
  await assert.rejects(sink.bases(['append'], signal), (error) => hasCode(error, connectorErrors.TARGET_BLOCKED.code));
  await sink.close();
});

test('a store that takes the request and never answers is given up after the limit of a call', async (t) => {
  const server = createServer(() => undefined).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const connectionString = azurite.connectionString.replace(/127\.0\.0\.1:\d+/, `127.0.0.1:${port}`);
  const context = { ...testContext({ connectionString }), callLimitMs: 300 };
  await assert.rejects(azureBlobConnector.check(blobEnd('cont'), context), (error) => hasCode(error, 'DMG_BASE_DEADLINE'));
});

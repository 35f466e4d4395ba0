import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Compression, DataFormat, DelimitedTextFormat, Receipt } from '@dmg/model';
import { zipped } from '../../packages/engine/src/testing/zip-files.ts';
import { type FileStores, newName, openFileStores } from '../fault/many-files.ts';
import { CleanupScope } from '../harness/cleanup.ts';
import { blobSide, copyWell, fileSide } from '../harness/copy-run.ts';
import { readBlobs, readTree, type Tree, writeTree } from '../harness/file-tree.ts';

// Real connectors, a real folder and Azurite, through the engine: up compressed, back as it was.
const scope = new CleanupScope();
let stores: FileStores;
let tree: Tree;
const large = Array.from({ length: 300_000 }, (_, row) => `${row},"name ${(row * 7919) % 100_003}"\n`).join('');
const files = new Map<string, Uint8Array>([
  ['large.csv', Buffer.from(`id,name\n${large}`)], ['sub/größe 1.csv', Buffer.from('id,name\n1,"a, b"\n')],
  ['empty.csv', new Uint8Array(0)],
]);

before(async () => {
  stores = await openFileStores(scope, 1);
  tree = await writeTree(join(stores.root, 'in'), files);
}, { timeout: 60_000 });
after(() => scope.close());

const text: DelimitedTextFormat = {
  type: 'DelimitedText', columnDelimiter: ',', rowDelimiter: '\n', quoteChar: '"', escapeChar: '"', firstRowAsHeader: true, nullValue: '',
  encodingName: 'UTF-8', skipLineCount: 0, quoteAllText: false,
};
const binary: DataFormat = { type: 'Binary' };
const by = (type: Compression['type'], more: Partial<Compression> = {}): { compression: Compression } =>
  ({ compression: { type, level: 'Fastest', ...more } });

/** Copies the folder `in` to blobs in the format `up`, and these back to a folder; returns what is there. */
async function thereAndBack(
  up: { source: DataFormat; sink: DataFormat }, down: { source: DataFormat; sink: DataFormat },
): Promise<{ up: Receipt; blobs: Tree; back: Tree }> {
  const { connectionString, root, client } = stores;
  const blob = { connectionString, container: newName(stores) };
  const folder = newName(stores);
  const recursive = { recursive: true };
  const receipt = await copyWell({
    source: fileSide(root, { folderPath: 'in' }, recursive, up.source), sink: blobSide(blob, {}, {}, up.sink),
  });
  await copyWell({ source: blobSide(blob, {}, recursive, down.source), sink: fileSide(root, { folderPath: folder }, {}, down.sink) });
  return { up: receipt, blobs: await readBlobs(client, blob.container), back: await readTree(join(root, folder)) };
}

for (const [type, extension] of [['gzip', '.gz'], ['deflate', '.deflate'], ['zipDeflate', '.zip']] as const) {
  test(`files as ${type} and back`, async () => {
    const compressed: DataFormat = { type: 'Binary', ...by(type) };
    const unpacked: DataFormat = { type: 'Binary', ...by(type, { archiveFolders: false }) };
    const { up, blobs, back } = await thereAndBack({ source: binary, sink: compressed }, { source: unpacked, sink: binary });
    assert.deepEqual(new Set(blobs.keys()), new Set([...tree.keys()].map((path) => `${path}${extension}`)));
    assert.deepEqual(back, tree);
    assert.ok(up.bytesWritten < up.bytesRead / 2, `${up.bytesRead} bytes became ${up.bytesWritten}`);
    assert.equal(up.guarantee, 'exactlyOnce');
  });
}

test('text in another dialect, compressed, and back', async () => {
  const other: DelimitedTextFormat = { ...text, columnDelimiter: '|', quoteAllText: true, ...by('gzip') };
  const { up, back } = await thereAndBack(
    { source: text, sink: other }, { source: other, sink: { ...text, ...by('deflate') } },
  );
  assert.equal(up.rowsRead, 300_001);
  assert.deepEqual(new Set(back.keys()), new Set([...tree.keys()].map((path) => `${path}.deflate`)));
});

test('archives are unpacked', async () => {
  const { root, connectionString, client } = stores;
  await mkdir(join(root, 'archives'));
  await writeTree(join(root, 'archives'), new Map([['a.zip', zipped(Object.fromEntries(files))]]));
  const container = newName(stores);
  const source = fileSide(root, { folderPath: 'archives' }, { wildcardFileName: '*.zip' }, { type: 'Binary', ...by('zipDeflate') });
  await copyWell({ source, sink: blobSide({ connectionString, container }) });
  assert.deepEqual(await readBlobs(client, container), new Map([...tree].map(([path, digest]) => [`a.zip/${path}`, digest])));
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateRawSync, deflateSync, gunzipSync, gzipSync, inflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { bzip2Contents, bzip2Files } from '../testing/bzip2-files.ts';
import { compressed, decompressed } from '../testing/codec-run.ts';
import { findZipData, readZipDirectory, type ZipFile } from './zip-reader.ts';

const blockSizes = fc.constantFrom(1, 7, 100, 5_000, 1_000_000);
/** Content that compresses well and content that does not. */
const contents = fc.oneof(
  fc.uint8Array({ maxLength: 3_000 }),
  fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.integer({ min: 0, max: 20_000 }))
    .map(([unit, count]) => Buffer.concat(Array.from({ length: count % 3_000 }, () => unit))),
);

function inMemory(bytes: Uint8Array): ZipFile {
  return {
    fileName: 'a.zip', sizeBytes: bytes.length,
    read: (position, count) => {
      assert.ok(position >= 0 && position + count <= bytes.length, 'read outside the archive');
      return Promise.resolve(bytes.subarray(position, position + count));
    },
  };
}

test('gzip of several members and deflate of both kinds are read as they were written, whatever the blocks', async () => {
  await fc.assert(fc.asyncProperty(fc.array(contents, { minLength: 1, maxLength: 4 }), blockSizes, async (members, blockBytes) => {
    const whole = Buffer.concat(members);
    const gzip = Buffer.concat(members.map((member) => gzipSync(member)));
    assert.deepEqual(await decompressed({ type: 'gzip' }, gzip, blockBytes), whole);
    assert.deepEqual(await decompressed({ type: 'deflate' }, deflateRawSync(whole), blockBytes), whole);
    assert.deepEqual(await decompressed({ type: 'deflate' }, deflateSync(whole), blockBytes), whole);
  }), { numRuns: 60 });
});

test('chunks that were compressed by themselves are one file, for zlib too', async () => {
  const levels = fc.constantFrom('Optimal' as const, 'Fastest' as const);
  await fc.assert(fc.asyncProperty(fc.array(contents, { minLength: 1, maxLength: 5 }), levels, async (chunks, level) => {
    const whole = Buffer.concat(chunks);
    assert.deepEqual(gunzipSync(await compressed('gzip', chunks, { level })), whole);
    assert.deepEqual(inflateRawSync(await compressed('deflate', chunks, { level })), whole);
    assert.deepEqual(await decompressed({ type: 'deflate' }, await compressed('deflate', chunks, { level }), 333), whole);
  }), { numRuns: 60 });
});

test('an archive is written and read', async () => {
  await fc.assert(fc.asyncProperty(contents, fc.boolean(), blockSizes, async (content, isLarge, blockBytes) => {
    const archive = await compressed('zipDeflate', [content], { isLarge });
    const [entry, ...others] = await readZipDirectory(inMemory(archive));
    assert.ok(entry !== undefined && others.length === 0);
    assert.equal(entry.name, 'größe/f.csv');
    assert.equal(entry.contentBytes, content.length);
    const start = await findZipData(inMemory(archive), entry);
    const bytes = archive.subarray(start, start + entry.compressedBytes);
    assert.deepEqual(await decompressed({ type: 'zipEntry', ...entry }, bytes, blockBytes), Buffer.from(content));
    await assert.rejects(decompressed({ type: 'zipEntry', ...entry, crc: entry.crc ^ 1 }, bytes), /checksum is not that of the directory/);
    await assert.rejects(decompressed({ type: 'zipEntry', ...entry, contentBytes: content.length + 1 }, bytes), /fewer bytes/);
  }), { numRuns: 40 });
});

test('bzip2 is read: blocks, runs, every byte, several streams', async () => {
  for (const blockBytes of [1, 50, 4096]) {
    for (const name of ['empty', 'table', 'runs', 'bytes'] as const) {
      const found = await decompressed({ type: 'bzip2' }, Buffer.from(bzip2Files[name], 'base64'), blockBytes);
      assert.ok(found.equals(bzip2Contents[name]), name);
    }
  }
  const order = ['bytes', 'empty', 'table', 'runs'] as const;
  const several = Buffer.concat(order.map((name) => Buffer.from(bzip2Files[name], 'base64')));
  assert.ok((await decompressed({ type: 'bzip2' }, several)).equals(Buffer.concat(order.map((name) => bzip2Contents[name]))));
});

test('a file without a byte holds nothing', async () => {
  for (const type of ['gzip', 'deflate', 'bzip2'] as const) assert.equal((await decompressed({ type }, new Uint8Array(0))).length, 0);
});

const text = Buffer.from(Array.from({ length: 3_000 }, (_, row) => `${row},name ${row * 7}\n`).join(''));
const files = [
  { type: 'gzip', bytes: Buffer.concat([gzipSync(text.subarray(0, 20_000)), gzipSync(text.subarray(20_000))]) },
  { type: 'deflate', bytes: deflateRawSync(text) },
  { type: 'deflate', bytes: deflateSync(text) },
  { type: 'bzip2', bytes: Buffer.from(bzip2Files.runs, 'base64') },
] as const;

test('a file that is cut off anywhere is an error that says where it ends', async () => {
  const memberEnd = gzipSync(text.subarray(0, 20_000)).length;
  for (const { type, bytes } of files) {
    const step = Math.ceil(bytes.length / 25);
    for (let length = 1; length < bytes.length; length += length < 14 || length > bytes.length - 10 ? 1 : step) {
      // What is left is a whole file.
      if (type === 'gzip' && length === memberEnd) continue;
      await assert.rejects(decompressed({ type }, bytes.subarray(0, length), 500), (error: Error) => {
        assert.match(error.message, new RegExp(`Cannot decompress f as ${type}: it is cut off.*byte ${length},`));
        return true;
      }, `${type} cut at ${length}`);
    }
  }
});

test('what follows the end of the data is an error with its place', async () => {
  for (const { type, bytes } of files) {
    for (const garbage of ['garbage', '\0', '\x1f\x8c__________']) {
      const given = Buffer.concat([bytes, Buffer.from(garbage, 'latin1')]);
      const wanted = new RegExp(`as ${type}: .*at byte ${bytes.length} of`);
      await assert.rejects(decompressed({ type }, given, 100), wanted, `${type} ${garbage}`);
    }
  }
});

test('a changed byte is noticed, or changes nothing', async () => {
  await fc.assert(fc.asyncProperty(fc.constantFrom(...files), fc.nat(), fc.integer({ min: 1, max: 255 }), async (file, at, change) => {
    // Bare deflate has no checksum.
    if (file === files[1]) return;
    const changed = Buffer.from(file.bytes);
    const index = at % changed.length;
    changed[index] = (changed[index] ?? 0) ^ change;
    const expected = file.type === 'bzip2' ? bzip2Contents.runs : text;
    const found = await decompressed({ type: file.type }, changed, 512).catch((error: Error) => {
      assert.match(error.message, /^Cannot decompress f as/);
      return expected;
    });
    assert.ok(found.equals(expected));
  }), { numRuns: 300 });
});

test('names that leave the archive, other methods, passwords and broken archives are refused', async () => {
  const archive = await compressed('zipDeflate', [text]);
  const name = Buffer.from('größe/f.csv');
  const at = archive.lastIndexOf(name);
  const refused = async (change: (bytes: Buffer) => void, reason: RegExp): Promise<void> => {
    const bytes = Buffer.from(archive);
    change(bytes);
    await assert.rejects(readZipDirectory(inMemory(bytes)), reason);
  };
  const renamed = (given: string) => (bytes: Buffer) => {
    Buffer.from(given.padEnd(name.length, 'x')).copy(bytes, at);
  };
  await refused(renamed('../../etc/'), /leads out of the archive/);
  await refused(renamed('a/../../b'), /leads out of the archive/);
  await refused(renamed('..\\b'), /leads out of the archive/);
  await refused(renamed('/etc/x'), /not relative/);
  await refused(renamed('C:\\x'), /not relative/);
  await refused((bytes) => bytes.writeUInt16LE(12, at - 46 + 10), /method 12/);
  await refused((bytes) => bytes.writeUInt16LE(0x801, at - 46 + 8), /encrypted/);
  await refused((bytes) => bytes.writeUInt32LE(7, at - 46), /entry 1 of its directory/);
  await refused((bytes) => bytes.writeUInt32LE(0xffff_0000, bytes.length - 6), /lies outside/);
  await assert.rejects(readZipDirectory(inMemory(archive.subarray(0, archive.length - 1))), /does not end like a zip archive/);
  await assert.rejects(readZipDirectory(inMemory(new Uint8Array(5))), /does not end like a zip archive/);
});

test('a bomb comes out piece by piece', async () => {
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
  let taken = 0;
  let largest = 0;
  const { createDecompressor } = await import('./decompressor.ts');
  let given = false;
  const decompressor = createDecompressor({
    codec: { type: 'gzip' }, fileName: 'f',
    read: () => {
      if (given) return Promise.resolve(undefined);
      given = true;
      return Promise.resolve(bomb);
    },
  });
  for (let block = await decompressor.next(); block !== undefined; block = await decompressor.next()) {
    taken += block.length;
    largest = Math.max(largest, block.length);
  }
  assert.equal(taken, 64 * 1024 * 1024);
  assert.ok(largest <= 256 * 1024, `${largest}`);
});

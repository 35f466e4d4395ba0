import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateRawSync, deflateSync, gunzipSync, gzipSync, inflateRawSync } from 'node:zlib';
import type { DataFormat } from '@dmg/model';
import { codeOf, CopyFixture, csv, csvTable, makeJob, receiptOf, semicolons, someBytes } from './testing/copy-fixture.ts';
import { byKey, fileEnd, numbered, tableEnd, tableJob, TableFixture } from './testing/table-fixture.ts';
import { unzipped, zipped } from './testing/zip-files.ts';

const optimal = { level: 'Optimal' as const };
const gzip: DataFormat = { type: 'Binary', compression: { type: 'gzip', ...optimal } };
const deflate: DataFormat = { type: 'Binary', compression: { type: 'deflate', ...optimal } };
const zip: DataFormat = { type: 'Binary', compression: { type: 'zipDeflate', ...optimal } };
const plain: DataFormat = { type: 'Binary' };

interface Case {
  readonly name: string;
  readonly from: DataFormat;
  readonly to: DataFormat;
  readonly sources: Record<string, Uint8Array | string>;
  /** Below `out`; what they hold when they are read as `read` says. */
  readonly targets: Record<string, Uint8Array | string>;
  readonly read: (bytes: Uint8Array) => Uint8Array;
  readonly copyBehavior?: string;
  readonly sinkFile?: string;
}

const same = (bytes: Uint8Array): Uint8Array => bytes;
const data = someBytes(700, 1);
const zeros = new Uint8Array(20_000);
const gz = (content: Uint8Array | string): Uint8Array => gzipSync(content);

const cases: readonly Case[] = [
  {
    name: 'gzip → as it is holds', from: gzip, to: plain, read: same,
    sources: {
      'a.bin.gz': gz(data), 'sub/b.gzip': Buffer.concat([gz(zeros), gz(data)]), 'c': gz('c'),
      'empty.gz': '', 'nothing.gz': gz(''),
    },
    targets: { 'a.bin': data, 'sub/b': Buffer.concat([zeros, data]), 'c': 'c', 'empty': '', 'nothing': '' },
  },
  {
    name: 'as it is → gzip', from: plain, to: gzip, read: gunzipSync, sources: { a: data, 'b.csv': zeros, c: '' },
    targets: { 'a.gz': data, 'b.csv.gz': zeros, 'c.gz': '' },
  },
  {
    name: 'as it is → deflate', from: plain, to: deflate, read: (bytes) => inflateRawSync(bytes), sources: { a: data, c: '' },
    targets: { 'a.deflate': data, 'c.deflate': '' },
  },
  {
    name: 'gzip → deflate', from: gzip, to: deflate, read: (bytes) => inflateRawSync(bytes),
    sources: { 'a.gz': gz(data), 'z.gz': gz(zeros) },
    targets: { 'a.deflate': data, 'z.deflate': zeros },
  },
  {
    name: 'deflate of both kinds → gzip', from: deflate, to: gzip, read: gunzipSync,
    sources: { 'a.deflate': deflateRawSync(data), b: deflateSync(zeros) }, targets: { 'a.gz': data, 'b.gz': zeros },
  },
  {
    name: 'zip → files', from: zip, to: plain, read: same,
    sources: { 'x.zip': zipped({ 'a.txt': 'a'.repeat(3000), 'd/b.bin': data, 'e': '' }), 'sub/y.zip': zipped({ 'a.txt': 'y' }) },
    targets: { 'x.zip/a.txt': 'a'.repeat(3000), 'x.zip/d/b.bin': data, 'x.zip/e': '', 'sub/y.zip/a.txt': 'y' },
  },
  {
    name: 'zip → files without folders', from: { type: 'Binary', compression: { type: 'zipDeflate', ...optimal, archiveFolders: false } },
    to: plain, read: same, sources: { 'sub/x.zip': zipped({ 'a.txt': 'a', 'd/b.bin': data }) },
    targets: { 'sub/a.txt': 'a', 'sub/d/b.bin': data },
  },
  {
    name: 'files → zip', from: plain, to: zip, read: (bytes) => unzipped(bytes, 'a.bin'), sources: { 'd/a.bin': data },
    targets: { 'd/a.bin.zip': data },
  },
  {
    name: 'merged gzip → merged gzip', from: gzip, to: gzip, read: gunzipSync, copyBehavior: 'MergeFiles', sinkFile: 'all.gz',
    sources: { 'a.gz': gz(data), 'b.gz': gz(zeros), 'c.gz': gz('') }, targets: { 'all.gz': Buffer.concat([data, zeros]) },
  },
  {
    name: 'merged deflate → merged deflate', from: deflate, to: deflate, read: (bytes) => inflateRawSync(bytes), copyBehavior: 'MergeFiles',
    sinkFile: 'all', sources: { a: deflateRawSync(data), b: deflateRawSync(zeros) }, targets: { all: Buffer.concat([data, zeros]) },
  },
  {
    name: 'text in gzip → text', from: { ...csv, compression: { type: 'gzip', ...optimal } }, to: semicolons, read: same,
    sources: { 't.csv.gz': gz(csvTable(90)), 'empty.csv.gz': '' },
    targets: { 't.csv': csvTable(90).replaceAll(',', ';').replaceAll('"', ''), 'empty.csv': '' },
  },
  {
    name: 'text → other text in gzip', from: csv, to: { ...semicolons, compression: { type: 'gzip', ...optimal } }, read: gunzipSync,
    sources: { 't.csv': csvTable(90) }, targets: { 't.csv.gz': csvTable(90).replaceAll(',', ';').replaceAll('"', '') },
  },
  {
    name: 'the same text in gzip → in nothing', from: { ...csv, compression: { type: 'gzip', ...optimal } }, to: csv, read: same,
    sources: { 't.csv.gz': gz(csvTable(30)) }, targets: { 't.csv': csvTable(30) },
  },
  {
    name: 'merged text in gzip → merged text in deflate', from: { ...csv, compression: { type: 'gzip', ...optimal } },
    to: { ...csv, compression: { type: 'deflate', ...optimal } }, read: (bytes) => inflateRawSync(bytes), copyBehavior: 'MergeFiles',
    sinkFile: 'all', sources: { 'a.gz': gz('id,name\r\n1,a\r\n'), 'b.gz': gz('id,name\r\n2,b') },
    targets: { all: 'id,name\r\n1,a\r\n2,b\r\n' },
  },
];

function jobOf(given: Case): ReturnType<typeof makeJob> {
  return makeJob({
    sourceFormat: given.from, sinkFormat: given.to,
    ...(given.copyBehavior === undefined ? {} : { copyBehavior: given.copyBehavior }),
    ...(given.sinkFile === undefined ? {} : { sinkFile: given.sinkFile }),
  });
}

for (const given of cases) {
  test(given.name, async () => {
    for (const partBytes of [20, 1024 * 1024]) {
      const fixture = new CopyFixture({ limits: { partBytes } });
      for (const [path, content] of Object.entries(given.sources)) fixture.source.put(`in/${path}`, content);
      const receipt = receiptOf(await fixture.run(jobOf(given)));
      const found = [...fixture.sink.objects].map(([path, { bytes }]) => [path.slice('out/'.length), hex(given.read(bytes))]);
      const expected = Object.entries(given.targets).map(([path, content]) => [path, hex(Buffer.from(content))]);
      assert.deepEqual(Object.fromEntries(found), Object.fromEntries(expected));
      assert.equal(receipt.bytesWritten, [...fixture.sink.objects.values()].reduce((sum, { bytes }) => sum + bytes.length, 0));
      assert.equal(fixture.openHandles, 0);
    }
  });
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

test('the same compression at both ends leaves files as they are, whatever they hold', async () => {
  for (const type of ['gzip', 'deflate', 'bzip2', 'zipDeflate'] as const) {
    const fixture = new CopyFixture();
    fixture.source.put('in/a.x', 'this is compressed with nothing');
    const format: DataFormat = { type: 'Binary', compression: { type, ...optimal } };
    receiptOf(await fixture.run(makeJob({ sourceFormat: format, sinkFormat: format })));
    assert.equal(Buffer.from(fixture.sink.get('out/a.x') ?? []).toString(), 'this is compressed with nothing');
  }
});

test('bzip2 is not written', async () => {
  const fixture = new CopyFixture();
  fixture.source.put('in/a', 'a');
  const sinkFormat: DataFormat = { type: 'Binary', compression: { type: 'bzip2', ...optimal } };
  assert.equal(codeOf(await fixture.run(makeJob({ sinkFormat }))), 'DMG_ENGINE_COMPRESSION_NOT_WRITTEN');
});

test('what cannot be decompressed fails the copy, with nothing half-visible', async () => {
  const whole = gz(someBytes(5_000, 4));
  const given: readonly (readonly [string, Uint8Array, DataFormat])[] = [
    ['DMG_FORMATS_COMPRESSION_TRUNCATED', whole.subarray(0, whole.length - 3), gzip],
    ['DMG_FORMATS_COMPRESSION_INVALID', Buffer.concat([whole, Buffer.from('x')]), gzip],
    ['DMG_FORMATS_COMPRESSION_INVALID', Buffer.from('no gzip at all'), gzip],
    ['DMG_FORMATS_ARCHIVE_INVALID', Buffer.from('no archive at all, though it is longer than the end of one'), zip],
    ['DMG_FORMATS_ARCHIVE_ENTRY', zipped({ '../up': 'x' }), zip],
  ];
  for (const [code, bytes, sourceFormat] of given) {
    const fixture = new CopyFixture({ limits: { partBytes: 100 } });
    fixture.source.put('in/a.gz', bytes);
    assert.equal(codeOf(await fixture.run(makeJob({ sourceFormat }))), code);
    assert.equal(fixture.sink.objects.size, 0);
    assert.equal(fixture.openHandles, 0);
  }
});

test('a table becomes one compressed file, whose partitions are members or pieces of it, or one partition', async () => {
  const lines = { ...csv, rowDelimiter: '\n' };
  const expected = `id,name\n${numbered(35).map(([id]) => `${id},"name ""${id}"""\n`).join('')}`;
  const kinds = [
    { type: 'gzip', read: (bytes: Uint8Array) => gunzipSync(bytes), path: 'public.t.txt.gz', chunks: 4 },
    { type: 'deflate', read: (bytes: Uint8Array) => inflateRawSync(bytes), path: 'public.t.txt.deflate', chunks: 4 },
    { type: 'zipDeflate', read: (bytes: Uint8Array) => unzipped(bytes, 'public.t.txt'), path: 'public.t.txt.zip', chunks: 1 },
  ] as const;
  for (const { type, read, path, chunks } of kinds) {
    const fixture = new TableFixture();
    fixture.db1.create('public.t', ['id#', 'name'], numbered(35));
    const sink = fileEnd('b', { ...lines, compression: { type, ...optimal } });
    const receipt = receiptOf(await fixture.run(tableJob(tableEnd('db1', 'public.t'), sink)));
    assert.equal(Buffer.from(read(fixture.files.sink.get(`out/${path}`) ?? new Uint8Array(0))).toString(), expected);
    assert.deepEqual([receipt.chunks, receipt.rowsWritten, receipt.hashOf], [chunks, 35, 'content']);
  }
});

test('a compressed file becomes rows of a table', async () => {
  for (const [path, bytes, type] of [
    ['t.csv.gz', gz(csvTable(50)), 'gzip'], ['t.zip', zipped({ 'one.csv': csvTable(50) }), 'zipDeflate'],
  ] as const) {
    const fixture = new TableFixture();
    fixture.files.source.put(`in/${path}`, bytes);
    fixture.db2.create('t', ['id#', 'name']);
    const source = fileEnd('a', { ...csv, compression: { type, ...optimal } });
    const receipt = receiptOf(await fixture.run(tableJob(source, tableEnd('db2', 't'))));
    assert.equal(receipt.rowsWritten, 50);
    assert.deepEqual(byKey(fixture.db2.tables.get('t')?.rows), Array.from({ length: 50 }, (_, row) => [String(row), `name ${row}`]));
  }
});

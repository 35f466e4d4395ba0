import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject, JsonValue } from '@dmg/model';
import { binaryCopy, documents, pipelineOf, refuses, resolve, textCopy, withValue, type World } from './testing/fixtures.ts';

function formatsOf(pipeline: JsonObject, world: World): readonly unknown[] {
  const [found] = resolve(pipeline, world);
  assert.ok(found !== undefined);
  const { source, sink } = found.activity;
  return [source.format, sink.format].map((format) => ('compression' in format ? format.compression : undefined));
}

const binary = pipelineOf(binaryCopy);
const property = (document: JsonObject, name: string, value: JsonValue): JsonObject =>
  withValue(document, `properties.typeProperties.${name}`, value);
const binaries = (source: JsonValue, sink: JsonValue): World => ({
  documents: { anyIn: property(documents.anyIn, 'compression', source), anyOut: property(documents.anyOut, 'compression', sink) },
});

test('Binary: type and level in any case; None and nothing are none', () => {
  const both = binaries({ type: ' GZip', level: 'fastest' }, { type: 'ZIPDEFLATE' });
  assert.deepEqual(formatsOf(binary, both), [{ type: 'gzip', level: 'Fastest' }, { type: 'zipDeflate', level: 'Optimal' }]);
  assert.deepEqual(formatsOf(binary, binaries({ type: 'None' }, {})), [undefined, undefined]);
});

test('DelimitedText: compressionCodec and compressionLevel, expressions too', () => {
  const csvIn = property(property(documents.csvIn, 'compressionCodec', '@concat(\'bz\', \'ip2\')'), 'compressionLevel', 'Fastest');
  const csvOut = property(documents.csvOut, 'compressionCodec', 'Deflate');
  const pipeline = pipelineOf(textCopy, { day: { type: 'String', defaultValue: '31' } });
  const world = { documents: { csvIn, csvOut } };
  assert.deepEqual(formatsOf(pipeline, world), [{ type: 'bzip2', level: 'Fastest' }, { type: 'deflate', level: 'Optimal' }]);
});

const withRead = (compressionProperties: JsonObject): JsonObject => pipelineOf({
  ...binaryCopy,
  typeProperties: {
    source: { type: 'BinarySource', formatSettings: { type: 'BinaryReadSettings', compressionProperties } }, sink: { type: 'BinarySink' },
  },
});

test('an archive is a folder with its name, unless that is not wanted', () => {
  const world = binaries({ type: 'ZipDeflate' }, {});
  const read = (keeps: boolean): JsonObject => withRead({ type: 'ZipDeflateReadSettings', preserveZipFileNameAsFolder: keeps });
  const [kept] = formatsOf(read(true), world);
  const [left] = formatsOf(read(false), world);
  assert.deepEqual([kept, left], [
    { type: 'zipDeflate', level: 'Optimal', archiveFolders: true }, { type: 'zipDeflate', level: 'Optimal', archiveFolders: false },
  ]);
  assert.deepEqual(formatsOf(read(false), binaries({ type: 'gzip' }, {})), [{ type: 'gzip', level: 'Optimal' }, undefined]);
});

test('what is not known is refused with what is', () => {
  refuses(() => resolve(binary, binaries({ type: 'Tar' }, {})), 'INVALID_DEFINITION', 'tar archives are not unpacked', 'GZip, Deflate');
  refuses(() => resolve(binary, binaries({ type: 'lz4' }, {})), 'INVALID_DEFINITION', 'type is "lz4", and it is not known here');
  refuses(() => resolve(binary, binaries({ type: 'gzip', level: 'best' }, {})), 'INVALID_DEFINITION', 'compression.level', 'Fastest');
  refuses(
    () => resolve(withRead({ type: 'TarReadSettings' }), {}), 'INVALID_DEFINITION', 'compressionProperties.type', 'ZipDeflateReadSettings',
  );
});

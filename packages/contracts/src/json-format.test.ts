import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CopyActivity, JsonObject } from '@dmg/model';
import { datasetReference, documents, pipelineOf, refuses, resolve, textCopy, withValue } from './testing/fixtures.ts';

const typeProperties = { location: { type: 'FileServerLocation', folderPath: 'in', fileName: 'a.json' } };
const jsonIn = {
  properties: {
    ...documents.csvIn.properties, type: 'Json', parameters: {}, typeProperties: { ...typeProperties, encodingName: 'utf-16' },
  },
};
const jsonOut = {
  properties: {
    ...documents.csvOut.properties, type: 'Json', typeProperties: { location: { type: 'AzureBlobStorageLocation', container: 'c' } },
  },
};
const day = { day: { type: 'String', defaultValue: '1' } };

function one(activity: JsonObject): CopyActivity {
  const [resolved] = resolve(pipelineOf(activity, day), { documents: { jsonIn, jsonOut } });
  assert.ok(resolved !== undefined);
  return resolved.activity;
}

const fromJson = withValue({ ...textCopy, inputs: [datasetReference('jsonIn')] }, 'typeProperties.source', { type: 'JsonSource' });
const toJson = withValue(
  { ...textCopy, outputs: [datasetReference('jsonOut')] }, 'typeProperties.sink',
  { type: 'JsonSink', formatSettings: { type: 'JsonWriteSettings', filePattern: 'ARRAYOFOBJECTS' } },
);
const mapped = (activity: JsonObject, translator: JsonObject): JsonObject =>
  withValue(activity, 'typeProperties.translator', { type: 'TabularTranslator', ...translator });

test('Json datasets are sources and sinks of copies, beside delimited text', () => {
  assert.deepEqual(one(fromJson).source.format, { type: 'Json', encodingName: 'UTF-16' });
  assert.equal(one(fromJson).sink.format.type, 'DelimitedText');
  assert.deepEqual(one(toJson).sink.format, { type: 'Json', encodingName: 'UTF-8', filePattern: 'arrayOfObjects' });
  const wrong = withValue(toJson, 'typeProperties.sink.formatSettings.filePattern', 'arrays');
  refuses(() => one(wrong), 'INVALID_DEFINITION', 'filePattern is "arrays"; allowed are setOfObjects, arrayOfObjects');
  refuses(() => one(withValue(fromJson, 'typeProperties.source.type', 'DelimitedTextSource')), 'CANNOT_RUN', 'use JsonSource');
});

test('columns are mapped by paths, and an array of each object to rows', () => {
  const mappings: JsonObject[] = [
    { source: { path: "$['o']['n']" }, sink: { name: 'n' } }, { source: { path: "['q']", type: 'Int64' }, sink: { name: 'q' } },
  ];
  const { source, translator } = one(mapped(fromJson, { mappings, collectionReference: "$['l']", mapComplexValuesToString: true }));
  assert.deepEqual(source.format, { type: 'Json', encodingName: 'UTF-16', collectionReference: "$['l']" });
  assert.deepEqual(translator?.mappings.map((mapping) => mapping.source), [{ name: "$['o']['n']" }, { name: "['q']", type: 'Int64' }]);
  const schema = one(mapped(fromJson, { schemaMapping: { '$.a.b': 'x', c: 'y' } })).translator?.mappings;
  assert.deepEqual(schema, [{ source: { name: '$.a.b' }, sink: { name: 'x' } }, { source: { name: 'c' }, sink: { name: 'y' } }]);
  const toPaths: JsonObject[] = [{ source: { name: 'a' }, sink: { path: "$['x y']" } }, { source: { ordinal: 2 }, sink: { path: '$.b' } }];
  const sinks = one(mapped(toJson, { mappings: toPaths }));
  assert.deepEqual(sinks.translator?.mappings.map((mapping) => mapping.sink), [{ name: 'x y' }, { name: 'b' }]);
});

test('paths where there is nothing to reach into are refused with what to do', () => {
  const byPath = [{ source: { path: '$.a' }, sink: { name: 'a' } }];
  const wrong = (activity: JsonObject, code: 'CANNOT_RUN' | 'INVALID_DEFINITION', ...parts: string[]): void =>
    refuses(() => one(activity), code, ...parts);
  wrong(mapped(textCopy, { mappings: byPath }), 'CANNOT_RUN', 'maps by path, and the source is DelimitedText; give name or ordinal');
  wrong(mapped(textCopy, { collectionReference: '$.a' }), 'CANNOT_RUN', 'gives a collectionReference, and the source is DelimitedText');
  wrong(mapped(fromJson, { collectionReference: '$.a' }), 'CANNOT_RUN', 'without mappings; map the columns that are wanted by their paths');
  const toPath = [{ source: { name: 'a' }, sink: { path: '$.b' } }];
  wrong(mapped(fromJson, { mappings: toPath }), 'CANNOT_RUN', 'maps to a path, and the sink is DelimitedText');
  const nested = [{ source: { name: 'a' }, sink: { path: '$.a.b' } }];
  wrong(mapped(toJson, { mappings: nested }), 'INVALID_DEFINITION', 'sink.path is $.a.b, and no nested objects are written');
  const both = [{ source: { name: 'a', path: '$.a' }, sink: { name: 'a' } }];
  wrong(mapped(fromJson, { mappings: both }), 'INVALID_DEFINITION', 'source.path cannot stand beside name');
});

test('a dataset says that its rows stand on one line each', () => {
  const csvIn = withValue(documents.csvIn, 'properties.typeProperties.multilineRows', false);
  const [resolved] = resolve(pipelineOf(textCopy, day), { documents: { csvIn } });
  assert.ok(resolved?.activity.source.format.type === 'DelimitedText');
  assert.equal(resolved.activity.source.format.multilineRows, false);
});

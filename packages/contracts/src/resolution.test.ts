import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CopyActivity, JsonObject, JsonValue, Translator } from '@dmg/model';
import {
  binaryCopy, datasetReference, documents, pipelineOf, refuses, resolve, textCopy, warningsOf, withValue, type World,
} from './testing/fixtures.ts';

const day = { day: { type: 'String' } };
const run = { parameters: { day: '31' } };

function one(pipeline: JsonObject, world?: World): CopyActivity {
  const [activity] = resolve(pipeline, world);
  assert.ok(activity !== undefined);
  return activity.activity;
}

describe('resolving', () => {
  test('a text copy, complete', () => {
    const activity = {
      ...textCopy,
      dependsOn: [], policy: { timeout: '0.00:10:00', retry: 2, retryIntervalInSeconds: 45 },
      typeProperties: {
        source: {
          type: 'DelimitedTextSource', storeSettings: { type: 'FileServerReadSettings', wildcardFileName: '*.csv' },
          formatSettings: { type: 'DelimitedTextReadSettings', skipLineCount: 2 },
        },
        sink: {
          type: 'DelimitedTextSink', formatSettings: { type: 'DelimitedTextWriteSettings', quoteAllText: true, fileExtension: 'txt' },
        },
        parallelCopies: 3,
      },
    };
    assert.deepEqual(resolve(pipelineOf(activity, day), run), [{
      name: 'copy', type: 'Copy', dependsOn: [], integrationRuntime: 'gw', warnings: [],
      policy: { timeoutMs: 600_000, retry: 2, retryIntervalMs: 45_000 },
      activity: {
        type: 'Copy',
        source: {
          connector: 'disk', connection: { host: '/data' }, location: { folderPath: 'in/31', fileName: 'a.csv' }, settings: {
            recursive: false, wildcardFileName: '*.csv',
          },
          format: {
            type: 'DelimitedText', columnDelimiter: ',', rowDelimiter: '', quoteChar: '"', escapeChar: '\\', firstRowAsHeader: true,
            nullValue: '', encodingName: 'UTF-8', skipLineCount: 2, quoteAllText: false,
          },
        },
        sink: {
          connector: 'blob', connection: {
            connectionString: { secretRef: { linkedService: 'store', property: 'connectionString' } },
          }, location: { container: 'c', folderPath: 'out' }, settings: { fileExtension: '.txt' },
          format: {
            type: 'DelimitedText', columnDelimiter: ';', rowDelimiter: '', quoteChar: "'", escapeChar: '\\', firstRowAsHeader: false,
            nullValue: '', encodingName: 'UTF-8', skipLineCount: 0, quoteAllText: true,
          },
        },
        parallelCopies: 3, validateDataConsistency: false,
      },
    }]);
  });

  test('settings and policy by default, empty texts as absent', () => {
    const [resolved] = resolve(
      pipelineOf(binaryCopy), { documents: { anyIn: withValue(documents.anyIn, 'properties.typeProperties.location.fileName', '') } },
    );
    assert.deepEqual(resolved?.policy, { timeoutMs: 43_200_000, retry: 0, retryIntervalMs: 30_000 });
    assert.deepEqual(
      resolved?.activity.source,
      {
        connector: 'disk', connection: { host: '/data' }, location: { folderPath: 'in' }, settings: { recursive: false },
        format: { type: 'Binary' },
      },
    );
    assert.deepEqual(resolved?.activity.sink.settings, {});
  });

  test('parameters: given, by default, converted, and of the dataset', () => {
    const pipeline = pipelineOf(
      withValue(textCopy, 'typeProperties.parallelCopies', '@pipeline().parameters.copies'),
      { ...day, copies: { type: 'Int', defaultValue: 2 } },
    );
    assert.equal(one(pipeline, run).parallelCopies, 2);
    assert.equal(one(pipeline, { parameters: { DAY: '1', copies: '7' } }).parallelCopies, 7);
    assert.equal(one(pipeline, { parameters: { day: 5 } }).source.location.folderPath, 'in/5');
    const reference = datasetReference(
      'csvIn', { folder: '@concat(pipeline().Pipeline, \'/\', pipeline().DataFactory, \'/\', pipeline().RunId)', delimiter: '\t' },
    );
    const named = one(pipelineOf({ ...textCopy, inputs: [reference] }));
    assert.equal(named.source.location.folderPath, 'in/p/fac/run-1');
    assert.deepEqual(named.source.format.type === 'DelimitedText' && named.source.format.columnDelimiter, '\t');
    // A value that looks like an expression is a value.
    assert.equal(one(pipelineOf(textCopy, day), { parameters: { day: '@utcnow()' } }).source.location.folderPath, 'in/@utcnow()');
  });

  const cannot = (pipeline: JsonValue, world: World, ...parts: string[]): void => refuses(
    () => resolve(pipeline, world), 'CANNOT_RUN', ...parts,
  );

  test('parameters that are missing, unknown or of another type', () => {
    cannot(pipelineOf(textCopy, day), {}, 'parameters.day is missing: pipeline p gives this parameter no default');
    cannot(
      pipelineOf(textCopy, day), { parameters: { day: 'x', dya: 'y' } }, 'parameters.dya is not a parameter of pipeline p; it has day',
    );
    cannot(pipelineOf(textCopy, day), { parameters: { day: {} } }, 'parameters.day must be of type String, not an object');
    cannot(
      pipelineOf({ ...textCopy, inputs: [datasetReference('csvIn')] }), {},
      'properties.activities[0].inputs[0].parameters.folder is missing: dataset csvIn',
    );
    cannot(
      pipelineOf({ ...binaryCopy, inputs: [datasetReference('anyIn', { x: 1 })] }), {},
      'inputs[0].parameters.x is not a parameter of dataset anyIn; it has none',
    );
    cannot(
      pipelineOf(withValue(binaryCopy, 'typeProperties.parallelCopies', '@pipeline().parameters.n'), { n: { type: 'String' } }),
      { parameters: { n: 'many' } }, 'parallelCopies must be an integer',
    );
    cannot(
      pipelineOf(textCopy, day), { parameters: { day: '../..' } },
      'dataset csvIn: properties.typeProperties.location.folderPath holds a .. part',
    );
  });

  test('definitions that are not there or do not fit', () => {
    cannot(
      pipelineOf({ ...binaryCopy, inputs: [datasetReference('nope')] }), {},
      'properties.activities[0].inputs[0].referenceName is nope, and the factory has no such dataset',
    );
    cannot(
      pipelineOf(binaryCopy), { documents: { anyOut: withValue(documents.anyOut, 'properties.linkedServiceName.referenceName', 'gone') } },
      'dataset anyOut: properties.linkedServiceName.referenceName is gone',
    );
    cannot(
      pipelineOf(binaryCopy), { documents: { anyOut: withValue(documents.anyOut, 'properties.linkedServiceName.referenceName', 'files') } },
      'location.type is AzureBlobStorageLocation, but linked service files is FileServer, which takes FileServerLocation',
    );
    cannot(
      pipelineOf(withValue(binaryCopy, 'typeProperties.sink.storeSettings', { type: 'FileServerWriteSettings' })), {},
      'sink.storeSettings.type is FileServerWriteSettings, but the store is AzureBlobStorage, which takes AzureBlobStorageWriteSettings',
    );
    cannot(
      pipelineOf({ ...binaryCopy, inputs: [datasetReference('csvIn', { folder: 'x' })] }), {},
      'source.type is BinarySource, but the dataset is DelimitedText; use DelimitedTextSource', 'both datasets must be of the same type',
    );
    refuses(
      () => resolve(pipelineOf(withValue(binaryCopy, 'typeProperties.translator', { type: 'TabularTranslator', columnMappings: 'a: b' }))),
      'INVALID_DEFINITION', 'Binary data has none',
    );
  });

  test('the gateway: the sink’s, else the source’s, else an error with the remedy', () => {
    const other = (name: 'files' | 'store', referenceName: string | undefined): Record<string, JsonValue> => {
      const connectVia = referenceName === undefined ? undefined : { referenceName, type: 'IntegrationRuntimeReference' };
      return { [name]: withValue(documents[name], 'properties.connectVia', connectVia) };
    };
    const [differs] = resolve(pipelineOf(binaryCopy), { documents: other('files', 'other') });
    assert.equal(differs?.integrationRuntime, 'gw');
    assert.match(warningsOf(differs?.warnings ?? []).join(), /runs on gw, the gateway of its sink; its source names other/);
    assert.equal(resolve(pipelineOf(binaryCopy), { documents: other('store', undefined) })[0]?.integrationRuntime, 'gw');
    cannot(
      pipelineOf(binaryCopy), { documents: { ...other('store', undefined), ...other('files', undefined) } }, 'has no gateway',
      'has connectVia; add it to one',
    );
  });

  test('a copy onto itself', () => {
    const disk = (folderPath: string, fileName?: string): JsonObject => withValue(
      withValue(
        documents.anyIn, 'properties.typeProperties.location.folderPath', folderPath,
      ), 'properties.typeProperties.location.fileName', fileName,
    );
    const copy = (from: JsonObject, to: JsonObject, recursive = false): void => {
      resolve(
        pipelineOf(withValue(binaryCopy, 'typeProperties.source.storeSettings', { type: 'FileServerReadSettings', recursive })),
        { documents: { anyIn: from, anyOut: to } },
      );
    };
    const refused = (...copied: Parameters<typeof copy>): void => refuses(() => copy(...copied), 'CANNOT_RUN', 'itself');
    refused(disk('a'), disk('/a//'));
    refused(disk('a', 'x'), disk('a', 'x'));
    refused(disk('a', 'x'), disk('a'));
    refused(disk('a'), disk('a/b'), true);
    refused(disk(''), disk('b'), true);
    copy(disk('a', 'x'), disk('a', 'y'));
    copy(disk('a'), disk('b'));
    copy(disk('a'), disk('ab'), true);
    copy(disk('a'), disk('a/b'));
  });
});

describe('translators', () => {
  const world = { parameters: { day: '1' } };
  const translated = (translator: JsonObject): Translator | undefined => one(
    pipelineOf(withValue(textCopy, 'typeProperties.translator', { type: 'TabularTranslator', ...translator }), day), world,
  ).translator;
  const wrong = (translator: JsonObject, ...parts: string[]): void =>
    refuses(() => translated(translator), 'INVALID_DEFINITION', ...parts);
  const bare = { typeConversion: false, typeConversionSettings: { allowDataTruncation: true, treatBooleanAsNumber: false } };

  test('mappings with types, formats and settings', () => {
    assert.deepEqual(translated({
      mappings: [
        {
          source: { name: 'a', type: 'datetime', format: 'dd/MM/yyyy', physicalType: 'text' },
          sink: { name: 'A', type: 'String', culture: 'en-us' },
        },
        { source: { ordinal: 2, type: 'bool' }, sink: { name: 'B', type: 'Int64' } },
      ],
      typeConversion: true, typeConversionSettings: { allowDataTruncation: false, treatBooleanAsNumber: true, dateTimeFormat: 'yyyy' },
    }), {
      mappings: [
        { source: { name: 'a', type: 'DateTime', format: 'dd/MM/yyyy' }, sink: { name: 'A', type: 'String', culture: 'en-us' } },
        { source: { ordinal: 2, type: 'Boolean' }, sink: { name: 'B', type: 'Int64' } },
      ],
      typeConversion: true, typeConversionSettings: { allowDataTruncation: false, treatBooleanAsNumber: true, dateTimeFormat: 'yyyy' },
    });
  });

  test('the older forms', () => {
    const mappings = [{ source: { name: 'a' }, sink: { name: 'X' } }, { source: { name: 'b c' }, sink: { name: 'Y' } }];
    assert.deepEqual(translated({ columnMappings: 'a: X, b c:Y' }), { mappings, ...bare });
    assert.deepEqual(translated({ columnMappings: { a: 'X', 'b c': 'Y' } }), { mappings, ...bare });
    assert.deepEqual(translated({ schemaMapping: { a: 'X', 'b c': 'Y' } }), { mappings, ...bare });
    assert.deepEqual(translated({}), { mappings: [], ...bare });
  });

  test('columns that the source does not have', () => {
    const added = (additionalColumns: JsonValue): unknown => one(
      withParameters(withValue(textCopy, 'typeProperties.source.additionalColumns', additionalColumns)), { parameters: { day: '1' } },
    ).additionalColumns;
    const withParameters = (activity: JsonObject): JsonObject => pipelineOf(activity, day);
    assert.deepEqual(added([
      { name: 'a', value: "@concat('x', pipeline().parameters.day)" }, { name: 'b', value: '$$FILEPATH' },
        { name: 'c', value: '$$COLUMN:Odd name' },
      { name: 'd', value: 5 }, { name: 'e', value: '' }, { name: 'f', value: '$5' },
    ]), [
      { name: 'a', value: { kind: 'text', text: 'x1' } }, { name: 'b', value: { kind: 'filePath' } },
      { name: 'c', value: { kind: 'column', column: 'Odd name' } }, { name: 'd', value: { kind: 'text', text: '5' } },
      { name: 'e', value: { kind: 'text', text: '' } }, { name: 'f', value: { kind: 'text', text: '$5' } },
    ]);
    assert.equal(added([]), undefined);
    const bad = (columns: JsonValue, ...parts: string[]): void => refuses(() => added(columns), 'INVALID_DEFINITION', ...parts);
    bad([{ value: 'x' }], 'additionalColumns[0].name is missing');
    bad([{ name: 'a' }], 'additionalColumns[0].value is missing');
    bad([{ name: 'a', value: {} }], 'value must be a text, not an object');
    bad([{ name: 'a', value: '$$FILENAME' }], 'value is "$$FILENAME"; known are $$FILEPATH');
    bad([{ name: 'a', value: '$$COLUMN:' }], 'names no column after');
    bad([{ name: 'a', value: '1' }, { name: 'a', value: '2' }], 'add a twice');
    bad('x', 'additionalColumns must be an array');
  });

  test('from a parameter', () => {
    const pipeline = pipelineOf(
      withValue(textCopy, 'typeProperties.translator', '@pipeline().parameters.map'), { ...day, map: { type: 'Object' } },
    );
    const found = one(pipeline, { parameters: { day: '1', map: { type: 'TabularTranslator', columnMappings: 'a: X' } } }).translator;
    assert.deepEqual(found?.mappings, [{ source: { name: 'a' }, sink: { name: 'X' } }]);
  });

  test('what is wrong with them', () => {
    wrong({ type: 'Tabular' }, 'translator.type is "Tabular"', 'TabularTranslator');
    wrong({ mappings: [{ source: { type: 'Int32' }, sink: { name: 'a' } }] }, 'mappings[0].source gives none of name, path and ordinal');
    wrong({ mappings: [{ source: { name: 'a' } }] }, 'mappings[0].sink is missing');
    wrong({ mappings: [{ source: { ordinal: 0 }, sink: { name: 'a' } }] }, 'source.ordinal is 0; allowed is 1 or more');
    wrong({ mappings: [{ source: { name: 'a', type: 'Int33' }, sink: { name: 'a' } }] }, 'source.type is "Int33"', 'did you mean Int32?');
    wrong(
      { mappings: [{ source: { name: 'a' }, sink: { name: 'x' } }, { source: { name: 'b' }, sink: { name: 'x' } }] },
      "map two columns to the sink's x",
    );
    wrong(
      { mappings: [{ source: { name: 'a' }, sink: { ordinal: 1 } }, { source: { name: 'b' }, sink: { name: 'x' } }] },
      'ordinals 1 to 2, each once, or none',
    );
    wrong({ columnMappings: 'a: X, b' }, 'columnMappings holds "b"', 'source: sink');
    wrong({ columnMappings: 5 }, 'columnMappings must be a string');
    wrong({ columnMappings: { a: 5 } }, 'columnMappings.a must be the name of a sink column');
    wrong({ columnMappings: 'a: X', mappings: [] }, 'more than one of mappings');
    wrong({ typeConversion: 'yes' }, 'typeConversion must be true or false');
  });
});

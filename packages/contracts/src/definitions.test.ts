import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { JsonObject, JsonValue } from '@dmg/model';
import { parseDataset, parsePipeline, parseTimeSpan } from './index.ts';
import { binaryCopy, documents, pipelineOf, refuses, specs, textCopy, warningsOf, withValue } from './testing/fixtures.ts';

describe('datasets', () => {
  const parse = (json: JsonValue): ReturnType<typeof parseDataset> => parseDataset('ds', json, specs);
  const text = documents.csvOut;
  const wrong = (path: string, value: JsonValue | undefined, ...parts: string[]): void =>
    refuses(() => parse(withValue(text, `properties.${path}`, value)), 'INVALID_DEFINITION', ...parts);

  test('keep the document, its type, its linked service and its parameters', () => {
    const { value, warnings } = parse(documents.csvIn);
    assert.deepEqual(value, {
      name: 'ds', type: 'DelimitedText', linkedServiceName: 'files', json: documents.csvIn,
      parameters: { folder: { type: 'String' }, delimiter: { type: 'String', defaultValue: ',' } },
    });
    assert.deepEqual(warnings, []);
  });

  test('say what is wrong, where, and what is allowed', () => {
    wrong(
      'type', 'DelimitedTxt',
      'properties.type is "DelimitedTxt", which is not supported; allowed are Binary, DelimitedText, Json, WarehouseTable; '
      + 'did you mean DelimitedText?',
    );
    wrong('type', 'SqlServerTable', 'allowed are Binary, DelimitedText');
    wrong('linkedServiceName', 'store', 'properties.linkedServiceName must be an object, not a string');
    wrong('linkedServiceName', undefined, 'properties.linkedServiceName is missing');
    wrong('linkedServiceName.parameters', { a: 1 }, 'linkedServiceName.parameters is not supported');
    wrong(
      'typeProperties.location.type', 'AzureBlobLocation', 'properties.typeProperties.location.type is "AzureBlobLocation"',
      'did you mean AzureBlobStorageLocation?',
    );
    wrong('typeProperties.location.container', undefined, 'location.container is missing; it must be a string');
    wrong('typeProperties.location', undefined, 'location is missing');
    wrong('typeProperties.location.folderPath', '../up', 'holds a .. part');
    wrong('typeProperties.location.fileName', 'a/b', 'folders belong into folderPath');
    wrong('typeProperties.columnDelimiter', '', 'columnDelimiter is empty');
    wrong('typeProperties.columnDelimiter', "';", 'holds the quoteChar');
    wrong('typeProperties.rowDelimiter', ';;', 'begins like the rowDelimiter');
    wrong('typeProperties.quoteChar', '""', 'quoteChar must be one ASCII character');
    wrong('typeProperties.firstRowAsHeader', 'true', 'firstRowAsHeader must be true or false, not a string');
    wrong('typeProperties.encodingName', 'UTF-61', 'allowed are', 'UTF-16LE');
    wrong('typeProperties.compressionCodec', 'snappy', 'compressionCodec is "snappy"', 'allowed are None, GZip, Deflate, ZipDeflate');
    wrong('typeProperties.compressionLevel', 'Best', 'compressionLevel is', 'Fastest');
    wrong('typeProperties.nullValue', 5, 'nullValue must be a string, not a number');
    wrong('typeProperties', undefined, 'properties.typeProperties is missing');
    refuses(
      () => parse(withValue(documents.anyIn, 'properties.typeProperties.compression', { type: 'TarGZip' })), 'INVALID_DEFINITION',
      'compression.type is "TarGZip", and tar archives are not unpacked',
    );
    parse(withValue(text, 'properties.typeProperties.compressionCodec', 'None'));
    parse(withValue(documents.anyIn, 'properties.typeProperties.compression', {}));
  });

  test('check expressions and parameters', () => {
    const folder = (value: JsonValue): JsonObject => withValue(documents.csvIn, 'properties.typeProperties.location.folderPath', value);
    refuses(
      () => parse(folder('@dataset().foldr')), 'INVALID_DEFINITION', 'location.folderPath names the parameter foldr',
      'did you mean folder?',
    );
    refuses(() => parse(folder('@pipeline().RunId')), 'INVALID_DEFINITION', 'knows only @dataset()');
    refuses(
      () => parse(folder({ type: 'Expression', value: '@utcnow()' })), 'INVALID_DEFINITION', 'supported are @pipeline().parameters.name',
    );
    const parameter = (value: JsonValue): JsonObject => withValue(documents.csvIn, 'properties.parameters.folder', value);
    refuses(
      () => parse(parameter({ type: 'Text' })), 'INVALID_DEFINITION', 'parameters.folder.type is "Text"',
      'String, Int, Float, Bool, Array, Object',
    );
    refuses(() => parse(parameter({ type: 'SecureString' })), 'INVALID_DEFINITION', 'put the secret into a linked service');
    refuses(
      () => parse(parameter({ type: 'Int', defaultValue: 'x' })), 'INVALID_DEFINITION', 'defaultValue must be of type Int, not a string',
    );
  });

  test('unknown properties give a warning', () => {
    const { warnings } = parse(withValue(withValue(text, 'properties.typeProperties.quotChar', '"'), 'properties.schema', []));
    assert.deepEqual(warningsOf(warnings), ['properties.typeProperties.quotChar is not known and has no effect; did you mean quoteChar?']);
  });
});

describe('pipelines', () => {
  const parse = (json: JsonValue): ReturnType<typeof parsePipeline> => parsePipeline('p', json, specs);
  const wrong = (path: string, value: JsonValue | undefined, ...parts: string[]): void =>
    refuses(() => parse(pipelineOf(withValue(binaryCopy, path, value))), 'INVALID_DEFINITION', ...parts);

  test('keep activities with what they depend on', () => {
    const second = { ...binaryCopy, name: 'then', dependsOn: [{ activity: ' Copy ', dependencyConditions: ['succeeded', 'Completed'] }] };
    const { value } = parse(pipelineOf([binaryCopy, second]));
    assert.deepEqual(value.activities.map(({ name, dependsOn, path }) => ({ name, dependsOn, path })), [
      { name: 'copy', dependsOn: [], path: 'properties.activities[0]' },
      {
        name: 'then', dependsOn: [{ activity: 'Copy', dependencyConditions: ['Succeeded', 'Completed'] }], path: 'properties.activities[1]',
      },
    ]);
    assert.deepEqual(value.activities[1]?.json, second);
  });

  test('say what is wrong, where, and what is allowed', () => {
    wrong('type', 'Lookup', 'properties.activities[0].type is "Lookup", which is not supported; allowed are Copy');
    wrong('name', undefined, 'properties.activities[0].name is missing');
    wrong('inputs', [], 'inputs must hold one dataset reference, not 0');
    wrong('outputs', [1], 'outputs[0] must be an object, not a number');
    wrong('inputs', [{ referenceName: 'a', type: 'Dataset' }], 'inputs[0].type is "Dataset"', 'DatasetReference');
    wrong('typeProperties', undefined, 'typeProperties is missing');
    wrong('typeProperties.source.type', 'BinarySourc', 'typeProperties.source.type is "BinarySourc"', 'did you mean BinarySource?');
    wrong('typeProperties.sink', 'x', 'typeProperties.sink must be an object, not a string');
    wrong('typeProperties.parallelCopies', 0, 'parallelCopies is 0; allowed is 1 to 1024');
    wrong('typeProperties.parallelCopies', '4', 'parallelCopies must be an integer, not a string');
    wrong(
      'typeProperties.source.storeSettings', { type: 'FileServerReadSetting' }, 'storeSettings.type is "FileServerReadSetting"',
      'did you mean FileServerReadSettings?',
    );
    wrong(
      'typeProperties.source.storeSettings', { type: 'FileServerReadSettings', recursive: 1 },
      'storeSettings.recursive must be true or false',
    );
    wrong(
      'typeProperties.source.storeSettings', { type: 'FileServerReadSettings', maxConcurrentConnections: 10 }, 'is 10; allowed is 1 to 9',
    );
    wrong(
      'typeProperties.source.storeSettings', { type: 'FileServerReadSettings', fileListPath: 'x' },
      'fileListPath is not supported: file lists are not supported',
    );
    wrong(
      'typeProperties.source.storeSettings', { type: 'FileServerReadSettings', deleteFilesAfterCompletion: true },
      'deleteFilesAfterCompletion is not supported',
    );
    wrong('typeProperties.source.storeSettings', { type: 'FileServerReadSettings', metadata: { a: 1 } }, 'metadata.a must be a string');
    wrong(
      'typeProperties.sink.storeSettings', { type: 'FileServerWriteSettings', copyBehavior: 'Merge' },
      'copyBehavior is "Merge"; allowed are PreserveHierarchy, FlattenHierarchy, MergeFiles',
    );
    wrong('typeProperties.enableStaging', true, 'enableStaging is not supported');
    wrong('typeProperties.skipErrorFile', { invalidFileName: true }, 'skipErrorFile.invalidFileName is not supported');
    wrong('typeProperties.logSettings', { enableCopyActivityLog: true }, 'logLocationSettings is missing');
    wrong('typeProperties.redirectIncompatibleRowSettings', { path: 'x' }, 'redirectIncompatibleRowSettings.linkedServiceName is missing');
    wrong('typeProperties.preserve', ['ACL'], 'preserve is not supported');
    wrong('typeProperties.source.additionalColumns', [{ name: 'a' }], 'additionalColumns is not supported: Binary data has no columns');
    wrong('state', 'Inactive', 'state is Inactive');
    wrong('policy', { timeout: 'soon' }, 'policy.timeout is "soon"', '0.12:00:00');
    wrong('policy', { timeout: '00:00:00' }, 'policy.timeout must be longer');
    wrong('policy', { retry: -1 }, 'policy.retry is -1');
    refuses(() => parse({ properties: {} }), 'INVALID_DEFINITION', 'properties.activities is missing');
    refuses(() => parse({ properties: { activities: {} } }), 'INVALID_DEFINITION', 'properties.activities must be an array, not an object');
    refuses(
      () => parse(pipelineOf([binaryCopy, binaryCopy])), 'INVALID_DEFINITION',
      "properties.activities[1].name is copy, as another activity's",
    );
    refuses(
      () => parse(withValue(pipelineOf(binaryCopy), 'properties.variables', { v: { type: 'String' } })), 'INVALID_DEFINITION',
      'variables are not supported',
    );
  });

  test('what is switched off is no problem', () => {
    const off = {
      enableStaging: false, enableSkipIncompatibleRow: false, skipErrorFile: { fileMissing: false },
      logSettings: { enableCopyActivityLog: false }, preserve: [], validateDataConsistency: true,
    };
    const json = { ...binaryCopy, typeProperties: { ...(binaryCopy.typeProperties as JsonObject), ...off } };
    assert.deepEqual(parse(pipelineOf(json)).warnings, []);
    const { warnings } = parse(
      pipelineOf(withValue(withValue(json, 'typeProperties.dataIntegrationUnits', 4), 'typeProperties.source.sourceRetryCount', 2)),
    );
    assert.deepEqual(
      warnings.map(({ path }) => path),
      ['properties.activities[0].typeProperties.source.sourceRetryCount', 'properties.activities[0].typeProperties.dataIntegrationUnits'],
    );
  });

  test('dependencies must exist and must not go in a circle', () => {
    const named = (name: string, ...needs: string[]): JsonObject =>
      ({ ...binaryCopy, name, dependsOn: needs.map((activity) => ({ activity, dependencyConditions: ['Succeeded'] })) });
    refuses(
      () => parse(pipelineOf([named('first'), named('b', 'frist')])), 'INVALID_DEFINITION',
      'activities[1].dependsOn[0].activity is frist, which this pipeline does not have; did you mean first?',
    );
    refuses(() => parse(pipelineOf([named('a', 'A')])), 'INVALID_DEFINITION', 'in a circle: a → a');
    refuses(
      () => parse(pipelineOf([named('x'), named('a', 'x', 'c'), named('b', 'a'), named('c', 'b'), named('d', 'c')])), 'INVALID_DEFINITION',
      'in a circle: ',
    );
    parse(pipelineOf([named('a'), named('b', 'a'), named('c', 'a'), named('d', 'b', 'c')]));
    wrong(
      'dependsOn', [{ activity: 'x', dependencyConditions: ['Success'] }],
      'dependencyConditions[0] is "Success"; allowed are Succeeded, Failed, Skipped, Completed',
    );
  });

  test('expressions are checked, also in references', () => {
    const parameters = { day: { type: 'String' } };
    parse(pipelineOf(textCopy, parameters));
    refuses(
      () => parse(pipelineOf(textCopy)), 'INVALID_DEFINITION',
      'inputs[0].parameters.folder names the parameter day, which the pipeline does not define',
    );
    const wide = withValue(textCopy, 'typeProperties.parallelCopies', '@pipeline().parameters.copies');
    refuses(() => parse(pipelineOf(wide, parameters)), 'INVALID_DEFINITION', 'parallelCopies names the parameter copies');
  });

  test('the trap of 24:00:00', () => {
    const { warnings } = parse(pipelineOf({ ...binaryCopy, policy: { timeout: '24:00:00' } }));
    assert.deepEqual(
      warningsOf(warnings),
      ['properties.activities[0].policy.timeout is read as 24 days, because its first part is over 23; write 1.00:00:00 for 24 hours'],
    );
  });

});

test('time spans', () => {
  const hour = 3_600_000;
  const cases: readonly [text: string, ms: number | undefined, trap?: boolean][] = [
    ['00:10:00', hour / 6], ['23:59:59', 86_399_000], ['1.00:00:00', 24 * hour], ['0.12:00:00', 12 * hour], ['7.00:00:00', 168 * hour],
    ['00:00:01.5', 1500], ['01:30', 1.5 * hour],
    ['2', 48 * hour], ['24:00:00', 24 * 24 * hour, true], [
      '36:12:30', (36 * 24 + 12.5) * hour, true,
    ],
    ['36:30:00', undefined], ['1.24:00:00', undefined], ['00:60:00', undefined], ['', undefined], ['-1:00', undefined], ['PT1H', undefined],
  ];
  for (const [text, ms, dayTrap = false] of cases) {
    assert.deepEqual(
      parseTimeSpan(text), ms === undefined ? undefined : { ms, dayTrap }, text,
    );
  }
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CopyActivity, JsonObject, JsonValue } from '@dmg/model';
import { parseDataset, parseLinkedService, parsePipeline, redactSecrets } from './index.ts';
import {
  datasetReference, documents, pipelineOf, refuses, resolve, specs, tableCopy, warningsOf, withValue, type World,
} from './testing/fixtures.ts';

function one(activity: JsonObject, world: World = {}): CopyActivity {
  const [resolved] = resolve(pipelineOf(activity), world);
  assert.ok(resolved !== undefined);
  return resolved.activity;
}

function cannot(activity: JsonObject, documentsChange: Record<string, JsonValue>, ...parts: string[]): void {
  refuses(() => resolve(pipelineOf(activity), { documents: documentsChange }), 'CANNOT_RUN', ...parts);
}

/** From the folder into the table, or from the table into the container. */
const fromText = withValue(
  { ...tableCopy, inputs: [datasetReference('csvIn', { folder: 'f' })] }, 'typeProperties.source', { type: 'DelimitedTextSource' },
);
const toText = withValue(
  { ...tableCopy, outputs: [datasetReference('csvOut')] }, 'typeProperties.sink',
  { type: 'DelimitedTextSink', formatSettings: { type: 'DelimitedTextWriteSettings', quoteAllText: true, fileExtension: 'csv' } },
);
const connection = { server: 'h', password: { secretRef: { linkedService: 'house', property: 'password' } }, sslMode: '1' };

describe('linked services of tables', () => {
  const parse = (typeProperties: JsonObject): ReturnType<typeof parseLinkedService> =>
    parseLinkedService('ls', { properties: { type: 'Warehouse', typeProperties } }, specs);
  const wrong = (typeProperties: JsonObject, ...parts: string[]): void =>
    refuses(() => parse(typeProperties), 'INVALID_DEFINITION', ...parts);

  test('a connection string or a server, not both and not none', () => {
    wrong({}, 'properties.typeProperties gives none of connectionString, server');
    wrong({ connectionString: 'Host=h', server: 'h' }, 'typeProperties.server cannot stand beside connectionString');
    assert.deepEqual(parse({ server: 'h', connectionString: '' }).value.connection, { server: 'h' });
    assert.deepEqual(parse({ encryptedCredential: 'e' }).value.connection, { connectionString: { encryptedCredential: 'e' } });
    assert.deepEqual(parse({ server: 'h', encryptedCredential: 'e' }).value.connection, {
      server: 'h', password: { encryptedCredential: 'e' },
    });
  });

  test('numbers are taken where text is wanted that may be one', () => {
    const sslMode = (value: JsonValue): JsonValue | undefined =>
      parse({ server: 'h', password: 'x', sslMode: value }).value.connection.sslMode;
    assert.equal(sslMode(1), '1');
    assert.equal(sslMode('ON'), 'on');
    wrong({ server: 'h', sslMode: 7 }, 'sslMode is "7"; allowed are 0, 1, off, on');
    wrong({ server: 'h', sslMode: 1.5 }, 'sslMode must be a string or a whole number, not a number');
  });

  test('of a connection string only server, database and the like are shown', () => {
    const shown = (value: string): JsonValue =>
      redactSecrets({ properties: { type: 'Warehouse', typeProperties: { connectionString: { type: 'SecureString', value } } } }, specs);
    const plain = (value: string): JsonValue => redactSecrets({ properties: { typeProperties: { connectionString: value } } }, specs);
    const text = 'Host=db;Port=5432;Database=shop;UID=me;Password=canary;SSL Mode=Require;Odd=canary';
    assert.ok(!JSON.stringify(shown(text)).includes('db'));
    assert.deepEqual(plain(text), {
      properties: {
        typeProperties: {
          connectionString:
            'Host=db;Port=5432;Database=shop;UID=me;Password=**********;SSL Mode=Require;Odd=**********',
        },
      },
    });
    assert.ok(!JSON.stringify(plain('Server=h;Pwd={a;host=canary};UID=u')).includes('canary'));
  });
});

describe('datasets of tables', () => {
  const parse = (typeProperties: JsonObject): ReturnType<typeof parseDataset> =>
    parseDataset('ds', withValue(documents.tableIn, 'properties.typeProperties', typeProperties), specs);

  test('keep their type; a name in one text or in two', () => {
    const { value, warnings } = parse({ schema: 'a', table: 'b' });
    assert.deepEqual([value.type, value.linkedServiceName, warnings], ['WarehouseTable', 'house', []]);
    assert.deepEqual(warningsOf(parse({ table: 'b', tableName: 'a.b' }).warnings), [
      'properties.typeProperties.tableName has no effect: table is given',
    ]);
    refuses(() => parse({ schema: 'a', tableName: 'b.c' }), 'INVALID_DEFINITION', 'schema stands beside a tableName that holds a schema');
    parse({ schema: 'a', tableName: 'b' });
    refuses(() => parse({ table: 5 }), 'INVALID_DEFINITION', 'table must be a string, not a number');
    refuses(() => parse({ table: 'a\0' }), 'INVALID_DEFINITION', 'table holds a zero character');
    assert.match(warningsOf(parse({ tabel: 'b' }).warnings).join(), /tabel is not known .* did you mean table\?/);
  });
});

describe('copies of tables', () => {
  test('table to table: each end is its connector with location and settings', () => {
    const activity = withValue(tableCopy, 'typeProperties', {
      source: { type: 'warehousesource', partitionSettings: { Column: 'id', upperBound: 9 }, disableMetricsCollection: true },
      sink: { type: 'WarehouseSink', preCopyScript: 'TRUNCATE t' },
      translator: { type: 'TabularTranslator', mappings: [{ source: { name: 'a' }, sink: { name: 'b' } }], typeConversion: true },
      parallelCopies: 2,
    });
    assert.deepEqual(one(activity), {
      type: 'Copy',
      source: {
        connector: 'warehouse', connection, location: { schema: 'Sales', table: 'Orders' },
        settings: { partitionSettings: { column: 'id', upperBound: '9' }, consistency: 'snapshot' }, format: { type: 'Table' },
      },
      sink: {
        connector: 'warehouse', connection, location: { tableName: 'sales.copied' }, settings: { preCopyScript: 'TRUNCATE t' },
        format: { type: 'Table' },
      },
      translator: {
        mappings: [{ source: { name: 'a' }, sink: { name: 'b' } }], typeConversion: true,
        typeConversionSettings: { allowDataTruncation: true, treatBooleanAsNumber: false },
      },
      parallelCopies: 2, validateDataConsistency: false,
    });
  });

  test('text to table and table to text, also into a folder without a file name', () => {
    const { source, sink } = one(fromText);
    assert.deepEqual([source.format.type, source.connector, sink.format], ['DelimitedText', 'disk', { type: 'Table' }]);
    const out = one(toText);
    assert.deepEqual([out.source.format, out.sink.location, out.sink.settings], [
      { type: 'Table' }, { container: 'c', folderPath: 'out' }, { fileExtension: '.csv' },
    ]);
    assert.ok(out.sink.format.type === 'DelimitedText' && out.sink.format.quoteAllText && out.sink.format.columnDelimiter === ';');
  });

  test('expressions in names and queries', () => {
    const query = withValue(tableCopy, 'typeProperties.source.query', "@concat('SELECT * FROM ', pipeline().parameters.t)");
    const [resolved] = resolve(pipelineOf(query, { t: { type: 'String' } }), {
      parameters: { t: 'x' }, documents: { tableIn: withValue(documents.tableIn, 'properties.typeProperties', {}) },
    });
    assert.deepEqual(resolved?.activity.source.settings, { query: 'SELECT * FROM x', consistency: 'snapshot' });
    assert.deepEqual(resolved?.activity.source.location, {});
  });

  test('Binary and tables do not mix, and the message says what does', () => {
    const toBinary = withValue({ ...tableCopy, outputs: [datasetReference('anyOut')] }, 'typeProperties.sink', { type: 'BinarySink' });
    const fromBinary = withValue({ ...tableCopy, inputs: [datasetReference('anyIn')] }, 'typeProperties.source', { type: 'BinarySource' });
    cannot(toBinary, {}, 'copies a table to Binary', 'use a DelimitedText dataset as sink');
    cannot(fromBinary, {}, 'copies Binary to a table', 'use a DelimitedText dataset as source');
  });

  test('sources and sinks that do not fit their dataset', () => {
    cannot(
      withValue(tableCopy, 'typeProperties.source', { type: 'DelimitedTextSource' }), {},
      'source.type is DelimitedTextSource, but the dataset is WarehouseTable; use WarehouseSource',
    );
    cannot(
      withValue(toText, 'typeProperties.sink', { type: 'WarehouseSink' }), {},
      'sink.type is WarehouseSink, but the dataset is DelimitedText; use DelimitedTextSink',
    );
    cannot(
      tableCopy, { tableIn: withValue(documents.tableIn, 'properties.linkedServiceName.referenceName', 'files') },
      'dataset tableIn: properties.type is WarehouseTable, but linked service files is FileServer, which takes FileServerLocation',
    );
    cannot(
      toText, { csvOut: withValue(documents.csvOut, 'properties.linkedServiceName.referenceName', 'house') },
      'location.type is AzureBlobStorageLocation, but linked service house is Warehouse, which takes WarehouseTable',
    );
  });

  test('a source needs a table or a query, a sink a table', () => {
    cannot(
      tableCopy, { tableIn: withValue(documents.tableIn, 'properties.typeProperties', {}) },
      'dataset tableIn: properties.typeProperties names no table, and the source has no query',
    );
    cannot(
      tableCopy, { tableOut: withValue(documents.tableOut, 'properties.typeProperties', { tableName: '' }) },
      'dataset tableOut: properties.typeProperties names no table, which a sink needs',
    );
  });

  test('a table is not copied onto itself, as far as names show it', () => {
    const into = (typeProperties: JsonObject): Record<string, JsonValue> =>
      ({ tableOut: withValue(documents.tableOut, 'properties.typeProperties', typeProperties) });
    cannot(tableCopy, into({ schema: 'Sales', table: 'Orders' }), 'copies a table onto itself');
    cannot(tableCopy, into({ tableName: 'Sales."Orders"' }), 'copies a table onto itself');
    const others: readonly JsonObject[] = [{ tableName: 'sales.orders' }, { table: 'Orders' }];
    for (const other of others) resolve(pipelineOf(tableCopy), { documents: into(other) });
    const bare = { tableIn: withValue(documents.tableIn, 'properties.typeProperties', { tableName: 'a' }) };
    cannot(tableCopy, { ...bare, ...into({ schema: 'public', table: 'a' }) }, 'copies a table onto itself');
    cannot(tableCopy, into({ schema: 'Sales', tableName: 'Orders' }), 'copies a table onto itself');
    resolve(pipelineOf(withValue(tableCopy, 'typeProperties.source.query', 'SELECT 1')), {
      documents: into({ schema: 'Sales', table: 'Orders' }),
    });
  });

  test('what is known but not built is refused with the reason, what has no effect is told', () => {
    const parse = (path: string, value: JsonValue): ReturnType<typeof parsePipeline> =>
      parsePipeline('p', pipelineOf(withValue(tableCopy, `typeProperties.${path}`, value)), specs);
    const wrong = (path: string, value: JsonValue, ...parts: string[]): void =>
      refuses(() => parse(path, value), 'INVALID_DEFINITION', ...parts);
    wrong('sink.writeMethod', 'upsert', 'sink.writeMethod is Upsert, which is not supported: no row is replaced');
    wrong('sink.writeMethod', 'Odd', 'sink.writeMethod is "Odd"; allowed are Bulk');
    wrong('source.additionalColumns', [{ name: 'a', value: '$$FILEPATH' }],
      'additionalColumns[0].value is $$FILEPATH, but a table has no files');
    wrong('source.consistency', 'none', 'source.consistency is "none"; allowed are snapshot, perChunk');
    wrong('source.partitionSettings', 'id', 'source.partitionSettings must be an object');
    wrong('source.type', 'WarehouseSourc', 'did you mean WarehouseSource?');
    wrong('enableStaging', true, 'enableStaging is not supported');
    const told = (path: string, value: JsonValue): string => warningsOf(parse(path, value).warnings).join();
    assert.match(told('sink.writeMethod', 'Bulk'), /sink\.writeMethod has no effect: there is one method/);
    assert.match(told('source.maxConcurrentConnections', 3), /parallelCopies limits the connections/);
    assert.match(told('source.sourceRetryCount', 3), /sourceRetryCount has no effect/);
    assert.match(told('source.storeSettings', {}), /storeSettings is not known/);
    assert.match(told('source.partitionSettings', { colum: 'id' }), /partitionSettings\.colum is not known .* did you mean column\?/);
  });

  test('columns of a table are mapped by name', () => {
    const translator = (sink: JsonObject): JsonObject => withValue(
      fromText, 'typeProperties.translator', { type: 'TabularTranslator', mappings: [{ source: { ordinal: 1 }, sink }] },
    );
    assert.deepEqual(one(translator({ name: 'id' })).translator?.mappings, [{ source: { ordinal: 1 }, sink: { name: 'id' } }]);
    cannot(translator({ ordinal: 1 }), {}, 'typeProperties.translator gives the sink\'s columns by ordinal', 'give their names');
  });
});

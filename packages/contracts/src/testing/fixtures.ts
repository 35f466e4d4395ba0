import assert from 'node:assert/strict';
import { isDmgError } from '@dmg/base';
import type { ConnectorSpec, JsonObject, JsonValue, PropertySpec } from '@dmg/model';
import { parseDataset, parseLinkedService, parsePipeline, resolveActivities, type ResolvedActivity, type Warning } from '../index.ts';

const description = '';
const settings: readonly PropertySpec[] = [
  { name: 'maxConcurrentConnections', type: 'integer', minimum: 1, maximum: 9, description },
  { name: 'fileListPath', type: 'string', refused: 'file lists are not supported', description },
  { name: 'deleteFilesAfterCompletion', type: 'boolean', default: false, refused: 'files are never deleted', description },
  { name: 'metadata', type: 'stringMap', description },
];

/** Three stores in the shape of real ones: folders, containers behind secrets, and tables. */
export const specs: readonly ConnectorSpec[] = [
  {
    name: 'disk', source: true, sink: true, atomicPublish: 'yes',
    linkedServices: [{
      type: 'FileServer', description,
      properties: [
        { name: 'host', type: 'string', required: true, description },
        { name: 'password', type: 'secret', ignored: 'files are read as the node', description },
      ],
    }],
    locations: [{
      type: 'FileServerLocation', description,
      properties: [{ name: 'folderPath', type: 'string', description }, { name: 'fileName', type: 'string', description }],
    }],
    readSettings: [{
      type: 'FileServerReadSettings', description,
      properties: [
        {
          name: 'recursive', type: 'boolean', default: false, description,
        }, { name: 'wildcardFileName', type: 'string', description }, ...settings,
      ],
    }],
    writeSettings: [{
      type: 'FileServerWriteSettings', description,
      properties: [
        {
          name: 'copyBehavior', type: 'string', values: ['PreserveHierarchy', 'FlattenHierarchy', 'MergeFiles'],
          default: 'PreserveHierarchy', description,
        }, ...settings,
      ],
    }],
  },
  {
    name: 'blob', source: true, sink: true, atomicPublish: 'yes',
    linkedServices: [{
      type: 'AzureBlobStorage', description,
      properties: [
        { name: 'connectionString', type: 'secret', description }, { name: 'sasUri', type: 'secret', description },
        { name: 'serviceEndpoint', type: 'string', refused: 'use a connection string', description },
        { name: 'accountKind', type: 'string', ignored: 'it makes no difference', description },
      ],
    }],
    locations: [{
      type: 'AzureBlobStorageLocation', description,
      properties: [
        {
          name: 'container', type: 'string', required: true, description,
        }, { name: 'folderPath', type: 'string', description }, { name: 'fileName', type: 'string', description },
      ],
    }],
    readSettings: [
      {
        type: 'AzureBlobStorageReadSettings', description, properties: [{ name: 'recursive', type: 'boolean', default: true, description }],
      },
    ],
    writeSettings: [{ type: 'AzureBlobStorageWriteSettings', description, properties: [] }],
  },
  {
    name: 'warehouse', source: true, sink: true, atomicPublish: 'yes', locations: [], readSettings: [], writeSettings: [],
    linkedServices: [{
      type: 'Warehouse', description, oneOf: ['connectionString', 'server'],
      properties: [
        { name: 'connectionString', type: 'secret', excludes: ['server'], description },
        { name: 'password', type: 'secret', description },
        { name: 'server', type: 'string', description },
        { name: 'sslMode', type: 'text', values: ['0', '1', 'off', 'on'], description },
      ],
    }],
    tables: {
      datasets: [{
        type: 'WarehouseTable', description,
        properties: ['schema', 'table', 'tableName'].map((name) => ({ name, type: 'string', description })),
      }],
      sources: [{
        type: 'WarehouseSource', description,
        properties: [
          { name: 'query', type: 'string', description },
          {
            name: 'partitionSettings', type: 'object', description,
            properties: [{ name: 'column', type: 'string', description }, { name: 'upperBound', type: 'text', description }],
          },
          { name: 'consistency', type: 'string', values: ['snapshot', 'perChunk'], default: 'snapshot', description },
        ],
      }],
      sinks: [{
        type: 'WarehouseSink', description,
        properties: [
          { name: 'preCopyScript', type: 'string', description },
          {
            name: 'writeMethod', type: 'string', values: ['Bulk'], refusedValues: { Upsert: 'no row is replaced' },
            ignored: 'there is one method', description,
          },
        ],
      }],
    },
  },
];

const gateway = { referenceName: 'gw', type: 'IntegrationRuntimeReference' };
const linkedServiceReference = (referenceName: string): JsonObject => ({ referenceName, type: 'LinkedServiceReference' });
export const datasetReference = (referenceName: string, parameters?: JsonObject): JsonObject =>
  ({ referenceName, type: 'DatasetReference', ...(parameters === undefined ? {} : { parameters }) });

export const documents = {
  files: { properties: { type: 'FileServer', typeProperties: { host: '/data' }, connectVia: gateway } },
  store: {
    properties: {
      type: 'AzureBlobStorage', typeProperties: { connectionString: { type: 'SecureString', value: 'AccountKey=k' } }, connectVia: gateway,
    },
  },
  csvIn: {
    properties: {
      type: 'DelimitedText', linkedServiceName: linkedServiceReference('files'),
      parameters: { folder: { type: 'String' }, delimiter: { type: 'String', defaultValue: ',' } },
      typeProperties: {
        location: { type: 'FileServerLocation', folderPath: { value: 'in/@{dataset().folder}', type: 'Expression' }, fileName: 'a.csv' },
        columnDelimiter: '@dataset().delimiter', firstRowAsHeader: true,
      },
    },
  },
  csvOut: {
    properties: {
      type: 'DelimitedText', linkedServiceName: linkedServiceReference('store'),
      typeProperties: {
        location: { type: 'AzureBlobStorageLocation', container: 'c', folderPath: 'out' }, columnDelimiter: ';', quoteChar: "'",
      },
    },
  },
  anyIn: {
    properties: {
      type: 'Binary', linkedServiceName: linkedServiceReference('files'),
      typeProperties: { location: { type: 'FileServerLocation', folderPath: 'in' } },
    },
  },
  anyOut: {
    properties: {
      type: 'Binary', linkedServiceName: linkedServiceReference('store'),
      typeProperties: { location: { type: 'AzureBlobStorageLocation', container: 'c' } },
    },
  },
  house: {
    properties: {
      type: 'Warehouse', connectVia: gateway, typeProperties: { server: 'h', password: { type: 'SecureString', value: 'k' }, sslMode: 1 },
    },
  },
  tableIn: {
    properties: {
      type: 'WarehouseTable', linkedServiceName: linkedServiceReference('house'), schema: [{ name: 'id', type: 'bigint' }],
      typeProperties: { schema: 'Sales', table: 'Orders' },
    },
  },
  tableOut: {
    properties: {
      type: 'WarehouseTable', linkedServiceName: linkedServiceReference('house'), typeProperties: { tableName: 'sales.copied' },
    },
  },
} satisfies Record<string, JsonObject>;

export const textCopy: JsonObject = {
  name: 'copy', type: 'Copy',
  inputs: [datasetReference('csvIn', { folder: '@pipeline().parameters.day' })], outputs: [datasetReference('csvOut')],
  typeProperties: { source: { type: 'DelimitedTextSource' }, sink: { type: 'DelimitedTextSink' } },
};

export const binaryCopy: JsonObject = {
  name: 'copy', type: 'Copy', inputs: [datasetReference('anyIn')], outputs: [datasetReference('anyOut')],
  typeProperties: { source: { type: 'BinarySource' }, sink: { type: 'BinarySink' } },
};

export const tableCopy: JsonObject = {
  name: 'copy', type: 'Copy', inputs: [datasetReference('tableIn')], outputs: [datasetReference('tableOut')],
  typeProperties: { source: { type: 'WarehouseSource' }, sink: { type: 'WarehouseSink' } },
};

export function pipelineOf(activity: JsonObject | readonly JsonObject[], parameters: JsonObject = {}): JsonObject {
  return { properties: { parameters, activities: Array.isArray(activity) ? (activity as readonly JsonObject[]) : [activity] } };
}

export interface World {
  readonly documents?: Record<string, JsonValue>;
  readonly parameters?: JsonObject;
}

/** Parses everything and resolves the pipeline in a factory of `documents`, some of them replaced. */
export function resolve(pipeline: JsonValue, world: World = {}): ResolvedActivity[] {
  const all: Record<string, JsonValue> = { ...documents, ...world.documents };
  const find = (name: string): JsonValue | undefined => (Object.hasOwn(all, name) ? all[name] : undefined);
  return resolveActivities({
    pipeline: parsePipeline('p', pipeline, specs).value,
    lookup: {
      linkedService: (name) => {
        const json = find(name);
        return json === undefined ? undefined : parseLinkedService(name, json, specs).value;
      },
      dataset: (name) => {
        const json = find(name);
        return json === undefined ? undefined : parseDataset(name, json, specs).value;
      },
    },
    parameters: world.parameters ?? {},
    run: { runId: 'run-1', factoryName: 'fac' },
    specs,
  });
}

/** Asserts one DmgError of `code` whose message holds all `parts`. */
export function refuses(run: () => unknown, code: 'INVALID_DEFINITION' | 'CANNOT_RUN' | 'JSON_SYNTAX', ...parts: readonly string[]): void {
  assert.throws(run, (error) => {
    assert.ok(isDmgError(error), String(error));
    assert.equal(error.code, `DMG_CONTRACTS_${code}`, error.message);
    for (const part of parts) assert.ok(error.message.includes(part), `${part}\nis not in\n${error.message}`);
    return true;
  });
}

export function warningsOf(warnings: readonly Warning[]): string[] {
  return warnings.map(({ path, message }) => `${path} ${message}`);
}

/** A deep copy of `json` with the value at a dotted path replaced (undefined: removed). */
export function withValue(json: JsonValue, path: string, value: JsonValue | undefined): JsonObject {
  const copy = structuredClone(json) as Record<string, unknown>;
  const keys = path.split('.');
  let at: Record<string, unknown> = copy;
  for (const key of keys.slice(0, -1)) at = (at[key] ??= {}) as Record<string, unknown>;
  const last = keys.at(-1) ?? '';
  if (value === undefined) delete at[last];
  else at[last] = value;
  return copy as JsonObject;
}

import type { DatasetResource, LinkedServiceResource, PipelineResource } from '@azure/arm-datafactory';
import { container, gatewayName } from './definitions.ts';

/** The demo's copies from and to tables, as Data Factory objects. */

export const tables = {
  source: 'public.lineitem', history: 'public.lineitem_history', read: 'public.lineitem_read', copy: 'public.lineitem_copy',
  csv: 'public.lineitem_csv',
} as const;

const parameters = { table: { type: 'String' } } as const;
const connectVia = { type: 'IntegrationRuntimeReference', referenceName: gatewayName } as const;

interface Server {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
  readonly connectionString: string;
}

export type TableEnd =
  | { readonly kind: 'table'; readonly table: string }
  | { readonly kind: 'blob'; readonly folder: string; readonly file: string };

export interface TableCopy {
  readonly pipeline: string;
  readonly activity: string;
  readonly after?: string;
  readonly from: TableEnd;
  readonly to: TableEnd;
}

const csvBlob = { kind: 'blob', folder: 'tables', file: 'lineitem.csv' } as const;

export const tableCopies: readonly TableCopy[] = [
  { pipeline: 'lineitem', activity: 'table-to-blob', from: { kind: 'table', table: tables.source }, to: csvBlob },
  { pipeline: 'lineitem', activity: 'blob-to-table', after: 'table-to-blob', from: csvBlob, to: { kind: 'table', table: tables.read } },
  {
    pipeline: 'lineitem-copy', activity: 'table-to-table',
    from: { kind: 'table', table: tables.source }, to: { kind: 'table', table: tables.copy },
  },
];

/** The client's own types do not know `PostgreSqlV2`; it hands on what it does not know. */
export function tableLinkedServices(server: Server): Record<string, LinkedServiceResource> {
  const postgres: object = {
    type: 'PostgreSqlV2', connectVia,
    typeProperties: {
      server: server.host, port: server.port, database: server.database, username: server.user, sslMode: 0, authenticationType: 'Basic',
      password: { type: 'SecureString', value: server.password },
    },
  };
  return {
    postgres: { properties: postgres } as LinkedServiceResource,
    // As a sink they know PostgreSQL by this name alone.
    postgresSink: {
      properties: { type: 'AzurePostgreSql', connectVia, connectionString: { type: 'SecureString', value: server.connectionString } },
    },
  };
}

export function tableDatasets(): Record<string, DatasetResource> {
  const table = { type: 'Expression', value: '@dataset().table' };
  const source: object = {
    type: 'PostgreSqlV2Table', linkedServiceName: { type: 'LinkedServiceReference', referenceName: 'postgres' }, parameters,
    typeProperties: { schema: 'public', table },
  };
  return {
    postgresTable: { properties: source } as DatasetResource,
    postgresSinkTable: {
      properties: {
        type: 'AzurePostgreSqlTable', linkedServiceName: { type: 'LinkedServiceReference', referenceName: 'postgresSink' }, parameters,
        schemaTypePropertiesSchema: 'public', table,
      },
    },
    lineitemBlob: {
      properties: {
        type: 'DelimitedText', linkedServiceName: { type: 'LinkedServiceReference', referenceName: 'blob' },
        location: { type: 'AzureBlobStorageLocation', container, folderPath: csvBlob.folder, fileName: csvBlob.file },
        columnDelimiter: ',', rowDelimiter: '\n', quoteChar: '"', escapeChar: '"', firstRowAsHeader: true,
      },
    },
  };
}

export function tablePipelines(): Record<string, PipelineResource> {
  const made: Record<string, PipelineResource> = {};
  for (const copy of tableCopies) (made[copy.pipeline] ??= { activities: [] }).activities?.push(copyActivity(copy));
  return made;
}

type CopyActivityJson = NonNullable<PipelineResource['activities']>[number];

function copyActivity({ activity, after, from, to }: TableCopy): CopyActivityJson {
  return {
    name: activity, type: 'Copy',
    dependsOn: after === undefined ? [] : [{ activity: after, dependencyConditions: ['Succeeded'] }],
    policy: { timeout: '0.00:10:00', retry: 1, retryIntervalInSeconds: 30 },
    inputs: [reference(from, 'postgresTable')],
    outputs: [reference(to, 'postgresSinkTable')],
    source: from.kind === 'table'
      ? { type: 'PostgreSqlV2Source', partitionOption: 'DynamicRange', partitionSettings: { partitionColumnName: 'l_orderkey' } }
      : { type: 'DelimitedTextSource', storeSettings: { type: 'AzureBlobStorageReadSettings', recursive: false } },
    sink: to.kind === 'table'
      ? { type: 'AzurePostgreSqlSink', preCopyScript: `TRUNCATE ${to.table}` }
      : {
        type: 'DelimitedTextSink', storeSettings: { type: 'AzureBlobStorageWriteSettings' },
        formatSettings: { type: 'DelimitedTextWriteSettings', quoteAllText: false, fileExtension: '.csv' },
      },
  } as CopyActivityJson;
}

function reference(end: TableEnd, dataset: string): { type: 'DatasetReference'; referenceName: string; parameters?: object } {
  if (end.kind === 'blob') return { type: 'DatasetReference', referenceName: 'lineitemBlob' };
  return { type: 'DatasetReference', referenceName: dataset, parameters: { table: end.table.split('.')[1] } };
}

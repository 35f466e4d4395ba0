import type { DatasetResource, LinkedServiceResource, PipelineResource } from '@azure/arm-datafactory';

/** What the demo copies, as Data Factory objects: two linked services, four datasets with parameters, and the pipelines. */

export const gatewayName = 'demo-gateway';
export const container = 'demo';
const connectVia = { type: 'IntegrationRuntimeReference', referenceName: gatewayName } as const;

export function linkedServices(root: string, blobConnectionString: string): Record<string, LinkedServiceResource> {
  return {
    files: { properties: { type: 'FileServer', host: root, connectVia } },
    blob: {
      properties: { type: 'AzureBlobStorage', connectionString: { type: 'SecureString', value: blobConnectionString }, connectVia },
    },
  };
}

const parameters = { folder: { type: 'String' }, file: { type: 'String', defaultValue: '' } } as const;
const folderPath = { type: 'Expression', value: '@dataset().folder' };
const fileName = { type: 'Expression', value: '@dataset().file' };

export function datasets(): Record<string, DatasetResource> {
  const fileStore = { linkedServiceName: { type: 'LinkedServiceReference', referenceName: 'files' } as const, parameters };
  const blobStore = { linkedServiceName: { type: 'LinkedServiceReference', referenceName: 'blob' } as const, parameters };
  const fileLocation = { type: 'FileServerLocation' as const, folderPath, fileName };
  const blobLocation = { type: 'AzureBlobStorageLocation' as const, container, folderPath, fileName };
  const delimited = { ...parameters, delimiter: { type: 'String' as const, defaultValue: ',' } };
  const csv = {
    columnDelimiter: { type: 'Expression', value: '@dataset().delimiter' },
    quoteChar: '"',
    escapeChar: '"',
    firstRowAsHeader: true,
  };
  return {
    fileBinary: { properties: { type: 'Binary', ...fileStore, location: fileLocation } },
    blobBinary: { properties: { type: 'Binary', ...blobStore, location: blobLocation } },
    fileCsv: { properties: { type: 'DelimitedText', ...fileStore, parameters: delimited, location: fileLocation, ...csv } },
    blobCsv: { properties: { type: 'DelimitedText', ...blobStore, parameters: delimited, location: blobLocation, ...csv } },
  };
}

/** How a column's value is judged: the same text, the same number, or the same moment. */
export type Judge = 'text' | 'number' | 'moment';

export interface MappedColumn {
  readonly source: string;
  readonly sink: string;
  readonly type?: string;
  readonly sinkType?: string;
  readonly judge: Judge;
}

export interface Place {
  readonly store: 'file' | 'blob';
  readonly folder: string;
  readonly file?: string;
}

/** One copy of the demo: what the gateway is asked to do, and all that the verifier needs to know. */
export interface DemoCopy {
  readonly pipeline: string;
  readonly activity: string;
  readonly after?: string;
  readonly from: Place;
  readonly to: Place;
  readonly recursive?: boolean;
  readonly wildcard?: string;
  readonly flatten?: boolean;
  readonly csv?: { readonly fromDelimiter: string; readonly toDelimiter: string; readonly columns?: readonly MappedColumn[] };
}

const steadyCopies: readonly DemoCopy[] = [
  {
    pipeline: 'there-and-back',
    activity: 'folder-to-blob',
    from: { store: 'file', folder: 'in/vega' },
    to: { store: 'blob', folder: 'vega' },
    wildcard: '*.csv',
  },
  {
    pipeline: 'there-and-back',
    activity: 'blob-to-folder',
    after: 'folder-to-blob',
    from: { store: 'blob', folder: 'vega' },
    to: { store: 'file', folder: 'out/vega' },
  },
  {
    pipeline: 'large',
    activity: 'large-to-blob',
    from: { store: 'file', folder: 'in/large', file: 'large.bin' },
    to: { store: 'blob', folder: 'large' },
  },
  {
    pipeline: 'large',
    activity: 'large-to-file',
    after: 'large-to-blob',
    from: { store: 'blob', folder: 'large', file: 'large.bin' },
    to: { store: 'file', folder: 'out/large' },
  },
  ...(['zipcodes', 'birdstrikes', 'species'] as const).map((name): DemoCopy => ({
    pipeline: `one-${name}`,
    activity: `${name}-to-blob`,
    from: { store: 'file', folder: 'in/vega', file: `${name}.csv` },
    to: { store: 'blob', folder: 'single', file: `${name}.copy.csv` },
  })),
  {
    pipeline: 'nested',
    activity: 'nested-to-blob',
    from: { store: 'file', folder: 'in/nested' },
    to: { store: 'blob', folder: 'nested' },
    recursive: true,
  },
  {
    pipeline: 'nested',
    activity: 'nested-flattened',
    from: { store: 'file', folder: 'in/nested' },
    to: { store: 'file', folder: 'out/flat' },
    recursive: true,
    flatten: true,
  },
  { pipeline: 'empty', activity: 'empty-folder', from: { store: 'file', folder: 'in/empty' }, to: { store: 'blob', folder: 'nothing' } },
  {
    pipeline: 'airports',
    activity: 'airports-mapped',
    from: { store: 'file', folder: 'in/vega', file: 'airports.csv' },
    to: { store: 'file', folder: 'out/csv', file: 'airports.psv' },
    csv: {
      fromDelimiter: ',',
      toDelimiter: '|',
      columns: [
        { source: 'iata', sink: 'Code', judge: 'text' },
        { source: 'name', sink: 'Airport', judge: 'text' },
        { source: 'latitude', sink: 'Latitude', type: 'Decimal', sinkType: 'Decimal', judge: 'number' },
        { source: 'longitude', sink: 'Longitude', type: 'Decimal', sinkType: 'Decimal', judge: 'number' },
      ],
    },
  },
  {
    pipeline: 'weather',
    activity: 'weather-mapped',
    from: { store: 'file', folder: 'in/vega', file: 'seattle-weather.csv' },
    to: { store: 'blob', folder: 'csv', file: 'weather.csv' },
    csv: {
      fromDelimiter: ',',
      toDelimiter: ';',
      columns: [
        { source: 'date', sink: 'Day', type: 'DateTime', sinkType: 'DateTime', judge: 'moment' },
        { source: 'temp_max', sink: 'High', type: 'Decimal', sinkType: 'Decimal', judge: 'number' },
        { source: 'weather', sink: 'Weather', judge: 'text' },
      ],
    },
  },
  {
    pipeline: 'flights',
    activity: 'flights-to-blob',
    from: { store: 'file', folder: 'in/vega', file: 'flights-airport.csv' },
    to: { store: 'blob', folder: 'csv', file: 'flights.csv' },
    csv: { fromDelimiter: ',', toDelimiter: ';' },
  },
  {
    pipeline: 'flights',
    activity: 'flights-mapped',
    after: 'flights-to-blob',
    from: { store: 'blob', folder: 'csv', file: 'flights.csv' },
    to: { store: 'file', folder: 'out/csv', file: 'flights.tsv' },
    csv: {
      fromDelimiter: ';',
      toDelimiter: '\t',
      columns: [
        { source: 'count', sink: 'Flights', type: 'Int64', sinkType: 'Int32', judge: 'number' },
        { source: 'origin', sink: 'From', judge: 'text' },
        { source: 'destination', sink: 'To', judge: 'text' },
      ],
    },
  },
  {
    pipeline: 'hostile',
    activity: 'hostile-to-blob',
    from: { store: 'file', folder: 'in/hostile', file: 'hostile.csv' },
    to: { store: 'blob', folder: 'csv', file: 'hostile.csv' },
    csv: { fromDelimiter: ',', toDelimiter: '|' },
  },
];

/** All copies of the demo: beside those that are always made one for each node, long enough for every node to be at work. */
export function demoCopies(nodes: number): DemoCopy[] {
  if (nodes === 1) return [...steadyCopies];
  const parts = partNames(nodes).map((name): DemoCopy => ({
    pipeline: name,
    activity: `${name}-to-blob`,
    from: { store: 'file', folder: 'in/parts', file: `${name}.bin` },
    to: { store: 'blob', folder: 'parts', file: `${name}.bin` },
  }));
  // The long ones first: they are under way when the dispatcher is killed.
  return [...steadyCopies.filter(isLong), ...parts, ...steadyCopies.filter((copy) => !isLong(copy))];
}

const isLong = ({ pipeline }: DemoCopy): boolean => pipeline === 'large';

export function partNames(nodes: number): string[] {
  return nodes === 1 ? [] : Array.from({ length: nodes }, (_, index) => `part-${index + 1}`);
}

export function pipelines(copies: readonly DemoCopy[]): Record<string, PipelineResource> {
  const made: Record<string, PipelineResource> = {};
  for (const copy of copies) {
    const pipeline = (made[copy.pipeline] ??= { activities: [] });
    pipeline.activities?.push(copyActivity(copy));
  }
  return made;
}

type CopyActivityJson = NonNullable<PipelineResource['activities']>[number];

function copyActivity(copy: DemoCopy): CopyActivityJson {
  return {
    name: copy.activity,
    type: 'Copy',
    dependsOn: copy.after === undefined ? [] : [{ activity: copy.after, dependencyConditions: ['Succeeded'] }],
    policy: { timeout: '0.00:10:00', retry: 1, retryIntervalInSeconds: 30 },
    inputs: [reference(copy.from, copy.csv?.fromDelimiter)],
    outputs: [reference(copy.to, copy.csv?.toDelimiter)],
    source: { type: copy.csv === undefined ? 'BinarySource' : 'DelimitedTextSource', storeSettings: readSettings(copy) },
    sink: { type: copy.csv === undefined ? 'BinarySink' : 'DelimitedTextSink', storeSettings: writeSettings(copy), ...writeFormat(copy) },
    ...translator(copy),
  } as CopyActivityJson;
}

function reference(place: Place, delimiter: string | undefined): object {
  return {
    type: 'DatasetReference',
    referenceName: `${place.store}${delimiter === undefined ? 'Binary' : 'Csv'}`,
    parameters: {
      folder: place.folder,
      ...(place.file === undefined ? {} : { file: place.file }),
      ...(delimiter === undefined ? {} : { delimiter }),
    },
  };
}

function readSettings(copy: DemoCopy): object {
  return {
    type: copy.from.store === 'file' ? 'FileServerReadSettings' : 'AzureBlobStorageReadSettings',
    recursive: copy.recursive ?? false,
    ...(copy.wildcard === undefined ? {} : { wildcardFileName: copy.wildcard }),
  };
}

function writeSettings(copy: DemoCopy): object {
  return {
    type: copy.to.store === 'file' ? 'FileServerWriteSettings' : 'AzureBlobStorageWriteSettings',
    ...(copy.flatten === true ? { copyBehavior: 'FlattenHierarchy' } : {}),
  };
}

function writeFormat(copy: DemoCopy): object {
  return copy.csv === undefined
    ? {}
    : { formatSettings: { type: 'DelimitedTextWriteSettings', quoteAllText: false, fileExtension: '.csv' } };
}

function translator(copy: DemoCopy): object {
  const columns = copy.csv?.columns;
  if (columns === undefined) return {};
  return {
    translator: {
      type: 'TabularTranslator',
      mappings: columns.map((column) => ({
        source: { name: column.source, ...(column.type === undefined ? {} : { type: column.type }) },
        sink: { name: column.sink, ...(column.sinkType === undefined ? {} : { type: column.sinkType }) },
      })),
      typeConversion: true,
    },
  };
}

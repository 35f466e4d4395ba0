import type { ConnectorSpec, PropertySpec } from '@dmg/model';

const common: readonly PropertySpec[] = [
  { name: 'maxConcurrentConnections', type: 'integer', minimum: 1, description: 'Upper limit of parallel requests of this copy.' },
  {
    name: 'disableMetricsCollection', type: 'boolean', ignored: 'no metrics are collected by the store',
    description: 'Kept for compatibility.',
  },
];

/** `AzureBlobStorage` of Data Factory v2: containers and block blobs. */
export const azureBlobSpec: ConnectorSpec = {
  name: 'azure-blob',
  source: true,
  sink: true,
  atomicPublish: 'yes',
  linkedServices: [
    {
      type: 'AzureBlobStorage',
      description: 'An Azure Storage account. Give a connection string, or a SAS URI.',
      properties: [
        { name: 'connectionString', type: 'secret', description: 'Connection string with account key or SAS.' },
        { name: 'accountKey', type: 'secret', description: 'Account key, where the connection string leaves it out.' },
        { name: 'sasUri', type: 'secret', description: 'URI of the account or container with its SAS.' },
        { name: 'sasToken', type: 'secret', description: 'SAS, where the URI leaves it out.' },
        {
          name: 'serviceEndpoint', type: 'string', refused: 'Entra identities are not supported yet; use a connection string or SAS',
          description: 'Endpoint for Entra identities.',
        },
        {
          name: 'accountKind', type: 'string', ignored: 'the kind of the account makes no difference',
          description: 'Kept for compatibility.',
        },
        {
          name: 'authenticationType', type: 'string', values: ['AccountKey', 'SasUri', 'Anonymous'],
          ignored: 'the properties given decide', description: 'Kept for compatibility.',
        },
      ],
    },
  ],
  locations: [
    {
      type: 'AzureBlobStorageLocation',
      description: 'Container, folder and blob.',
      properties: [
        { name: 'container', type: 'string', required: true, description: 'Container.' },
        { name: 'folderPath', type: 'string', description: 'Folder (prefix) in the container.' },
        { name: 'fileName', type: 'string', description: 'Blob in the folder.' },
      ],
    },
  ],
  readSettings: [
    {
      type: 'AzureBlobStorageReadSettings',
      description: 'Which blobs are read.',
      properties: [
        { name: 'recursive', type: 'boolean', default: true, description: 'Read sub-folders too.' },
        { name: 'prefix', type: 'string', description: 'Only blobs whose name in the container starts so.' },
        { name: 'wildcardFolderPath', type: 'string', description: 'Folder with `*` and `?`.' },
        { name: 'wildcardFileName', type: 'string', description: 'Blob name with `*` and `?`.' },
        { name: 'fileListPath', type: 'string', refused: 'file lists are not supported', description: 'A blob that lists the blobs.' },
        { name: 'modifiedDatetimeStart', type: 'string', description: 'Only blobs changed at or after this moment (ISO 8601).' },
        { name: 'modifiedDatetimeEnd', type: 'string', description: 'Only blobs changed before this moment (ISO 8601).' },
        {
          name: 'deleteFilesAfterCompletion', type: 'boolean', default: false, refused: 'blobs are never deleted at the source',
          description: 'Delete what was copied.',
        },
        {
          name: 'enablePartitionDiscovery', type: 'boolean', default: false, refused: 'partition discovery is not supported',
          description: 'Columns from folder names.',
        },
        {
          name: 'partitionRootPath', type: 'string', refused: 'partition discovery is not supported',
          description: 'Where partitions begin.',
        },
        ...common,
      ],
    },
  ],
  writeSettings: [
    {
      type: 'AzureBlobStorageWriteSettings',
      description: 'How blobs are written.',
      properties: [
        {
          name: 'copyBehavior', type: 'string', values: ['PreserveHierarchy', 'FlattenHierarchy', 'MergeFiles'],
          default: 'PreserveHierarchy', description: 'What becomes of sub-folders.',
        },
        { name: 'blockSizeInMB', type: 'integer', minimum: 1, maximum: 100, description: 'Size of a block; chosen by size when left out.' },
        { name: 'metadata', type: 'any', refused: 'custom metadata is not supported yet', description: 'Metadata for the blobs.' },
        ...common,
      ],
    },
  ],
};

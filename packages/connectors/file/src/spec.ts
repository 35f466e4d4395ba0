import type { ConnectorSpec, PropertySpec } from '@dmg/model';

const common: readonly PropertySpec[] = [
  { name: 'maxConcurrentConnections', type: 'integer', minimum: 1, description: 'Upper limit of parallel file operations of this copy.' },
  {
    name: 'disableMetricsCollection', type: 'boolean', ignored: 'no metrics are collected by the store',
    description: 'Kept for compatibility.',
  },
];

/** `FileServer` of Data Factory v2: a folder that the node can reach, local or mounted. */
export const fileSpec: ConnectorSpec = {
  name: 'file',
  source: true,
  sink: true,
  atomicPublish: 'yes',
  linkedServices: [
    {
      type: 'FileServer',
      description: 'A folder of a file system that the node can reach.',
      properties: [
        { name: 'host', type: 'string', required: true, description: 'Absolute path of the root folder; all paths are relative to it.' },
        {
          name: 'userId', type: 'string', ignored: 'files are read and written as the user that the node runs as',
          description: 'Kept for compatibility.',
        },
        {
          name: 'password', type: 'secret', ignored: 'files are read and written as the user that the node runs as',
          description: 'Kept for compatibility.',
        },
      ],
    },
  ],
  locations: [
    {
      type: 'FileServerLocation',
      description: 'Folder and file below the host.',
      properties: [
        { name: 'folderPath', type: 'string', description: 'Folder, relative to the host.' },
        { name: 'fileName', type: 'string', description: 'File in the folder.' },
      ],
    },
  ],
  readSettings: [
    {
      type: 'FileServerReadSettings',
      description: 'Which files are read.',
      properties: [
        { name: 'recursive', type: 'boolean', default: false, description: 'Read sub-folders too.' },
        { name: 'wildcardFolderPath', type: 'string', description: 'Folder with `*` and `?`.' },
        { name: 'wildcardFileName', type: 'string', description: 'File name with `*` and `?`.' },
        { name: 'fileListPath', type: 'string', refused: 'file lists are not supported', description: 'A file that lists the files.' },
        { name: 'fileFilter', type: 'string', description: 'Older spelling of wildcardFileName.' },
        { name: 'modifiedDatetimeStart', type: 'string', description: 'Only files changed at or after this moment (ISO 8601).' },
        { name: 'modifiedDatetimeEnd', type: 'string', description: 'Only files changed before this moment (ISO 8601).' },
        {
          name: 'deleteFilesAfterCompletion', type: 'boolean', default: false, refused: 'files are never deleted at the source',
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
      type: 'FileServerWriteSettings',
      description: 'How files are written.',
      properties: [
        {
          name: 'copyBehavior', type: 'string', values: ['PreserveHierarchy', 'FlattenHierarchy', 'MergeFiles'],
          default: 'PreserveHierarchy', description: 'What becomes of sub-folders.',
        },
        ...common,
      ],
    },
  ],
};

import type { ConnectorSpec, ObjectSpec, PropertySpec } from '@dmg/model';

const noEffect = 'Kept for compatibility.';
const noEntra = 'Entra identities are not supported yet; give username and password, or a connection string';
const noClientCertificate = 'client certificates are not supported yet; give username and password';

const connectionString: PropertySpec = {
  name: 'connectionString', type: 'secret', excludes: ['server', 'port', 'database', 'username'],
  description: 'Host=…;Port=…;Database=…;UID=…;Password=…;SSL Mode=…',
};
const password: PropertySpec = {
  name: 'password', type: 'secret', description: 'Password of the user; also where the connection string leaves it out.',
};
const server: PropertySpec = { name: 'server', type: 'string', description: 'Name or address of the server.' };
const database: PropertySpec = { name: 'database', type: 'string', description: 'Name of the database.' };
const username: PropertySpec = { name: 'username', type: 'string', description: 'The user who logs in.' };

/** What `PostgreSqlV2` and the newer `AzurePostgreSql` have in common beside server, database and user. */
const connectionDetails: readonly PropertySpec[] = [
  { name: 'port', type: 'integer', minimum: 1, maximum: 65_535, description: 'Port of the server; 5432 when left out.' },
  {
    name: 'sslMode', type: 'text',
    values: ['0', '1', '2', '3', '4', '5', 'disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'],
    description: 'Encryption: 0 disable, 1 allow, 2 prefer, 3 require, 4 verify-ca, 5 verify-full.',
  },
  { name: 'trustServerCertificate', type: 'boolean', description: 'Take the server\'s certificate without verifying it.' },
  { name: 'connectionTimeout', type: 'integer', minimum: 0, description: 'Seconds in which a connection must be made; 0: our own limit.' },
  { name: 'commandTimeout', type: 'integer', minimum: 0, description: 'Seconds in which the server may send nothing.' },
  {
    name: 'schema', type: 'string', default: 'public',
    refused: 'it would change what unqualified names mean; give the schema in the dataset, and in queries', description: 'Search path.',
  },
  { name: 'pooling', type: 'boolean', ignored: 'each copy has connections of its own', description: noEffect },
  { name: 'readBufferSize', type: 'integer', minimum: 0, ignored: 'buffers have a size of their own', description: noEffect },
  { name: 'logParameters', type: 'boolean', ignored: 'values are never logged', description: noEffect },
  { name: 'timezone', type: 'string', ignored: 'moments are read and written in UTC, with their offset', description: noEffect },
  { name: 'encoding', type: 'string', ignored: 'text travels as UTF-8, whatever the database keeps it in', description: noEffect },
  { name: 'sslCertificate', type: 'string', refused: noClientCertificate, description: 'Certificate of the client.' },
  { name: 'sslKey', type: 'secret', refused: noClientCertificate, description: 'Key of the client\'s certificate.' },
  { name: 'sslPassword', type: 'secret', refused: noClientCertificate, description: 'Password of that key.' },
];

const entra: readonly PropertySpec[] = [
  { name: 'azureCloudType', type: 'string', ignored: 'it belongs to Entra identities', description: noEffect },
  { name: 'credential', type: 'any', refused: noEntra, description: 'A credential of the factory.' },
  { name: 'servicePrincipalId', type: 'string', refused: noEntra, description: 'An application\'s id.' },
  { name: 'servicePrincipalKey', type: 'secret', refused: noEntra, description: 'An application\'s key.' },
  { name: 'servicePrincipalCredentialType', type: 'string', refused: noEntra, description: 'Kind of an application\'s credential.' },
  { name: 'servicePrincipalEmbeddedCert', type: 'secret', refused: noEntra, description: 'An application\'s certificate.' },
  { name: 'servicePrincipalEmbeddedCertPassword', type: 'secret', refused: noEntra, description: 'Password of that certificate.' },
  { name: 'tenant', type: 'string', refused: noEntra, description: 'An application\'s tenant.' },
];

const basicOnly: PropertySpec = {
  name: 'authenticationType', type: 'string', values: ['Basic'], ignored: 'user and password are used', description: noEffect,
};
/** Spelled so in the newer `AzurePostgreSql`. */
const timeout: PropertySpec = { name: 'timeout', type: 'integer', minimum: 0, description: 'The same as connectionTimeout.' };

const linkedServices: readonly ObjectSpec[] = [
  {
    type: 'PostgreSql', description: 'Any PostgreSQL server, by its connection string.', oneOf: ['connectionString', 'server'],
    properties: [connectionString, password, server, database, username, ...connectionDetails],
  },
  {
    type: 'PostgreSqlV2', description: 'Any PostgreSQL server, by properties.',
    properties: [
      { ...server, required: true }, { ...database, required: true }, { ...username, required: true }, password, basicOnly,
      ...connectionDetails,
    ],
  },
  {
    type: 'AzurePostgreSql', description: 'A PostgreSQL server of Azure, or any other.', oneOf: ['connectionString', 'server'],
    properties: [connectionString, password, server, database, username, timeout, ...connectionDetails, ...entra],
  },
];

const schema: PropertySpec = { name: 'schema', type: 'string', description: 'Schema of the table; public when left out.' };
const table: PropertySpec = { name: 'table', type: 'string', description: 'Name of the table, as it is spelled in the catalogue.' };
const tableName: PropertySpec = {
  name: 'tableName', type: 'string', description: 'schema.table in one text; each part may stand in double quotes.',
};

const datasets: readonly ObjectSpec[] = [
  { type: 'PostgreSqlTable', description: 'A table or view.', properties: [schema, table, tableName] },
  { type: 'PostgreSqlV2Table', description: 'A table or view.', properties: [schema, table] },
  { type: 'AzurePostgreSqlTable', description: 'A table or view.', properties: [schema, table, tableName] },
  { type: 'RelationalTable', description: 'A table or view, in the older spelling.', properties: [tableName] },
];

const query: PropertySpec = { name: 'query', type: 'string', description: 'A SELECT whose rows are copied, instead of the table.' };
const consistency: PropertySpec = {
  name: 'consistency', type: 'string', values: ['snapshot', 'perChunk'], default: 'snapshot',
  description: 'snapshot: all rows are of one moment. perChunk: each chunk is of its own; nothing is held open at the server.',
};
const onSnapshotLost: PropertySpec = {
  name: 'onSnapshotLost', type: 'string', values: ['restart', 'perChunk', 'fail'],
  description: 'What becomes of a copy when no session holds its snapshot any more. restart: the sink discards what it has, and the copy '
    + 'begins anew (into a table directly: as long as no chunk is in). perChunk: the chunks that are left are each of their own moment. '
    + 'fail. When left out: the first of them that is possible.',
};
const readDetails: readonly PropertySpec[] = [
  {
    name: 'partitionOption', type: 'string', values: ['None', 'PhysicalPartitionsOfTable', 'DynamicRange'],
    description: 'How the table is cut; by a unique key where there is one when it is left out.',
  },
  {
    name: 'partitionSettings', type: 'object', description: 'For DynamicRange and PhysicalPartitionsOfTable.',
    properties: [
      { name: 'partitionColumnName', type: 'string', description: 'Column by whose values the table is cut.' },
      { name: 'partitionUpperBound', type: 'text', description: 'Where the last range begins; no row is left out by it.' },
      { name: 'partitionLowerBound', type: 'text', description: 'Where the first range ends; no row is left out by it.' },
      { name: 'partitionNames', type: 'any', description: 'Names of the physical partitions.' },
    ],
  },
  { name: 'queryTimeout', type: 'string', ignored: 'the timeout of the activity counts', description: noEffect },
  consistency,
  onSnapshotLost,
];

const noPartitions = 'rows of a RelationalSource are read in one piece; use PostgreSqlSource';
const sources: readonly ObjectSpec[] = [
  { type: 'PostgreSqlSource', description: 'Reads a table or query.', properties: [query, ...readDetails] },
  { type: 'PostgreSqlV2Source', description: 'Reads a table or query.', properties: [query, ...readDetails] },
  { type: 'AzurePostgreSqlSource', description: 'Reads a table or query.', properties: [query, ...readDetails] },
  {
    type: 'RelationalSource', description: 'Reads a table or query, in the older spelling.',
    properties: [
      query, consistency, onSnapshotLost,
      { name: 'partitionOption', type: 'string', default: 'None', refused: noPartitions, description: 'How the table is cut.' },
    ],
  },
];

const writeDetails: readonly PropertySpec[] = [
  {
    name: 'preCopyScript', type: 'string',
    description: 'SQL that runs once: in the transaction that makes the copy\'s plan durable, or, where rows are staged, in the one that '
      + 'moves them into the table.',
  },
  {
    name: 'tableOption', type: 'string', values: ['none', 'autoCreate'], default: 'none',
    description: 'autoCreate: make the table when it is absent, with the columns of the source.',
  },
  {
    name: 'writeMode', type: 'string', values: ['direct', 'staged'],
    description: 'direct (when left out): into the table itself, chunk by chunk. staged: into a table of the copy\'s own, from which one '
      + 'transaction moves all rows at the end. An upsert is always staged.',
  },
  {
    name: 'writeMethod', type: 'string', values: ['BulkInsert', 'CopyCommand', 'Upsert'],
    description: 'Upsert: rows replace those with the same key. BulkInsert and CopyCommand: rows are added, always with COPY.',
  },
  {
    name: 'writeBehavior', type: 'string', values: ['insert', 'upsert'],
    description: 'upsert: the same as writeMethod Upsert. insert: rows are added.',
  },
  {
    name: 'upsertSettings', type: 'object', description: 'For an upsert.',
    properties: [
      { name: 'keys', type: 'any', description: 'Columns by which rows are the same, as ["id"]; the primary key when left out.' },
      { name: 'interimSchemaName', type: 'string', description: 'Schema in which the rows are staged; that of the table when left out.' },
      {
        name: 'useTempDB', type: 'boolean', ignored: 'rows are staged in a table that several sessions can write', description: noEffect,
      },
    ],
  },
  {
    name: 'interimSchemaName', type: 'string',
    description: 'For writeMode staged: schema in which the rows are staged; that of the table when left out.',
  },
  { name: 'writeBatchSize', type: 'integer', minimum: 0, ignored: 'a transaction holds one chunk of the source', description: noEffect },
  { name: 'writeBatchTimeout', type: 'string', ignored: 'the timeout of the activity counts', description: noEffect },
];

const sinks: readonly ObjectSpec[] = [
  { type: 'AzurePostgreSqlSink', description: 'Adds rows to a table of any PostgreSQL server.', properties: writeDetails },
  { type: 'PostgreSqlSink', description: 'Adds rows to a table.', properties: writeDetails },
  { type: 'PostgreSqlV2Sink', description: 'Adds rows to a table.', properties: writeDetails },
];

/** `PostgreSql`, `PostgreSqlV2` and `AzurePostgreSql` of Data Factory v2: tables and queries; each serves any PostgreSQL server. */
export const postgresqlSpec: ConnectorSpec = {
  name: 'postgresql',
  source: true,
  sink: true,
  atomicPublish: 'yes',
  linkedServices,
  locations: [],
  readSettings: [],
  writeSettings: [],
  tables: { datasets, sources, sinks },
};

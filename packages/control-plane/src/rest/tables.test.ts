import assert from 'node:assert/strict';
import test from 'node:test';
import type { CopySinkUnion, CopySourceUnion, DatasetResource, LinkedServiceResource } from '@azure/arm-datafactory';
import type { CopyEnd } from '@dmg/model';
import { success } from '../testing/fake-node.ts';
import { activityRuns, factory, type Fixture, gateway, group, registeredNode, seed, startFixture } from '../testing/fixture.ts';

type LinkedServiceProperties = LinkedServiceResource['properties'];
type DatasetProperties = DatasetResource['properties'];

const connectVia = { type: 'IntegrationRuntimeReference', referenceName: gateway } as const;
const linkedServiceName = (referenceName: string) => ({ type: 'LinkedServiceReference' as const, referenceName });
const password = 'canary-of-tables';
const connectionString = `Host=db;Port=5432;Database=shop;UID=me;Password=${password};SSL Mode=Disable`;
/** The client's types do not know the newer names, but what it sends for them is what the service takes. */
const newer = <T extends { readonly type: string }>(value: Record<string, unknown>): T => structuredClone<object>(value) as T;

const linkedServices: Record<string, LinkedServiceProperties> = {
  Pg: { type: 'PostgreSql', connectionString: { type: 'SecureString', value: connectionString }, connectVia },
  PgAzure: { type: 'AzurePostgreSql', connectionString, connectVia },
  Pg2: newer({
    type: 'PostgreSqlV2', connectVia,
    typeProperties: {
      server: 'db', port: 5432, database: 'shop', username: 'me', password: { type: 'SecureString', value: password }, sslMode: 0,
      authenticationType: 'Basic', pooling: true, connectionTimeout: 15,
    },
  }),
};
const datasets: Record<string, DatasetProperties> = {
  Orders: { type: 'PostgreSqlTable', linkedServiceName: linkedServiceName('Pg'), schemaTypePropertiesSchema: 'sales', table: 'orders' },
  OrdersAzure: { type: 'AzurePostgreSqlTable', linkedServiceName: linkedServiceName('PgAzure'), tableName: 'sales."Orders"' },
  Orders2: newer({
    type: 'PostgreSqlV2Table', linkedServiceName: linkedServiceName('Pg2'), typeProperties: { schema: 'sales', table: 'copied' },
  }),
  // Any of the three names a table of any of the three.
  OrdersMixed: { type: 'AzurePostgreSqlTable', linkedServiceName: linkedServiceName('Pg2'), tableName: 'mixed' },
  Csv: {
    type: 'DelimitedText', linkedServiceName: linkedServiceName('Blob'), firstRowAsHeader: true,
    location: { type: 'AzureBlobStorageLocation', container: 'out', folderPath: 'csv' },
  },
};

async function seedTables(fixture: Fixture): Promise<void> {
  await seed(fixture);
  const { client } = fixture;
  for (const [name, properties] of Object.entries(linkedServices)) {
    await client.linkedServices.createOrUpdate(group, factory, name, { properties });
  }
  for (const [name, properties] of Object.entries(datasets)) await client.datasets.createOrUpdate(group, factory, name, { properties });
}

interface Copy {
  readonly from: string;
  readonly to: string;
  readonly source: CopySourceUnion;
  readonly sink: CopySinkUnion;
}

async function run({ client }: Fixture, name: string, { from, to, source, sink }: Copy): Promise<string> {
  await client.pipelines.createOrUpdate(group, factory, name, {
    activities: [{
      name: 'Copy1', type: 'Copy', source, sink,
      inputs: [{ type: 'DatasetReference', referenceName: from }], outputs: [{ type: 'DatasetReference', referenceName: to }],
    }],
  });
  return (await client.pipelines.createRun(group, factory, name)).runId;
}

test('linked services, datasets and pipelines of tables go through the unmodified client, come back as they were, and run', async (t) => {
  const fixture = await startFixture(t);
  await seedTables(fixture);
  const { client, sender } = fixture;
  const shown = await client.linkedServices.get(group, factory, 'Pg2');
  assert.equal(shown.properties.type, 'PostgreSqlV2');
  assert.equal((await client.datasets.get(group, factory, 'Orders')).properties['schemaTypePropertiesSchema'], 'sales');
  for (const name of Object.keys(linkedServices)) {
    const seen = JSON.stringify(await client.linkedServices.get(group, factory, name));
    assert.ok(!seen.includes(password), seen);
  }
  const node = await registeredNode(fixture);
  const job = async (name: string, message: number, copy: Copy): Promise<{ source: CopyEnd; sink: CopyEnd }> => {
    await run(fixture, name, copy);
    return (await node.job((await sender.message(message)).body)).activity;
  };
  const secretOf = async (end: CopyEnd, property: string): Promise<string> => (await node.decrypt(end.connection[property])).reveal();

  const out = await job('out', 1, {
    from: 'Orders', to: 'Csv', source: { type: 'PostgreSqlSource', query: 'SELECT 1', queryTimeout: '02:00:00' },
    sink: {
      type: 'DelimitedTextSink', storeSettings: { type: 'AzureBlobStorageWriteSettings' },
      formatSettings: { type: 'DelimitedTextWriteSettings', fileExtension: '.csv' },
    },
  });
  assert.deepEqual({ ...out.source, connection: Object.keys(out.source.connection) }, {
    connector: 'postgresql', connection: ['connectionString'], location: { schema: 'sales', table: 'orders' },
    settings: { query: 'SELECT 1', consistency: 'snapshot' }, format: { type: 'Table' },
  });
  assert.equal(await secretOf(out.source, 'connectionString'), connectionString);
  assert.deepEqual(
    [out.sink.location, out.sink.settings['fileExtension'], out.sink.format.type],
    [{ container: 'out', folderPath: 'csv' }, '.csv', 'DelimitedText'],
  );

  const within = await job('within', 2, {
    from: 'OrdersAzure', to: 'Orders2', source: { type: 'AzurePostgreSqlSource' },
    sink: { type: 'AzurePostgreSqlSink', preCopyScript: 'TRUNCATE sales.copied', tableOption: 'autoCreate', writeBatchSize: 1000 },
  });
  assert.equal(await secretOf(within.source, 'connectionString'), connectionString);
  assert.deepEqual(within.source.location, { tableName: 'sales."Orders"' });
  assert.equal(await secretOf(within.sink, 'password'), password);
  const { password: _sealed, ...open } = within.sink.connection;
  assert.deepEqual(open, { server: 'db', port: 5432, database: 'shop', username: 'me', sslMode: '0', connectionTimeout: 15 });
  assert.deepEqual(within.sink.settings, { preCopyScript: 'TRUNCATE sales.copied', tableOption: 'autoCreate' });

  const into = await job('into', 3, {
    from: 'Csv', to: 'OrdersMixed', source: { type: 'DelimitedTextSource' }, sink: newer({ type: 'PostgreSqlV2Sink' }),
  });
  assert.deepEqual([into.sink.connector, into.sink.location, into.sink.format], ['postgresql', { tableName: 'mixed' }, { type: 'Table' }]);
  const older = await job('older', 4, {
    from: 'Orders2', to: 'Csv', source: { type: 'RelationalSource', query: 'SELECT 2' }, sink: { type: 'DelimitedTextSink' },
  });
  assert.deepEqual(older.source.settings, { query: 'SELECT 2', consistency: 'snapshot' });
  const newest = await job('newest', 5, {
    from: 'Orders2', to: 'OrdersAzure',
    source: newer({ type: 'PostgreSqlV2Source', partitionOption: 'DynamicRange', partitionSettings: { partitionColumnName: 'id' } }),
    sink: newer({
      type: 'PostgreSqlSink', writeMethod: 'upsert', upsertSettings: { keys: ['id'], useTempDB: false, interimSchemaName: 'interim' },
      writeMode: 'staged',
    }),
  });
  assert.deepEqual(newest.sink.settings, {
    tableOption: 'none', writeMode: 'staged', writeMethod: 'Upsert', upsertSettings: { keys: ['id'], interimSchemaName: 'interim' },
  });
  assert.deepEqual(newest.source.settings, {
    partitionOption: 'DynamicRange', partitionSettings: { partitionColumnName: 'id' }, consistency: 'snapshot',
  });
});

test('what the client can say and the gateway cannot do is refused with the reason', async (t) => {
  const fixture = await startFixture(t);
  await seedTables(fixture);
  const { client } = fixture;
  const refusedSink = (sink: CopySinkUnion, reason: RegExp): Promise<void> =>
    assert.rejects(run(fixture, 'p', { from: 'Csv', to: 'Orders', source: { type: 'DelimitedTextSource' }, sink }), reason);
  await refusedSink({ type: 'AzurePostgreSqlSink', writeMode: 'odd' }, /sink\.writeMode is "odd"; allowed are direct, staged/);
  await refusedSink({ type: 'AzurePostgreSqlSink', upsertSettings: 'id' } as CopySinkUnion, /sink\.upsertSettings must be an object/);
  const binary = /sink\.type is BinarySink, but the dataset is PostgreSqlTable; use AzurePostgreSqlSink or PostgreSqlSink/;
  await refusedSink({ type: 'BinarySink' }, binary);
  await assert.rejects(
    run(fixture, 'p', { from: 'In', to: 'Orders', source: { type: 'BinarySource' }, sink: { type: 'AzurePostgreSqlSink' } }),
    /copies Binary to a table, and bytes have no rows; use a DelimitedText dataset/,
  );
  const refusedService = (properties: LinkedServiceProperties, reason: RegExp): Promise<void> =>
    assert.rejects(client.linkedServices.createOrUpdate(group, factory, 'bad', { properties }), reason);
  await refusedService(newer({ type: 'PostgreSqlV2', typeProperties: { server: 'db' } }), /typeProperties\.database is missing/);
  await refusedService({ type: 'AzurePostgreSql', encryptedCredential: '' }, /gives none of connectionString, server/);
  await refusedService(
    newer({ type: 'AzurePostgreSql', typeProperties: { server: 's', database: 'd', tenant: 't', servicePrincipalId: 'i' } }),
    /tenant is not supported: Entra identities/,
  );
  await refusedService(
    newer({ type: 'PostgreSqlV2', typeProperties: { server: 's', database: 'd', username: 'u', schema: 'sales' } }),
    /schema is not supported: it would change what unqualified names mean/,
  );
  await refusedService(
    newer({
      type: 'PostgreSql',
      typeProperties: {
        connectionString: 'Host=h;Database=d',
        password: { type: 'AzureKeyVaultSecret', secretName: 's', store: { referenceName: 'v', type: 'LinkedServiceReference' } },
      },
    }),
    /password is an AzureKeyVaultSecret, which is not supported/,
  );
});

test('the output of a copy between tables has rows and no files', async (t) => {
  const fixture = await startFixture(t);
  await seedTables(fixture);
  const node = await registeredNode(fixture);
  const copy: Copy = { from: 'Orders', to: 'Orders2', source: { type: 'PostgreSqlSource' }, sink: { type: 'AzurePostgreSqlSink' } };
  const runId = await run(fixture, 'p', copy);
  const job = await node.job((await fixture.sender.message(1)).body);
  const outcome = success(job);
  assert.ok(outcome.kind === 'succeeded');
  await node.report(job, { ...outcome, receipt: { ...outcome.receipt, rowsRead: 7, rowsWritten: 7, consistency: 'snapshot' } });
  const [activity] = await activityRuns(fixture, runId);
  assert.equal(activity?.status, 'Succeeded');
  const output = activity.output as Record<string, unknown>;
  assert.deepEqual([output['rowsRead'], output['rowsCopied'], output['filesRead'], output['filesWritten']], [7, 7, undefined, undefined]);
  assert.deepEqual(activity.input, { source: { type: 'PostgreSqlSource' }, sink: { type: 'AzurePostgreSqlSink' } });
  const [detail] = output['executionDetails'] as { source: unknown; sink: unknown }[];
  assert.deepEqual([detail?.source, detail?.sink], [{ type: 'PostgreSql' }, { type: 'PostgreSql' }]);
});

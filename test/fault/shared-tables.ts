import assert from 'node:assert/strict';
import { seededRandom } from '@dmg/base';
import { BlobServiceClient } from '@azure/storage-blob';
import { type PostgresServer, startPostgres } from '../../packages/connectors/postgresql/src/testing/postgres-server.ts';
import { type CleanupContext, onCleanup } from '../harness/cleanup.ts';
import { MovingTable } from '../harness/moving-table.ts';
import { startTcpFaultProxy, type TcpFaultProxy } from '../harness/tcp-fault-proxy.ts';
import type { Rig } from './rig.ts';

const columns = 'id int NOT NULL, version int NOT NULL, words text NOT NULL';
const leaves = 24;
const leafRows = 800;
const rows = leaves * leafRows;
const via = { type: 'IntegrationRuntimeReference', referenceName: 'local' };

/** Settings of a source: `parts` has a key and 24 partitions, `bare` no key, so that it is cut into ranges of pages. */
const sources = {
  parts: { table: 'parts', copy: { partitionOption: 'PhysicalPartitionsOfTable' } },
  partsByKey: { table: 'parts', copy: { partitionOption: 'DynamicRange', partitionSettings: { partitionColumnName: 'id' } } },
  bare: { table: 'bare', copy: { partitionOption: 'DynamicRange' } },
} as const;
export type SourceName = keyof typeof sources;

export type TableTarget = { readonly kind: 'table'; readonly copy: object } | { readonly kind: 'csv' };

/** Two tables of a real PostgreSQL that move while they are copied, and sinks that are as slow as a test wants. */
export class SharedTables {
  readonly #rig: Rig;
  readonly #db: PostgresServer;
  /** Between the copies and the tables they write. */
  readonly slow: TcpFaultProxy;
  #histories = 0;

  private constructor(rig: Rig, db: PostgresServer, slow: TcpFaultProxy) {
    this.#rig = rig;
    this.#db = db;
    this.slow = slow;
  }

  static async open(context: CleanupContext, rig: Rig): Promise<SharedTables> {
    const db = await startPostgres(context);
    const slow = await startTcpFaultProxy(context, { port: db.port });
    const bounds = Array.from({ length: leaves }, (_, leaf) => `CREATE TABLE parts_${leaf} PARTITION OF parts
      FOR VALUES FROM (${leaf * leafRows + 1}) TO (${(leaf + 1) * leafRows + 1});`);
    await db.query(`CREATE TABLE bare (${columns}); CREATE INDEX ON bare (id);
      CREATE TABLE parts (${columns}, PRIMARY KEY (id)) PARTITION BY RANGE (id); ${bounds.join('\n')}
      CREATE TABLE parts_later PARTITION OF parts DEFAULT;
      INSERT INTO bare ${rowsQuery(1, rows)}; INSERT INTO parts ${rowsQuery(1, rows)}; ANALYZE bare; ANALYZE parts`);
    const connection = (name: string, value: string): Promise<unknown> => rig.rest.put('linkedServices', name, {
      type: 'AzurePostgreSql', connectVia: via, typeProperties: { connectionString: { type: 'SecureString', value } },
    });
    await connection('pg', db.connectionString);
    await connection('slow-pg', db.connectionString.replace(`Port=${db.port}`, `Port=${slow.port}`));
    return new SharedTables(rig, db, slow);
  }

  /** Defines a copy and starts it. Tables are made here; a CSV is the blob `<name>.csv` of the container `fault`. */
  async start(
    name: string, from: SourceName, to: TableTarget, options: { parallelCopies: number; onSnapshotLost?: string },
  ): Promise<string> {
    const { rest } = this.#rig;
    const { parallelCopies, ...more } = options;
    const service = (referenceName: string): object => ({ type: 'LinkedServiceReference', referenceName });
    await rest.put('datasets', `${name}-in`, {
      type: 'AzurePostgreSqlTable', linkedServiceName: service('pg'), typeProperties: { schema: 'public', table: sources[from].table },
    });
    if (to.kind === 'table') await this.#db.query(`CREATE TABLE ${name} (${columns})`);
    await rest.put('datasets', `${name}-out`, to.kind === 'table'
      ? { type: 'AzurePostgreSqlTable', linkedServiceName: service('slow-pg'), typeProperties: { schema: 'public', table: name } }
      : {
        type: 'DelimitedText', linkedServiceName: service('slow-blob'),
        typeProperties: {
          location: { type: 'AzureBlobStorageLocation', container: 'fault', fileName: `${name}.csv` },
          firstRowAsHeader: true, escapeChar: '"',
        },
      });
    await rest.put('pipelines', name, {
      activities: [{
        name: 'copy', type: 'Copy',
        inputs: [{ type: 'DatasetReference', referenceName: `${name}-in` }],
        outputs: [{ type: 'DatasetReference', referenceName: `${name}-out` }],
        typeProperties: {
          source: { type: 'AzurePostgreSqlSource', ...sources[from].copy, ...more },
          sink: to.kind === 'table' ? { type: 'AzurePostgreSqlSink', ...to.copy } : { type: 'DelimitedTextSink' },
          parallelCopies,
        },
      }],
    });
    return rest.createRun(name);
  }

  /** A source that one session changes, vacuums and extends from now on, until it is stopped or the context ends. */
  async move(context: CleanupContext, from: SourceName): Promise<MovingTable> {
    const history = `history_${++this.#histories}`;
    const { table } = sources[from];
    const base = this.#histories * 1_000_000;
    const moving = await MovingTable.open({
      server: this.#db, table, history, keys: ['id'], random: seededRandom(this.#histories), pauseMs: 40,
      movement: (k) => ({
        update: { where: `id % 97 = ${k % 97}`, set: `version = version + 1, words = words || '+'` },
        remove: `id <= ${rows} AND id % 997 = ${(k * 7) % 997} AND id % 97 <> ${k % 97}`,
        insert: rowsQuery(base + k * 20, base + k * 20 + 19),
      }),
    });
    moving.start();
    onCleanup(context, () => moving.stop());
    return moving;
  }

  /** Process ids of the sessions that hold snapshots of the source. */
  async holders(): Promise<number[]> {
    const found = await this.#db.query<{ pid: number }>("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'dmg:s:%'");
    return found.map(({ pid }) => pid);
  }

  /** The rows of a CSV blob as the table of the same name. */
  async load(name: string): Promise<void> {
    const client = BlobServiceClient.fromConnectionString(this.#rig.line.blob).getContainerClient('fault');
    const [, ...lines] = (await client.getBlobClient(`${name}.csv`).downloadToBuffer()).toString().trimEnd().split('\r\n');
    await this.#db.query(`CREATE TABLE ${name} (${columns})`);
    await this.#db.query(`INSERT INTO ${name} SELECT split_part(line, ',', 1)::int, split_part(line, ',', 2)::int, split_part(line, ',', 3)
      FROM unnest($1::text[]) AS line`, [lines]);
  }

  blobExists(name: string): Promise<boolean> {
    return BlobServiceClient.fromConnectionString(this.#rig.line.blob).getContainerClient('fault').getBlobClient(`${name}.csv`).exists();
  }

  /** The copy is the source as it was after one transaction, each row once. Returns after how many, and how many there were. */
  async assertMoment(moving: MovingTable, copy: string): Promise<{ moment: number; moves: number }> {
    await moving.stop();
    const moment = await moving.momentOf(copy);
    const [copied, expected] = [`SELECT id, version, words FROM ${copy}`, `SELECT id, version, words FROM ${moving.after(moment)} AS e`];
    const differing = await this.#db.query(`SELECT id, version FROM (
      (${copied} EXCEPT ALL ${expected}) UNION ALL (${expected} EXCEPT ALL ${copied})) AS d LIMIT 5`);
    assert.deepEqual(differing, [], `${copy} is not the source after transaction ${moment} of ${moving.moves}`);
    return { moment, moves: moving.moves };
  }
}

function rowsQuery(from: number, to: number): string {
  return `SELECT n, 0, repeat(md5(n::text), 16) FROM generate_series(${from}, ${to}) AS n`;
}

import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BlobServiceClient } from '@azure/storage-blob';
import { type Random, seededRandom } from '@dmg/base';
import { startAzurite } from '../../packages/connectors/azure-blob/src/testing/azurite.ts';
import { PostgresProxy } from '../../packages/connectors/postgresql/src/testing/postgres-proxy.ts';
import { type PostgresServer, startPostgres } from '../../packages/connectors/postgresql/src/testing/postgres-server.ts';
import { type CleanupContext, onCleanup } from '../harness/cleanup.ts';
import { startTcpFaultProxy, type TcpFaultProxy } from '../harness/tcp-fault-proxy.ts';
import { tempDir } from '../harness/temp-dir.ts';
import { AttemptPool } from './copy-attempts.ts';

/** The stores between which copies go, the ways to them on which faults happen, and what many copies read. */
export interface CopyStage {
  readonly server: PostgresServer;
  /** Attempts reach the server through it. */
  readonly sql: PostgresProxy;
  /** Of the file store; the server may read it. */
  readonly root: string;
  readonly blobs: BlobServiceClient;
  /** As attempts reach the blob store, through `http`. */
  readonly connectionString: string;
  readonly http: TcpFaultProxy;
  readonly pool: AttemptPool;
  /** Files and blobs of `binaryFolder`, by name. */
  readonly binaries: ReadonlyMap<string, Uint8Array>;
}

/** Folder of the file store, and container, with the same objects. */
export const binaryFolder = 'in-binary';
/** Folder of CSV files whose rows are those of the table `expectedTable`. */
export const csvFolder = 'in-csv';
export const expectedTable = 'public.expected';

/** Columns of every table: each kind of text that can be harmed. */
export const tableColumns = 'id bigint, version integer NOT NULL, amount numeric(14, 4), at timestamptz, words text';
const words = `(ARRAY['plain', 'a,b', 'say "x"', E'two\\nlines', E'tab\\there', E'back\\\\slash', '', NULL, ' edge ', 'ünïcödé 🚚'])`;

/** Rows `from` to `to` as a query. */
export function rowsQuery(from: number, to: number, version: string = '0'): string {
  return `SELECT i, ${version}, CASE WHEN i % 7 = 0 THEN NULL ELSE 1234567890.1234 - i / 8.0 END,
    '2024-02-29 23:59:59.123456+00'::timestamptz + i * interval '7 minutes', ${words}[1 + i % 10] || repeat('.', (i % 90)::int)
    FROM generate_series(${from}, ${to}) AS i`;
}

const csvFiles = [9_000, 1, 14_000, 0, 3_000];

export async function openStage(context: CleanupContext, seed: number): Promise<CopyStage> {
  const random = seededRandom(seed);
  const root = await tempDir(context, 'dmg-copies-');
  // The server runs as another user, and writes and reads CSV files here.
  await chmod(root, 0o755);
  const server = await startPostgres(context);
  const sql = await PostgresProxy.start(context, server);
  const azurite = await startAzurite();
  onCleanup(context, () => azurite.stop());
  const http = await startTcpFaultProxy(context, { port: Number(new URL(azurite.endpoint).port) });
  const blobs = BlobServiceClient.fromConnectionString(azurite.connectionString);
  const binaries = await writeBinaries({ root, blobs }, random);
  await writeCsvFiles(root, server);
  return {
    server, sql, root, blobs, http, binaries,
    connectionString: azurite.connectionString.replace(azurite.endpoint, azurite.endpoint.replace(/:\d+/, `:${http.port}`)),
    pool: new AttemptPool(context, 2),
  };
}

/** Files of which one is in several chunks, and the smallest there are. */
async function writeBinaries(to: Pick<CopyStage, 'root' | 'blobs'>, random: Random): Promise<Map<string, Uint8Array>> {
  const sizes = [18_000_000, 700_000, 0, 1, 100_000, 8_388_608];
  const binaries = new Map(sizes.map((size, index) => [`file-${index}.bin`, bytesOf(size, random)]));
  const container = to.blobs.getContainerClient(binaryFolder);
  await container.create();
  await mkdir(join(to.root, binaryFolder));
  for (const [name, bytes] of binaries) {
    await writeFile(join(to.root, binaryFolder, name), bytes);
    await container.getBlockBlobClient(name).upload(Buffer.from(bytes), bytes.length);
  }
  return binaries;
}

/** Bytes in which no two pages are alike, without a draw for each. */
function bytesOf(size: number, random: Random): Uint8Array {
  const bytes = Buffer.alloc(size, random.bytes(251));
  for (let at = 0; at + 8 <= size; at += 4096) bytes.writeDoubleLE(random.unit() * at, at);
  return bytes;
}

async function writeCsvFiles(root: string, server: PostgresServer): Promise<void> {
  const folder = join(root, csvFolder);
  await mkdir(folder);
  await chmod(folder, 0o777);
  await server.query(`CREATE TABLE ${expectedTable} (${tableColumns})`);
  let from = 1;
  for (const [index, rows] of csvFiles.entries()) {
    const query = rowsQuery(from, from + rows - 1);
    await server.query(`INSERT INTO ${expectedTable} ${query}`);
    await server.admin(`COPY (SELECT * FROM (${query}) AS r(id, version, amount, at, words))
      TO '${join(folder, `part-${index}.csv`)}' (FORMAT csv, HEADER true, NULL 'NULL')`);
    from += rows;
  }
  // The server's umask keeps others out.
  await server.query(`ANALYZE ${expectedTable}`);
}

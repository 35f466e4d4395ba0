import { chmod, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BlobServiceClient } from '@azure/storage-blob';
import { seededRandom } from '@dmg/base';
import { type PostgresServer, startPostgres } from '../../packages/connectors/postgresql/src/testing/postgres-server.ts';
import type { CleanupContext } from '../harness/cleanup.ts';
import { MovingTable } from '../harness/moving-table.ts';
import { tempDir } from '../harness/temp-dir.ts';
import { container } from './definitions.ts';
import { tableCopies, type TableCopy, tables } from './table-definitions.ts';
import type { CopyPicture } from './failover-act.ts';
import type { Verdict } from './verify.ts';

const columns = `l_orderkey bigint NOT NULL, l_partkey bigint NOT NULL, l_suppkey bigint NOT NULL, l_linenumber integer NOT NULL,
  l_quantity numeric(15, 2) NOT NULL, l_extendedprice numeric(15, 2) NOT NULL, l_discount numeric(15, 2) NOT NULL,
  l_tax numeric(15, 2) NOT NULL, l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL, l_shipdate date NOT NULL,
  l_commitdate date NOT NULL, l_receiptdate date NOT NULL, l_shipinstruct char(25) NOT NULL, l_shipmode char(10) NOT NULL,
  l_comment varchar(44) NOT NULL`;
/** Lines of an order. */
const lines = 4;
const batches = 8;

/** Lines of the orders `from` to `to`, of TPC-H's columns and domains: a mix of the numbers of order and line, the same for each run. */
function linesOf(from: number, to: number): string {
  return `SELECT o, 1 + mix % 200000, 1 + mix % 10000, l, quantity, quantity * (900 + mix % 104000 / 100.0),
      mix % 11 / 100.0, mix % 9 / 100.0,
      (ARRAY['R', 'A', 'N'])[1 + mix % 3], (ARRAY['O', 'F'])[1 + mix % 2], shipped, shipped + (mix % 60)::int - 30,
      shipped + 1 + (mix % 30)::int,
      (ARRAY['DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN'])[1 + mix % 4],
      (ARRAY['REG AIR', 'AIR', 'RAIL', 'SHIP', 'TRUCK', 'MAIL', 'FOB'])[1 + mix % 7],
      (ARRAY['carefully final deposits', 'quickly "bold" requests', 'furiously, ironic accounts', E'slyly\\nregular'])[1 + mix % 4]
        || ' ' || mix % 9973
    FROM generate_series(${from}::bigint, ${to}) AS o, generate_series(1, ${lines}) AS l,
      LATERAL (SELECT (o * ${lines} + l) * 2654435761 % 4294967291 AS mix) AS m,
      LATERAL (SELECT 1 + mix % 50 AS quantity, date '1992-01-02' + (mix % 2526)::int AS shipped) AS d`;
}

/** A private PostgreSQL with the demo's tables: `lineitem`, which moves while it is copied, and the sinks of its copies. */
export class Lineitem {
  readonly server: PostgresServer;
  readonly rows: number;
  readonly #context: CleanupContext;
  readonly #moving: MovingTable;

  private constructor(context: CleanupContext, server: PostgresServer, rows: number, moving: MovingTable) {
    this.#context = context;
    this.server = server;
    this.rows = rows;
    this.#moving = moving;
  }

  static async open(context: CleanupContext, rows: number, signal: AbortSignal): Promise<Lineitem> {
    const server = await startPostgres(context, {
      shared_buffers: '256MB', max_wal_size: '4GB', autovacuum: 'off', checkpoint_timeout: '1h',
    });
    const orders = Math.ceil(rows / lines);
    await server.query(`CREATE TABLE ${tables.source} (${columns}); CREATE TABLE ${tables.read} (${columns});
      CREATE TABLE ${tables.copy} (${columns})`);
    const size = Math.ceil(orders / batches);
    for (let from = 1; from <= orders; from += size) {
      signal.throwIfAborted();
      await server.query(`INSERT INTO ${tables.source} ${linesOf(from, Math.min(orders, from + size - 1))}`);
    }
    await server.query(`ALTER TABLE ${tables.source} ADD PRIMARY KEY (l_orderkey, l_linenumber)`);
    signal.throwIfAborted();
    await server.query(`VACUUM (ANALYZE) ${tables.source}`);
    const moving = await MovingTable.open({
      server, table: tables.source, history: tables.history, keys: ['l_orderkey', 'l_linenumber'], random: seededRandom(7), pauseMs: 120,
      movement: (k, random) => {
        const first = 1 + Math.floor(random.unit() * (orders - 200));
        return {
          update: {
            where: `l_orderkey BETWEEN ${first} AND ${first + 60}`,
            set: `l_quantity = l_quantity + 0.01, l_shipdate = l_shipdate + 1, l_comment = 'moved by ${k}'`,
          },
          remove: `l_orderkey BETWEEN ${first + 100} AND ${first + 104} AND l_linenumber = ${1 + (k % lines)}`,
          insert: linesOf(orders + k * 10, orders + k * 10 + 9),
        };
      },
    });
    return new Lineitem(context, server, orders * lines, moving);
  }

  /** For `psql`. */
  get url(): string {
    const { user, password, host, port, database } = this.server;
    return `postgresql://${user}:${password}@${host}:${port}/${database}`;
  }

  /** From now on it is updated, vacuumed and extended. */
  startMoving(): void {
    this.#moving.start();
  }

  /** Resolves with the number of transactions. */
  async stopMoving(): Promise<number> {
    await this.#moving.stop();
    return this.#moving.moves;
  }

  /**
   * True unless a copy from the table runs on the node whose snapshot is not held on a second node yet: with the node it would be lost,
   * the copy would go on with rows of later moments, and its receipt would say so.
   */
  async mayInterrupt(node: string, copies: readonly CopyPicture[]): Promise<boolean> {
    const ofTable = tableCopies.filter(({ from }) => from.kind === 'table').map(({ activity }) => activity);
    const open = copies.filter(({ activity, state }) => ofTable.includes(activity) && ['Queued', 'InProgress'].includes(state));
    if (open.some((copy) => copy.node === '')) return false; // It may have begun there a moment ago.
    if (!open.some((copy) => copy.node === node)) return true;
    const heldTwice = await this.server.admin(`SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'dmg:s:%'
      GROUP BY split_part(application_name, ':', 3) HAVING count(*) > 1`);
    return heldTwice.length >= open.length;
  }

  /** One row of one sink becomes another. */
  async tamper(): Promise<void> {
    await this.server.query(`UPDATE ${tables.copy} SET l_tax = l_tax + 0.01 WHERE ctid = (SELECT max(ctid) FROM ${tables.copy})`);
  }

  /** Judges every sink inside the server; two at a time, each in a session of its own. */
  async verify(blobConnectionString: string, say: (text: string) => void): Promise<ReadonlyMap<string, Verdict>> {
    await this.#moving.stop();
    const [toBlob, toTable] = await Promise.all([
      this.#verifyBlob(blobConnectionString),
      this.#judged('table-to-table', this.server.client(), { copy: tables.copy, expected: this.#ofHistory }),
    ]);
    const back = await this.#judged('blob-to-table', this.server.client(), {
      copy: tables.read, expected: () => Promise.resolve({ query: `(SELECT * FROM ${tables.csv})`, what: 'the rows of the blob' }),
    });
    const verdicts = [toBlob, back, toTable];
    for (const { said } of verdicts) say(said);
    return new Map(verdicts.map(({ verdict }) => [verdict.activity, verdict]));
  }

  readonly #ofHistory = async (copy: string): Promise<Expected> => {
    const k = await this.#moving.momentOf(copy);
    return { query: this.#moving.after(k), what: `${tables.source} as it was after transaction ${k} of ${this.#moving.moves}` };
  };

  /** The server reads the blob's text by itself. */
  async #verifyBlob(connectionString: string): Promise<Judged> {
    const { to } = copyOf('table-to-blob');
    const folder = await tempDir(this.#context, 'dmg-demo-check-');
    await chmod(folder, 0o755);
    const path = join(folder, 'lineitem.csv');
    const name = to.kind === 'blob' ? `${to.folder}/${to.file}` : '';
    await BlobServiceClient.fromConnectionString(connectionString).getContainerClient(container).getBlobClient(name).downloadToFile(path);
    await chmod(path, 0o644);
    await this.server.query(`CREATE UNLOGGED TABLE ${tables.csv} (${columns})`);
    await this.server.admin(`COPY ${tables.csv} FROM '${path}' (FORMAT csv, HEADER true)`);
    const judged = await this.#judged('table-to-blob', this.server.client(), { copy: tables.csv, expected: this.#ofHistory });
    return { ...judged, verdict: { ...judged.verdict, bytes: (await stat(path)).size } };
  }

  async #judged(
    activity: string, opening: ReturnType<PostgresServer['client']>, wish: { copy: string; expected: (copy: string) => Promise<Expected> },
  ): Promise<Judged> {
    const { copy } = wish;
    const { query, what } = await wish.expected(copy);
    const client = await opening;
    // The machine's cores are busy with the other sinks: parallel scans take longer here than they save.
    await client.query("SET work_mem = '1GB'; SET enable_nestloop = off; SET max_parallel_workers_per_gather = 0");
    const all = columns.match(/l_\w+/g)?.join(', ') ?? '';
    // What EXCEPT ALL gives in the one direction and in the other, in a single pass over both.
    const { rows: [row] } = await client.query<{ rows: number; bytes: string; lost: number; doubled: number }>(`
      SELECT coalesce(sum(copied), 0)::int AS rows, coalesce(sum(greatest(expected - copied, 0)), 0)::int AS lost,
        coalesce(sum(greatest(copied - expected, 0)), 0)::int AS doubled, pg_table_size('${copy}')::text AS bytes
      FROM (SELECT sum(e) AS expected, sum(c) AS copied
        FROM (SELECT 1 AS e, 0 AS c, * FROM ${query} AS a UNION ALL SELECT 0, 1, * FROM ${copy}) AS both_sides GROUP BY ${all}) AS counts`);
    await client.end();
    const { rows = 0, bytes = '0', lost = 1, doubled = 0 } = row ?? {};
    const problems = [
      ...(lost > 0 ? [`${lost} rows are missing or changed`] : []),
      ...(doubled > 0 ? [`${doubled} rows are not expected`] : []),
      ...(rows < this.rows / 2 ? [`there are ${rows} rows only`] : []),
    ];
    const found = problems.length === 0 ? 'exactly' : `NOT (${problems.join(', ')})`;
    return {
      verdict: { activity, lost, doubled, bytes: Number(bytes), problems },
      said: `  ${activity}: ${rows} rows, ${found} ${what}; EXCEPT ALL gives ${lost} and ${doubled} rows`,
    };
  }
}

interface Expected {
  readonly query: string;
  /** For people. */
  readonly what: string;
}

interface Judged {
  readonly verdict: Verdict;
  readonly said: string;
}

function copyOf(activity: string): TableCopy {
  const found = tableCopies.find((copy) => copy.activity === activity);
  if (found === undefined) throw new Error(`there is no copy ${activity}`);
  return found;
}

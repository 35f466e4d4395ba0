import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { CopyEnd, DataFormat, JsonObject } from '@dmg/model';
import { type PostgresServer, startPostgres } from '../../packages/connectors/postgresql/src/testing/postgres-server.ts';
import { type CleanupContext, onCleanup } from '../harness/cleanup.ts';
import {
  blobEnd, type CopyBenchOptions, delimited, type EngineCopy, fileEnd, peakMb, runEngine, runProgram, type Stores,
} from './bench-task.ts';
import type { Measurement } from './copy-process.ts';
import { median, round } from './result.ts';

/** `lineitem` of TPC-H, with a key of one column that ranges can be cut by; some 125 bytes a row in CSV. */
const columns = `id bigint, l_orderkey bigint, l_partkey integer, l_suppkey integer, l_linenumber integer, l_quantity numeric(15,2),
  l_extendedprice numeric(15,2), l_discount numeric(15,2), l_tax numeric(15,2), l_returnflag char(1), l_linestatus char(1),
  l_shipdate date, l_commitdate date, l_receiptdate date, l_shipinstruct char(25), l_shipmode char(10), l_comment varchar(44)`;
const values = `n, n / 4 + 1, (n * 7919) % 200000 + 1, (n * 104729) % 10000 + 1, n % 4 + 1, n % 50 + 1, (n * 31 % 10000000) / 100.0,
  (n % 11) / 100.0, (n % 9) / 100.0, substr('RAN', (n % 3)::int + 1, 1), substr('OF', (n % 2)::int + 1, 1),
  date '1992-01-01' + (n % 2500)::int, date '1992-02-01' + (n % 2500)::int, date '1992-03-01' + (n % 2500)::int,
  (array['DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN'])[(n % 4)::int + 1],
  (array['REG AIR', 'AIR', 'RAIL', 'SHIP', 'TRUCK', 'MAIL', 'FOB'])[(n % 7)::int + 1], 'carefully, final "deposits" detect ' || n % 9973`;

/** One connection copies `COPY`'s own stream; with two, the server's processes share the work. */
const goals = { one: 0.95, two: 1.2 };

interface Case {
  readonly name: string;
  readonly goal: number;
  readonly ours: EngineCopy;
  readonly peer: string;
  readonly theirs: () => Promise<number>;
  /** Before each copy, ours and theirs. */
  readonly before?: () => Promise<unknown>;
  readonly rows: number;
}

/** PostgreSQL → CSV on blob, CSV → PostgreSQL, PostgreSQL → PostgreSQL, each beside `psql` on the same server, interleaved. */
export async function tableBench(context: CleanupContext, stores: Stores, options: CopyBenchOptions): Promise<void> {
  const rows = 2_000_000;
  options.say(`making a table of ${rows.toLocaleString('en')} rows`);
  // Without parallel scans: a server core more would blur what one stream can do.
  const settings = { max_wal_size: '8GB', max_parallel_workers_per_gather: '0' };
  const server = await startPostgres({ after: (undo) => onCleanup(context, undo) }, settings);
  await fill(server, 'lineitem', rows);
  await server.query(`CREATE TABLE target (${columns})`);
  const csv = join(stores.root, 'lineitem.csv');
  await psql(server, `\\copy (SELECT * FROM lineitem) TO '${csv}' WITH (FORMAT csv, HEADER)`);
  const megabytes = (await stat(csv)).size / 1e6;
  for (const item of cases(server, stores, csv, rows)) await compare(item, megabytes, options);
  await memory(server, stores, options);
}

function cases(server: PostgresServer, stores: Stores, csv: string, rows: number): Case[] {
  const discarding = { sink: { connectionString: stores.discarding } };
  const password = { password: server.password };
  const empty = (): Promise<unknown> => server.query('TRUNCATE target');
  const toBlob = (parallelCopies: number): EngineCopy => (
    { source: tableEnd(server, 'lineitem'), sink: blobEnd('pg', 'lineitem.csv', delimited(',')),
      secrets: { source: password, ...discarding }, parallelCopies });
  const toTable = (parallelCopies: number): EngineCopy => (
    { source: tableEnd(server, 'lineitem'), sink: tableEnd(server, 'target'),
      secrets: { source: password, sink: password }, parallelCopies });
  const out = (): Promise<number> => psql(server, `\\copy (SELECT * FROM lineitem) TO '/dev/null' WITH (FORMAT csv, HEADER)`);
  const pipe = (): Promise<number> => timed(() => runProgram('sh', ['-c', 'psql "$0" -XqAtc "COPY lineitem TO STDOUT (FORMAT binary)" | '
    + 'psql "$0" -Xqc "COPY target FROM STDIN (FORMAT binary)"', urlOf(server)], environment(server)));
  const load = (): Promise<number> => psql(server, `\\copy target FROM '${csv}' WITH (FORMAT csv, HEADER)`);
  const fromFile: EngineCopy = {
    source: fileEnd(stores.root, '', 'lineitem.csv', delimited(',')), sink: tableEnd(server, 'target'), secrets: { sink: password },
  };
  const toNothing = { peer: 'psql \\copy to /dev/null', theirs: out, rows };
  const piped = { peer: 'psql | psql, binary', theirs: pipe, before: empty, rows };
  return [
    { ...toNothing, name: 'PostgreSQL → CSV on blob (discarding), one stream', goal: goals.one, ours: toBlob(1) },
    { ...toNothing, name: 'PostgreSQL → CSV on blob (discarding), two streams', goal: goals.two, ours: toBlob(2) },
    { ...piped, name: 'PostgreSQL → PostgreSQL, one stream', goal: goals.one, ours: toTable(1) },
    { ...piped, name: 'PostgreSQL → PostgreSQL, two streams', goal: goals.two, ours: toTable(2) },
    {
      name: 'CSV file → PostgreSQL', goal: goals.one, ours: fromFile, peer: 'psql \\copy from the file', theirs: load, before: empty, rows,
    },
  ];
}

async function compare(item: Case, megabytes: number, options: CopyBenchOptions): Promise<void> {
  const ours: Measurement[] = [];
  const theirs: number[] = [];
  for (let run = 0; run < options.runs; run++) {
    options.say(`${item.name} run ${run + 1} of ${options.runs}`);
    await item.before?.();
    const measured = await runEngine(item.ours);
    if (measured.rows !== item.rows) throw new Error(`${measured.rows} rows were copied, not ${item.rows}`);
    ours.push(measured);
    await item.before?.();
    theirs.push(await item.theirs());
  }
  const [oursMs, theirsMs] = [median(ours.map(({ ms }) => ms)), median(theirs)];
  const ratio = theirsMs / oursMs;
  options.print({
    bench: 'copy', case: item.name, ours: round(megabytes / (oursMs / 1000), 1), unit: 'MB/s',
    peer: item.peer, theirs: round(megabytes / (theirsMs / 1000), 1), ratio: round(ratio), goal: item.goal, met: ratio >= item.goal,
    cpuPerMRows: round(median(ours.map(({ cpuSeconds, rows }) => cpuSeconds / (rows / 1e6)))), peakMB: peakMb(ours),
    guarantees: ours[0]?.guarantee ?? '',
    note: `${round(item.rows / oursMs, 0)} and ${round(item.rows / theirsMs, 0)} thousand rows a second`,
  });
}

/** What a copy takes above its idle process must not grow with the table: wide rows, 0.1, 1 and, when asked for, 10 GB. */
async function memory(server: PostgresServer, stores: Stores, options: CopyBenchOptions): Promise<void> {
  for (const gigabytes of options.large ? [0.1, 1, 10] : [0.1, 1]) {
    options.say(`memory with ${gigabytes} GB`);
    const rows = gigabytes * 1_000_000;
    await server.query(`CREATE TABLE wide (id bigint PRIMARY KEY, text text); ALTER TABLE wide ALTER text SET STORAGE PLAIN;
      INSERT INTO wide SELECT n, repeat(md5(n::text), 31) FROM generate_series(1, ${rows}) n; ANALYZE wide`);
    const measured = await runEngine({
      source: tableEnd(server, 'wide'), sink: blobEnd('memory', 'wide.csv', delimited(',')),
      secrets: { source: { password: server.password }, sink: { connectionString: stores.discarding } },
    });
    const ours = peakMb([measured]);
    options.print({
      bench: 'copy', case: `memory above the idle executor, ${gigabytes} GB of PostgreSQL → CSV on blob`, ours, unit: 'MB', limit: 150,
      met: ours <= 150, peakMB: round(measured.peakMb, 0), guarantees: measured.guarantee,
    });
    await server.query('DROP TABLE wide');
  }
}

async function fill(server: PostgresServer, table: string, rows: number): Promise<void> {
  await server.query(`CREATE TABLE ${table} (${columns}, PRIMARY KEY (id));
    INSERT INTO ${table} SELECT ${values} FROM generate_series(1, ${rows}::bigint) n`);
  await server.query(`VACUUM ANALYZE ${table}`);
}

function tableEnd(server: PostgresServer, table: string, settings: JsonObject = {}): CopyEnd {
  const format: DataFormat = { type: 'Table' };
  return { connector: 'postgresql', connection: server.connection, location: { schema: 'public', table }, settings, format };
}

function urlOf(server: PostgresServer): string {
  return `postgresql://${server.user}@${server.host}:${server.port}/${server.database}`;
}

function environment(server: PostgresServer): NodeJS.ProcessEnv {
  return { ...process.env, PGPASSWORD: server.password };
}

/** Milliseconds of one command of psql, its start and login (some 20 ms) included. */
function psql(server: PostgresServer, command: string): Promise<number> {
  return timed(() => runProgram('psql', [urlOf(server), '-Xqc', command], environment(server)));
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

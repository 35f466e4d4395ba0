import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { systemClock } from '@dmg/base';
import { type PostgresServer, startPostgres } from '../../packages/connectors/postgresql/src/testing/postgres-server.ts';
import { type CleanupContext, onCleanup } from '../harness/cleanup.ts';
import { ClusterLog } from '../harness/cluster-log.ts';
import { waitFor } from '../harness/wait-for.ts';
import { type BenchCluster, startAllNodes, startBenchCluster } from './bench-cluster.ts';
import { type BenchLine, median, round } from './result.ts';

export interface ScaleOutBenchOptions {
  readonly runs: number;
  /** Of the table's CSV, about. */
  readonly megabytes: number;
  readonly print: (line: BenchLine) => void;
  readonly say: (text: string) => void;
}

/** What the proxy before the server gives one connection. Four of them are far below what this machine's server and store can do. */
const megabytesPerSecond = 4;
const counts = [1, 2, 4] as const;
const goals: Readonly<Record<number, number>> = { 2: 1.9, 4: 3.8 };
/** So many partitions that the last one of a node does not count. */
const leafMegabytes = 4;
const rowBytes = 1040;

interface Stage {
  readonly cluster: BenchCluster;
  readonly log: ClusterLog;
  readonly rows: number;
  readonly megabytes: number;
}

/**
 * One copy of a partitioned table to one CSV blob by one, two and four nodes, as many connections to the source as nodes, one slot a node.
 * The source is limited per connection by a proxy of the bench, so that nodes decide, and not this machine.
 */
export async function scaleOutBench(context: CleanupContext, options: ScaleOutBenchOptions): Promise<void> {
  const { runs, print, say } = options;
  const stage = await prepare(context, options);
  const rates = new Map<number, number[]>(counts.map((count) => [count, []]));
  let guarantee = '';
  for (let run = 1; run <= runs; run++) {
    for (const count of counts) {
      const done = await copyOnce(stage, count, `scale-${count}-${run}`);
      guarantee = done.guarantee;
      rates.get(count)?.push(stage.megabytes / done.seconds);
      say(`run ${run} of ${runs}, ${nodesText(count)}: ${round(done.seconds, 1)} s, chunks of ${done.attempts} attempts`);
    }
  }
  const one = median(rates.get(1) ?? []);
  for (const count of counts.slice(1)) {
    const ours = median(rates.get(count) ?? []);
    const goal = goals[count] ?? count;
    print({
      bench: 'scale-out', case: `one copy of PostgreSQL → one CSV blob, ${nodesText(count)}`, ours: round(ours, 1), unit: 'MB/s',
      peer: 'the same copy by one node', theirs: round(one, 1), ratio: round(ours / one, 2), goal, met: ours / one >= goal,
      guarantees: guarantee,
      note: `the bench limits each connection to the source to ${megabytesPerSecond} MB/s; parallelCopies ${count}, one slot a node`,
    });
  }
}

async function prepare(context: CleanupContext, { megabytes: wanted, say }: ScaleOutBenchOptions): Promise<Stage> {
  const leaves = Math.max(8, Math.ceil(wanted / leafMegabytes));
  const leafRows = Math.ceil((leafMegabytes * 1e6) / rowBytes);
  const rows = leaves * leafRows;
  say(`making a table of ${rows.toLocaleString('en')} rows in ${leaves} partitions`);
  const server = await startPostgres({ after: (undo) => onCleanup(context, undo) });
  await fill(server, leaves, leafRows);
  say('starting a local cloud, a control plane and 4 nodes');
  const cluster = await startBenchCluster(context, Math.max(...counts));
  const log = new ClusterLog();
  onCleanup(context, cluster.listen((line) => log.take(line)));
  await startAllNodes(cluster);
  const port = await startRateProxy(context, server.port, megabytesPerSecond * 1e6);
  const via = { type: 'IntegrationRuntimeReference', referenceName: 'local' };
  const value = server.connectionString.replace(`Port=${server.port}`, `Port=${port}`);
  await cluster.rig.rest.put('linkedServices', 'limited', {
    type: 'AzurePostgreSql', connectVia: via, typeProperties: { connectionString: { type: 'SecureString', value } },
  });
  await cluster.rig.rest.put('datasets', 'rows', {
    type: 'AzurePostgreSqlTable', linkedServiceName: { type: 'LinkedServiceReference', referenceName: 'limited' },
    typeProperties: { schema: 'public', table: 'rows' },
  });
  return { cluster, log, rows, megabytes: (rows * rowBytes) / 1e6 };
}

async function fill(server: PostgresServer, leaves: number, leafRows: number): Promise<void> {
  const bounds = Array.from({ length: leaves }, (_, leaf) => `CREATE TABLE rows_${leaf} PARTITION OF rows
    FOR VALUES FROM (${leaf * leafRows + 1}) TO (${(leaf + 1) * leafRows + 1});`);
  await server.query(`CREATE TABLE rows (id bigint PRIMARY KEY, words text) PARTITION BY RANGE (id); ${bounds.join('\n')}
    INSERT INTO rows SELECT n, repeat(md5(n::text), 32) FROM generate_series(1, ${leaves * leafRows}) AS n`);
  await server.query('VACUUM ANALYZE rows');
}

/** Runs one copy by so many nodes; the time from the call that makes the run to the end of the attempt that led it. */
async function copyOnce(stage: Stage, count: number, name: string): Promise<{ seconds: number; attempts: number; guarantee: string }> {
  const { cluster: { rig }, log, rows } = stage;
  await useNodes(stage, count);
  await rig.rest.put('datasets', `${name}-out`, {
    type: 'DelimitedText', linkedServiceName: { type: 'LinkedServiceReference', referenceName: 'blob' },
    typeProperties: { location: { type: 'AzureBlobStorageLocation', container: 'bench', fileName: `${name}.csv` }, escapeChar: '"' },
  });
  await rig.rest.put('pipelines', name, {
    activities: [{
      name: 'copy', type: 'Copy',
      inputs: [{ type: 'DatasetReference', referenceName: 'rows' }],
      outputs: [{ type: 'DatasetReference', referenceName: `${name}-out` }],
      typeProperties: {
        source: { type: 'AzurePostgreSqlSource', partitionOption: 'PhysicalPartitionsOfTable' }, sink: { type: 'DelimitedTextSink' },
        parallelCopies: count,
      },
    }],
  });
  const { mark } = log;
  const startedMs = systemClock.monotonicMs();
  const runId = await rig.rest.createRun(name);
  const [activity] = await rig.rest.activities(runId);
  const isEnd = (line: { msg: string; fields: Readonly<Record<string, unknown>> }): boolean =>
    line.msg === 'attempt ended' && line.fields['jobId'] === activity?.jobId && line.fields['outcome'] === 'succeeded';
  const { atMs } = await log.next('the end of the copy', isEnd, { mark, withinMs: 600_000 });
  const ended = await waitFor('the end of the run', async () => {
    const [run] = await rig.rest.activities(runId);
    return run !== undefined && ['Succeeded', 'Failed'].includes(run.status) ? run : undefined;
  }, { withinMs: 30_000, everyMs: 100 });
  const output = ended.output as { rowsCopied?: number; receipt?: { guarantee: string; attempts: readonly string[] } } | undefined;
  if (output?.rowsCopied !== rows) throw new Error(`${output?.rowsCopied} rows were copied, not ${rows}: ${JSON.stringify(ended.error)}`);
  const attempts = output.receipt?.attempts.length ?? 0;
  if (attempts < count) throw new Error(`${nodesText(count)} were to copy, and chunks of ${attempts} attempts stand`);
  return { seconds: (atMs - startedMs) / 1000, attempts, guarantee: output.receipt?.guarantee ?? '' };
}

/** So many nodes take jobs, one at a time; the others are drained. */
async function useNodes({ cluster: { rig, nodes } }: Stage, count: number): Promise<void> {
  for (const [index, { name }] of nodes.entries()) {
    const path = `/integrationRuntimes/local/nodes/${name}`;
    await rig.rest.call('PATCH', path, { concurrentJobsLimit: 1 });
    await rig.rest.call('POST', `${path}/${index < count ? 'resume' : 'drain'}`, index < count ? {} : { graceSeconds: 0 });
  }
  await waitFor(`${nodesText(count)} to be online`, async () => {
    const states = await rig.rest.nodes();
    const limits = await rig.rest.monitoring();
    return states.filter(({ status }) => status === 'Online').length === count
      && limits.every(({ concurrentJobsLimit, concurrentJobsRunning }) => concurrentJobsLimit === 1 && concurrentJobsRunning === 0);
  }, { withinMs: 30_000, everyMs: 100 });
}

async function startRateProxy(context: CleanupContext, targetPort: number, bytesPerSecond: number): Promise<number> {
  const main = fileURLToPath(new URL('./rate-proxy.ts', import.meta.url));
  const child = spawn(process.execPath, [main, String(targetPort), String(bytesPerSecond)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  onCleanup(context, async () => {
    child.stdin.end();
    await exited;
  });
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return (JSON.parse(line) as { port: number }).port;
}

function nodesText(count: number): string {
  return count === 1 ? 'one node' : `${count} nodes`;
}

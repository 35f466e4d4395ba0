import { readFileSync } from 'node:fs';
import { type Random, seededRandom, sleep, systemClock } from '@dmg/base';
import { type CleanupContext, onCleanup } from '../harness/cleanup.ts';
import { EpochWatch } from '../harness/epoch-watch.ts';
import { findProcesses } from '../harness/left-processes.ts';
import { readMetrics, sampleOf } from '../harness/metrics-text.ts';
import type { NodeLogLine, NodeProcess } from '../harness/node-process.ts';
import { waitFor } from '../harness/wait-for.ts';
import { type BenchCluster, defineNoOp, startAllNodes, startBenchCluster } from './bench-cluster.ts';
import { JobStream } from './job-stream.ts';
import { type BenchLine, median, percentile, round } from './result.ts';

export const strikeKinds = ['kill', 'freeze', 'stop'] as const;
export type StrikeKind = (typeof strikeKinds)[number];

export interface FailoverBenchOptions {
  readonly nodes: number;
  readonly strikes: Readonly<Record<StrikeKind, number>>;
  readonly seed: number;
  readonly print: (line: BenchLine) => void;
  readonly say: (text: string) => void;
}

const bench = 'failover';
/** Between jobs of the stream, and from a strike until the next dispatcher has given one away. */
const streamMs = { steady: 100, struck: 25 };
const handOverLimitMs = 30_000;
const freezeMs = { min: 500, max: 20_000 };
/** How long after a freeze a new epoch is waited for. */
const thawedMs = 3000;
const cpuWindowMs = 30_000;
const linesKept = 500;
const lastWordsMax = 40;
const hundredAMinuteMs = 600;
const words: Readonly<Record<StrikeKind, string>> = {
  kill: 'kill -9 of its process group', freeze: 'SIGSTOP of its process group', stop: 'SIGTERM (clean stop)',
};
/** DESIGN's goals, in milliseconds. */
const limits: Readonly<Record<StrikeKind, { readonly p50?: number; readonly max: number }>> = {
  kill: { p50: 400, max: 1500 }, freeze: { max: 1500 }, stop: { max: 100 },
};
const peers = 'published defaults, not run here: client-go 15 s, NiFi 40 s, Kafka Connect up to 300 s';

/**
 * Strikes the dispatcher of a gateway under a steady stream of small jobs, and measures from the strike to the line with which a worker
 * says that it accepted a job of the next dispatcher's. Then what hosts and executors take.
 */
export async function failoverBench(context: CleanupContext, options: FailoverBenchOptions): Promise<void> {
  const { print, say, strikes } = options;
  say(`seed ${options.seed}; starting a local cloud, a control plane and ${options.nodes} nodes`);
  const cluster = await startBenchCluster(context, options.nodes);
  const watch = new EpochWatch();
  const logged: NodeLogLine[] = [];
  cluster.listen((line) => {
    watch.take(line);
    if (logged.push(line) > 2 * linesKept) logged.splice(0, linesKept);
  });
  const pipeline = await defineNoOp(cluster.rig);
  await startAllNodes(cluster);
  // A frozen process could not end.
  onCleanup(context, () => cluster.nodes.forEach((node) => void node.signalGroup('SIGCONT')));
  const stream = new JobStream(cluster.rig, pipeline, streamMs.steady);
  const situation: Situation = { cluster, watch, stream, logged, random: seededRandom(options.seed), say };
  for (const kind of strikeKinds) {
    const measured: HandOver[] = [];
    let kept = 0;
    for (let strike = 1; strike <= strikes[kind]; strike++) {
      const handOver = await strikeOnce(kind, situation);
      if (handOver === undefined) kept += 1;
      else measured.push(handOver);
      say(`${kind} ${strike} of ${strikes[kind]}: ${describeHandOver(handOver)}`);
    }
    for (const line of strikeLines(kind, measured, kept)) print(line);
  }
  for (const line of await eventLoopLines(cluster)) print(line);
  const runIds = await stream.end();
  print(await endsLine(cluster, runIds.length));
  for (const line of await costLines(cluster, watch, pipeline, say)) print(line);
}

interface Situation {
  readonly cluster: BenchCluster;
  readonly watch: EpochWatch;
  readonly stream: JobStream;
  /** What the nodes logged last. */
  readonly logged: readonly NodeLogLine[];
  readonly random: Random;
  readonly say: (text: string) => void;
}

function describeHandOver(handOver: HandOver | undefined): string {
  if (handOver === undefined) return 'it stayed dispatcher';
  return `${round(handOver.jobMs, 0)} ms to a job, ${round(handOver.ledMs, 0)} ms to another dispatcher`;
}

interface HandOver {
  /** From the strike to the first job that a worker accepted under another node's epoch … */
  readonly jobMs: number;
  /** … and to the moment when that node said that it leads. */
  readonly ledMs: number;
}

/** Undefined: a short freeze changed nothing. */
async function strikeOnce(kind: StrikeKind, { cluster, watch, stream, logged, random }: Situation): Promise<HandOver | undefined> {
  // Anywhere between two renewals, and between two jobs.
  await sleep(systemClock, 500 + random.unit() * 1000);
  const { node: name, n } = await watch.leaderAfter(0, handOverLimitMs);
  const victim = nodeNamed(cluster, name);
  const frozenMs = freezeMs.min + (freezeMs.max - freezeMs.min) * random.unit() ** 2;
  const first = watch.firstDispatchAfter(n, handOverLimitMs).catch(() => undefined);
  stream.everyMs = streamMs.struck;
  stream.push();
  const struckMs = systemClock.monotonicMs();
  let isOver = false;
  const seen = first.then((dispatch) => {
    if (!isOver) stream.everyMs = streamMs.steady;
    return dispatch === undefined ? undefined : dispatch.atMs - struckMs;
  });
  try {
    switch (kind) {
      case 'kill':
        victim.signalGroup('SIGKILL');
        break;
      case 'stop':
        victim.signalHost('SIGTERM');
        break;
      case 'freeze':
        victim.signalGroup('SIGSTOP');
        await sleep(systemClock, frozenMs);
        victim.signalGroup('SIGCONT');
    }
    // A freeze that nobody noticed leaves the epoch as it was.
    const tookMs = await (kind === 'freeze' ? Promise.race([seen, sleep(systemClock, thawedMs).then(() => undefined)]) : seen);
    if (tookMs === undefined && kind !== 'freeze') throw new Error(`no other dispatcher within ${handOverLimitMs} ms`);
    // One that leads again itself was not replaced; a successor counts, however long it took.
    const { leader } = watch;
    if (tookMs === undefined || leader === undefined || leader.node === name) return undefined;
    return { jobMs: tookMs, ledMs: leader.atMs - struckMs };
  } finally {
    isOver = true;
    stream.everyMs = streamMs.steady;
    if (kind !== 'freeze') {
      await victim.gone().catch((error: unknown) => {
        throw new Error(lastWords(name, logged), { cause: error });
      });
      await victim.start();
    }
    await allOnline(cluster);
  }
}

/** Of a node that should have ended. */
function lastWords(name: string, logged: readonly NodeLogLine[]): string {
  const lines = logged.filter(({ node }) => node === name).slice(-lastWordsMax);
  return [`${name} does not end; what it logged last:`, ...lines.map(({ fields }) => JSON.stringify(fields))].join('\n');
}

function nodeNamed({ nodes }: BenchCluster, name: string): NodeProcess {
  const found = nodes.find((node) => node.name === name);
  if (found === undefined) throw new Error(`there is no node ${name}`);
  return found;
}

async function allOnline({ rig, nodes }: BenchCluster): Promise<void> {
  const areOnline = async (): Promise<boolean> =>
    (await rig.rest.nodes()).filter(({ status }) => status === 'Online').length === nodes.length;
  await waitFor('all nodes to be online again', areOnline, { withinMs: 60_000, everyMs: 250 });
}

function strikeLines(kind: StrikeKind, handOvers: readonly HandOver[], kept: number): BenchLine[] {
  if (handOvers.length === 0) return [];
  const measured = handOvers.map(({ jobMs }) => jobMs);
  const led = handOvers.map(({ ledMs }) => ledMs);
  const { p50, max } = limits[kind];
  const what = `strike → first job under the next dispatcher, ${words[kind]}`;
  const counts = `${measured.length} strikes${kept === 0 ? '' : `, ${kept} more were too short to change the dispatcher`}`;
  const leads = `the next one led after ${round(percentile(led, 0.5), 0)} ms (p50), ${round(Math.max(...led), 0)} ms (max)`;
  const note = `${counts}; ${leads}; ${peers}`;
  const line = (share: string, ours: number, limit?: number): BenchLine => ({
    bench, case: `${what}, ${share}`, ours: round(ours, 0), unit: 'ms', note,
    ...(limit === undefined ? {} : { limit, met: ours <= limit }),
  });
  return [
    line('min', Math.min(...measured)),
    line('p50', percentile(measured, 0.5), p50),
    line('p90', percentile(measured, 0.9)),
    line('max', Math.max(...measured), max),
  ];
}

/** Every job of the stream must have succeeded, whatever was struck. */
async function endsLine({ rig }: BenchCluster, count: number): Promise<BenchLine> {
  const ended = ['Succeeded', 'Failed', 'Cancelled'];
  const runs = await waitFor('all jobs to end', async () => {
    const all = await rig.rest.runs();
    return all.every(({ status }) => ended.includes(status)) ? all : undefined;
  }, { withinMs: 180_000, everyMs: 1000 });
  const failed = runs.filter(({ status }) => status !== 'Succeeded').length;
  return { bench, case: `jobs of the stream that did not succeed, of ${count}`, ours: failed, unit: 'jobs', limit: 0, met: failed === 0 };
}

/** Under the stream of ten jobs a second and the strikes; the nodes tell it of their last half minute or more. */
async function eventLoopLines({ nodes }: BenchCluster): Promise<BenchLine[]> {
  const delays: number[] = [];
  for (const { metricsUrl } of nodes) {
    const delay = sampleOf(await readMetrics(metricsUrl), 'dmg_host_event_loop_delay_seconds', { quantile: '0.999' });
    if (delay !== undefined) delays.push(delay * 1000);
  }
  if (delays.length === 0) return [];
  const worst = round(Math.max(...delays), 1);
  return [{ bench, case: 'event-loop delay of a host under the stream, p99.9, worst node', ours: worst, unit: 'ms' }];
}

/** What it costs to be there: processor of the dispatcher at 100 jobs a minute, memory of hosts and of executors that wait for work. */
async function costLines(cluster: BenchCluster, watch: EpochWatch, pipeline: string, say: (text: string) => void): Promise<BenchLine[]> {
  const dispatcher = nodeNamed(cluster, (await watch.leaderAfter(0, handOverLimitMs)).node);
  const standby = cluster.nodes.find((node) => node !== dispatcher) ?? dispatcher;
  say(`processor of the dispatcher: ${cpuWindowMs / 1000} s without jobs, as long at 100 jobs a minute`);
  const idlePercent = await cpuPercent([dispatcher.pid, standby.pid]);
  const stream = new JobStream(cluster.rig, pipeline, hundredAMinuteMs);
  const [busyPercent = NaN] = await cpuPercent([dispatcher.pid]);
  await stream.end();
  const cpu = (what: string, ours: number): BenchLine => ({ bench, case: what, ours: round(ours, 2), unit: '% of a core' });
  const hosts: number[] = [];
  const executors: number[] = [];
  for (const { pid } of cluster.nodes) {
    hosts.push(residentMb(pid));
    const group = await findProcesses({ mark: '', group: pid });
    executors.push(...group.filter(({ command }) => command.includes('executor')).map((process) => residentMb(process.pid)));
  }
  const memory = (what: string, ours: number): BenchLine => ({ bench, case: what, ours: round(ours, 0), unit: 'MB' });
  return [
    { ...cpu('processor of the dispatcher host at 100 jobs a minute', busyPercent), limit: 2, met: busyPercent < 2 },
    cpu('processor of the dispatcher host without jobs', idlePercent[0] ?? NaN),
    cpu('processor of a standby host without jobs', idlePercent[1] ?? NaN),
    memory('resident memory of a host, median of the nodes', median(hosts)),
    memory(`resident memory of an executor that waits, median of ${executors.length}`, median(executors)),
  ];
}

/** What each process took of one core over the window. */
async function cpuPercent(pids: readonly number[]): Promise<number[]> {
  const before = pids.map(cpuSeconds);
  const sinceMs = systemClock.monotonicMs();
  await sleep(systemClock, cpuWindowMs);
  const seconds = (systemClock.monotonicMs() - sinceMs) / 1000;
  return pids.map((pid, index) => ((cpuSeconds(pid) - (before[index] ?? 0)) / seconds) * 100);
}

/** User and system time (proc(5), stat); Linux counts in hundredths of a second. */
function cpuSeconds(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function residentMb(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? NaN) / 1024;
}

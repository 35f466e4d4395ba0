import { sleep, systemClock } from '@dmg/base';
import { type CleanupContext, onCleanup } from '../harness/cleanup.ts';
import { type Cluster, type ClusterJob, startCluster } from '../harness/cluster.ts';
import { killIfThere } from '../harness/left-processes.ts';
import { readMetrics, sampleOf } from '../harness/metrics-text.ts';
import type { NodeProcess } from '../harness/node-process.ts';
import { waitFor } from '../harness/wait-for.ts';
import { pidsOf } from './rig.ts';
import { type SocketSight, SocketWatch } from './socket-watch.ts';

export interface FrozenPeersOptions {
  /** How long everybody else is frozen. */
  readonly frozenMs: number;
  /** Default 2. All but one of them are frozen. */
  readonly nodes?: number;
  readonly say?: (line: string) => void;
}

/** A kind of peer, by when it must have been tried again, and the longest that a connection to it may live while it is frozen. */
interface Peer {
  readonly name: string;
  readonly ports: readonly number[];
  readonly triedAgainMs: number;
  readonly limitMs: number;
  /** Connections on which nothing is asked, so that nothing has to end. */
  readonly idle: number;
}

export interface FrozenPeersVerdict {
  readonly frozenMs: number;
  /** Longest answer of `/metrics`, and how many there were. */
  readonly slowestMetricsMs: number;
  readonly metricsAnswers: number;
  /** What the node did meanwhile, by peer. */
  readonly peers: Readonly<Record<string, SocketSight>>;
  /** From the end of the freeze until another grant was made, all nodes were Online and one led. */
  readonly backMs: number;
  /** From SIGTERM to its end, with everybody frozen again. */
  readonly stopMs: number;
  readonly problems: readonly string[];
}

/** To notice the end of a connection, and to make the next. */
const slackMs = 1_500;
const metricsLimitMs = 1_000;
/** The grace of a drain in tests (one second), and all that comes after it. */
const stopLimitMs = 11_000;

/**
 * One node, and everybody that it knows is frozen (SIGSTOP): Redis, the queue, the control plane, the blob store and all other nodes. None
 * refuses a connection, none answers. Every call of the node must end by its deadline and be tried again, its own pages answer, it stops
 * when it is told to, and when the others go on, so does everything.
 */
export async function runFrozenPeers(context: CleanupContext, options: FrozenPeersOptions): Promise<FrozenPeersVerdict> {
  const { frozenMs, nodes = 2, say = () => undefined } = options;
  const names = Array.from({ length: nodes }, (_, index) => `node-${index + 1}`);
  const cluster = await startCluster(context);
  const [first, ...others] = names.map((name) => cluster.addNode(name));
  if (first === undefined) throw new Error('there is no node');
  await first.start();
  await Promise.all(others.map((node) => node.start()));
  await cluster.waitForStatus('Online', names);
  const jobs = await jobsUnderWay(cluster);
  const before = await cluster.watch.leaderAfter(0, 10_000);
  const problems: string[] = [];

  const freezer = await Freezer.of(context, cluster, others);
  say(`${names.length} nodes and ${jobs.length} copies at work; all but ${first.name} are frozen for ${frozenMs} ms`);
  freezer.freeze();
  const watched = await watchAlone(cluster, first, others, frozenMs);
  problems.push(...watched.problems);
  freezer.thaw();
  const thawedMs = systemClock.monotonicMs();
  // Its lease ran out while Redis was frozen.
  await cluster.watch.leaderAfter(before.n, 30_000);
  await waitFor('all nodes to be Online and one to lead', async () => {
    const pages = await Promise.all(names.map((name) => cluster.metrics(name)));
    const areOnline = pages.every((page) => sampleOf(page, 'dmg_node_status', { status: 'Online' }) === 1);
    return areOnline && pages.filter((page) => sampleOf(page, 'dmg_lease_is_leader') === 1).length === 1;
  }, { withinMs: 60_000, everyMs: 100 });
  const backMs = Math.round(systemClock.monotonicMs() - thawedMs);
  say(`all are back after ${backMs} ms`);
  cluster.slow.set({ kind: 'pass' });
  await cluster.succeeded([...jobs, await cluster.submit('quick', 4)], 90_000);

  freezer.freeze();
  // Long enough for its calls to be on their way.
  await sleep(systemClock, 1_000);
  const stoppedMs = systemClock.monotonicMs();
  const exit = await first.stop(stopLimitMs + slackMs);
  const stopMs = Math.round(systemClock.monotonicMs() - stoppedMs);
  freezer.thaw();
  say(`${first.name} stopped within ${stopMs} ms while the others were frozen`);
  if (exit?.code !== 0) problems.push(`${first.name} ended with ${exit?.code ?? exit?.signal ?? 'nothing'} on SIGTERM`);
  if (stopMs > stopLimitMs) problems.push(`${first.name} took ${stopMs} ms to stop`);
  // The others go on without it.
  await cluster.succeeded([await cluster.submit('quick', 4)], 60_000);
  const { slowestMetricsMs, metricsAnswers, peers } = watched;
  return { frozenMs, slowestMetricsMs, metricsAnswers, peers, backMs, stopMs, problems };
}

async function jobsUnderWay(cluster: Cluster): Promise<readonly ClusterJob[]> {
  cluster.slow.set({ kind: 'delay', delayMs: 100 });
  const { mark } = cluster.log;
  const jobs = await cluster.submitMany(2, 'slow', 20);
  for (const { jobId } of jobs) {
    await cluster.log.nextAcceptance(`job ${jobId}`, (one) => one.jobId === jobId, { mark, withinMs: 20_000 });
  }
  return jobs;
}

/** SIGSTOP to everybody else, and SIGCONT however this ends. */
class Freezer {
  readonly #pids: readonly number[];
  readonly #thaw = (): void => this.thaw();

  private constructor(pids: readonly number[]) {
    this.#pids = pids;
  }

  static async of(context: CleanupContext, { rig }: Cluster, nodes: readonly NodeProcess[]): Promise<Freezer> {
    const kinds = await Promise.all((['redis', 'service-bus', 'azurite', 'control-plane'] as const).map((kind) => pidsOf(rig, kind)));
    const missing = kinds.findIndex((pids) => pids.length === 0);
    if (missing >= 0) throw new Error(`there is no process of kind ${missing} to freeze`);
    // A node's executors are in its process group.
    const freezer = new Freezer([...kinds.flat(), ...nodes.map(({ pid }) => -pid)]);
    onCleanup(context, () => freezer.thaw());
    return freezer;
  }

  freeze(): void {
    process.once('exit', this.#thaw);
    for (const pid of this.#pids) killIfThere(pid, 'SIGSTOP');
  }

  thaw(): void {
    process.off('exit', this.#thaw);
    for (const pid of this.#pids) killIfThere(pid, 'SIGCONT');
  }
}

type Watched = Pick<FrozenPeersVerdict, 'slowestMetricsMs' | 'metricsAnswers' | 'peers' | 'problems'>;

/** Watches the one that is not frozen. */
async function watchAlone(cluster: Cluster, node: NodeProcess, others: readonly NodeProcess[], frozenMs: number): Promise<Watched> {
  const { line } = cluster.rig;
  const queue = /Endpoint=sb:\/\/([^;/]+)/.exec(line.serviceBus)?.[1] ?? '';
  const peers: readonly Peer[] = [
    // Eight commands of a quarter of a lease each. The ledger's connection is used by a dispatcher only.
    { name: 'redis', ports: [cluster.redis.port], triedAgainMs: 2_000, limitMs: 2_000, idle: 1 },
    { name: 'nodes', ports: others.map(({ address }) => portOf(address)), triedAgainMs: 2_000, limitMs: 2_000, idle: 0 },
    // Noticed after half a minute; the queue's client then takes a minute to close what we have given up.
    { name: 'queue', ports: [portOf(queue)], triedAgainMs: 30_000, limitMs: 90_000, idle: 0 },
    // A report has 5 s, the long poll 40 s.
    { name: 'control plane', ports: [portOf(new URL(line.endpoint).host)], triedAgainMs: 40_000, limitMs: 40_000, idle: 0 },
  ];
  const problems: string[] = [];
  const sockets = SocketWatch.start(node.pid);
  const endMs = systemClock.monotonicMs() + frozenMs;
  let [slowestMetricsMs, metricsAnswers, isLeader] = [0, 0, 1];
  while (systemClock.monotonicMs() < endMs) {
    const askedMs = systemClock.monotonicMs();
    try {
      isLeader = sampleOf(await readMetrics(node.metricsUrl, metricsLimitMs), 'dmg_lease_is_leader') ?? isLeader;
      metricsAnswers += 1;
    } catch (error) {
      problems.push(`/metrics did not answer within ${metricsLimitMs} ms: ${String(error)}`);
    }
    slowestMetricsMs = Math.max(slowestMetricsMs, Math.round(systemClock.monotonicMs() - askedMs));
    await sleep(systemClock, 250);
  }
  await sockets.end();
  if (isLeader === 1) problems.push(`${node.name} believes that it leads although no Redis has answered for ${frozenMs} ms`);
  const sights = peers.map(({ name, ports, triedAgainMs, limitMs, idle }) => {
    const each = ports.map((port) => sockets.to(port, idle));
    for (const { connections, oldestMs } of each) {
      if (oldestMs > limitMs + slackMs) problems.push(`a connection to ${name} waited ${oldestMs} ms for an answer`);
      if (frozenMs > triedAgainMs + 2 * slackMs && connections < 2) problems.push(`${name}: not tried again`);
    }
    const connections = each.reduce((sum, one) => sum + one.connections, 0);
    return [name, { connections, oldestMs: Math.max(0, ...each.map(({ oldestMs }) => oldestMs)) }] as const;
  });
  // Two to Redis, a pair with each node, a few each to the queue and the control plane.
  const most = 24 + 4 * others.length;
  if (sockets.most > most) problems.push(`${node.name} had ${sockets.most} connections at once`);
  return { slowestMetricsMs, metricsAnswers, peers: Object.fromEntries(sights), problems };
}

function portOf(address: string): number {
  const port = Number(/:(\d+)$/.exec(address)?.[1]);
  if (!Number.isInteger(port)) throw new Error(`${address} has no port`);
  return port;
}

export function describeFrozenPeers(verdict: FrozenPeersVerdict): string {
  const { frozenMs, slowestMetricsMs, metricsAnswers, peers, backMs, stopMs, problems } = verdict;
  const each = Object.entries(peers)
    .map(([name, { connections, oldestMs }]) => `${name} ${connections} connections, longest ${oldestMs} ms`);
  const metrics = `/metrics answered ${metricsAnswers} times, at the latest after ${slowestMetricsMs} ms`;
  const end = problems.length === 0 ? 'all as it must be' : `${problems.length} PROBLEMS`;
  return `frozen ${frozenMs} ms: ${each.join('; ')}; ${metrics}; back after ${backMs} ms, stopped within ${stopMs} ms; ${end}`;
}

import { type ServiceBusReceivedMessage, ServiceBusClient } from '@azure/service-bus';
import { systemClock } from '@dmg/base';
import { Redis } from 'ioredis';
import { type CleanupContext, onCleanup } from '../harness/cleanup.ts';
import type { NodeProcess } from '../harness/node-process.ts';
import type { NodeMonitoring } from '../harness/rest.ts';
import { waitFor, within } from '../harness/wait-for.ts';
import { type BenchCluster, controlQueue, createRuns, defineNoOp, queued, startAllNodes, startBenchCluster } from './bench-cluster.ts';
import { bareLoop, bullMq, type PeerRun, RateMeter } from './dispatch-peers.ts';
import { type BenchLine, median, percentile, round } from './result.ts';

export interface DispatchBenchOptions {
  readonly runs: number;
  readonly nodes: number;
  readonly print: (line: BenchLine) => void;
  readonly say: (text: string) => void;
}

interface Shape {
  readonly inFlight: number;
  /** Jobs of one measurement, and messages of a peer's. */
  readonly ours: number;
  readonly loop: number;
  readonly bullMq: number;
}

const shapes: readonly Shape[] = [
  { inFlight: 1, ours: 120, loop: 2000, bullMq: 1500 },
  { inFlight: 16, ours: 400, loop: 10_000, bullMq: 4000 },
];
const peerQueue = 'bench-peer';
/** As large as a small signed job. */
const bodyBytes = 2500;
const latencySeconds = 10;

/**
 * Jobs a second through the whole gateway: message received and completed, job in the ledger, executor process answered a copy of an
 * empty folder (plan and end at the sink), end in the ledger and reported. Beside it the bare loop of the queue's client on the same
 * stand-in and BullMQ on the same Redis, one after another in each round. Then the time from sending a message to its job's start at
 * half the rate that was reached.
 */
export async function dispatchBench(context: CleanupContext, options: DispatchBenchOptions): Promise<void> {
  const { say } = options;
  say(`starting a local cloud, a control plane and ${options.nodes} node${options.nodes === 1 ? '' : 's'}`);
  const cluster = await startBenchCluster(context, options.nodes);
  const { rig } = cluster;
  await defineNoOp(rig);
  await controlQueue(rig, { action: 'configure', queue: peerQueue, settings: { duplicateWindowMs: 0 } });
  await startAllNodes(cluster);
  const loop = bareLoop(context, { connectionString: rig.line.serviceBus, queueName: peerQueue, bodyBytes });
  const bull = bullMq(context, { redisUrl: rig.line.redis, bodyBytes });
  const guarantees = await runningGuarantees(cluster);
  // Caches, compiled code and executor processes are there before anything counts.
  await ourRate(cluster, 16, 60);
  let reached = 0;
  for (const shape of shapes) reached = await measureShape(cluster, shape, { loop, bull, guarantees }, options);
  await measureLatency(context, cluster, reached / 2, guarantees, options);
}

interface Peers {
  readonly loop: PeerRun;
  readonly bull: PeerRun;
  readonly guarantees: string;
}

/** One shape, interleaved; the median of our rate. */
async function measureShape(cluster: BenchCluster, shape: Shape, peers: Peers, options: DispatchBenchOptions): Promise<number> {
  const { runs, print, say } = options;
  const { inFlight } = shape;
  const rates: Record<'ours' | 'loop' | 'bull', number[]> = { ours: [], loop: [], bull: [] };
  for (let run = 1; run <= runs; run++) {
    rates.ours.push(await ourRate(cluster, inFlight, shape.ours));
    rates.loop.push(await peers.loop(inFlight, shape.loop));
    rates.bull.push(await peers.bull(inFlight, shape.bullMq));
    const last = Object.entries(rates).map(([name, all]) => `${name} ${round(all.at(-1) ?? NaN, 0)}`);
    say(`${inFlight} in flight, run ${run} of ${runs}: ${last.join(', ')} a second`);
  }
  const ours = median(rates.ours);
  const line = (peer: string, theirs: number, goal: number): BenchLine => ({
    bench: 'dispatch', case: `jobs through the gateway, ${inFlight} in flight, ${nodesText(cluster.nodes)}`,
    ours: round(ours, 1), unit: 'jobs/s', peer, theirs: round(theirs, 0), ratio: round(ours / theirs, 3), goal, met: ours / theirs >= goal,
    guarantees: peers.guarantees,
  });
  print(line(`bare SDK receive-and-complete loop, ${inFlight} in flight, same stand-in`, median(rates.loop), inFlight === 1 ? 0.8 : 0.3));
  print(line(`BullMQ add → process → completed, ${inFlight} in flight, same Redis`, median(rates.bull), 1));
  return ours;
}

function nodesText(nodes: readonly NodeProcess[]): string {
  return nodes.length === 1 ? '1 node' : `${nodes.length} nodes`;
}

/**
 * Our jobs a second with so many executors at work over all nodes. The jobs stand in the queue before the first is handed out; the
 * first tenth is not counted.
 */
async function ourRate(cluster: BenchCluster, inFlight: number, count: number): Promise<number> {
  const { rig, queueName } = cluster;
  await shareOut(cluster, inFlight);
  await controlQueue(rig, { action: 'silence', queue: queueName, on: true });
  await createRuns(rig, 'no-op', count);
  await waitFor(`${count} messages in the queue`, async () => (await queued(cluster)) >= count, { withinMs: 60_000, everyMs: 50 });
  const meter = new RateMeter(count, Math.max(inFlight, Math.ceil(count / 10)));
  const stop = cluster.listen(({ msg }) => {
    if (msg === 'job ended') meter.count();
  });
  try {
    await controlQueue(rig, { action: 'silence', queue: queueName, on: false });
    return await within(`${count} jobs with ${inFlight} in flight`, 120_000, meter.rate);
  } finally {
    stop();
  }
}

/** Gives the nodes as many slots as wanted, alike; with fewer slots than nodes the rest of the nodes take no jobs. */
async function shareOut({ rig, nodes }: BenchCluster, slots: number): Promise<void> {
  const each = Math.max(1, Math.floor(slots / nodes.length));
  for (const [index, { name }] of nodes.entries()) {
    const path = `/integrationRuntimes/local/nodes/${name}`;
    await rig.rest.call('PATCH', path, { concurrentJobsLimit: each });
    if (index >= slots) await rig.rest.call('POST', `${path}/drain`, { graceSeconds: 0 });
    else if (nodes.length > 1) await rig.rest.call('POST', `${path}/resume`, {});
  }
  const isIdle = (node: NodeMonitoring): boolean => node.concurrentJobsLimit === each && node.concurrentJobsRunning === 0;
  await waitFor('the limits to be in force', async () => (await rig.rest.monitoring()).every(isIdle), { withinMs: 30_000, everyMs: 100 });
}

/**
 * From the call that sends a job's message to the line with which a worker says that its executor has it. The messages are the control
 * plane's own: they are taken out of the queue before any node receives, and sent again one by one.
 */
async function measureLatency(
  context: CleanupContext, cluster: BenchCluster, perSecond: number, guarantees: string, { print, say }: DispatchBenchOptions,
): Promise<void> {
  const { rig, queueName, nodes } = cluster;
  const count = Math.ceil(perSecond * latencySeconds);
  say(`${count} jobs at ${round(perSecond, 0)} a second`);
  for (const node of nodes) await node.stop();
  await controlQueue(rig, { action: 'configure', queue: queueName, settings: { duplicateWindowMs: 0 } });
  await createRuns(rig, 'no-op', count);
  const client = new ServiceBusClient(rig.line.serviceBus);
  onCleanup(context, () => client.close());
  const messages = await takeOut(client, queueName, count);
  await startAllNodes(cluster);
  // The executor processes are there: what is measured is a job's way, not the start of programs.
  await ourRate(cluster, 16, 60);
  const sentMs = new Map<string, number>();
  const waits: number[] = [];
  const { promise: done, resolve } = Promise.withResolvers<void>();
  const stop = cluster.listen(({ msg, atMs, fields }) => {
    const begun = msg === 'attempt accepted' && fields['step'] !== 'abort' ? sentMs.get(String(fields['jobId'])) : undefined;
    if (begun === undefined) return;
    sentMs.delete(String(fields['jobId']));
    waits.push(atMs - begun);
    if (waits.length === count) resolve();
  });
  try {
    await sendAtPace(client, queueName, messages, perSecond, sentMs);
    await within(`${count} jobs to start`, 60_000, done);
  } finally {
    stop();
  }
  const common = { bench: 'dispatch', unit: 'ms', guarantees } as const;
  const what = `message sent → executor has the job, at ${round(perSecond, 0)} jobs/s, ${nodesText(nodes)}`;
  print({ ...common, case: `${what}, p50`, ours: round(percentile(waits, 0.5), 1) });
  const p99 = percentile(waits, 0.99);
  print({ ...common, case: `${what}, p99`, ours: round(p99, 1), limit: 15, met: p99 <= 15 });
}

/** Receives and completes so many messages. */
async function takeOut(client: ServiceBusClient, queueName: string, count: number): Promise<ServiceBusReceivedMessage[]> {
  const receiver = client.createReceiver(queueName);
  try {
    const taken: ServiceBusReceivedMessage[] = [];
    while (taken.length < count) {
      const batch = await receiver.receiveMessages(100, { maxWaitTimeInMs: 10_000 });
      if (batch.length === 0) throw new Error(`only ${taken.length} of ${count} messages came`);
      for (const message of batch) await receiver.completeMessage(message);
      taken.push(...batch);
    }
    return taken;
  } finally {
    await receiver.close();
  }
}

/** Sends the messages evenly over the time; notes when the call for each was made. */
async function sendAtPace(
  client: ServiceBusClient,
  queueName: string,
  messages: readonly ServiceBusReceivedMessage[],
  perSecond: number,
  sentMs: Map<string, number>,
): Promise<void> {
  const sender = client.createSender(queueName);
  const startMs = systemClock.monotonicMs();
  const sends: Promise<void>[] = [];
  for (const [index, { body, messageId, applicationProperties, contentType }] of messages.entries()) {
    const dueMs = startMs + (index * 1000) / perSecond;
    await new Promise<void>((resolve) => void systemClock.after(Math.max(0, dueMs - systemClock.monotonicMs()), resolve));
    const jobId = String(messageId).split('.')[0] ?? '';
    sentMs.set(jobId, systemClock.monotonicMs());
    const kept = { ...(applicationProperties && { applicationProperties }), ...(contentType !== undefined && { contentType }) };
    sends.push(sender.sendMessages({ body: body as unknown, messageId: String(messageId), ...kept }));
  }
  await Promise.all(sends);
  await sender.close();
}

/** What the figures hold with: read from the Redis that runs and from the receipt of a job. */
async function runningGuarantees({ rig }: BenchCluster): Promise<string> {
  const redis = new Redis(rig.line.redis, { lazyConnect: true, commandTimeout: 5000 });
  try {
    await redis.connect();
    const [, appendOnly] = (await redis.config('GET', 'appendonly')) as string[];
    const [, appendFsync] = (await redis.config('GET', 'appendfsync')) as string[];
    const runId = await rig.rest.createRun('no-op');
    const guarantee = await waitFor('the receipt of a job', async () => {
      const [run] = await rig.rest.activities(runId);
      if (run?.status === 'Failed') throw new Error(JSON.stringify(run.error));
      return run?.status === 'Succeeded' ? (run.output?.receipt?.guarantee ?? 'no receipt') : undefined;
    }, { withinMs: 30_000, everyMs: 100 });
    return `${guarantee}; Redis appendonly ${appendOnly}, appendfsync ${appendFsync}; signed jobs`;
  } finally {
    redis.disconnect();
  }
}

import { join } from 'node:path';
import { mkdir } from 'node:fs/promises';
import type { CleanupContext } from '../harness/cleanup.ts';
import { type NodeLogLine, NodeProcess } from '../harness/node-process.ts';
import { waitFor } from '../harness/wait-for.ts';
import { defineFolderCopy, type Rig, startRig } from '../fault/rig.ts';

/** A gateway for benchmarks: `dmg up` without nodes, and nodes as processes of our own, whose log lines arrive here at once. */
export interface BenchCluster {
  readonly rig: Rig;
  readonly nodes: readonly NodeProcess[];
  /** Name of the gateway's queue. */
  readonly queueName: string;
  /** Every line that any node logs, from now on. */
  listen(take: (line: NodeLogLine) => void): () => void;
}

/** Nodes are made and not started; the first one must be ready before the others start. */
export async function startBenchCluster(context: CleanupContext, count: number): Promise<BenchCluster> {
  const rig = await startRig(context, { nodes: 0 });
  const keys = (await rig.rest.call('POST', '/integrationRuntimes/local/listAuthKeys', {})) as { authKey1: string };
  const status = await rig.rest.call('POST', '/integrationRuntimes/local/getStatus', {});
  const { taskQueueId } = (status as { properties: { typeProperties: { taskQueueId: string } } }).properties.typeProperties;
  const listeners = new Set<(line: NodeLogLine) => void>();
  const nodes = Array.from({ length: count }, (_, index) => new NodeProcess(context, {
    name: `node-${index + 1}`,
    folder: join(rig.folder, 'nodes'),
    up: rig.line,
    gatewayKey: keys.authKey1,
    onLog: (line) => {
      for (const listener of listeners) listener(line);
    },
  }));
  return {
    rig, nodes, queueName: `dmg-${taskQueueId}`,
    listen(take) {
      listeners.add(take);
      return () => void listeners.delete(take);
    },
  };
}

/** Starts all nodes, the first one before the others, and waits until the control plane calls all of them online. */
export async function startAllNodes({ rig, nodes }: BenchCluster): Promise<void> {
  const [first, ...others] = nodes;
  await first?.start();
  await Promise.all(others.map((node) => node.start()));
  const areOnline = async (): Promise<boolean> =>
    (await rig.rest.nodes()).filter(({ status }) => status === 'Online').length === nodes.length;
  await waitFor('all nodes to be online', areOnline, { withinMs: 60_000, everyMs: 250 });
}

/** The pipeline `no-op`: a binary copy of an empty folder, which plans and finishes at the sink and moves nothing. */
export async function defineNoOp(rig: Rig): Promise<string> {
  await mkdir(join(rig.files, 'in/empty'), { recursive: true });
  await mkdir(join(rig.files, 'out'), { recursive: true });
  return defineFolderCopy(rig, 'no-op', 'in/empty', { store: 'file', folder: 'out/empty' });
}

/** Runs of a pipeline, made by so many callers at once. */
export async function createRuns(rig: Rig, pipeline: string, count: number, atOnce = 8): Promise<string[]> {
  const runIds: string[] = [];
  let left = count;
  const work = async (): Promise<void> => {
    while (left-- > 0) runIds.push(await rig.rest.createRun(pipeline));
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return runIds;
}

interface QueueReport {
  readonly name: string;
  readonly active: number;
}

/** Messages in the gateway's queue. */
export async function queued({ rig, queueName }: BenchCluster): Promise<number> {
  const reports = (await (await fetch(`${rig.line.serviceBusControl}/queues`)).json()) as QueueReport[];
  return reports.find(({ name }) => name === queueName)?.active ?? 0;
}

/** A fault or a setting of the Service Bus stand-in. */
export async function controlQueue(rig: Rig, request: object): Promise<void> {
  const answer = await fetch(`${rig.line.serviceBusControl}/control`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(request),
  });
  if (!answer.ok) throw new Error(`the stand-in refused ${JSON.stringify(request)}: ${await answer.text()}`);
}

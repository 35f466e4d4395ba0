import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { systemClock } from '@dmg/base';
import { blobHashes, defineFolderCopy, type Rig, waitForEnd } from './rig.ts';
import { CleanupScope, onCleanup } from '../harness/cleanup.ts';
import { runDmg } from '../harness/dmg-command.ts';
import { namespaceObstacle, NetworkNamespace } from '../harness/network-namespace.ts';
import { startProcess } from '../harness/processes.ts';
import { Rest } from '../harness/rest.ts';
import { type GatewayTold, statusesBecome, tellStatuses } from '../harness/status-answers.ts';
import { startTcpFaultProxy, type TcpFaultProxy } from '../harness/tcp-fault-proxy.ts';
import { tempDir } from '../harness/temp-dir.ts';
import { readUpLine } from '../harness/up-line.ts';
import { waitFor } from '../harness/wait-for.ts';

// Nodes that lose each other: a whole `dmg up` in a network of its own, in which packets to single nodes disappear. Everything else, such
// as Redis, queue and control plane, they reach all the time. The tests build on each other, in this order.
const skip = namespaceObstacle() ?? false;
const scope = new CleanupScope();
let namespace: NetworkNamespace;
let rig: Rig;
let slow: TcpFaultProxy;
let metrics: Readonly<Record<string, string>>;

before(async () => {
  if (skip !== false) return;
  namespace = await NetworkNamespace.open(scope);
  rig = await startInside();
}, { timeout: 90_000 });
after(() => scope.close(), { timeout: 60_000 });

/** `dmg up` with three nodes inside, and how it is reached from here. */
async function startInside(): Promise<Rig> {
  const folder = await tempDir(scope);
  const files = join(folder, 'files');
  await mkdir(files, { recursive: true });
  const main = fileURLToPath(import.meta.resolve('@dmg/cli/main'));
  const { process: up, ready } = await startProcess(scope, {
    name: 'up',
    ...namespace.inside(process.execPath, [main, 'up', '--nodes', '3', '--no-restart', '--json', '--state', join(folder, 'state')]),
    readyWithinMs: 60_000, stopWithinMs: 30_000,
  });
  const inner = readUpLine(ready);
  const outside = async (url: string): Promise<string> => {
    const port = /:(\d+)/.exec(url.replace('://', ''))?.[1] ?? '';
    return url.replace(`:${port}`, `:${await namespace.forward(Number(port))}`);
  };
  const blobEndpoint = /BlobEndpoint=([^;]+)/.exec(inner.blob)?.[1] ?? '';
  const blobsOutside = await outside(blobEndpoint);
  const line = { ...inner, endpoint: await outside(inner.endpoint), blob: inner.blob.replace(blobEndpoint, blobsOutside) };
  const rest = new Rest(line);
  onCleanup(scope, () => rest.close());
  const connectVia = { type: 'IntegrationRuntimeReference', referenceName: 'local' };
  await rest.put('linkedServices', 'files', { type: 'FileServer', typeProperties: { host: files }, connectVia });
  // Copies take as long as a test wants, and no work of the processor, when each answer of the blob store is late.
  slow = await startTcpFaultProxy(scope, { port: Number(new URL(blobsOutside).port) });
  const slowInside = blobEndpoint.replace(/:\d+/, `:${await namespace.offer(slow.port)}`);
  const connectionString = { type: 'SecureString', value: inner.blob.replace(blobEndpoint, slowInside) };
  await rest.put('linkedServices', 'blob', { type: 'AzureBlobStorage', typeProperties: { connectionString }, connectVia });
  const nodes = ready['nodes'] as readonly { name: string; metrics: string }[];
  metrics = Object.fromEntries(await Promise.all(nodes.map(async (node) => [node.name, await outside(node.metrics)] as const)));
  return { folder, files, up, line, rest };
}

function told(names: readonly string[]): Promise<GatewayTold> {
  return tellStatuses({
    rest: rig.rest, gateway: 'local', metrics: Object.fromEntries(Object.entries(metrics).filter(([name]) => names.includes(name))),
    dmg: (args) => runDmg(join(rig.folder, 'state'), args, 60_000, namespace),
  });
}

async function become(expected: Parameters<typeof statusesBecome>[2], withinMs?: number): Promise<void> {
  try {
    await statusesBecome(rig.rest, 'local', expected, withinMs);
  } catch (error) {
    throw new Error(`what the nodes logged:\n${rig.up.stderr.slice(-12_000)}`, { cause: error });
  }
}

/** The dispatcher and the others, when all are well. */
async function roles(): Promise<{ readonly leader: string; readonly others: readonly string[] }> {
  const nodes = await waitFor('a dispatcher', async () => {
    const all = await rig.rest.nodes();
    const isLed = all.some(({ isActiveDispatcher }) => isActiveDispatcher === true);
    return isLed && all.every(({ status }) => status === 'Online') ? all : undefined;
  }, { withinMs: 20_000, everyMs: 100 });
  const leader = nodes.find(({ isActiveDispatcher }) => isActiveDispatcher === true)?.nodeName ?? '';
  return { leader, others: nodes.map(({ nodeName }) => nodeName).filter((name) => name !== leader) };
}

/** The port at which other nodes reach this one. */
async function grpcPort(name: string): Promise<number> {
  const { hostServiceUri } = (await rig.rest.call('GET', `/integrationRuntimes/local/nodes/${name}`)) as { hostServiceUri: string };
  return Number(new URL(hostServiceUri).port);
}

/** How many jobs each of these nodes runs; default all. */
async function running(names?: readonly string[]): Promise<readonly number[]> {
  const nodes = (await rig.rest.monitoring()).filter(({ nodeName }) => names?.includes(nodeName) ?? true);
  return nodes.map(({ concurrentJobsRunning }) => concurrentJobsRunning);
}

test('a worker that its dispatcher cannot reach is Inactive in 5 s, its copy goes on elsewhere, and it comes back', { skip }, async (t) => {
  const { leader, others: [cut = '', third = ''] } = await roles();
  const files = 40;
  slow.set({ kind: 'delay', delayMs: 100 });
  await mkdir(join(rig.files, 'in'), { recursive: true });
  await Promise.all(Array.from({ length: files }, (_, index) => writeFile(join(rig.files, 'in', `file-${index}`), `${index}`)));
  const names = ['one', 'two', 'three'];
  const pipelines = await Promise.all(names.map((name) => defineFolderCopy(rig, name, 'in', { store: 'blob', folder: name })));
  const runs = await Promise.all(pipelines.map((pipeline) => rig.rest.createRun(pipeline)));
  // The freest node first: each has one.
  await waitFor('the copies to run', async () => (await running()).join() === '1,1,1', { withinMs: 10_000, everyMs: 50 });
  const restore = await namespace.cut(await grpcPort(cut));
  const cutMs = systemClock.monotonicMs();
  await become({ [cut]: 'Inactive', [leader]: 'Online', [third]: 'Online' }, 10_000);
  const noticedMs = systemClock.monotonicMs() - cutMs;
  t.diagnostic(`Inactive after ${Math.round(noticedMs)} ms`);
  const { nodes, gateway, dispatcher } = await told([leader, cut, third]);
  assert.equal(dispatcher, leader);
  assert.match(nodes[cut]?.evidence ?? '', new RegExp(`^The stream between it and the dispatcher ${leader} has been down for \\d+ s\\.$`));
  assert.match(nodes[cut]?.remedy ?? '', new RegExp(`^Let the machines of this node and of ${leader} reach each other`));
  assert.equal(gateway.status, 'Limited');
  const onOthers = async (): Promise<number> => (await running([leader, third])).reduce((sum, jobs) => sum + jobs, 0);
  await waitFor('the copy to run elsewhere', async () => (await onOthers()) === names.length, { withinMs: 8_000, everyMs: 50 });
  slow.set({ kind: 'pass' });
  await restore();
  await become({ [cut]: 'Online', [leader]: 'Online', [third]: 'Online' }, 10_000);
  assert.deepEqual(await Promise.all(runs.map((runId) => waitForEnd(rig, runId, 60_000))), names.map(() => 'Succeeded'));
  for (const name of names) assert.equal(Object.keys(await blobHashes(rig, name)).length, files);
});

test('of two nodes that lose each other the one that leads stays Online and the other is Inactive', { skip }, async () => {
  const { leader, others: [kept = '', gone = ''] } = await roles();
  await rig.rest.call('DELETE', `/integrationRuntimes/local/nodes/${gone}`);
  const restore = await Promise.all([leader, kept].map(async (name) => namespace.cut(await grpcPort(name))));
  await become({ [leader]: 'Online', [kept]: 'Inactive' }, 10_000);
  const { nodes, gateway, dispatcher } = await told([leader, kept]);
  assert.deepEqual(Object.keys(nodes).toSorted(), [leader, kept].toSorted());
  assert.equal(dispatcher, leader);
  assert.equal(gateway.status, 'Limited');
  assert.match(nodes[kept]?.evidence ?? '', new RegExp(`^The stream between it and the dispatcher ${leader} has been down for \\d+ s\\.$`));
  await Promise.all(restore.map((undo) => undo()));
  await become({ [leader]: 'Online', [kept]: 'Online' }, 10_000);
  assert.equal((await told([leader, kept])).gateway.status, 'Online');
});

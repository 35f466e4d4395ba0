import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { RedisProcess } from '../../packages/redis/src/testing/redis-process.ts';
import { blobHashes, defineFolderCopy, type Rig, startRig, waitForEnd } from '../fault/rig.ts';
import { CleanupScope, onCleanup } from '../harness/cleanup.ts';
import { type Acceptance, ClusterLog } from '../harness/cluster-log.ts';
import { runDmg } from '../harness/dmg-command.ts';
import { readMetrics, sampleOf } from '../harness/metrics-text.ts';
import { nodeOfVersion } from '../harness/node-of-version.ts';
import { type NodeLogLine, nodeEnvironment, NodeProcess, type NodeProcessOptions } from '../harness/node-process.ts';
import { type ProcessExit, spawnProcess } from '../harness/processes.ts';
import type { NodeState } from '../harness/rest.ts';
import { type GatewayTold, nodeStatuses, statusesBecome, tellStatuses } from '../harness/status-answers.ts';
import { startTcpFaultProxy, type TcpFaultProxy } from '../harness/tcp-fault-proxy.ts';
import { waitFor, within } from '../harness/wait-for.ts';

// Every status but isolation (isolation.test.ts), by real nodes with other settings, other versions and broken surroundings, and the same
// answer wherever one asks. Two gateways of one `dmg up`; the tests build on each other, in this order.
const scope = new CleanupScope();
const log = new ClusterLog();
const running = new Map<string, NodeProcess>();
let rig: Rig;
/** Between the nodes and the blob store: copies take as long as a test wants when its answers come late. */
let slow: TcpFaultProxy;

before(async () => {
  rig = await startRig(scope, { nodes: 0 });
  slow = await startTcpFaultProxy(scope, { port: Number(new URL(blobEndpoint()).port) });
  await putStores('local');
  await rig.rest.put('integrationRuntimes', 'local', { type: 'SelfHosted', typeProperties: { nodesMax: 8 } });
  await rig.rest.put('integrationRuntimes', 'second', { type: 'SelfHosted' });
}, { timeout: 90_000 });
after(() => scope.close(), { timeout: 60_000 });

function blobEndpoint(): string {
  return /BlobEndpoint=([^;]+)/.exec(rig.line.blob)?.[1] ?? '';
}

/** The file store and the blob store, for jobs of this gateway. */
async function putStores(gateway: string): Promise<void> {
  const connectVia = { type: 'IntegrationRuntimeReference', referenceName: gateway };
  const value = rig.line.blob.replace(blobEndpoint(), blobEndpoint().replace(/:\d+/, `:${slow.port}`));
  const connectionString = { type: 'SecureString', value };
  await rig.rest.put('linkedServices', 'files', { type: 'FileServer', typeProperties: { host: rig.files }, connectVia });
  await rig.rest.put('linkedServices', 'blob', { type: 'AzureBlobStorage', typeProperties: { connectionString }, connectVia });
}

interface Keys {
  readonly authKey1: string;
  readonly authKey2: string;
}

async function keysOf(gateway: string): Promise<Keys> {
  return (await rig.rest.call('POST', `/integrationRuntimes/${gateway}/listAuthKeys`, {})) as Keys;
}

async function regenerate(gateway: string, keyName: keyof Keys): Promise<void> {
  await rig.rest.call('POST', `/integrationRuntimes/${gateway}/regenerateAuthKey`, { keyName });
}

interface NewNode extends Partial<NodeProcessOptions> {
  readonly gateway?: string;
  readonly keyName?: keyof Keys;
}

async function newNode(name: string, options: NewNode = {}): Promise<NodeProcess> {
  const { gateway = 'local', keyName = 'authKey1', ...others } = options;
  return new NodeProcess(scope, {
    name, folder: join(rig.folder, 'nodes'), up: rig.line, gatewayKey: (await keysOf(gateway))[keyName],
    onLog: (line) => log.take(line), ...others,
  });
}

async function start(node: NodeProcess): Promise<NodeProcess> {
  await node.start();
  running.set(node.name, node);
  return node;
}

/** Kills the whole process group, and counts the node no more among those whose metrics are asked. */
async function kill(...nodes: readonly NodeProcess[]): Promise<void> {
  for (const node of nodes) {
    running.delete(node.name);
    node.signalGroup('SIGKILL');
  }
  await Promise.all(nodes.map((node) => node.gone()));
}

function nodeNamed(name: string): NodeProcess {
  const node = running.get(name);
  assert.ok(node !== undefined, `${name} runs`);
  return node;
}

const ownMain = join(import.meta.dirname, '../../packages/node/src/main.ts');

interface Ended extends ProcessExit {
  readonly err: string;
}

/** The node's program, from its start to its end. */
async function runNode(name: string, command: 'register' | 'start', env: Record<string, string> = {}, main = ownMain): Promise<Ended> {
  const { authKey1 } = await keysOf('local');
  const local = new CleanupScope();
  const child = spawnProcess(local, {
    name, args: [main, command, '--state', join(rig.folder, 'nodes', name)], env: { ...nodeEnvironment(name, rig.line, authKey1), ...env },
  });
  try {
    return { ...(await within(`${name} to end`, 30_000, child.exited)), err: child.stderr };
  } finally {
    await local.close();
  }
}

async function told(gateway = 'local'): Promise<GatewayTold> {
  const names = Object.keys(await nodeStatuses(rig.rest, gateway));
  const metrics = Object.fromEntries([...running].filter(([name]) => names.includes(name)).map(([name, node]) => [name, node.metricsUrl]));
  return tellStatuses({ rest: rig.rest, gateway, metrics, dmg: (args) => runDmg(join(rig.folder, 'state'), args) });
}

async function nodeNow(name: string, gateway = 'local'): Promise<NodeState | undefined> {
  return (await rig.rest.nodes(gateway)).find(({ nodeName }) => nodeName === name);
}

async function gatewayStatus(gateway = 'local'): Promise<string> {
  const answer = await rig.rest.call('POST', `/integrationRuntimes/${gateway}/getStatus`, {});
  return (answer as { properties: { state: string } }).properties.state;
}

const become = (expected: Parameters<typeof statusesBecome>[2], gateway = 'local', withinMs?: number): Promise<void> =>
  statusesBecome(rig.rest, gateway, expected, withinMs);

/** Whether this node leads a copy (the one of this job), others only assist. */
function isLeadOf(node: string, jobId?: string): (one: Acceptance) => boolean {
  return (one) => one.node === node && one.step === 'copy' && (jobId === undefined || one.jobId === jobId);
}

async function leads(name: RegExp, gateway = 'local'): Promise<void> {
  await waitFor(`${name.source} to be shown as dispatcher`, async () => {
    const nodes = await rig.rest.nodes(gateway);
    return nodes.some(({ nodeName, isActiveDispatcher }) => name.test(nodeName) && isActiveDispatcher === true);
  }, { everyMs: 100 });
}

/** Returns when the limit is in force. */
async function setLimit(name: string, concurrentJobsLimit: number, gateway = 'local'): Promise<void> {
  const { mark } = log;
  await rig.rest.call('PATCH', `/integrationRuntimes/${gateway}/nodes/${name}`, { concurrentJobsLimit });
  const isLimit = ({ node, msg, fields }: NodeLogLine): boolean =>
    node === name && msg === 'desired state applied' && fields['limit'] === concurrentJobsLimit;
  await log.next(`${name} to have the limit ${concurrentJobsLimit}`, isLimit, { mark, withinMs: 5000 });
}

/** Files that are quick to make and, at a file each, not to copy. Returns how many. */
async function makeManyFiles(folder: string, count: number): Promise<number> {
  await mkdir(join(rig.files, folder), { recursive: true });
  await Promise.all(Array.from({ length: count }, (_, index) => writeFile(join(rig.files, folder, `file-${index}`), `${index}`)));
  return count;
}

/** Copies of a small folder, all at the same time. */
async function runSmallJobs(count: number): Promise<void> {
  await mkdir(join(rig.files, 'in/small'), { recursive: true });
  await writeFile(join(rig.files, 'in/small/file'), 'content');
  const pipelines = await Promise.all(Array.from({ length: count }, (_, index) =>
    defineFolderCopy(rig, `small-${index}`, 'in/small', { store: 'file', folder: `out/small-${index}` })));
  const runs = await Promise.all(pipelines.map((pipeline) => rig.rest.createRun(pipeline)));
  const ends = await Promise.all(runs.map((runId) => waitForEnd(rig, runId, 30_000)));
  assert.deepEqual(ends, ends.map(() => 'Succeeded'));
}

test('a node that is registered and not started is Initializing; one without the credential key is Limited', async () => {
  assert.equal(await gatewayStatus(), 'NeedRegistration');
  assert.equal((await runNode('one', 'register')).code, 0);
  assert.equal(await gatewayStatus(), 'Offline');
  await start(await newNode('plain', { env: { DMG_CLUSTER_ENCRYPTION: 'none' } }));
  await become({ one: 'Initializing', plain: 'Limited' });
  await leads(/^plain$/);
  const { gateway, nodes, dispatcher } = await told();
  assert.equal(nodes['one']?.evidence, 'It has registered and was not heard since.');
  assert.equal(nodes['one']?.remedy, 'Start the node.');
  assert.match(nodes['plain']?.evidence ?? '', /^It cannot read encrypted credentials yet \(credentialKey: .+\)\.$/);
  assert.equal(gateway.status, 'Limited');
  assert.match(gateway.evidence, /^0 of 2 nodes are Online; .*one is Initializing \(.*plain is Limited \(/);
  assert.equal(dispatcher, 'plain', 'a node that is alone leads, whatever it lacks');
});

test('the majority decides: at 1:1 the configuration stays, at 2:1 the single node is Inactive, gets no jobs and never leads', async () => {
  await start(await newNode('one'));
  await become({ one: 'Inactive', plain: 'Limited' });
  const tie = await nodeNow('one');
  const words = (encryption: string): string => `\\(encryption ${encryption}, CA \\S+, protocol \\d+\\)`;
  const differs = (own: string, common: string): RegExp =>
    new RegExp(`^Its configuration ${words(own)} differs from that of the gateway ${words(common)}\\.$`);
  assert.match(tie?.evidence ?? '', differs('mtls', 'none'));
  const mark = log.mark;
  await start(await newNode('two'));
  await become({ one: 'Online', two: 'Online', plain: 'Inactive' });
  await leads(/^(?:one|two)$/);
  const { nodes } = await told();
  assert.match(nodes['plain']?.evidence ?? '', differs('none', 'mtls'));
  assert.match(nodes['plain']?.remedy ?? '', /^Set it up as the other nodes are/);
  await runSmallJobs(8);
  const workers = new Set(log.acceptances(mark).map(({ node }) => node));
  assert.ok(workers.size > 0 && !workers.has('plain'), [...workers].join());
  assert.deepEqual(log.lines('dispatcher leads', mark).filter(({ node }) => node === 'plain'), []);
  await kill(nodeNamed('plain'));
});

test('a node of a newer version is Limited and gets no jobs while an Online one lives; an older one is not registered', async () => {
  const mark = log.mark;
  const [newer, older] = await Promise.all(['0.2.0', '0.0.9'].map((version) => nodeOfVersion(scope, version)));
  const [, refused] = await Promise.all([
    newNode('newer', { main: newer ?? '' }).then(start),
    runNode('older', 'register', {}, older),
  ]);
  assert.equal(refused.code, 4, refused.err);
  assert.match(refused.err, /Cannot register older: it runs version 0\.0\.9, which is older than version 0\.1\.0 of the gateway local\./);
  assert.match(refused.err, /Update this node to version 0\.1\.0 or newer/);
  await become({ newer: 'Limited', one: 'Online', two: 'Online' });
  await runSmallJobs(8);
  assert.ok(!log.acceptances(mark).some(({ node }) => node === 'newer'));
});

test('a node that loses Redis alone is Limited while its copy goes on; one that may not use its Redis is InitializeFailed', async () => {
  const proxy = await startTcpFaultProxy(scope, { port: Number(new URL(rig.line.redis).port) });
  const evicting = await RedisProcess.start(['--maxmemory-policy', 'allkeys-lru']);
  onCleanup(scope, () => evicting.stop());
  await start(await newNode('cut', { env: { DMG_REDIS: `redis://127.0.0.1:${proxy.port}` } }));
  await become({ cut: 'Online' });
  await Promise.all(['one', 'two'].map((name) => setLimit(name, 1)));
  const mark = log.mark;
  const files = await makeManyFiles('in/many', 40);
  slow.set({ kind: 'delay', delayMs: 100 });
  // More than the two others have places for.
  const names = ['many-1', 'many-2', 'many-3'];
  const pipelines = await Promise.all(names.map((name) => defineFolderCopy(rig, name, 'in/many', { store: 'blob', folder: name })));
  const runs = await Promise.all(pipelines.map((pipeline) => rig.rest.createRun(pipeline)));
  const { jobId } = await log.nextAcceptance('a copy to start', isLeadOf('cut'), { mark, withinMs: 10_000 });
  proxy.set({ kind: 'blackhole' });
  const failed = runNode('failed', 'start', { DMG_REDIS: evicting.url });
  await become({ cut: 'Limited', one: 'Online', two: 'Online' });
  assert.deepEqual(log.ends(mark), [], 'the copies go on');
  slow.set({ kind: 'pass' });
  assert.deepEqual(await Promise.all(runs.map((runId) => waitForEnd(rig, runId, 60_000))), names.map(() => 'Succeeded'));
  for (const name of names) assert.equal(Object.keys(await blobHashes(rig, name)).length, files);
  const leaders = log.acceptances(mark).filter((each) => each.jobId === jobId && each.step === 'copy').map(({ node }) => node);
  assert.deepEqual(leaders, ['cut']);
  assert.equal((await failed).code, 1);
  assert.match((await failed).err, /allkeys-lru/);
  await become({ plain: 'Offline', failed: 'InitializeFailed' }, 'local', 20_000);
  const { gateway, nodes } = await told();
  const evidence = Object.fromEntries(Object.entries(nodes).map(([name, each]) => [name, each.evidence]));
  assert.match(evidence['cut'] ?? '', /^It cannot lead, and goes on as a worker \(redis: .+\)\.$/);
  assert.match(evidence['newer'] ?? '', /^It runs version 0\.2\.0, and the gateway 0\.1\.0\.$/);
  assert.match(evidence['failed'] ?? '', /^It could not start: .*allkeys-lru.*[^.]\.$/);
  assert.match(evidence['plain'] ?? '', /^It was last heard \d+ s ago\.$/);
  assert.equal(gateway.status, 'Limited');
  assert.match(gateway.evidence, /^2 of 6 nodes are Online; /);
  for (const name of ['plain', 'newer', 'cut', 'failed']) assert.ok(gateway.remedy.includes(`${name}: `), gateway.remedy);
  proxy.set({ kind: 'pass' });
  await become({ cut: 'Online' });
  await kill(...[...running.values()]);
});

test('without the node that holds the credential key others are Limited and work; they have it as soon as that one is back', async () => {
  const holder = await start(await newNode('holder', { gateway: 'second' }));
  await become({ holder: 'Online' }, 'second');
  running.delete('holder');
  assert.equal((await holder.stop())?.code, 0);
  await start(await newNode('late', { gateway: 'second', keyName: 'authKey2' }));
  await become({ holder: 'Limited', late: 'Limited' }, 'second');
  await leads(/^late$/, 'second');
  // Its connection to the queue is another reason for some moments.
  await waitFor('one reason', async () => (await nodeNow('late', 'second'))?.evidence?.startsWith('It cannot read encrypted'));
  const { gateway, nodes } = await told('second');
  assert.equal(nodes['holder']?.evidence, 'It takes no new jobs because it stops.');
  assert.match(nodes['late']?.evidence ?? '', /^It cannot read encrypted credentials yet \(credentialKey: [^)]+\)\.$/);
  assert.match(nodes['late']?.remedy ?? '', /^Let it reach a node that holds the credential key/);
  assert.equal(gateway.status, 'Limited');
  await start(holder);
  await become({ holder: 'Online', late: 'Online' }, 'second');
  assert.deepEqual((await told('second')).gateway, { status: 'Online', evidence: 'All 2 nodes are Online.', remedy: '' });
});

test('a regenerated key ends its node: the others drop its streams at once, and its process ends with code 4', async () => {
  const [holder, late] = [nodeNamed('holder'), nodeNamed('late')];
  await setLimit('late', 1, 'second');
  await putStores('second');
  const mark = log.mark;
  const files = await makeManyFiles('in/more', 40);
  slow.set({ kind: 'delay', delayMs: 100 });
  const runId = await rig.rest.createRun(await defineFolderCopy(rig, 'more', 'in/more', { store: 'blob', folder: 'more' }));
  const { jobId } = await log.nextAcceptance('the copy to start', isLeadOf('holder'), { mark, withinMs: 10_000 });
  const links = async (state: string): Promise<number | undefined> =>
    sampleOf(await readMetrics(late.metricsUrl), 'dmg_cluster_links', { state });
  assert.equal(await links('up'), 1);
  // Frozen, so that it is the other one that ends the stream; silence alone would take 2 s.
  holder.signalGroup('SIGSTOP');
  await regenerate('second', 'authKey1');
  await waitFor('the stream to be dropped', async () => (await links('up')) === 0 && (await links('down')) === 0, { withinMs: 1_500 });
  await log.nextAcceptance('the copy to go on elsewhere', isLeadOf('late', jobId), { mark, withinMs: 3_000 });
  running.delete('holder');
  holder.signalGroup('SIGCONT');
  assert.deepEqual(await holder.gone(), { code: 4, signal: null });
  slow.set({ kind: 'pass' });
  await become({ holder: 'NeedRegistration', late: 'Online' }, 'second');
  const { gateway, nodes } = await told('second');
  assert.match(nodes['holder']?.evidence ?? '', /its registration has ended: the key .* was regenerated\./i);
  assert.match(nodes['holder']?.remedy ?? '', /^Register it again with a fresh key/);
  assert.equal(gateway.status, 'Limited');
  assert.equal(await waitForEnd(rig, runId, 30_000), 'Succeeded');
  assert.equal(Object.keys(await blobHashes(rig, 'more')).length, files);
  await regenerate('second', 'authKey2');
  assert.deepEqual(await late.gone(), { code: 4, signal: null });
  running.delete('late');
  assert.equal((await told('second')).gateway.status, 'NeedRegistration');
  // The nodes of the other gateway were killed some tests ago.
  await waitFor('the first gateway to be Offline', async () => (await gatewayStatus()) === 'Offline', { withinMs: 17_000, everyMs: 100 });
});

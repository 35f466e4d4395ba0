import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { CleanupScope } from '../harness/cleanup.ts';
import { assertAcceptances, type Cluster, startCluster } from '../harness/cluster.ts';
import type { Acceptance } from '../harness/cluster-log.ts';
import { waitFor } from '../harness/wait-for.ts';
import { blobHashes, fileHashes, makeFiles, waitForEnd } from './rig.ts';

// One copy of a folder of files to blobs by all nodes at once, while nodes are killed and frozen, and while it is cancelled. The tests
// build on each other: a node that was killed stays away.
const names = ['node-1', 'node-2', 'node-3', 'node-4'];
const megabyte = 1024 * 1024;
const files = 32;
const fileBytes = 3 * megabyte;
/** Those that were not killed. */
let living = names;
const scope = new CleanupScope();
let cluster: Cluster;

before(async () => {
  cluster = await startCluster(scope);
  const { rig, slow } = cluster;
  await makeFiles(rig, 'in', Array.from({ length: files }, (_, index) => fileBytes + index), 7);
  const via = { type: 'IntegrationRuntimeReference', referenceName: 'local' };
  const value = rig.line.blob.replace(/(BlobEndpoint=https?:\/\/[^:;]+):\d+/, `$1:${slow.port}`);
  await rig.rest.put('linkedServices', 'slow-blob', {
    type: 'AzureBlobStorage', typeProperties: { connectionString: { type: 'SecureString', value } }, connectVia: via,
  });
  const [first, ...others] = names.map((name) => cluster.addNode(name));
  await first?.start();
  await Promise.all(others.map((node) => node.start()));
  await cluster.waitForStatus('Online', names);
}, { timeout: 90_000 });
after(() => scope.close(), { timeout: 90_000 });

interface SharedCopy {
  readonly runId: string;
  readonly jobId: string;
  readonly mark: number;
  readonly lead: Acceptance;
  readonly assistants: readonly Acceptance[];
}

/** A copy to the blob folder `to` that goes on until `cluster.slow` passes, on so many nodes besides the one that leads it. */
async function underWay(t: TestContext, to: string, assistants: number): Promise<SharedCopy> {
  const { rig, log, slow } = cluster;
  await cluster.waitForStatus('Online', living);
  await rig.rest.put('datasets', `${to}-in`, {
    type: 'Binary', linkedServiceName: { type: 'LinkedServiceReference', referenceName: 'files' },
    typeProperties: { location: { type: 'FileServerLocation', folderPath: 'in' } },
  });
  await rig.rest.put('datasets', `${to}-out`, {
    type: 'Binary', linkedServiceName: { type: 'LinkedServiceReference', referenceName: 'slow-blob' },
    typeProperties: { location: { type: 'AzureBlobStorageLocation', container: 'fault', folderPath: to } },
  });
  await rig.rest.put('pipelines', to, {
    activities: [{
      name: 'copy', type: 'Copy',
      inputs: [{ type: 'DatasetReference', referenceName: `${to}-in` }],
      outputs: [{ type: 'DatasetReference', referenceName: `${to}-out` }],
      typeProperties: {
        source: { type: 'BinarySource', storeSettings: { type: 'FileServerReadSettings', recursive: true } },
        sink: { type: 'BinarySink', storeSettings: { type: 'AzureBlobStorageWriteSettings' } },
      },
    }],
  });
  slow.set({ kind: 'delay', delayMs: 150 });
  t.after(() => slow.set({ kind: 'pass' }));
  const { mark } = log;
  const runId = await rig.rest.createRun(to);
  const { jobId } = await cluster.activity(runId);
  const lead = await log.nextAcceptance('the lead', (one) => one.jobId === jobId && one.step === 'copy', { mark, withinMs: 20_000 });
  const found: Acceptance[] = [];
  while (found.length < assistants) {
    const isNext = (one: Acceptance): boolean =>
      one.jobId === jobId && one.step === 'assist' && !found.some(({ attemptId }) => attemptId === one.attemptId);
    found.push(await log.nextAcceptance('an assistant', isNext, { mark, withinMs: 20_000 }));
  }
  slow.set({ kind: 'delay', delayMs: 400 });
  assert.equal(new Set([lead, ...found].map(({ node }) => node)).size, assistants + 1, 'two of one job on a node');
  return { runId, jobId, mark, lead, assistants: found };
}

/** Ended well, every file once and unchanged. Returns the attempts whose chunks stand. */
async function succeeded(to: string, { runId }: SharedCopy): Promise<readonly string[]> {
  cluster.slow.set({ kind: 'pass' });
  const end = await waitForEnd(cluster.rig, runId, 60_000);
  const { error, output } = await cluster.activity(runId);
  assert.equal(end, 'Succeeded', JSON.stringify(error));
  assert.deepEqual(await blobHashes(cluster.rig, to), await fileHashes(cluster.rig, 'in'));
  assert.equal(output?.receipt?.guarantee, 'exactlyOnce');
  return output.receipt.attempts ?? [];
}

/** Kills a node, host and executors. */
async function killNode(name: string): Promise<void> {
  cluster.node(name).signalGroup('SIGKILL');
  await cluster.node(name).gone();
  living = living.filter((one) => one !== name);
}

test('one copy by four nodes; the node of an assistant is killed and the lead does not notice', { timeout: 90_000 }, async (t) => {
  const copy = await underWay(t, 'shared', 3);
  await waitFor('the assisting nodes to be shown', async () => {
    const output = (await cluster.activity(copy.runId)).output as { assistingNodes?: readonly string[] } | undefined;
    return output?.assistingNodes?.length === 3;
  }, { withinMs: 15_000 });
  const dispatcher = cluster.watch.leader?.node;
  const victim = (copy.assistants.find(({ node }) => node === dispatcher) ?? copy.assistants[0])?.node ?? '';
  t.diagnostic(`killed: ${victim}${victim === dispatcher ? ', the dispatcher' : ''}`);
  await killNode(victim);
  const attempts = await succeeded('shared', copy);
  t.diagnostic(`chunks of ${attempts.length} attempts stand`);
  assert.ok(attempts.length >= 3 && attempts.includes(copy.lead.attemptId), 'chunks of three nodes stand');
  const ends = cluster.log.ends(copy.mark).filter(({ attemptId }) => attemptId === copy.lead.attemptId);
  assert.deepEqual(ends.map(({ outcome }) => outcome), ['succeeded'], 'the lead went on to the end');
});

test('the lead is killed while an assistant is frozen: another leads, what was copied stands', { timeout: 90_000 }, async (t) => {
  const copy = await underWay(t, 'moved', 2);
  // Somebody has to see that the lead is gone.
  const frozen = copy.assistants.find(({ node }) => node !== cluster.watch.leader?.node)?.node ?? '';
  cluster.node(frozen).signalGroup('SIGSTOP');
  t.after(() => void cluster.node(frozen).signalGroup('SIGCONT'));
  const { mark } = cluster.log;
  await killNode(copy.lead.node);
  const isNext = (one: Acceptance): boolean => one.jobId === copy.jobId && one.step === 'copy';
  const next = await cluster.log.nextAcceptance('the next lead', isNext, { mark, withinMs: 15_000 });
  assert.notEqual(next.node, copy.lead.node);
  const attempts = await succeeded('moved', copy);
  t.diagnostic(`chunks of ${attempts.length} attempts stand`);
  cluster.node(frozen).signalGroup('SIGCONT');
  await cluster.waitUntilIdle();
  assert.deepEqual(await blobHashes(cluster.rig, 'moved'), await fileHashes(cluster.rig, 'in'), 'who woke up changed nothing');
});

test('a cancel ends the copy on every node and leaves nothing at the sink', { timeout: 90_000 }, async (t) => {
  const copy = await underWay(t, 'cancelled', 1);
  await cluster.rig.rest.cancel(copy.runId);
  cluster.slow.set({ kind: 'pass' });
  assert.equal(await waitForEnd(cluster.rig, copy.runId, 30_000), 'Cancelled');
  await cluster.waitUntilIdle();
  const outcomes = new Map(cluster.log.ends(copy.mark).map(({ attemptId, outcome }) => [attemptId, outcome]));
  assert.equal(outcomes.get(copy.lead.attemptId), 'cancelled');
  for (const { attemptId } of copy.assistants) assert.equal(outcomes.get(attemptId), 'stopped');
  assert.deepEqual(await blobHashes(cluster.rig, 'cancelled'), {});
  assertAcceptances(cluster.log);
});

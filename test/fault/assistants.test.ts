import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { CleanupScope } from '../harness/cleanup.ts';
import { assertAcceptances, type Cluster, startCluster } from '../harness/cluster.ts';
import type { Acceptance } from '../harness/cluster-log.ts';
import { waitFor } from '../harness/wait-for.ts';
import { findProcesses, killIfThere } from '../harness/left-processes.ts';
import { blobHashes, makeFiles, waitForEnd } from './rig.ts';
import { SharedTables, type SourceName, type TableTarget } from './shared-tables.ts';

// One copy by all nodes at once, of tables that move and of files, while nodes are killed and frozen, and while it is cancelled.
// The two longest ones, half a minute each, are for `npm run fault -- --suite nodes`.
const longest = { timeout: 90_000 };
const longTest: typeof test | undefined = process.env['DMG_TEST_LONG'] === '1' ? test : undefined;
const names = ['node-1', 'node-2', 'node-3', 'node-4'];
const megabyte = 1024 * 1024;
const files = 12;
const fileBytes = 2 * megabyte;
const scope = new CleanupScope();
let cluster: Cluster;
let tables: SharedTables;

before(async () => {
  cluster = await startCluster(scope);
  const { rig, slow } = cluster;
  await makeFiles(rig, 'in', Array.from({ length: files }, (_, index) => fileBytes + index), 7);
  const via = { type: 'IntegrationRuntimeReference', referenceName: 'local' };
  const value = rig.line.blob.replace(/(BlobEndpoint=https?:\/\/[^:;]+):\d+/, `$1:${slow.port}`);
  await rig.rest.put('linkedServices', 'slow-blob', {
    type: 'AzureBlobStorage', typeProperties: { connectionString: { type: 'SecureString', value } }, connectVia: via,
  });
  tables = await SharedTables.open(scope, rig);
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

interface Wish {
  readonly assistants: number;
  readonly keeper?: boolean;
}

/** What a run has on nodes, as soon as it has what is wished for. */
async function underWay(runId: string, mark: number, { assistants: wanted, keeper = false }: Wish): Promise<SharedCopy> {
  const { log } = cluster;
  const { jobId } = await cluster.activity(runId);
  const next = (what: string, accept: (one: Acceptance) => boolean): Promise<Acceptance> =>
    log.nextAcceptance(what, (one) => one.jobId === jobId && accept(one), { mark, withinMs: 20_000 });
  const lead = await next('the lead', ({ step }) => step === 'copy');
  const assistants: Acceptance[] = [];
  while (assistants.length < wanted) {
    const isKnown = (attemptId: string): boolean => assistants.some((one) => one.attemptId === attemptId);
    assistants.push(await next('an assistant', ({ step, attemptId }) => step === 'assist' && !isKnown(attemptId)));
  }
  if (keeper) await next('a keeper', ({ step }) => step === 'keep');
  assert.equal(new Set([lead, ...assistants].map(({ node }) => node)).size, wanted + 1, 'two of one job on a node');
  return { runId, jobId, mark, lead, assistants };
}

async function tableCopy(
  name: string, from: SourceName, to: TableTarget, options: Wish & { parallelCopies: number; onSnapshotLost?: string },
): Promise<SharedCopy> {
  const { assistants, keeper, ...rest } = options;
  const { mark } = cluster.log;
  const runId = await tables.start(name, from, to, rest);
  return underWay(runId, mark, { assistants, ...(keeper === undefined ? {} : { keeper }) });
}

/** Every answer of the sinks comes so late. */
function slowly(t: TestContext, { blobMs = 0, tableMs = 0 }: { blobMs?: number; tableMs?: number }): void {
  cluster.slow.set({ kind: 'delay', delayMs: blobMs });
  tables.slow.set({ kind: 'delay', delayMs: tableMs });
  t.after(quickly);
}

function quickly(): void {
  for (const proxy of [cluster.slow, tables.slow]) proxy.set({ kind: 'pass' });
}

interface Ended {
  readonly attempts: readonly string[];
  readonly consistency: string;
  readonly generation: number;
  readonly guarantee: string;
}

async function succeeded({ runId }: SharedCopy): Promise<Ended> {
  quickly();
  const end = await waitForEnd(cluster.rig, runId, 60_000);
  const { error, output } = await cluster.activity(runId);
  assert.equal(end, 'Succeeded', JSON.stringify(error));
  const receipt = output?.receipt as Ended;
  assert.equal(receipt.guarantee, 'exactlyOnce');
  return receipt;
}

/** Kills a node, host and executors. */
async function killNode(name: string): Promise<void> {
  cluster.node(name).signalGroup('SIGKILL');
  await cluster.node(name).gone();
}

/** Kills every process of some nodes in which an attempt could be; the hosts live on. */
async function killExecutors(nodeNames: readonly string[]): Promise<void> {
  const all = await Promise.all(nodeNames.map((name) => findProcesses({ mark: 'none', group: cluster.node(name).pid })));
  for (const { pid } of all.flat().filter(({ command }) => command.includes('executor.ts'))) killIfThere(pid);
}

async function assisting({ runId }: SharedCopy): Promise<readonly string[]> {
  return ((await cluster.activity(runId)).output as { assistingNodes?: readonly string[] } | undefined)?.assistingNodes ?? [];
}

void longTest?.('a table to one blob by four nodes: an assistant is killed with its node and shown no more', longest, async (t) => {
  const moving = await tables.move(t, 'parts');
  slowly(t, { blobMs: 300 });
  const begun = await tableCopy('shared', 'parts', { kind: 'csv' }, { assistants: 0, keeper: true, parallelCopies: 4 });
  // Nothing is written for a while: the copy goes on until all was seen.
  cluster.slow.set({ kind: 'blackhole' });
  const copy = await underWay(begun.runId, begun.mark, { assistants: 3 });
  await waitFor('the assisting nodes to be shown', async () => (await assisting(copy)).length === 3, { withinMs: 15_000 });
  const victim = copy.assistants[0]?.node ?? '';
  await killNode(victim);
  const started = cluster.node(victim).start();
  const left = copy.assistants.slice(1).map(({ node }) => node).sort();
  await waitFor('the killed node to be shown no more', async () => String(await assisting(copy)) === String(left), { withinMs: 15_000 });
  await started;
  const { attempts, consistency } = await succeeded(copy);
  assert.equal(consistency, 'snapshot');
  assert.ok(attempts.length >= 2 && attempts.includes(copy.lead.attemptId), `chunks of ${attempts.length} attempts stand`);
  await tables.load('shared');
  const { moment, moves } = await tables.assertMoment(moving, 'shared');
  t.diagnostic(`chunks of ${attempts.length} attempts stand; transaction ${moment} of ${moves}`);
});

test('a table to a table: the lead is killed while an assistant is frozen, the snapshot lives on', { timeout: 90_000 }, async (t) => {
  await cluster.waitForStatus('Online', names);
  const moving = await tables.move(t, 'parts');
  slowly(t, { tableMs: 100 });
  const copy = await tableCopy('moved', 'parts', { kind: 'table', copy: {} }, { assistants: 2, parallelCopies: 3 });
  await waitFor('others to hold the snapshot', async () => (await tables.holders()).length >= 3);
  // Somebody has to see that the lead is gone.
  const frozen = copy.assistants.find(({ node }) => node !== cluster.watch.leader?.node)?.node ?? '';
  cluster.node(frozen).signalGroup('SIGSTOP');
  t.after(() => void cluster.node(frozen).signalGroup('SIGCONT'));
  const { mark } = cluster.log;
  await killNode(copy.lead.node);
  const isNext = (one: Acceptance): boolean => one.jobId === copy.jobId && one.step === 'copy';
  const next = await cluster.log.nextAcceptance('the next lead', isNext, { mark, withinMs: 15_000 });
  assert.notEqual(next.node, copy.lead.node);
  const restarted = cluster.node(copy.lead.node).start();
  const { attempts, consistency, generation } = await succeeded(copy);
  assert.deepEqual([consistency, generation], ['snapshot', 1]);
  cluster.node(frozen).signalGroup('SIGCONT');
  await restarted;
  await cluster.waitUntilIdle();
  const { moment, moves } = await tables.assertMoment(moving, 'moved');
  t.diagnostic(`chunks of ${attempts.length} attempts stand; transaction ${moment} of ${moves}; who woke up changed nothing`);
});

test('a table without a key: its keeper is killed, then its lead, the snapshot lives on', { timeout: 90_000 }, async (t) => {
  await cluster.waitForStatus('Online', names);
  const moving = await tables.move(t, 'bare');
  slowly(t, { tableMs: 200 });
  const staged = { kind: 'table', copy: { writeMode: 'staged' } } as const;
  const copy = await tableCopy('kept', 'bare', staged, { assistants: 0, keeper: true, parallelCopies: 1 });
  const first = cluster.log.acceptances(copy.mark).find(({ step, jobId }) => step === 'keep' && jobId === copy.jobId);
  assert.ok(first !== undefined && first.node !== copy.lead.node);
  await waitFor('two sessions to hold the snapshot', async () => (await tables.holders()).length === 2);
  const holders = new Set(await tables.holders());
  const { mark } = cluster.log;
  await killExecutors([first.node]);
  const isKeeper = (one: Acceptance): boolean => one.jobId === copy.jobId && one.step === 'keep';
  await cluster.log.nextAcceptance('the next keeper', isKeeper, { mark, withinMs: 15_000 });
  await waitFor('the next keeper to hold the snapshot', async () => (await tables.holders()).some((pid) => !holders.has(pid)));
  await killNode(copy.lead.node);
  const isNext = (one: Acceptance): boolean => one.jobId === copy.jobId && one.step === 'copy';
  const next = await cluster.log.nextAcceptance('the next lead', isNext, { mark, withinMs: 15_000 });
  const restarted = cluster.node(copy.lead.node).start();
  const { attempts, consistency, generation } = await succeeded(copy);
  assert.deepEqual([consistency, generation], ['snapshot', 1]);
  assert.ok(attempts.includes(next.attemptId));
  const { moment, moves } = await tables.assertMoment(moving, 'kept');
  t.diagnostic(`chunks of ${attempts.length} attempts stand; transaction ${moment} of ${moves}`);
  await waitFor('nobody to hold the snapshot', async () => (await tables.holders()).length === 0, { withinMs: 20_000 });
  await restarted;
});

void longTest?.('all who hold a snapshot are killed at once: a copy begins anew, goes on or fails, as told', longest, async (t) => {
  await cluster.waitForStatus('Online', names);
  const [bare, parts] = [await tables.move(t, 'bare'), await tables.move(t, 'partsByKey')];
  slowly(t, { blobMs: 1200, tableMs: 250 });
  const wish = { assistants: 0, keeper: true, parallelCopies: 1 };
  const [anew, loose, failing] = await Promise.all([
    tableCopy('anew', 'bare', { kind: 'table', copy: { writeMode: 'staged' } }, wish),
    tableCopy('loose', 'partsByKey', { kind: 'table', copy: {} }, { ...wish, onSnapshotLost: 'perChunk' }),
    tableCopy('failing', 'bare', { kind: 'csv' }, { ...wish, onSnapshotLost: 'fail' }),
  ]);
  await waitFor('two sessions to hold each snapshot', async () => (await tables.holders()).length >= 6, { withinMs: 15_000 });
  await killExecutors(names);
  quickly();
  assert.equal(await waitForEnd(cluster.rig, failing.runId, 30_000), 'Failed');
  assert.match(JSON.stringify((await cluster.activity(failing.runId)).error), /SNAPSHOT_LOST/);
  assert.equal(await tables.blobExists('failing'), false);
  const { consistency, generation } = await succeeded(anew);
  assert.deepEqual([consistency, generation], ['snapshot', 2]);
  assert.equal((await succeeded(loose)).consistency, 'perChunk');
  const { moment, moves } = await tables.assertMoment(bare, 'anew');
  t.diagnostic(`anew: transaction ${moment} of ${moves}`);
  await parts.stop();
  assert.deepEqual(await parts.judgeLoose('loose'), { lost: 0, doubled: 0, changed: 0 });
});

/** A copy of a folder of files to blobs that goes on until the blobs are quick. */
async function folderCopy(t: TestContext, to: string, assistants: number): Promise<SharedCopy> {
  const { rig, log } = cluster;
  await cluster.waitForStatus('Online', names);
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
        parallelCopies: 2,
      },
    }],
  });
  slowly(t, { blobMs: 400 });
  const { mark } = log;
  return underWay(await rig.rest.createRun(to), mark, { assistants });
}

test('a cancel ends the copy on every node and leaves nothing at the sink', { timeout: 90_000 }, async (t) => {
  const copy = await folderCopy(t, 'cancelled', 1);
  await cluster.rig.rest.cancel(copy.runId);
  quickly();
  assert.equal(await waitForEnd(cluster.rig, copy.runId, 30_000), 'Cancelled');
  await cluster.waitUntilIdle();
  const outcomes = new Map(cluster.log.ends(copy.mark).map(({ attemptId, outcome }) => [attemptId, outcome]));
  assert.equal(outcomes.get(copy.lead.attemptId), 'cancelled');
  for (const { attemptId } of copy.assistants) assert.equal(outcomes.get(attemptId), 'stopped');
  assert.deepEqual(await blobHashes(cluster.rig, 'cancelled'), {});
  assertAcceptances(cluster.log);
});

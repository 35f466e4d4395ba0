import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { systemClock } from '@dmg/base';
import { CleanupScope } from '../harness/cleanup.ts';
import { assertAcceptances, type Cluster, type ClusterJob, startCluster } from '../harness/cluster.ts';
import { type CommandEnd, runDmg } from '../harness/dmg-command.ts';
import { sampleOf } from '../harness/metrics-text.ts';
import type { NodeLogLine } from '../harness/node-process.ts';
import { measureSlowness } from '../harness/slowness.ts';
import { startTcpFaultProxy, type TcpFaultProxy } from '../harness/tcp-fault-proxy.ts';
import { waitFor } from '../harness/wait-for.ts';

// One gateway that grows from one node to four and shrinks again, under jobs. The tests build on each other, in this order.
const secondMs = 1000;
const scope = new CleanupScope();
let cluster: Cluster;
/** Between node-4 and Redis. */
let redisOfFour: TcpFaultProxy;
/** Empty here; node-3 and node-4 each see a disk of their own there. */
let mountPoint: string;

before(async () => {
  cluster = await startCluster(scope);
  mountPoint = join(cluster.rig.folder, 'mnt');
  for (const path of ['mnt', 'disk-3/only-three', 'disk-3/both', 'disk-4/both']) {
    await mkdir(join(cluster.rig.folder, path), { recursive: true });
  }
  redisOfFour = await startTcpFaultProxy(scope, { port: Number(new URL(cluster.rig.line.redis).port) });
  await cluster.addNode('node-1').start();
  await cluster.watch.leaderAfter(0, 20_000);
}, { timeout: 90_000 });
after(() => scope.close(), { timeout: 60_000 });

function dmg(...args: string[]): Promise<CommandEnd> {
  return runDmg(join(cluster.rig.folder, 'state'), args);
}

async function setLimit(node: string, concurrentJobsLimit: number): Promise<void> {
  const { resourceGroupName } = cluster.rig.line;
  await cluster.client.integrationRuntimeNodes.update(resourceGroupName, 'local', 'local', node, { concurrentJobsLimit });
}

const isLimit = (limit: number) => ({ msg, fields }: NodeLogLine): boolean => msg === 'desired state applied' && fields['limit'] === limit;

/** Of a machine of its own: where others work as well, as much later as a process gets along more slowly. */
async function assertWithinSecond(t: TestContext, what: string, tookMs: number, slowness: Promise<number>): Promise<void> {
  const factor = await slowness;
  const told = `${what} after ${Math.round(tookMs)} ms, on a machine ${factor.toFixed(1)} times slower than alone`;
  t.diagnostic(told);
  assert.ok(tookMs <= secondMs * factor, told);
}

/** Nodes that took these jobs, the first time. */
function placesOf(jobs: readonly ClusterJob[]): string[] {
  return jobs.map(({ jobId }) => cluster.log.acceptances().find((one) => one.jobId === jobId)?.node ?? 'nowhere');
}

async function allAccepted(jobs: readonly ClusterJob[], mark: number): Promise<void> {
  for (const { jobId } of jobs) {
    await cluster.log.nextAcceptance(`job ${jobId} to be taken`, (one) => one.jobId === jobId, { mark, withinMs: 20_000 });
  }
}

function countsOf(places: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const place of places.toSorted()) counts[place] = (counts[place] ?? 0) + 1;
  return counts;
}

/** Lets all copies end. */
function flow(): void {
  for (const proxy of [cluster.slow, cluster.held]) proxy.set({ kind: 'pass' });
}

async function drain(t: TestContext, node: string, ...flags: string[]): Promise<CommandEnd> {
  t.after(async () => void (await cluster.rig.rest.call('POST', `/integrationRuntimes/local/nodes/${node}/resume`, {})));
  const ended = await dmg('node', 'drain', node, ...flags);
  assert.equal(ended.code, 0, ended.err);
  return ended;
}

async function resume(node: string): Promise<void> {
  const ended = await dmg('node', 'resume', node);
  assert.equal(ended.code, 0, ended.err);
}

/** Jobs that the next test goes on with. */
let waiting: ClusterJob[] = [];

test('a limit is in force within a second; one below what runs ends nothing, and admits nothing until usage is below it', async (t) => {
  const { log, rig } = cluster;
  await setLimit('node-1', 1);
  await log.next('limit 1', isLimit(1), { mark: 0, withinMs: 5000 });
  cluster.slow.set({ kind: 'delay', delayMs: 150 });
  let mark = log.mark;
  const jobs = await cluster.submitMany(6, 'slow', 40);
  await log.nextAcceptance('the first job', () => true, { mark, withinMs: 10_000 });
  await waitFor('five to wait', async () => (await rig.rest.load()).queueLength === 5, { withinMs: 5000 });

  mark = log.mark;
  const raisedMs = systemClock.monotonicMs();
  const slowness = measureSlowness(t);
  await setLimit('node-1', 3);
  const inForce = await log.next('limit 3', isLimit(3), { mark, withinMs: 10_000 });
  const third = await log.nextAcceptance('the third job', ({ used }) => used === 3, { mark, withinMs: 20_000 });
  await assertWithinSecond(t, 'the limit is in force', inForce.atMs - raisedMs, slowness);
  t.diagnostic(`three jobs run after ${Math.round(third.atMs - raisedMs)} ms: two executors had to start for that`);
  await waitFor('three to be shown', async () => (await rig.rest.monitoring())[0]?.concurrentJobsRunning === 3, { withinMs: 5000 });
  assert.equal(sampleOf(await cluster.metrics('node-1'), 'dmg_worker_slots', { state: 'used' }), 3);

  mark = log.mark;
  const lowered = await dmg('node', 'set-limit', 'node-1', '2');
  assert.equal(lowered.code, 0, lowered.err);
  await log.next('limit 2', isLimit(2), { mark, withinMs: secondMs });
  assert.deepEqual(log.ends(), [], 'what ran goes on');
  const [first, second, kept] = log.acceptances();
  assert.ok(first !== undefined && second !== undefined && kept !== undefined);
  const cancel = async ({ jobId }: { jobId: string }): Promise<number> => {
    await rig.rest.cancel(jobs.find((job) => job.jobId === jobId)?.runId ?? '');
    return (await log.next('the end of a cancelled one', ({ fields }) => fields['outcome'] === 'cancelled' && fields['jobId'] === jobId, {
      mark, withinMs: 5000,
    })).atMs;
  };
  await cancel(first);
  const belowMs = await cancel(second);
  const fourth = await log.nextAcceptance('the next job', () => true, { mark, withinMs: 5000 });
  assert.deepEqual([fourth.used, fourth.limit], [2, 2]);
  assert.ok(fourth.atMs >= belowMs, 'it was not taken before usage was below the limit');
  assert.ok(fourth.atMs - belowMs <= secondMs, `it was taken ${Math.round(fourth.atMs - belowMs)} ms after that`);
  waiting = jobs.filter(({ jobId }) => jobId !== first.jobId && jobId !== second.jobId);
});

test('a node that is added while jobs wait has work within a second', async (t) => {
  const { log } = cluster;
  t.after(flow);
  const { mark } = log;
  const node = cluster.addNode('node-2');
  await node.start();
  const slowness = measureSlowness(t);
  const taken = await log.nextAcceptance('work of the new node', (one) => one.node === 'node-2', { mark, withinMs: 20_000 });
  await assertWithinSecond(t, 'the new node has work', taken.atMs - node.readyAtMs, slowness);
  cluster.slow.set({ kind: 'pass' });
  await cluster.succeeded(waiting);
  assertAcceptances(log);
});

test('jobs are spread by free slots; figures of every node and of the gateway follow', async (t) => {
  const { rig, log } = cluster;
  t.after(flow);
  const folder = (name: string): string => join(rig.folder, name);
  const three = cluster.addNode('node-3', { mounts: [{ folder: folder('disk-3'), at: mountPoint }] });
  const four = cluster.addNode('node-4', { mounts: [{ folder: folder('disk-4'), at: mountPoint }], redis: redisOfFour });
  await Promise.all([setLimit('node-1', 4), three.start(), four.start()]);
  await cluster.waitForStatus('Online', ['node-1', 'node-2', 'node-3', 'node-4']);
  await cluster.waitUntilIdle();
  cluster.slow.set({ kind: 'delay', delayMs: 150 });
  const { mark } = log;
  const jobs = await cluster.submitMany(8, 'slow', 40);
  await allAccepted(jobs, mark);
  assert.deepEqual(countsOf(placesOf(jobs)), { 'node-1': 2, 'node-2': 2, 'node-3': 2, 'node-4': 2 });
  await waitFor('the figures', async () => {
    const running = (await rig.rest.monitoring()).map(({ concurrentJobsRunning }) => concurrentJobsRunning);
    const { queueLength } = await rig.rest.load();
    return running.length === 4 && running.every((count) => count === 2) && queueLength === 0;
  }, { withinMs: 5000 });
  const { availableNodes, averageTaskPickupDelayInSeconds: delay = -1 } = await rig.rest.load();
  assert.equal(availableNodes, 4);
  assert.ok(delay > 0, 'jobs that waited are in the pick-up delay');
  assert.deepEqual(await cluster.leaders(), [cluster.watch.leader?.node]);
  cluster.slow.set({ kind: 'pass' });
  await cluster.succeeded(jobs);
});

test('a node that is Limited, and one that is drained, get no job while an Online one lives', async (t) => {
  const { log } = cluster;
  t.after(() => redisOfFour.set({ kind: 'pass' }));
  redisOfFour.set({ kind: 'blackhole' });
  await drain(t, 'node-3', '--grace', '0');
  await cluster.waitForStatus('Limited', ['node-3', 'node-4']);
  const { mark } = log;
  // More than two nodes take at once: the rest waits for them.
  const jobs = await cluster.submitMany(12, 'quick', 10);
  await cluster.succeeded(jobs);
  assert.deepEqual([...new Set(log.acceptances(mark).map(({ node }) => node))].sort(), ['node-1', 'node-2']);
  redisOfFour.set({ kind: 'pass' });
  await resume('node-3');
  await cluster.waitForStatus('Online', ['node-3', 'node-4']);
});

test('a job with a local path runs only where the path is', async () => {
  const seenAt = join(cluster.rig.folder, 'disk-3/only-three');
  await cluster.addStore({ name: 'only-three', host: join(mountPoint, 'only-three'), seenAt });
  const jobs = await cluster.submitMany(3, 'quick', 10, 'only-three');
  await cluster.succeeded(jobs);
  assert.deepEqual(placesOf(jobs), ['node-3', 'node-3', 'node-3']);
});

test('a path that is another folder on another node is used on the first only; a job waits for that one', async (t) => {
  const { log, rig } = cluster;
  const host = join(mountPoint, 'both');
  await cluster.addStore({ name: 'both', host });
  const { mark } = log;
  const first = await cluster.submit('quick', 10, 'both');
  const { node: owner } = await log.nextAcceptance('the first job', ({ jobId }) => jobId === first.jobId, { mark, withinMs: 10_000 });
  assert.match(owner, /^node-[34]$/);
  const disk = join(rig.folder, owner === 'node-3' ? 'disk-3' : 'disk-4', 'both');
  const seen = (job: ClusterJob): ClusterJob => ({ ...job, target: job.target.replace(host, disk) });
  const others = await cluster.submitMany(4, 'quick', 10, 'both');
  await cluster.succeeded([first, ...others].map(seen));
  assert.deepEqual([...new Set(placesOf(others))], [owner]);

  await drain(t, owner, '--grace', '0');
  await log.next('the drain', (line) => line.node === owner && line.msg === 'drain begins', { mark, withinMs: 5000 });
  const late = await cluster.submit('quick', 10, 'both');
  const other = owner === 'node-3' ? 'node-4' : 'node-3';
  const isJudgement = (msg: string, path: unknown): boolean => msg === 'local path judged' && path === host;
  const judged = await log.next('the refusal', ({ node, msg, fields }) => node === other && isJudgement(msg, fields['path']), {
    mark, withinMs: 10_000,
  });
  const refusal = /is another folder on this node than on those that use it already/;
  assert.match(String(judged.fields['reason']), refusal);
  let reason: string | undefined;
  const isTold = async (): Promise<boolean> => refusal.test((reason = (await cluster.activity(late.runId)).reason) ?? '');
  await waitFor('the user to be told', isTold, { withinMs: 8000 }).catch(() => assert.fail(`the user is told: ${reason}`));
  assert.equal(await cluster.statusOf(late), 'Queued');
  assert.deepEqual(placesOf([late]), ['nowhere']);
  await resume(owner);
  await cluster.succeeded([seen(late)]);
  assert.deepEqual(placesOf([late]), [owner]);
});

test('a drained dispatcher ends what is short, hands over what is long, and leadership; resumed, it has work again', async (t) => {
  const { log, rig } = cluster;
  t.after(flow);
  await cluster.waitForStatus('Online', ['node-1', 'node-2', 'node-3', 'node-4']);
  await cluster.waitUntilIdle();
  cluster.slow.set({ kind: 'delay', delayMs: 100 });
  cluster.held.set({ kind: 'delay', delayMs: 500 });
  let mark = log.mark;
  const long = await cluster.submitMany(4, 'slow', 80);
  const short = await cluster.submitMany(4, 'held', 14);
  await allAccepted([...long, ...short], mark);
  const taken = log.acceptances(mark);
  const { node: victim, n } = await cluster.watch.leaderAfter(0, 5000);
  const onVictim = taken.filter(({ node }) => node === victim);
  const ofVictim = (jobs: readonly ClusterJob[]): string[] =>
    onVictim.filter(({ jobId }) => jobs.some((job) => job.jobId === jobId)).map(({ attemptId }) => attemptId);
  assert.deepEqual([ofVictim(long).length, ofVictim(short).length], [1, 1], JSON.stringify(taken));
  for (const { runId } of long) await waitFor('bytes', async () => ((await cluster.activity(runId)).output?.dataWritten ?? 0) > 0);

  mark = log.mark;
  const draining = drain(t, victim, '--grace', '2', '--wait');
  await log.next('the drain', ({ node, msg }) => node === victim && msg === 'drain begins', { mark, withinMs: 10_000 });
  cluster.held.set({ kind: 'pass' });
  assert.partialDeepStrictEqual(JSON.parse((await draining).out), { node: victim, drained: true });
  const drained = log.mark;
  const ends = log.ends(mark).filter(({ node }) => node === victim);
  assert.deepEqual(
    ends.map(({ attemptId, outcome }) => [attemptId, outcome]),
    [...ofVictim(short).map((id) => [id, 'succeeded']), ...ofVictim(long).map((id) => [id, 'stopped'])],
  );
  const handed = onVictim.find(({ attemptId }) => ofVictim(long).includes(attemptId));
  assert.ok(handed !== undefined);
  const next = await log.nextAcceptance('the handed-over copy', ({ jobId }) => jobId === handed.jobId, { mark, withinMs: 5000 });
  assert.notEqual(next.node, victim);
  cluster.slow.set({ kind: 'pass' });
  const attempts = await cluster.succeeded([...long, ...short]);
  for (const { jobId } of [...long, ...short]) {
    const expected = taken.filter((one) => one.jobId === jobId).map(({ attemptId }) => attemptId);
    if (jobId === handed.jobId) expected.push(next.attemptId);
    assert.deepEqual(attempts.get(jobId)?.toSorted(), expected.toSorted(), 'what the first attempt had done stands');
  }
  const state = await cluster.nodeState(victim);
  assert.equal(state?.status, 'Limited');
  assert.match(state.evidence ?? '', /drains it/);

  const meanwhile = await cluster.submitMany(8, 'quick', 10);
  // One that takes no jobs gives way to one that has been better for 10 s.
  assert.notEqual((await cluster.watch.leaderAfter(n, 20_000)).node, victim);
  await cluster.succeeded([...meanwhile, ...(await cluster.submitMany(8, 'quick', 10))]);
  assert.ok(log.acceptances(drained).every(({ node }) => node !== victim));
  await resume(victim);
  await cluster.waitForStatus('Online', [victim]);
  mark = log.mark;
  cluster.slow.set({ kind: 'delay', delayMs: 50 });
  await cluster.succeeded(await cluster.submitMany(8, 'slow', 10));
  assert.ok(log.acceptances(mark).some(({ node }) => node === victim));
  assert.deepEqual(log.ends().filter(({ outcome }) => outcome === 'failed' || outcome === 'lost'), []);
  assert.deepEqual((await rig.rest.runs()).filter(({ status }) => status === 'Failed'), []);
});

test('a living node is deleted only by force: out of the mesh at once, and its jobs go on elsewhere', async (t) => {
  const { log, rig } = cluster;
  t.after(flow);
  const victim = ['node-3', 'node-4'].find((name) => name !== cluster.watch.leader?.node) ?? '';
  await cluster.waitUntilIdle();
  cluster.slow.set({ kind: 'delay', delayMs: 100 });
  let mark = log.mark;
  const jobs = await cluster.submitMany(4, 'slow', 80);
  await allAccepted(jobs, mark);
  const cutOff = log.acceptances(mark).filter(({ node }) => node === victim);
  assert.equal(cutOff.length, 1);
  await waitFor('it to be shown', async () => {
    const shown = (await rig.rest.monitoring()).find(({ nodeName }) => nodeName === victim);
    return shown?.concurrentJobsRunning === 1;
  }, { withinMs: 5000 });
  const refused = await dmg('node', 'delete', victim);
  assert.equal(refused.code, 4);
  assert.match(refused.err, /DMG_CLI_NODE_ALIVE_REFUSED: .*1 jobs running/s);
  assert.deepEqual(log.ends(mark), []);

  mark = log.mark;
  const deleted = await dmg('node', 'delete', victim, '--force');
  assert.equal(deleted.code, 0, deleted.err);
  const deletedMs = systemClock.monotonicMs();
  const slowness = measureSlowness(t);
  const node = cluster.node(victim);
  for (const { jobId } of cutOff) {
    const next = await log.nextAcceptance('a job of the deleted node', (one) => one.jobId === jobId, { mark, withinMs: 10_000 });
    assert.notEqual(next.node, victim);
    await assertWithinSecond(t, 'a job of the deleted node is taken', next.atMs - deletedMs, slowness);
  }
  for (const name of ['node-1', 'node-2', 'node-3', 'node-4'].filter((each) => each !== victim)) {
    const links = sampleOf(await cluster.metrics(name), 'dmg_cluster_links', { state: 'up' });
    assert.equal(links, 2, `${name} has streams to the two that are left`);
  }
  const exit = await node.gone();
  assert.notEqual(exit?.code, 0);
  cluster.slow.set({ kind: 'pass' });
  await cluster.succeeded(jobs);
  assert.equal(await cluster.nodeState(victim), undefined);
  assert.deepEqual((await rig.rest.nodes()).map(({ status }) => status), ['Online', 'Online', 'Online']);
  assertAcceptances(log);
});

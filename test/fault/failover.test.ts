import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { systemClock } from '@dmg/base';
import { JobStream } from '../bench/job-stream.ts';
import { kill } from './rig.ts';
import { RedisControl } from './redis-control.ts';
import { CleanupScope } from '../harness/cleanup.ts';
import { assertAcceptances, type Cluster, type ClusterJob, startCluster } from '../harness/cluster.ts';
import type { Acceptance } from '../harness/cluster-log.ts';
import type { Leader } from '../harness/epoch-watch.ts';
import { sampleOf } from '../harness/metrics-text.ts';
import { measureSlowness } from '../harness/slowness.ts';
import { waitFor } from '../harness/wait-for.ts';

// What becomes of jobs when the dispatcher is killed, frozen, without Redis, or started again. The tests build on each other.
const names = ['node-1', 'node-2', 'node-3', 'node-4'];
/** DESIGN's longest time until another node leads. */
const takeOverMs = 1500;
const scope = new CleanupScope();
let cluster: Cluster;

before(async () => {
  cluster = await startCluster(scope);
  const [first, ...others] = names.map((name) => cluster.addNode(name));
  await first?.start();
  await Promise.all(others.map((node) => node.start()));
  await cluster.waitForStatus('Online', names);
}, { timeout: 90_000 });
after(() => scope.close(), { timeout: 60_000 });

async function leaderNow(): Promise<Leader> {
  return cluster.watch.leaderAfter(0, 20_000);
}

/** Copies that go on until `cluster.slow` passes, spread over the nodes, each with something at its sink. */
async function underWay(t: TestContext, count: number): Promise<{ jobs: ClusterJob[]; taken: Acceptance[] }> {
  cluster.slow.set({ kind: 'delay', delayMs: 250 });
  t.after(() => cluster.slow.set({ kind: 'pass' }));
  const { log } = cluster;
  const { mark } = log;
  const jobs = await cluster.submitMany(count, 'slow', 40);
  for (const { jobId, runId } of jobs) {
    await log.nextAcceptance(`job ${jobId}`, (one) => one.jobId === jobId, { mark, withinMs: 20_000 });
    const hasBytes = async (): Promise<boolean> => ((await cluster.activity(runId)).output?.dataWritten ?? 0) > 0;
    await waitFor('its first bytes', hasBytes, { withinMs: 20_000, everyMs: 50 });
  }
  const taken = log.acceptances(mark).filter(({ jobId }) => jobs.some((job) => job.jobId === jobId));
  assert.equal(taken.length, count, `each was taken once: ${JSON.stringify(taken)}`);
  return { jobs, taken };
}

/** Exactly one attempt of each ended well. */
async function assertEndedOnce(jobs: readonly ClusterJob[], mark: number): Promise<void> {
  const { log } = cluster;
  for (const { jobId } of jobs) {
    // The control plane may know of the end before the line that tells it has come.
    const isEnd = (id: unknown, outcome: unknown): boolean => id === jobId && outcome === 'succeeded';
    await log.next(`the end of ${jobId}`, ({ fields }) => isEnd(fields['jobId'], fields['outcome']), { mark, withinMs: 5000 });
    assert.equal(log.ends(mark).filter((end) => isEnd(end.jobId, end.outcome)).length, 1, `ends of ${jobId}`);
  }
}

/** Milliseconds from the request to the end. */
async function cancel(job: ClusterJob): Promise<number> {
  const startedMs = systemClock.monotonicMs();
  await cluster.rig.rest.cancel(job.runId);
  assert.equal(await cluster.ended(job, 10_000), 'Cancelled');
  return systemClock.monotonicMs() - startedMs;
}

test('a running copy is cancelled on whichever node it is within 2 s', async (t) => {
  const { jobs, taken } = await underWay(t, 4);
  const { node: leader } = await leaderNow();
  assert.deepEqual(await cluster.leaders(), [leader]);
  assert.deepEqual([...new Set(taken.map(({ node }) => node))].sort(), names);
  const slowness = measureSlowness(t);
  for (const job of jobs) {
    const { node } = taken.find(({ jobId }) => jobId === job.jobId) ?? {};
    const tookMs = await cancel(job);
    assert.ok(tookMs < 2000 * (await slowness), `cancelled on ${node} after ${Math.round(tookMs)} ms`);
  }
});

test('the dispatcher is killed with its executors: other copies do not notice, its own go on elsewhere', async (t) => {
  const { log, watch } = cluster;
  const { jobs, taken } = await underWay(t, 8);
  const { node: killed, n } = await leaderNow();
  const lost = taken.filter(({ node }) => node === killed);
  assert.ok(lost.length > 0, 'copies run on the dispatcher');
  const { mark } = log;
  const killedMs = systemClock.monotonicMs();
  const slowness = measureSlowness(t);
  assert.ok(cluster.node(killed).signalGroup('SIGKILL'));
  const next = await watch.leaderAfter(n, 10_000);
  const tookMs = next.atMs - killedMs;
  t.diagnostic(`${next.node} leads ${Math.round(tookMs)} ms after ${killed} was killed`);
  assert.notEqual(next.node, killed);
  assert.ok(tookMs < takeOverMs * (await slowness), `${Math.round(tookMs)} ms`);
  const resumed: Acceptance[] = [];
  for (const { jobId } of lost) {
    resumed.push(await log.nextAcceptance('a copy of the killed node', (one) => one.jobId === jobId, { mark, withinMs: 10_000 }));
  }
  await cluster.node(killed).gone();
  const restarted = cluster.node(killed).start();
  cluster.slow.set({ kind: 'pass' });
  const attempts = await cluster.succeeded(jobs);
  for (const { jobId, attemptId } of taken) {
    const again = resumed.find((one) => one.jobId === jobId);
    const expected = again === undefined ? [attemptId] : [attemptId, again.attemptId];
    const what = again === undefined ? 'it did not notice' : 'it went on where it stood';
    assert.deepEqual(attempts.get(jobId)?.toSorted(), expected.toSorted(), what);
  }
  assert.ok(resumed.every(({ node }) => node !== killed));
  await assertEndedOnce(jobs, mark);
  await restarted;
  assert.equal((await cluster.leaders()).length, 1);
  assertAcceptances(log);
});

test('a dispatcher that is frozen for 3 s and wakes up harms nothing: another leads, every job ends once', async (t) => {
  const { log, watch } = cluster;
  const { jobs } = await underWay(t, 4);
  const { node: frozen, n } = await leaderNow();
  const { mark } = log;
  const frozenMs = systemClock.monotonicMs();
  const slowness = measureSlowness(t);
  cluster.node(frozen).signalGroup('SIGSTOP');
  const next = await watch.leaderAfter(n, 10_000);
  t.diagnostic(`${next.node} leads ${Math.round(next.atMs - frozenMs)} ms after ${frozen} was frozen`);
  assert.notEqual(next.node, frozen);
  assert.ok(next.atMs - frozenMs < takeOverMs * (await slowness));
  const meanwhile = await cluster.submitMany(4, 'quick', 10);
  await waitFor('3 s to pass', () => systemClock.monotonicMs() - frozenMs >= 3000);
  const woken = log.mark;
  cluster.node(frozen).signalGroup('SIGCONT');
  await waitFor('it to know that it does not lead', async () => sampleOf(await cluster.metrics(frozen), 'dmg_lease_is_leader') === 0);
  const later = await cluster.submitMany(8, 'quick', 10);
  cluster.slow.set({ kind: 'pass' });
  await cluster.succeeded([...jobs, ...meanwhile, ...later]);
  await assertEndedOnce([...jobs, ...meanwhile, ...later], mark);
  assert.ok(log.acceptances(woken).every((one) => one.n > n), 'nothing that it still wanted to do was taken');
  assert.equal((await cluster.leaders()).length, 1);
  assertAcceptances(log);
});

test('Redis is gone: nobody leads, copies go on and end, one is cancelled; it comes back empty, and what waited is done', async (t) => {
  const { log, redis, rig } = cluster;
  await cluster.waitForStatus('Online', names);
  const { jobs } = await underWay(t, 4);
  const { n } = await leaderNow();
  let { mark } = log;
  redis.set({ kind: 'refuse' });
  redis.drop();
  t.after(() => redis.set({ kind: 'pass' }));
  await waitFor('nobody to lead', async () => (await cluster.leaders()).length === 0);
  const waits = await cluster.submit('quick', 10);
  const [cancelled, ...others] = jobs;
  assert.ok(cancelled !== undefined);
  const slowness = measureSlowness(t);
  const tookMs = await cancel(cancelled);
  assert.ok(tookMs < 2000 * (await slowness), `cancelled after ${Math.round(tookMs)} ms`);
  cluster.slow.set({ kind: 'pass' });
  await cluster.succeeded(others);
  await assertEndedOnce(others, mark);
  assert.deepEqual(log.acceptances(mark), [], 'without a dispatcher nothing begins');
  assert.equal(await cluster.statusOf(waits), 'Queued');
  assert.equal((await rig.rest.load()).queueLength, 1);
  await cluster.waitForStatus('Limited', names);

  mark = log.mark;
  const control = await RedisControl.connect(rig.line.redis);
  await control.send('FLUSHALL');
  control.close();
  assert.ok(await kill(rig, 'redis', 0));
  redis.set({ kind: 'pass' });
  const next = await cluster.watch.leaderAfter(n, 30_000);
  assert.ok(next.n > n, 'epochs go on from what the nodes remember');
  const later = await cluster.submitMany(4, 'quick', 10);
  await cluster.succeeded([waits, ...later]);
  assert.deepEqual(
    log.acceptances(mark).filter(({ jobId }) => jobs.some((job) => job.jobId === jobId)), [], 'what had ended is not done again',
  );
  await cluster.waitForStatus('Online', names);
  assertAcceptances(log);
});

test('each node is stopped and started again under a steady stream of jobs: none fails, none is lost, each succeeds once', async (t) => {
  const { log, watch, rig } = cluster;
  const before = (await rig.rest.runs()).length;
  await cluster.ensureSource(6);
  // About a second each, so that several run at any time and every node has its share.
  cluster.held.set({ kind: 'delay', delayMs: 60 });
  t.after(() => cluster.held.set({ kind: 'pass' }));
  let { mark } = log;
  const streamMark = mark;
  const stream = new JobStream(rig, 'held-to-files', 200, (index) => ({ from: 'of-6', to: `stream-${index}` }));
  t.after(() => stream.end());
  const handOvers: string[] = [];
  for (const name of names) {
    await log.nextAcceptance(`${name} to have work`, ({ node }) => node === name, { mark, withinMs: 10_000 });
    const { node: leading, n } = await leaderNow();
    const stoppedMs = systemClock.monotonicMs();
    const slowness = leading === name ? measureSlowness(t) : 1;
    const stopping = cluster.node(name).stop();
    if (leading === name) {
      const next = await watch.leaderAfter(n, 10_000);
      handOvers.push(`${name} → ${next.node} ${Math.round(next.atMs - stoppedMs)} ms after SIGTERM`);
      assert.ok(next.atMs - stoppedMs < 1000 * (await slowness), handOvers.at(-1));
    }
    assert.deepEqual(await stopping, { code: 0, signal: null });
    mark = log.mark;
    await cluster.node(name).start();
    await cluster.waitForStatus('Online', names);
  }
  assert.ok(handOvers.length > 0, 'the dispatcher was among them');
  t.diagnostic(`clean hand-overs: ${handOvers.join('; ')}`);
  const runIds = await stream.end();
  t.diagnostic(`${runIds.length} jobs`);
  const jobs = await Promise.all(runIds.map(async (runId): Promise<ClusterJob> => {
    const [{ jobId }, { parameters }] = await Promise.all([cluster.activity(runId), rig.rest.run(runId)]);
    return { runId, jobId, files: 6, target: `${rig.files}/${parameters?.['to']}` };
  }));
  await cluster.succeeded(jobs);
  await assertEndedOnce(jobs, streamMark);
  assert.equal((await rig.rest.runs()).length, before + runIds.length);
  assertAcceptances(log);
});

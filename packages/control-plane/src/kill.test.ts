import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Secret, seededRandom, silentLogger, silentMeter, systemClock } from '@dmg/base';
import { type ChildRoot, startChildRoot } from '@dmg/lifecycle';
import { ServiceBusJobQueue } from '@dmg/service-bus';
import { FakeNode, success } from './testing/fake-node.ts';
import { armClient, type Fixture, factory, gateway, group, seed, trust } from './testing/fixture.ts';

const unreachable = 'Endpoint=sb://127.0.0.1:1;SharedAccessKeyName=k;SharedAccessKey=a2V5;UseDevelopmentEmulator=true';

interface Process {
  readonly root: ChildRoot;
  readonly endpoint: string;
  readonly token: string;
}

async function tempFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'dmg-control-plane-kill-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function startProcess(t: TestContext, state: string, serviceBus: string): Promise<Process> {
  const root = await startChildRoot({
    name: 'control-plane',
    main: fileURLToPath(import.meta.resolve('@dmg/control-plane/main')),
    args: ['--state', state, '--port', '0'],
    env: { DMG_SERVICE_BUS: serviceBus, DMG_LOG_LEVEL: 'error' },
    clock: systemClock,
  });
  t.after(() => root.stop());
  const { endpoint, tokenFile, ca } = root.ready as { endpoint: string; tokenFile: string; ca: string };
  trust(await readFile(ca, 'utf8'));
  return { root, endpoint, token: (await readFile(tokenFile, 'utf8')).trim() };
}

async function kill({ root }: Process): Promise<void> {
  process.kill(root.pid, 'SIGKILL');
  await root.exited;
}

/** Calls createRun from several sides at once until the server is gone; keeps what was acknowledged. */
async function hammer(endpoint: string, token: string, onAcknowledged: (runId: string) => void): Promise<void> {
  const client = armClient(endpoint, token);
  const lanes = Array.from({ length: 6 }, async () => {
    for (;;) {
      try {
        onAcknowledged((await client.pipelines.createRun(group, factory, 'copy')).runId);
      } catch {
        return; // The process was killed: this run was not acknowledged and may or may not be there.
      }
    }
  });
  await Promise.all(lanes);
}

test('kill -9 at any moment loses no run that was acknowledged, and each reaches the queue', { timeout: 60_000 }, async (t) => {
  const seedNumber = Math.trunc(systemClock.wallMs()) % 1_000_000;
  t.diagnostic(`seed ${seedNumber}`);
  const random = seededRandom(seedNumber);
  const state = await tempFolder(t);
  const standIn = await startChildRoot({
    name: 'service-bus-stand-in',
    main: fileURLToPath(import.meta.resolve('@dmg/local-cloud/service-bus-stand-in')),
    args: ['--state', join(state, 'bus'), '--port', '0', '--control-port', '0', '--auto-create', 'dmg-*'],
    env: { DMG_LOG_LEVEL: 'error' },
    clock: systemClock,
  });
  t.after(() => standIn.stop());
  const connectionString = String(standIn.ready['connectionString']);
  let controlPlane = await startProcess(t, join(state, 'cp'), connectionString);
  const { endpoint, token } = controlPlane;
  const client = armClient(endpoint, token);
  await seed({ client } as Fixture);
  const node = await FakeNode.create(endpoint, 'node-1');
  const { authKey1 = '' } = await client.integrationRuntimes.listAuthKeys(group, factory, gateway);
  assert.equal((await node.register(authKey1)).status, 200);

  const acknowledged = new Set<string>();
  for (let round = 0; round < 5; round++) {
    // With six calls always in flight, any count is a moment in the middle of others.
    const target = acknowledged.size + 1 + Math.floor(random.unit() * 30);
    let reached = (): void => undefined;
    const moment = new Promise<void>((resolve) => (reached = resolve));
    const hammering = hammer(endpoint, token, (runId) => {
      acknowledged.add(runId);
      if (acknowledged.size >= target) reached();
    });
    await moment;
    await kill(controlPlane);
    await hammering;
    controlPlane = await startProcess(t, join(state, 'cp'), connectionString);
    assert.equal(controlPlane.endpoint, endpoint, 'the port is kept');
  }

  const statusOf = async (runId: string): Promise<string | undefined> => (await client.pipelineRuns.get(group, factory, runId)).status;
  await Promise.all([...acknowledged].map(statusOf));
  const delivered = await receiveUntil(t, connectionString, node, acknowledged);
  // A run that was on disk but not acknowledged when the process died is there as well, with its job.
  await Promise.all([...delivered.keys()].map(statusOf));
  await Promise.all([...delivered.values()].map((job) => node.report(job, success(job))));
  const statuses = await Promise.all([...acknowledged].map(statusOf));
  assert.deepEqual(new Set(statuses), new Set(['Succeeded']));
});

/** Receives and settles until every wanted run was seen. */
async function receiveUntil(
  t: TestContext,
  connectionString: string,
  node: FakeNode,
  wanted: ReadonlySet<string>,
): Promise<Map<string, { jobId: string; tryNumber: number }>> {
  const found = new Map<string, { jobId: string; tryNumber: number }>();
  const queue = new ServiceBusJobQueue({
    connection: { connectionString: new Secret(connectionString) },
    queueName: node.registered.queueName, clock: systemClock, logger: silentLogger, meter: silentMeter,
  });
  t.after(() => queue.stop());
  let done = (): void => undefined;
  const all = new Promise<void>((resolve) => (done = resolve));
  await queue.start(async (delivery) => {
    const job = await node.job(delivery.body);
    assert.equal(delivery.messageId.split('.')[0], job.jobId);
    found.set(job.origin.runId, job);
    await delivery.complete();
    if ([...wanted].every((runId) => found.has(runId))) done();
  });
  await all;
  await queue.stop();
  return found;
}

test('without a queue runs are accepted; SIGTERM ends it cleanly, also under a long poll; what cannot start says why', async (t) => {
  const state = await tempFolder(t);
  const first = await startProcess(t, state, unreachable);
  const client = armClient(first.endpoint, first.token);
  await seed({ client } as Fixture);
  const node = await FakeNode.create(first.endpoint, 'node-1');
  const { authKey1 = '' } = await client.integrationRuntimes.listAuthKeys(group, factory, gateway);
  await node.register(authKey1);
  const { runId } = await client.pipelines.createRun(group, factory, 'copy');
  const poll = node.desired((await node.desired()).version).catch(() => undefined);
  await first.root.stop();
  assert.deepEqual(await first.root.exited, { code: 0, signal: null });
  await poll;
  const second = await startProcess(t, state, unreachable);
  const run = await client.pipelineRuns.get(group, factory, runId);
  assert.equal(run.status, 'Queued');
  const says = (text: RegExp) => (error: unknown) => text.test(`${String(error)} ${(error as { fix: string }).fix}`);
  await Promise.all([
    assert.rejects(startProcess(t, state, unreachable), says(/ended with exit code 1[^]*DMG_CONTROLPLANE_DATABASE_UNUSABLE/)),
    assert.rejects(startProcess(t, state, ''), says(/ended with exit code 2[^]*DMG_SERVICE_BUS/)),
  ]);
  await second.root.stop();
});

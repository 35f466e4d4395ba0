import assert from 'node:assert/strict';
import test from 'node:test';
import { silentMeter, systemClock } from '@dmg/base';
import type { AliveReport } from '@dmg/model';
import { longPollsActive } from '../metrics.ts';
import { FakeNode } from '../testing/fake-node.ts';
import { factory, type Fixture, gateway, group, registeredNode, seed, startFixture } from '../testing/fixture.ts';
import { judgeGateway, judgeNode } from './node-status.ts';

const errorOf = (answer: { body: unknown }): { code: string; message: string; fix: string } =>
  (answer.body as { error: { code: string; message: string; fix: string } }).error;

async function keysOf({ client }: Fixture): Promise<{ authKey1: string; authKey2: string }> {
  const { authKey1 = '', authKey2 = '' } = await client.integrationRuntimes.listAuthKeys(group, factory, gateway);
  return { authKey1, authKey2 };
}

async function statusOf({ client }: Fixture): Promise<{ state: string | undefined; nodes: Record<string, unknown>[] }> {
  const { properties } = await client.integrationRuntimes.getStatus(group, factory, gateway);
  return { state: properties?.state, nodes: (properties as { nodes?: Record<string, unknown>[] }).nodes ?? [] };
}

test('a gateway is created, read, listed, changed and deleted', async (t) => {
  const fixture = await startFixture(t);
  const { client } = fixture;
  await seed(fixture);
  const changed = await client.integrationRuntimes.createOrUpdate(group, factory, 'GATEWAY-1', {
    properties: { type: 'SelfHosted', description: 'x' },
  });
  assert.equal(changed.name, gateway);
  assert.equal((await client.integrationRuntimes.get(group, factory, gateway)).properties.description, 'x');
  const names = [];
  for await (const each of client.integrationRuntimes.listByFactory(group, factory)) names.push(each.name);
  assert.deepEqual(names, [gateway]);
  assert.deepEqual(await statusOf(fixture), { state: 'NeedRegistration', nodes: [] });
  const info = await client.integrationRuntimes.getConnectionInfo(group, factory, gateway);
  assert.equal(info.hostServiceUri, `${fixture.controlPlane.endpoint}/`);
  await client.integrationRuntimes.delete(group, factory, gateway);
  await assert.rejects(client.integrationRuntimes.get(group, factory, gateway), /DMG_CONTROLPLANE_NOT_FOUND|Cannot find/);
  await client.integrationRuntimes.delete(group, factory, gateway);
});

test('a node registers, is Online with what it reports, Limited with its trouble; its limit is changed within its bounds', async (t) => {
  const fixture = await startFixture(t);
  const { client } = fixture;
  await seed(fixture);
  const node = await registeredNode(fixture);
  assert.match(node.registered.queueName, /^dmg-[0-9a-f-]{36}$/);
  assert.equal((await statusOf(fixture)).nodes[0]?.['status'], 'Initializing');
  assert.equal((await node.alive({ dispatcher: { epoch: '1.a', waiting: [], receivedUpTo: 0, queueEmpty: true } })).status, 200);
  const online = await statusOf(fixture);
  assert.equal(online.state, 'Online');
  assert.equal(online.nodes[0]?.['isActiveDispatcher'], true);
  assert.equal(online.nodes[0]?.['maxConcurrentJobs'], 16);
  await node.alive({ troubles: [{ part: 'redis', reason: 'connection refused' }] });
  const limited = await statusOf(fixture);
  assert.equal(limited.state, 'Limited');
  assert.match(String(limited.nodes[0]?.['evidence']), /redis: connection refused/);
  const monitoring = await client.integrationRuntimes.getMonitoringData(group, factory, gateway);
  assert.deepEqual(monitoring.nodes, [
    {
      nodeName: 'node-1',
      concurrentJobsLimit: 8,
      concurrentJobsRunning: 0,
      maxConcurrentJobs: 16,
      availableMemoryInMB: 2048,
      cpuUtilization: 12,
      sentBytes: 10,
      receivedBytes: 20,
    },
  ]);
  const known = (await node.desired()).version;
  const poll = node.desired(known);
  const updated = await client.integrationRuntimeNodes.update(group, factory, gateway, 'NODE-1', { concurrentJobsLimit: 12 });
  assert.equal(updated.concurrentJobsLimit, 12);
  assert.equal((await poll).concurrentJobsLimit, 12);
  await assert.rejects(client.integrationRuntimeNodes.update(group, factory, gateway, 'node-1', { concurrentJobsLimit: 17 }), /at most 16/);
  assert.equal((await client.integrationRuntimeNodes.get(group, factory, gateway, 'node-1')).concurrentJobsLimit, 12);
});

test('a wrong, cut or foreign key is refused without being shown', async (t) => {
  const fixture = await startFixture(t);
  await seed(fixture);
  const { authKey1, authKey2 } = await keysOf(fixture);
  const node = await FakeNode.create(fixture.controlPlane.endpoint, 'node-1');
  const secret = authKey1.split('@').at(-1) ?? '';
  const wrong = authKey1.replace(secret, `${'A'.repeat(42)}B`);
  const crossed = authKey1.replace('authKey1', 'authKey2');
  const elsewhere = authKey1.replace(/^DMG@[^@]*/, 'DMG@00000000-0000-4000-8000-000000000000');
  for (const key of [wrong, crossed, elsewhere]) {
    const answer = await node.register(key);
    assert.equal(answer.status, 401);
    assert.equal(errorOf(answer).code, 'DMG_CONTROLPLANE_KEY_REFUSED');
  }
  assert.equal(errorOf(await node.register(authKey1.slice(0, -3))).code, 'DMG_SECURITY_KEY_MALFORMED');
  assert.ok(!JSON.stringify(await node.register(wrong)).includes('AAAA'));
  assert.equal((await node.alive()).status, 401);
  assert.equal((await node.register(authKey2)).status, 200);
});

test('four nodes may register, also at one moment; the fifth is told their names; a name that comes back needs no place', async (t) => {
  const fixture = await startFixture(t);
  await seed(fixture);
  const first = await registeredNode(fixture, 'n0');
  const { authKey1 } = await keysOf(fixture);
  const others = await Promise.all([1, 2, 3, 4, 5].map((index) => FakeNode.create(fixture.controlPlane.endpoint, `n${index}`, first.keys)));
  const answers = await Promise.all(others.map((node) => node.register(authKey1)));
  assert.deepEqual(answers.map(({ status }) => status).toSorted((a, b) => a - b), [200, 200, 200, 409, 409]);
  const refused = answers.find(({ status }) => status === 409);
  assert.equal(errorOf(refused ?? { body: {} }).code, 'DMG_CONTROLPLANE_GATEWAY_FULL');
  assert.match(errorOf(refused ?? { body: {} }).message, /n0, last heard never/);
  const before = first.registered;
  assert.equal((await first.register(authKey1)).status, 200);
  assert.equal(first.registered.nodeId, before.nodeId);
  assert.notEqual(first.registered.nodeToken, before.nodeToken);
  const old = new FakeNode(fixture.controlPlane.endpoint, 'n0', first.keys);
  old.registration = before;
  assert.equal((await old.alive()).status, 401);
  await fixture.client.integrationRuntimeNodes.delete(group, factory, gateway, 'N0');
  assert.equal((await first.alive()).status, 401);
  const late = others.find((_node, index) => answers[index]?.status === 409);
  assert.equal((await late?.register(authKey1))?.status, 200);
});

test('all nodes of a gateway hold one credential key; only a gateway\'s single node may bring another', async (t) => {
  const fixture = await startFixture(t);
  await seed(fixture);
  const first = await registeredNode(fixture, 'first');
  const { authKey1 } = await keysOf(fixture);
  const stranger = await FakeNode.create(fixture.controlPlane.endpoint, 'second');
  const refused = await stranger.register(authKey1);
  assert.equal(refused.status, 409);
  assert.equal(errorOf(refused).code, 'DMG_CONTROLPLANE_OTHER_CREDENTIAL_KEY');
  const reborn = await FakeNode.create(fixture.controlPlane.endpoint, 'first');
  assert.equal((await reborn.register(authKey1)).status, 200);
  assert.ok(fixture.logLines.some((line) => line.includes('credential key of the gateway replaced')));
  const info = await fixture.client.integrationRuntimes.getConnectionInfo(group, factory, gateway);
  assert.equal((JSON.parse(info.publicKey ?? '{}') as { x: string }).x, reborn.keys.publicJwk['x']);
  const second = await FakeNode.create(fixture.controlPlane.endpoint, 'second', reborn.keys);
  assert.equal((await second.register(authKey1)).status, 200);
  assert.equal((await (await FakeNode.create(fixture.controlPlane.endpoint, 'first', first.keys)).register(authKey1)).status, 409);
  const noKey = await second.call('POST', '/gateway/v1/register', {
    key: authKey1, nodeName: 'x', machineName: 'm', version: '1', credentialPublicKey: { kty: 'oct' },
  });
  assert.equal(errorOf(noKey).code, 'DMG_SECURITY_CREDENTIAL_KEY_UNUSABLE');
});

test('a name belongs to the node that works under it: another gets it only when that is silent, itself at any time', async (t) => {
  let skippedMs = 0;
  const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + skippedMs };
  const fixture = await startFixture(t, { clock });
  await seed(fixture);
  const first = await registeredNode(fixture, 'first');
  const { authKey1 } = await keysOf(fixture);
  assert.equal((await first.alive()).status, 200);
  const other = await FakeNode.create(fixture.controlPlane.endpoint, 'FIRST');
  const refused = await other.register(authKey1);
  assert.equal(refused.status, 409);
  assert.equal(errorOf(refused).code, 'DMG_CONTROLPLANE_NODE_NAME_TAKEN');
  assert.match(errorOf(refused).message, /first: another machine or installation works under this name in the gateway gateway-1/);
  assert.equal((await first.alive()).status, 200);
  assert.equal((await first.register(authKey1)).status, 200);
  assert.equal((await first.alive()).status, 200);
  skippedMs = 15_500;
  assert.equal((await other.register(authKey1)).status, 200);
  assert.equal((await first.alive()).status, 401);
});

test('a regenerated key ends at once the nodes that registered with it, and the other key goes on', async (t) => {
  const fixture = await startFixture(t);
  const { client } = fixture;
  await seed(fixture);
  const one = await registeredNode(fixture, 'one');
  const { authKey1, authKey2 } = await keysOf(fixture);
  const two = await FakeNode.create(fixture.controlPlane.endpoint, 'two', one.keys);
  await two.register(authKey2);
  const poll = one.desired((await one.desired()).version);
  const ended = assert.rejects(poll, /401/);
  const fresh = await client.integrationRuntimes.regenerateAuthKey(group, factory, gateway, { keyName: 'authKey1' });
  assert.notEqual(fresh.authKey1, authKey1);
  assert.equal(fresh.authKey2, authKey2);
  await ended;
  assert.equal((await one.alive()).status, 401);
  assert.equal((await two.alive()).status, 200);
  assert.equal((await one.register(authKey1)).status, 401);
  assert.equal((await statusOf(fixture)).nodes[0]?.['status'], 'NeedRegistration');
  assert.equal((await one.register(fresh.authKey1 ?? '')).status, 200);
  assert.deepEqual(await keysOf(fixture), fresh);
});

test('registrations, keys, port and CA survive a restart, and a poll is answered when the control plane stops', async (t) => {
  const polls: (() => void)[] = [];
  const fixture = await startFixture(t, { meter: { ...silentMeter, set: (metric) => metric === longPollsActive && polls.shift()?.() } });
  await seed(fixture);
  const node = await registeredNode(fixture);
  const keys = await keysOf(fixture);
  const { endpoint } = fixture.controlPlane;
  const { version } = await node.desired();
  const held = new Promise<void>((resolve) => polls.push(resolve));
  const poll = node.desired(version);
  await held;
  await fixture.restart();
  assert.equal((await poll).cancel.length, 0);
  assert.equal(fixture.controlPlane.endpoint, endpoint);
  assert.deepEqual(await keysOf(fixture), keys);
  assert.equal((await node.alive()).status, 200);
  assert.equal((await statusOf(fixture)).state, 'Online');
});

test('a poll answers the same document after its time when nothing changed', async (t) => {
  const fixture = await startFixture(t, { desiredPollMs: 100 });
  await seed(fixture);
  const node = await registeredNode(fixture);
  const first = await node.desired();
  assert.deepEqual(await node.desired(first.version), first);
});

test('a status is the first that applies, with its evidence', () => {
  const report: AliveReport = {
    nodeName: 'n', version: '1', bootId: 'b', desiredVersion: 0, running: [], slots: { limit: 1, used: 0, maximum: 1 },
    metrics: { cpuPercent: 0, availableMemoryMb: 0, sentBytes: 0, receivedBytes: 0 }, troubles: [],
  };
  const judge = (change: Partial<Parameters<typeof judgeNode>[0]>): string =>
    judgeNode({ hasToken: true, everHeard: true, silentMs: 100, report, ...change }).status;
  assert.equal(judge({}), 'Online');
  assert.equal(judge({ silentMs: 15_001 }), 'Offline');
  assert.equal(judge({ silentMs: 15_001, everHeard: false }), 'Initializing');
  assert.equal(judge({ report: undefined }), 'Initializing');
  assert.equal(judge({ hasToken: false, silentMs: 99_999 }), 'NeedRegistration');
  assert.equal(judgeGateway([]), 'NeedRegistration');
  assert.equal(judgeGateway(['Online', 'Online']), 'Online');
  assert.equal(judgeGateway(['Online', 'Offline']), 'Limited');
  assert.equal(judgeGateway(['Offline', 'Initializing']), 'Offline');
});

import assert from 'node:assert/strict';
import test from 'node:test';
import { silentMeter } from '@dmg/base';
import { longPollsActive } from '../metrics.ts';
import { factory, type Fixture, gateway, group, registeredNode, seed, startFixture } from '../testing/fixture.ts';

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
  const dispatcher = { epoch: '1.a', leading: true, waiting: [], receivedUpTo: 0, queueEmpty: true };
  assert.equal((await node.alive({ dispatcher })).status, 200);
  const online = await statusOf(fixture);
  assert.equal(online.state, 'Online');
  assert.equal(online.nodes[0]?.['isActiveDispatcher'], true);
  assert.equal(online.nodes[0]?.['maxConcurrentJobs'], 16);
  await node.alive({ facts: { troubles: [{ part: 'redis', reason: 'connection refused' }] } });
  const limited = await statusOf(fixture);
  assert.equal(limited.state, 'Limited');
  assert.match(String(limited.nodes[0]?.['evidence']), /redis: connection refused/);
  const monitoring = await client.integrationRuntimes.getMonitoringData(group, factory, gateway);
  assert.partialDeepStrictEqual(monitoring.nodes, [
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

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { silentMeter, systemClock, systemRandom } from '@dmg/base';
import type { DesiredState, DispatcherReport, GatewayDecision } from '@dmg/model';
import { createSigningKey, hashToken, MasterSecret, newToken, verifyDesiredState } from '@dmg/security';
import { openDatabase } from '../database/open-database.ts';
import type { GatewayRow, NodeRow } from '../database/schema.ts';
import { longPollsActive } from '../metrics.ts';
import { factory, gateway, group, registeredNode, seed, startFixture } from '../testing/fixture.ts';
import { DesiredStates } from './desired-state.ts';
import { GatewayStore } from './gateway-store.ts';

const dispatcher = (number: number, change: Partial<DispatcherReport> = {}): DispatcherReport => ({
  epoch: '1.a', leading: true, decision: { number, version: `1.${number}.0`, configDigest: 'd' }, waiting: [], receivedUpTo: 0,
  queueEmpty: true, ...change,
});

test('members and their addresses reach every node as soon as they change', async (t) => {
  const fixture = await startFixture(t);
  await seed(fixture);
  const one = await registeredNode(fixture, 'one');
  const idOf = (name: typeof one): string => name.registered.nodeId;
  let known = await one.desired();
  assert.deepEqual(known.members, [{ nodeId: idOf(one), nodeName: 'one', address: '' }]);
  const next = async (change: () => Promise<unknown>): Promise<DesiredState> => {
    const poll = one.desired(known.version);
    await change();
    known = await poll;
    return known;
  };
  const joined = await next(() => registeredNode(fixture, 'two'));
  assert.deepEqual(joined.members.map(({ nodeName }) => nodeName), ['one', 'two']);
  const two = await registeredNode(fixture, 'two');
  known = await one.desired();
  const moved = await next(() => two.alive({ facts: { address: '10.0.0.2:8060', nodeId: 'somebody else' } }));
  assert.deepEqual(moved.members[1], { nodeId: idOf(two), nodeName: 'two', address: '10.0.0.2:8060' });
  const { roster } = await two.aliveAnswer({ facts: { address: '' } });
  assert.equal((await one.desired()).version, known.version, 'a node that starts anew has no address for a moment');
  assert.deepEqual(roster.map(({ nodeId, ordinal }) => [nodeId, ordinal]), [[idOf(one), 1], [idOf(two), 2]]);
  const left = await next(() => fixture.client.integrationRuntimeNodes.delete(group, factory, gateway, 'two'));
  assert.deepEqual(left.members.map(({ nodeName }) => nodeName), ['one']);
});

test('the decision with the largest number is kept and handed out, if a leading dispatcher sends it; it survives a restart', async (t) => {
  const fixture = await startFixture(t);
  await seed(fixture);
  const [one, two] = [await registeredNode(fixture, 'one'), await registeredNode(fixture, 'two')];
  assert.equal('decision' in (await two.desired()), false);
  const poll = two.desired((await two.desired()).version);
  await one.alive({ dispatcher: dispatcher(2) });
  const decided: GatewayDecision = { number: 2, version: '1.2.0', configDigest: 'd' };
  assert.deepEqual((await poll).decision, decided);
  await one.alive({ dispatcher: dispatcher(2, { decision: { ...decided, version: '9.9.9' } }) });
  await one.alive({ dispatcher: dispatcher(1) });
  await one.alive({ dispatcher: dispatcher(3, { leading: false }) });
  await fixture.restart();
  assert.deepEqual((await two.desired()).decision, decided);
  await one.alive({ dispatcher: dispatcher(3) });
  assert.equal((await two.desired()).decision?.number, 3);
});

test('the roster names every node with what it said last, never heard ones as very silent, and ages nobody by a restart', async (t) => {
  let skippedMs = 0;
  const clock = {
    ...systemClock, monotonicMs: () => systemClock.monotonicMs() + skippedMs, wallMs: () => systemClock.wallMs() + skippedMs,
  };
  const fixture = await startFixture(t, { clock });
  await seed(fixture);
  const [one, two] = [await registeredNode(fixture, 'one'), await registeredNode(fixture, 'two')];
  await registeredNode(fixture, 'three');
  await two.alive({ facts: { version: '3.0.0', configDigest: 'digest-2' } });
  skippedMs = 20_000;
  const heard = (await one.aliveAnswer()).roster;
  assert.deepEqual(heard.map(({ nodeName, version, configDigest }) => [nodeName, version, configDigest]), [
    ['one', '0.1.0', 'digest-1'], ['two', '3.0.0', 'digest-2'], ['three', '0.1.0', ''],
  ]);
  const silent = heard.map(({ silentMs }) => silentMs);
  assert.ok((silent[0] ?? 0) < 5000 && (silent[1] ?? 0) >= 20_000 && (silent[1] ?? 0) < 25_000, JSON.stringify(silent));
  assert.equal(silent[2], Number.MAX_SAFE_INTEGER);
  await fixture.restart();
  const later = (await one.aliveAnswer()).roster;
  assert.deepEqual(later.map(({ version, configDigest }) => [version, configDigest]), [
    ['0.1.0', 'digest-1'], ['3.0.0', 'digest-2'], ['0.1.0', ''],
  ]);
  assert.ok((later[1]?.silentMs ?? 0) >= 20_000);
  assert.equal(later[2]?.silentMs, Number.MAX_SAFE_INTEGER);
});

type Read = (known?: number) => Promise<DesiredState>;

interface StoreWithNode {
  readonly store: GatewayStore;
  readonly desired: DesiredStates;
  readonly row: GatewayRow;
  readonly node: NodeRow;
  /** The desired state, waiting for another version than the known one. */
  readonly read: Read;
}

/** Store and polls on a database of their own, with one registered node. */
async function storeWithNode(t: TestContext): Promise<StoreWithNode> {
  const folder = await mkdtemp(join(tmpdir(), 'dmg-desired-state-'));
  const db = await openDatabase(join(folder, 'control-plane.db'));
  t.after(async () => {
    await db.destroy();
    await rm(folder, { recursive: true });
  });
  const master = new MasterSecret(new Uint8Array(32).fill(3));
  const store = new GatewayStore({ db, clock: systemClock, random: systemRandom, master });
  const signingKey = await createSigningKey(master);
  const desired = new DesiredStates({ db, clock: systemClock, signingKey });
  await db.insertInto('factories').values({
    id: 'f', subscription_id: 's', subscription_key: 's', resource_group: 'g', resource_group_key: 'g', name: 'fab', name_key: 'fab',
    resource: '{}', etag: 'e', created_at: 1,
  }).execute();
  const fab = await db.selectFrom('factories').selectAll().executeTakeFirstOrThrow();
  const row = await store.put(fab, 'one', { properties: { type: 'SelfHosted' } }, {});
  const tokenHash = hashToken(newToken());
  await db.insertInto('nodes').values({
    id: 'n', gateway_id: row.id, name: 'Node', name_key: 'node', machine_name: 'm', version: '1.0.0', key_name: 'authKey1',
    token_hash: tokenHash, registered_at: 1, last_alive_at: null, boot_id: null, last_start_at: null, concurrent_jobs_limit: 4,
    slots_max: null, address: '', config_digest: '', credential_key_id: null, drain_grace_ms: null,
  }).execute();
  const read: Read = async (known = 0) => {
    const signal = new AbortController().signal;
    const jws = await desired.poll({ gatewayId: row.id, nodeId: 'n', tokenHash, known, signal });
    return verifyDesiredState(jws, { signingKey: signingKey.publicJwk, gatewayId: row.id, nodeId: 'n' });
  };
  return { store, desired, row, node: await store.node(row, 'node'), read };
}


test('a drain is wanted of its node until it is taken back, and an update until it has no target; each raises the version', async (t) => {
  const { store, desired, row, node, read } = await storeWithNode(t);
  const first = await read();
  assert.ok(!('drain' in first) && !('targetVersion' in first));
  const poll = read(first.version);
  const drained = await store.drainNode(node, 30_000);
  desired.changed(row.id);
  assert.deepEqual((await poll).drain, { graceMs: 30_000 });
  assert.equal(drained.drain_grace_ms, 30_000);
  assert.equal((await store.resumeNode(drained)).drain_grace_ms, null);
  const resumed = await read();
  assert.ok(!('drain' in resumed));
  await store.setTargetVersion(row, '2.0.0');
  const updating = await read();
  assert.equal(updating.targetVersion, '2.0.0');
  await store.setTargetVersion(row, undefined);
  const done = await read();
  assert.ok(!('targetVersion' in done));
  assert.deepEqual([resumed.version, updating.version, done.version], [first.version + 2, first.version + 3, first.version + 4]);
});

test('a poll that was held is answered within a tenth of a second of the change', async (t) => {
  const held: (() => void)[] = [];
  const meter = { ...silentMeter, set: (metric: unknown) => void (metric === longPollsActive && held.shift()?.()) };
  const fixture = await startFixture(t, { meter });
  await seed(fixture);
  const one = await registeredNode(fixture, 'one');
  const { version } = await one.desired();
  const isHeld = new Promise<void>((resolve) => held.push(resolve));
  const poll = one.desired(version);
  await isHeld;
  await fixture.client.integrationRuntimeNodes.update(group, factory, gateway, 'one', { concurrentJobsLimit: 3 });
  const startMs = systemClock.monotonicMs();
  assert.equal((await poll).concurrentJobsLimit, 3);
  assert.ok(systemClock.monotonicMs() - startMs < 100, `${systemClock.monotonicMs() - startMs} ms`);
});

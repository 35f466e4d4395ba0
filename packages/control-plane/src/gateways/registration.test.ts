import assert from 'node:assert/strict';
import test from 'node:test';
import { systemClock } from '@dmg/base';
import { type Answer, FakeNode } from '../testing/fake-node.ts';
import { factory, type Fixture, gateway, group, registeredNode, seed, startFixture, subscriptionId } from '../testing/fixture.ts';

const errorOf = (answer: { body: unknown }): { code: string; message: string; fix: string } =>
  (answer.body as { error: { code: string; message: string; fix: string } }).error;

const codeOf = (answer: Answer): string | undefined =>
  (answer.body as { error?: { code: string } }).error?.code.replace('DMG_CONTROLPLANE_', '');

async function keysOf({ client }: Fixture): Promise<{ authKey1: string; authKey2: string }> {
  const { authKey1 = '', authKey2 = '' } = await client.integrationRuntimes.listAuthKeys(group, factory, gateway);
  return { authKey1, authKey2 };
}

async function newNode(fixture: Fixture, name: string, keys?: FakeNode['keys']): Promise<FakeNode> {
  return FakeNode.create(fixture.controlPlane.endpoint, name, keys);
}

test('a wrong, cut, foreign or mangled key is refused with the reason and shown nowhere', async (t) => {
  const fixture = await startFixture(t);
  await seed(fixture);
  const { authKey1, authKey2 } = await keysOf(fixture);
  const node = await newNode(fixture, 'node-1');
  const secret = authKey1.split('@').at(-1) ?? '';
  const canary = 'canary'.repeat(7);
  const wrong = authKey1.replace(secret, `${canary}X`);
  const crossed = authKey1.replace('authKey1', 'authKey2');
  const elsewhere = authKey1.replace(/^DMG@[^@]*/, 'DMG@00000000-0000-4000-8000-000000000000');
  for (const key of [wrong, crossed, elsewhere]) {
    const answer = await node.register(key);
    assert.equal(answer.status, 401);
    assert.equal(errorOf(answer).message, 'Cannot register: the gateway key is not valid here.');
  }
  for (const key of [authKey1.slice(0, -3), `DMG@${canary}`, canary, `${authKey1}@${authKey1}`, `IR@${canary}`, '']) {
    const answer = await node.register(key);
    assert.equal(answer.status, 400);
    assert.match(errorOf(answer).message, /^Cannot read the gateway key: /);
  }
  const bodies = [
    `{"key":"${authKey1}`, `{"key":"${authKey1}",}`, JSON.stringify({ key: authKey1 }), JSON.stringify({ key: { [secret]: secret } }),
    JSON.stringify(authKey1), JSON.stringify({ key: authKey1, nodeName: secret.repeat(3), machineName: 'm', version: '1' }),
    authKey1, `{"key":"${authKey1}"x`,
  ];
  const answers = [];
  for (const body of bodies) answers.push(await fixture.raw('POST', '/gateway/v1/register', { body, token: undefined }));
  assert.ok(answers.every(({ status }) => status >= 400), JSON.stringify(answers.map(({ status }) => status)));
  const shown = JSON.stringify([answers, await node.register(wrong), await node.register(`DMG@${canary}`), fixture.logLines]);
  for (const part of [secret, secret.slice(0, 12), canary]) assert.ok(!shown.includes(part), 'a part of a key is shown');
  assert.equal((await node.alive()).status, 401);
  assert.equal((await node.register(authKey2)).status, 200);
});

test('of five registrations at one moment exactly four are let in; the fifth is told who is there', async (t) => {
  const fixture = await startFixture(t);
  await seed(fixture);
  const { authKey1 } = await keysOf(fixture);
  const nodes = await Promise.all([0, 1, 2, 3, 4].map((index) => newNode(fixture, `n${index}`)));
  const answers = await Promise.all(nodes.map((node) => node.register(authKey1)));
  assert.deepEqual(answers.map(({ status }) => status).toSorted((a, b) => a - b), [200, 200, 200, 200, 409]);
  const late = nodes.find((_node, index) => answers[index]?.status === 409);
  const [first, ...rest] = nodes.filter((node) => node !== late);
  assert.ok(late !== undefined && first !== undefined);
  const members = (await first.desired()).members.map(({ nodeName }) => nodeName);
  assert.deepEqual(members.toSorted(), [first, ...rest].map(({ name }) => name).toSorted());
  await rest[0]?.alive();
  const { message, fix } = errorOf(await late.register(authKey1));
  const start = new RegExp(`^Cannot register ${late.name}: the gateway gateway-1 has 4 nodes already \\(`);
  assert.match(message, start);
  assert.ok(message.includes(`${first.name}, last heard never`), message);
  assert.match(message, new RegExp(`${rest[0]?.name}, last heard 2\\d{3}-\\d\\d-\\d\\dT`));
  assert.match(fix, /Delete a node that is gone for good/);
  const before = first.registered;
  assert.equal((await first.register(authKey1)).status, 200);
  assert.equal(first.registered.nodeId, before.nodeId);
  assert.notEqual(first.registered.nodeToken, before.nodeToken);
  const old = await newNode(fixture, first.name, first.keys);
  old.registration = before;
  assert.equal((await old.alive()).status, 401);
  await fixture.client.integrationRuntimeNodes.delete(group, factory, gateway, first.name.toUpperCase());
  assert.equal((await first.alive()).status, 401);
  assert.equal((await late.register(authKey1)).status, 200);
});

test('how many nodes a gateway has at most is a setting of its resource, from 1 to 8', async (t) => {
  const fixture = await startFixture(t);
  await seed(fixture);
  const { client } = fixture;
  const path = `/subscriptions/${subscriptionId}/resourceGroups/${group}/providers/Microsoft.DataFactory/factories/${factory}`
    + `/integrationRuntimes/${gateway}?api-version=2018-06-01`;
  const put = (nodesMax: unknown): Promise<{ status: number }> =>
    fixture.raw('PUT', path, { body: JSON.stringify({ properties: { type: 'SelfHosted', typeProperties: { nodesMax } } }) });
  for (const wrong of [0, 9, 1.5, '4']) assert.equal((await put(wrong)).status, 400, String(wrong));
  assert.equal((await put(1)).status, 200);
  const { authKey1 } = await keysOf(fixture);
  const [one, two] = [await newNode(fixture, 'one'), await newNode(fixture, 'two')];
  assert.equal((await one.register(authKey1)).status, 200);
  assert.equal(codeOf(await two.register(authKey1)), 'GATEWAY_FULL');
  await client.integrationRuntimes.createOrUpdate(group, factory, gateway, { properties: { type: 'SelfHosted' } });
  assert.equal((await two.register(authKey1)).status, 200);
});

test('one node a machine, unless the newcomer says that it shares; who is there may come back', async (t) => {
  const fixture = await startFixture(t);
  await seed(fixture);
  const { authKey1 } = await keysOf(fixture);
  const [one, two, three] = await Promise.all(['one', 'two', 'three'].map((name) => newNode(fixture, name)));
  assert.ok(one !== undefined && two !== undefined && three !== undefined);
  assert.equal((await one.register(authKey1, { machineName: 'Host-A' })).status, 200);
  const refused = await two.register(authKey1, { machineName: 'host-a' });
  assert.equal(refused.status, 409);
  assert.equal(
    errorOf(refused).message, 'Cannot register two: its machine host-a already carries the node one of the gateway gateway-1.',
  );
  assert.match(errorOf(refused).fix, /--share-machine \(DMG_SHARE_MACHINE=1\)/);
  assert.equal((await two.register(authKey1, { machineName: 'host-a', sharesMachine: true })).status, 200);
  assert.equal((await one.register(authKey1, { machineName: 'host-a' })).status, 200);
  assert.equal((await three.register(authKey1)).status, 200);
  assert.equal(codeOf(await three.register(authKey1, { machineName: 'HOST-A' })), 'MACHINE_TAKEN');
});

test('an older version than the gateway goes by is refused, a newer one is let in, and the only node may run any', async (t) => {
  const fixture = await startFixture(t);
  await seed(fixture);
  const { authKey1 } = await keysOf(fixture);
  const [one, two] = [await newNode(fixture, 'one'), await newNode(fixture, 'two')];
  assert.equal((await one.register(authKey1, { version: '1.10.0' })).status, 200);
  assert.equal((await two.register(authKey1, { version: '0.9.0' })).status, 200, 'nothing is decided yet');
  const decision = { number: 1, version: '1.10.0', configDigest: 'd' };
  await one.alive({ dispatcher: { epoch: '1.a', leading: true, decision, waiting: [], receivedUpTo: 0, queueEmpty: true } });
  const refused = await two.register(authKey1, { version: '1.9.9' });
  assert.equal(refused.status, 409);
  assert.equal(
    errorOf(refused).message, 'Cannot register two: it runs version 1.9.9, which is older than version 1.10.0 of the gateway gateway-1.',
  );
  assert.match(errorOf(refused).fix, /^Update this node to version 1\.10\.0 or newer/);
  for (const version of ['1.10.0', '1.10.1', '2.0.0']) assert.equal((await two.register(authKey1, { version })).status, 200, version);
  await fixture.client.integrationRuntimeNodes.delete(group, factory, gateway, 'two');
  assert.equal((await one.register(authKey1, { version: '1.9.9' })).status, 200);
});

test('a node with another credential key is let in and told the gateway\'s; only a gateway\'s single node may replace it', async (t) => {
  const fixture = await startFixture(t);
  await seed(fixture);
  const first = await registeredNode(fixture, 'first');
  const { authKey1 } = await keysOf(fixture);
  assert.equal(first.registered.credentialKeyId, first.keys.publicJwk['kid']);
  const second = await newNode(fixture, 'second');
  assert.equal((await second.register(authKey1)).status, 200);
  assert.equal(second.registered.credentialKeyId, first.keys.publicJwk['kid']);
  assert.ok(fixture.logLines.some((line) => line.includes('no other node was heard')));
  const publicKey = async (): Promise<unknown> => {
    const { publicKey: jwk = '{}' } = await fixture.client.integrationRuntimes.getConnectionInfo(group, factory, gateway);
    return (JSON.parse(jwk) as { x: string }).x;
  };
  assert.equal(await publicKey(), first.keys.publicJwk['x']);
  assert.ok(!fixture.logLines.some((line) => line.includes('credential key of the gateway replaced')));
  await fixture.client.integrationRuntimeNodes.delete(group, factory, gateway, 'first');
  assert.equal((await second.register(authKey1)).status, 200);
  assert.equal(second.registered.credentialKeyId, second.keys.publicJwk['kid']);
  assert.equal(await publicKey(), second.keys.publicJwk['x']);
  assert.ok(fixture.logLines.some((line) => line.includes('credential key of the gateway replaced by its only node')));
  const noKey = await second.register(authKey1, { credentialPublicKey: { kty: 'oct' } });
  assert.equal(errorOf(noKey).code, 'DMG_SECURITY_CREDENTIAL_KEY_UNUSABLE');
});

test('a name belongs to the node that works under it: another gets it only when that is silent, itself at any time', async (t) => {
  let skippedMs = 0;
  const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + skippedMs };
  const fixture = await startFixture(t, { clock });
  await seed(fixture);
  await registeredNode(fixture, 'other');
  const first = await registeredNode(fixture, 'first');
  const { authKey1 } = await keysOf(fixture);
  assert.equal((await first.alive()).status, 200);
  const other = await newNode(fixture, 'FIRST');
  const refused = await other.register(authKey1);
  assert.equal(refused.status, 409);
  assert.equal(errorOf(refused).code, 'DMG_CONTROLPLANE_NODE_NAME_TAKEN');
  assert.match(errorOf(refused).message, /first: another machine or installation works under this name in the gateway gateway-1/);
  assert.equal((await first.alive()).status, 200);
  assert.equal((await first.register(authKey1)).status, 200, 'with its own credential key, which is not the gateway\'s');
  assert.equal((await first.alive()).status, 200);
  skippedMs = 15_500;
  assert.equal((await other.register(authKey1)).status, 200);
  assert.equal(other.registered.nodeName, 'first');
  assert.equal((await first.alive()).status, 401);
});

test('the limit of a new node is what it computed for its machine, within bounds; one that comes back keeps its own', async (t) => {
  const fixture = await startFixture(t);
  await seed(fixture);
  const { authKey1 } = await keysOf(fixture);
  const given: [number, number][] = [[6, 6], [0, 1], [1000, 64], [2.9, 2]];
  for (const [index, [computed, limit]] of given.entries()) {
    const node = await newNode(fixture, `n${index}`);
    await node.register(authKey1, { defaultConcurrentJobsLimit: computed });
    assert.equal(node.registered.concurrentJobsLimit, limit);
    await node.register(authKey1, { defaultConcurrentJobsLimit: 32 });
    assert.equal(node.registered.concurrentJobsLimit, limit);
  }
});

test('a regenerated key ends at once the nodes that registered with it: their poll, and their membership for the others', async (t) => {
  const fixture = await startFixture(t);
  const { client } = fixture;
  await seed(fixture);
  const one = await registeredNode(fixture, 'one');
  const { authKey1, authKey2 } = await keysOf(fixture);
  const two = await newNode(fixture, 'two');
  await two.register(authKey2);
  const ended = assert.rejects(one.desired((await one.desired()).version), /401/);
  const seen = two.desired((await two.desired()).version);
  const fresh = await client.integrationRuntimes.regenerateAuthKey(group, factory, gateway, { keyName: 'authKey1' });
  assert.notEqual(fresh.authKey1, authKey1);
  assert.equal(fresh.authKey2, authKey2);
  await ended;
  assert.deepEqual((await seen).members.map(({ nodeName }) => nodeName), ['two']);
  assert.equal((await one.alive()).status, 401);
  const renewal = await one.call('POST', '/gateway/v1/certificate', { certificateRequest: await one.certificateRequest() });
  assert.equal(renewal.status, 401);
  const { roster } = await two.aliveAnswer();
  assert.deepEqual(roster.map(({ nodeName, registered }) => [nodeName, registered]), [['one', false], ['two', true]]);
  assert.equal(codeOf(await one.register(authKey1)), 'KEY_REFUSED');
  assert.equal((await one.register(fresh.authKey1 ?? '')).status, 200);
  assert.deepEqual((await two.desired()).members.map(({ nodeName }) => nodeName), ['one', 'two']);
  assert.deepEqual(await keysOf(fixture), fresh);
});

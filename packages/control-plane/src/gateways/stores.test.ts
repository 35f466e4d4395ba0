import assert from 'node:assert/strict';
import test from 'node:test';
import type { FakeNode } from '../testing/fake-node.ts';
import { factory, gateway, group, registeredNode, seed, startFixture } from '../testing/fixture.ts';

async function claim(node: FakeNode, path: string, storeId: string): Promise<unknown> {
  const { status, body } = await node.call('POST', '/gateway/v1/stores', { path, storeId });
  return status === 200 ? (body as { storeId: string }).storeId : status;
}

test('the first claim of a path counts, also of many at one moment; all nodes learn it at once', async (t) => {
  const fixture = await startFixture(t);
  await seed(fixture);
  const [one, two] = [await registeredNode(fixture, 'one'), await registeredNode(fixture, 'two')];
  const poll = two.desired((await two.desired()).version);
  assert.equal(await claim(one, '/data', 'id-1'), 'id-1');
  const known = await poll;
  assert.deepEqual(known.stores, [{ path: '/data', storeId: 'id-1' }]);
  assert.equal(await claim(two, '/data', 'id-2'), 'id-1');
  assert.equal(await claim(two, '/data', 'id-1'), 'id-1');
  assert.equal((await two.desired()).version, known.version, 'what changes nothing wakes nobody');
  const winners = await Promise.all([one, two, one, two].map((node, index) => claim(node, '/other', `id-${index}`)));
  assert.equal(new Set(winners).size, 1);
  assert.equal(await claim(one, '', 'x'), 400);
  one.registration = { ...one.registered, nodeToken: 'x' };
  assert.equal(await claim(one, '/data', 'id-1'), 401);
});

test('a store is forgotten with the last node that found its id there', async (t) => {
  const fixture = await startFixture(t);
  await seed(fixture);
  const [one, two, three] = [
    await registeredNode(fixture, 'one'), await registeredNode(fixture, 'two'), await registeredNode(fixture, 'three'),
  ];
  await claim(one, '/shared', 'a');
  await claim(two, '/shared', 'a');
  await claim(one, '/own', 'b');
  assert.equal(await claim(three, '/own', 'c'), 'b');
  const deleteNode = (name: string) => fixture.client.integrationRuntimeNodes.delete(group, factory, gateway, name);
  const poll = three.desired((await three.desired()).version);
  await deleteNode('one');
  assert.deepEqual((await poll).stores, [{ path: '/shared', storeId: 'a' }]);
  assert.equal(await claim(three, '/own', 'c'), 'c');
  await deleteNode('two');
  assert.deepEqual((await three.desired()).stores, [{ path: '/own', storeId: 'c' }]);
});

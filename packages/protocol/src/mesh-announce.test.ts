import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startTestNodes, TestNode } from './testing/mesh-node.ts';

/** No heartbeat comes within the test. */
const times = { heartbeatIntervalMs: 60_000, silenceLimitMs: 240_000 };

test('what a node announces is known to the others at once, by both streams', async (t) => {
  const nodes = await startTestNodes([{ nodeId: 'a', times }, { nodeId: 'b', times }]);
  const [a, b] = nodes;
  for (const node of nodes) t.after(() => node.close());
  assert.ok(a !== undefined && b !== undefined);
  let heard = 0;
  a.worker('b').subscribe(({ type }) => void (type === 'alive' && heard++));
  b.facts = { ...b.facts, draining: true };
  b.mesh.announce();
  await a.when(() => heard === 1);
  assert.equal(a.mesh.peers()[0]?.facts?.draining, true);
  a.facts = { ...a.facts, draining: true };
  a.mesh.announce();
  await b.when(() => b.mesh.peers()[0]?.facts?.draining === true);
});

test('a stream that comes up is told, each time', async (t) => {
  const [a, b] = [new TestNode({ nodeId: 'a' }), new TestNode({ nodeId: 'b' })];
  t.after(() => a.close());
  const up: string[] = [];
  a.mesh.onUp(({ nodeId }) => void up.push(nodeId));
  await Promise.all([a.start(), b.start()]);
  b.mesh.setMembers([a.member, b.member]);
  a.mesh.setMembers([a.member, b.member]);
  await a.when(() => up.length === 1);
  assert.deepEqual(up, ['b']);
  assert.ok(a.connected('b'));
  await b.close();
  await a.when(() => !a.connected('b'));
  const again = new TestNode({ nodeId: 'b' });
  t.after(() => again.close());
  await again.start();
  again.mesh.setMembers([a.member, again.member]);
  a.mesh.setMembers([a.member, again.member]);
  await a.when(() => up.length === 2);
});

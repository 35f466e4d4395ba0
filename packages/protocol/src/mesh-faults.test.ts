import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { hasCode, systemClock } from '@dmg/base';
import type { WorkerEvent } from '@dmg/core';
import { startMeshChild } from './testing/mesh-child.ts';
import { testEpoch, TestNode, testRequest } from './testing/mesh-node.ts';

async function start(context: TestContext): Promise<TestNode> {
  const node = new TestNode({ nodeId: 'a' });
  context.after(() => node.close());
  await node.start();
  return node;
}

/** When each event of a kind was heard, by the monotonic clock. */
function clocked(node: TestNode, nodeId: string): { readonly event: WorkerEvent; readonly atMs: number }[] {
  const heard: { event: WorkerEvent; atMs: number }[] = [];
  node.worker(nodeId).subscribe((event) => void heard.push({ event, atMs: systemClock.monotonicMs() }));
  return heard;
}

test('a killed process is known to be gone within 100 ms; calls in flight fail with it', async (t) => {
  const a = await start(t);
  const child = await startMeshChild(t, a, 'b');
  const worker = a.worker('b');
  await worker.hello(testEpoch);
  const heard = clocked(a, 'b');
  // A request that will not be answered any more.
  child.process.kill('SIGSTOP');
  const inFlight = assert.rejects(worker.dispatch(testRequest('j')), (error) => hasCode(error, 'DMG_PROTOCOL_UNREACHABLE'));
  let killedAtMs = 0;
  // The kernel takes its time to clear away a process; only then are its ports closed.
  child.process.once('exit', () => (killedAtMs = systemClock.monotonicMs()));
  child.process.kill('SIGKILL');
  await inFlight;
  await a.when(() => a.gone.some(({ refused }) => refused));
  const gone = heard.find(({ event }) => event.type === 'gone' && event.refused);
  await a.when(() => killedAtMs > 0);
  assert.ok(gone !== undefined);
  assert.ok(gone.atMs - killedAtMs < 100, `${gone.atMs - killedAtMs} ms`);
  t.diagnostic(`killed process seen as gone after ${(gone.atMs - killedAtMs).toFixed(1)} ms`);
  assert.equal(a.gone.filter(({ refused }) => refused).length, 1, 'told once');
});

test('a frozen process is lost after about two seconds and not said to be gone; it is heard again when it goes on', async (t) => {
  const a = await start(t);
  const child = await startMeshChild(t, a, 'b');
  const worker = a.worker('b');
  await worker.hello(testEpoch);
  const heard = clocked(a, 'b');
  child.process.kill('SIGSTOP');
  const stoppedAtMs = systemClock.monotonicMs();
  const call = assert.rejects(worker.dispatch(testRequest('j')), (error) => hasCode(error, 'DMG_PROTOCOL_UNREACHABLE'));
  await a.when(() => a.gone.length > 0);
  const lostAfterMs = systemClock.monotonicMs() - stoppedAtMs;
  assert.ok(lostAfterMs > 1_400 && lostAfterMs < 4_000, `${lostAfterMs} ms`);
  t.diagnostic(`frozen process seen as lost after ${lostAfterMs.toFixed(0)} ms`);
  assert.deepEqual(a.gone, [{ nodeId: 'b', refused: false }]);
  await call;
  const quickAtMs = systemClock.monotonicMs();
  await assert.rejects(worker.hello(testEpoch), (error) => hasCode(error, 'DMG_PROTOCOL_UNREACHABLE'));
  assert.ok(systemClock.monotonicMs() - quickAtMs < 250);
  // Its port still takes connections, as the kernel does that; nothing may wait for them.
  child.process.kill('SIGCONT');
  await a.when(() => a.connected('b'));
  assert.equal((await worker.hello(testEpoch)).accepted, true);
  assert.ok(heard.some(({ event, atMs }) => event.type === 'alive' && atMs > stoppedAtMs));
});

test('beside a frozen member others are served as ever, and closing takes no longer than a second', async (t) => {
  const handlesBefore = countHandles();
  const a = await start(t);
  const [frozen, other] = [await startMeshChild(t, a, 'b'), new TestNode({ nodeId: 'c' })];
  t.after(() => other.close());
  await other.start();
  const members = [a.member, frozen.member, other.member];
  a.mesh.setMembers(members);
  other.mesh.setMembers(members);
  await a.when(() => a.connected('c'));
  frozen.process.kill('SIGSTOP');
  // Much is said to the frozen one meanwhile, and heard by nobody.
  const unheard = Array.from({ length: 200 }, (_, index) => testRequest(`f-${index}`, { padding: 'x'.repeat(20_000) }));
  const settled = Promise.allSettled(unheard.map((request) => a.worker('b').dispatch(request)));
  await a.worker('c').hello(testEpoch);
  for (let index = 0; index < 50; index++) {
    const begunAtMs = systemClock.monotonicMs();
    const request = testRequest(`c-${index}`);
    assert.deepEqual(await a.worker('c').dispatch(request), { accepted: true });
    other.own.finish(request.attemptId);
    assert.ok(systemClock.monotonicMs() - begunAtMs < 1_000);
  }
  const closingAtMs = systemClock.monotonicMs();
  await a.close();
  assert.ok(systemClock.monotonicMs() - closingAtMs < 1_000);
  assert.ok((await settled).every(({ status }) => status === 'rejected'));
  await other.close();
  // Nothing is left of the connections to the one that does not answer.
  await other.when(() => countHandles() <= handlesBefore);
});

test('after a close nothing is left open', async () => {
  const before = countHandles();
  const nodes = [new TestNode({ nodeId: 'x' }), new TestNode({ nodeId: 'y' })];
  for (const node of nodes) await node.start();
  for (const node of nodes) node.mesh.setMembers(nodes.map(({ member }) => member));
  for (const [index, node] of nodes.entries()) await node.when(() => node.connected(index === 0 ? 'y' : 'x'));
  assert.ok(countHandles() > before);
  for (const node of nodes) await node.close();
  await nodes[0]?.when(() => countHandles() <= before);
});

function countHandles(): number {
  return process.getActiveResourcesInfo().filter((type) => /TCP|TLS/.test(type)).length;
}

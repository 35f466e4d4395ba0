import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test, type TestContext } from 'node:test';
import { baseErrors, hasCode, isDmgError, systemClock } from '@dmg/base';
import type { WorkerEvent, WorkerPort } from '@dmg/core';
import type { Job } from '@dmg/model';
import { startTestNodes, testEpoch, TestNode, type TestNodeOptions, testRequest } from './testing/mesh-node.ts';

async function start(context: TestContext, ...options: TestNodeOptions[]): Promise<TestNode[]> {
  const nodes = await startTestNodes(options);
  for (const node of nodes) context.after(() => node.close());
  return nodes;
}

async function pair(
  context: TestContext, a: Partial<TestNodeOptions> = {}, b: Partial<TestNodeOptions> = {},
): Promise<[TestNode, TestNode]> {
  const [first, second] = await start(context, { nodeId: 'a', ...a }, { nodeId: 'b', ...b });
  assert.ok(first !== undefined && second !== undefined);
  return [first, second];
}

const unreachable = (error: unknown): boolean => hasCode(error, 'DMG_PROTOCOL_UNREACHABLE');

test('a dispatcher greets, dispatches, hears of progress and end, and cancels, on another node', async (t) => {
  const [a, b] = await pair(t);
  const worker = a.worker('b');
  assert.deepEqual(await worker.hello(testEpoch), { accepted: true, attempts: [], limit: 4, used: 0 });
  const events = a.events('b');
  const [first, second] = [testRequest('job-1'), testRequest('job-2')];
  assert.deepEqual(await worker.dispatch(first), { accepted: true });
  assert.deepEqual(await worker.dispatch(second), { accepted: true });
  assert.deepEqual(b.own.request(first.attemptId), first, 'the job is what the receiving node read');
  b.own.progress(first.attemptId, 5);
  const hello = await worker.hello({ ...testEpoch, n: 2 });
  assert.ok(hello.accepted);
  assert.deepEqual(hello.attempts.map(({ jobId, progress, signedJob }) => [jobId, progress?.bytesWritten, signedJob]), [
    ['job-1', 5, first.signedJob], ['job-2', undefined, second.signedJob],
  ]);
  assert.deepEqual(await worker.hello(testEpoch), { accepted: false, known: { ...testEpoch, n: 2 } });
  const stale = { accepted: false, reason: 'STALE_EPOCH', evidence: `2.${testEpoch.token}` };
  assert.deepEqual(await worker.dispatch(testRequest('job-3')), stale);
  await worker.cancel(second.attemptId);
  b.own.finish(first.attemptId);
  const ends = (): WorkerEvent[] => events.filter(({ type }) => type === 'ended');
  await a.when(() => ends().length === 2);
  const seen = ends().map((event) => (event.type === 'ended' ? `${event.jobId} ${event.outcome.kind}` : ''));
  assert.deepEqual(seen, ['job-2 cancelled', 'job-1 succeeded']);
  await a.when(() => events.filter(({ type }) => type === 'slots').length >= 4);
  assert.deepEqual(events.filter(({ type }) => type === 'slots').at(-1), { type: 'slots', limit: 4, used: 0 });
  assert.ok(events.some(({ type }) => type === 'progress'));
});

test('an attempt that another one replaces is told so, unless its node speaks 1.0', async (t) => {
  for (const minor of [1, 0]) {
    const [a, b] = await pair(t, { versions: [{ major: 1, minorMin: 0, minorMax: minor }] });
    const worker = a.worker('b');
    await worker.hello(testEpoch);
    const request = testRequest('job-1');
    await worker.dispatch(request);
    await worker.supersede?.(request.attemptId);
    assert.deepEqual(b.own.superseded, minor === 1 ? [request.attemptId] : []);
  }
});

test('the end of an attempt never comes before the list in which it runs, or before the answer to its dispatch', async (t) => {
  const [a, b] = await pair(t);
  const worker = a.worker('b');
  await worker.hello(testEpoch);
  const told: string[] = [];
  worker.subscribe((event) => void (event.type === 'ended' && told.push(`${event.jobId} ended`)));
  const request = testRequest('job-1');
  await worker.dispatch(request);
  const [delay, listed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  b.own.helloDelay = delay.promise;
  const ownHello = b.own.hello.bind(b.own);
  b.own.hello = (epoch) => {
    const answer = ownHello(epoch);
    listed.resolve();
    return answer;
  };
  const hello = worker.hello(testEpoch).then((answer) => told.push(`list of ${answer.accepted ? answer.attempts.length : 0}`));
  // The list is made, and on its way; now the attempt in it ends.
  await listed.promise;
  b.own.finish(request.attemptId);
  assert.deepEqual(b.own.running, []);
  delay.resolve();
  await hello;
  await a.when(() => told.length === 2);
  assert.deepEqual(told, ['list of 1', 'job-1 ended']);
  // A worker that ends an attempt in the very turn in which it accepts it.
  b.own.helloDelay = undefined;
  const own = b.own.dispatch.bind(b.own);
  b.own.dispatch = async (dispatched) => {
    const answer = await own(dispatched);
    b.own.finish(dispatched.attemptId);
    return answer;
  };
  for (let round = 0; round < 50; round++) {
    told.splice(0);
    const one = testRequest(`quick-${round}`);
    const accepted = worker.dispatch(one).then(() => told.push('accepted'));
    await a.when(() => told.length === 2);
    await accepted;
    assert.deepEqual(told, ['accepted', `quick-${round} ended`]);
  }
});

test('what the other node says of itself is known here, also what it says later', async (t) => {
  const [a, b] = await pair(t);
  b.facts = { ...b.facts, draining: true, troubles: [{ part: 'redis', reason: 'away' }], slots: { limit: 7, used: 3, maximum: 9 } };
  await a.when(() => a.mesh.peers()[0]?.facts?.draining === true);
  const reached = { connected: true, lostForMs: 0, missedForMs: 0, trouble: undefined };
  assert.deepEqual(a.mesh.peers(), [{ nodeId: 'b', nodeName: 'b', facts: b.facts, ...reached }]);
});

test('own and remote workers are one list, which members join and leave', async (t) => {
  const [a, b] = await pair(t);
  const changes: string[] = [];
  a.mesh.workers.subscribe(({ type, worker }) => void changes.push(`${worker.nodeId} ${type}`));
  assert.deepEqual(a.mesh.workers.list().map(({ nodeId }) => nodeId), ['a', 'b']);
  const alive = new Promise<void>((resolve) => a.worker('a').subscribe((event) => void (event.type === 'alive' && resolve())));
  const [c] = await startTestNodes([{ nodeId: 'c' }]);
  assert.ok(c !== undefined);
  t.after(() => c.close());
  const all = [a.member, b.member, c.member];
  for (const node of [a, b, c]) node.mesh.setMembers(all);
  assert.deepEqual(changes, ['c joined']);
  assert.equal(a.worker('c').nodeName, 'c');
  await a.when(() => a.connected('c'));
  const old = a.worker('b');
  a.mesh.setMembers([a.member, c.member]);
  assert.deepEqual(changes, ['c joined', 'b left']);
  assert.deepEqual(a.mesh.workers.list().map(({ nodeId }) => nodeId), ['a', 'c']);
  await assert.rejects(old.hello(testEpoch), (error) => hasCode(error, 'DMG_PROTOCOL_CLOSED'));
  // Its stream to us is ended as well, and it is not let in again.
  await b.when(() => !b.connected('a') && b.mesh.peers()[0]?.trouble?.includes('no member') === true);
  assert.ok(a.connected('c') && b.connected('c'));
  await alive;
});

test('nobody who is no member is answered', async (t) => {
  const [a, b] = await pair(t);
  const stranger = new TestNode({ nodeId: 'stranger' });
  t.after(() => stranger.close());
  await stranger.start();
  stranger.mesh.setMembers([a.member, b.member]);
  const trouble = (): string | undefined => stranger.mesh.peers()[0]?.trouble;
  await stranger.when(() => trouble()?.includes('no member') === true);
  await assert.rejects(stranger.worker('a').hello(testEpoch), unreachable);
  assert.equal(a.own.epoch, undefined);
});

test('calls to a node that is not there fail at once; that its process is gone is seen, and that it is back', async (t) => {
  const [a, b] = await pair(t);
  const begunAtMs = systemClock.monotonicMs();
  await b.close();
  await a.when(() => a.gone.length > 0);
  await a.when(() => a.gone.some(({ refused }) => refused));
  const callAtMs = systemClock.monotonicMs();
  await assert.rejects(a.worker('b').hello(testEpoch), unreachable);
  await assert.rejects(a.worker('b').dispatch(testRequest('j')), unreachable);
  await assert.rejects(a.worker('b').cancel('x'), unreachable);
  assert.ok(systemClock.monotonicMs() - callAtMs < 250);
  const [peer] = a.mesh.peers();
  assert.ok(peer !== undefined && !peer.connected);
  for (const ms of [peer.lostForMs, peer.missedForMs]) assert.ok(ms > 0 && ms <= systemClock.monotonicMs() - begunAtMs, `${ms} ms`);
  await a.when(() => a.mesh.peers()[0]?.trouble?.includes('ECONNREFUSED') === true);
  // It comes back under another address, which it tells by its own stream.
  const again = new TestNode({ nodeId: 'b' });
  t.after(() => again.close());
  await again.start();
  again.mesh.setMembers([a.member, again.member]);
  await a.when(() => a.connected('b'));
  assert.deepEqual(await a.worker('b').hello(testEpoch), { accepted: true, attempts: [], limit: 4, used: 0 });
});

test('a member that was never there is known to be gone', async (t) => {
  const [a] = await start(t, { nodeId: 'a' });
  assert.ok(a !== undefined);
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  a.mesh.setMembers([{ nodeId: 'b', nodeName: 'b', address: `127.0.0.1:${port}` }, { nodeId: 'c', nodeName: 'c', address: '' }]);
  await a.when(() => a.gone.length > 0);
  assert.deepEqual(a.gone, [{ nodeId: 'b', refused: true }]);
  await assert.rejects(a.worker('c').hello(testEpoch), unreachable);
  assert.match(a.mesh.peers()[1]?.trouble ?? '', /address/);
  assert.ok((a.mesh.peers()[1]?.missedForMs ?? 0) > 0);
});

test('who stops says so on both streams, with its successor', async (t) => {
  const [a, b] = await pair(t);
  b.mesh.goodbye('a');
  await b.close();
  await a.when(() => a.goodbyes.length === 2 && a.gone.some(({ refused }) => refused));
  assert.deepEqual(a.goodbyes, [{ nodeId: 'b', successor: 'a' }, { nodeId: 'b', successor: 'a' }]);
  a.mesh.goodbye();
});

test('a node that speaks 1.0 only works with one that speaks 1.1 as well', async (t) => {
  const [older, newer] = await pair(t, { versions: [{ major: 1, minorMin: 0, minorMax: 0 }] }, {});
  newer.facts = { ...newer.facts, config: 'encryption none, protocol 1', slots: { limit: 1, used: 1, maximum: 1 } };
  await older.when(() => older.mesh.peers()[0]?.facts?.slots.used === 1);
  assert.equal(older.mesh.peers()[0]?.facts?.config, '', '1.0 has no words for it');
  const worker = older.worker('b');
  await worker.hello(testEpoch);
  newer.own.dispatch = () => Promise.resolve({ accepted: false, reason: 'NO_MEMORY', evidence: '1 MB free' });
  assert.deepEqual(await worker.dispatch(testRequest('j')), { accepted: false, reason: 'NO_FREE_SLOT', evidence: '1 MB free' });
  // The other way round the older one is the server.
  assert.deepEqual(await newer.worker('a').hello(testEpoch), { accepted: true, attempts: [], limit: 4, used: 0 });
  const [a, b] = await pair(t);
  await a.worker('b').hello(testEpoch);
  b.own.dispatch = () => Promise.resolve({ accepted: false, reason: 'NO_MEMORY', evidence: '1 MB free' });
  assert.deepEqual(await a.worker('b').dispatch(testRequest('j')), { accepted: false, reason: 'NO_MEMORY', evidence: '1 MB free' });
});

test('a node that speaks another major is refused, with what each of them speaks', async (t) => {
  const future = new TestNode({ nodeId: 'future', versions: [{ major: 2, minorMin: 0, minorMax: 3 }] });
  const now = new TestNode({ nodeId: 'now' });
  for (const node of [future, now]) {
    t.after(() => node.close());
    await node.start();
  }
  for (const node of [future, now]) node.mesh.setMembers([future.member, now.member]);
  const trouble = (node: TestNode): string => node.mesh.peers()[0]?.trouble ?? '';
  await Promise.all([future, now].map((node) => node.when(() => trouble(node).includes('protocol'))));
  assert.equal(trouble(future), 'it speaks protocol 1.0 to 1.1, this node 2.0 to 2.3');
  assert.equal(trouble(now), 'it speaks protocol 2.0 to 2.3, this node 1.0 to 1.1');
  const saysWhy = (error: unknown): boolean => unreachable(error) && String(error).includes('it speaks protocol 1.0 to 1.1');
  await assert.rejects(future.worker('now').hello(testEpoch), saysWhy);
});

test('a node that answers at the address of another, or belongs to another gateway, is not taken for it', async (t) => {
  const [a, b] = await pair(t);
  a.mesh.setMembers([a.member, b.member, { nodeId: 'c', nodeName: 'c', address: b.address }]);
  const trouble = (node: TestNode, nodeId: string): string => node.mesh.peers().find((peer) => peer.nodeId === nodeId)?.trouble ?? '';
  await a.when(() => trouble(a, 'c').includes('node b answers'));
  assert.ok(a.connected('b'));
  const other = new TestNode({ nodeId: 'a', gatewayId: 'gateway-2' });
  t.after(() => other.close());
  await other.start();
  other.mesh.setMembers([b.member]);
  await other.when(() => trouble(other, 'b').includes('it belongs to gateway gateway-1'));
});

test('a worker that cannot answer says why; a job that cannot be read is refused', async (t) => {
  const [a, b] = await pair(t, {}, { readJob: (signed) => (signed === 'forged' ? undefined : (JSON.parse(signed) as Job)) });
  const worker = a.worker('b');
  await worker.hello(testEpoch);
  const request = testRequest('job-1');
  const forged = await worker.dispatch({ ...request, signedJob: 'forged' });
  assert.ok(!forged.accepted && forged.reason === 'BAD_SIGNATURE');
  const broken = await worker.dispatch({ ...request, signedJob: '{' });
  assert.ok(!broken.accepted && broken.reason === 'BAD_SIGNATURE');
  const mistaken = await worker.dispatch({ ...request, signedJob: testRequest('job-2').signedJob });
  assert.ok(!mistaken.accepted && mistaken.reason === 'BAD_SIGNATURE' && mistaken.evidence.includes('job-2'));
  const fault = baseErrors.DEADLINE.create({ what: 'start an executor', limitMs: 5 });
  b.own.dispatch = () => Promise.reject(fault);
  const isSame = (error: unknown): boolean => isDmgError(error) && error.code === fault.code && error.message === fault.message;
  await assert.rejects(worker.dispatch(request), isSame);
  b.own.cancel = () => Promise.reject(new Error('disk on fire'));
  await assert.rejects(worker.cancel('x'), (error) => hasCode(error, 'DMG_BASE_UNEXPECTED') && String(error).includes('disk on fire'));
});

test('a worker that does not answer does not hold up other requests, and the request ends at its deadline', async (t) => {
  const [a, b] = await pair(t, { times: { helloLimitMs: 200, dispatchLimitMs: 200 } });
  const worker: WorkerPort = a.worker('b');
  await worker.hello(testEpoch);
  b.own.dispatch = () => new Promise(() => undefined);
  const stuck = assert.rejects(worker.dispatch(testRequest('j')), (error) => hasCode(error, 'DMG_BASE_DEADLINE'));
  assert.equal((await worker.hello(testEpoch)).accepted, true);
  await stuck;
  assert.equal((await worker.hello(testEpoch)).accepted, true);
});

test('in plain text nobody is given the credential key who cannot show a certificate', async (t) => {
  let given = 0;
  const give = (): Promise<Uint8Array> => {
    given++;
    return Promise.resolve(new Uint8Array([1]));
  };
  const [a] = await pair(t, {}, { credentialKey: { give } });
  assert.equal(await a.mesh.fetchCredentialKey(), undefined);
  assert.equal(given, 0);
});

test('what cannot work is refused before it begins', async (t) => {
  for (const host of ['0.0.0.0', '10.0.0.1', 'localhost', '::']) {
    assert.throws(() => new TestNode({ nodeId: 'a', listen: { host, port: 0 } }), (error) =>
      hasCode(error, 'DMG_PROTOCOL_PLAIN_TEXT_REFUSED') && String(error).includes(host));
  }
  assert.throws(() => new TestNode({ nodeId: 'a', encryption: 'mtls' }), (error) => hasCode(error, 'DMG_PROTOCOL_NO_IDENTITY'));
  const [a] = await start(t, { nodeId: 'a' });
  const port = Number(a?.address.split(':').at(-1));
  const second = new TestNode({ nodeId: 'b', listen: { host: '127.0.0.1', port } });
  await assert.rejects(second.start(), (error) => hasCode(error, 'DMG_PROTOCOL_CANNOT_LISTEN') && String(error).includes('EADDRINUSE'));
  await second.close();
  // Somewhere else in the network plain text is not spoken either.
  a?.mesh.setMembers([{ nodeId: 'far', nodeName: 'far', address: 'localhost:1' }]);
  const v6 = new TestNode({ nodeId: 'v6', listen: { host: '::1', port: 0 } });
  await v6.start();
  assert.match(v6.address, /^\[::1\]:\d+$/);
  await v6.close();
});

test('IPv6 addresses do as well, for longer than anybody may be silent', async (t) => {
  const listen = { host: '::1', port: 0 };
  const times = { heartbeatIntervalMs: 50, silenceLimitMs: 500 };
  const [a, b] = await pair(t, { listen, times }, { listen, times });
  const beats = { a: 0, b: 0 };
  a.worker('b').subscribe(({ type }) => void (type === 'alive' && beats.a++));
  b.worker('a').subscribe(({ type }) => void (type === 'alive' && beats.b++));
  await a.when(() => beats.a >= 20 && beats.b >= 20);
  assert.deepEqual([...a.gone, ...b.gone], []);
});

test('facts that the wire cannot carry end the streams and not the process', async (t) => {
  const times = { heartbeatIntervalMs: 50, silenceLimitMs: 500 };
  const [a, b] = await pair(t, { times }, { times });
  const good = b.facts;
  b.facts = { ...good, slots: { ...good.slots, used: Number.NaN } };
  await a.when(() => !a.connected('b') && !b.connected('a'));
  await b.when(() => b.mesh.peers()[0]?.trouble?.includes('NodeSlots.used') === true);
  b.facts = good;
  await a.when(() => a.connected('b') && b.connected('a'));
});

test('the address that others are told is one that they can use', async (t) => {
  const node = new TestNode({ nodeId: 'a', listen: { host: '127.0.0.1', port: 0, advertisedHost: 'node-a.example' } });
  t.after(() => node.close());
  await node.start();
  assert.match(node.address, /^node-a\.example:\d+$/);
});

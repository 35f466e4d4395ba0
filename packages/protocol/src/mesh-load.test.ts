import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test, type TestContext } from 'node:test';
import { newId, systemRandom } from '@dmg/base';
import type { WorkerEvent } from '@dmg/core';
import type { RunningAttempt } from '@dmg/model';
import { credentials, type ServiceError, status } from '@grpc/grpc-js';
import { encodeClientFrame } from './codec/client-frame.ts';
import { ClusterCaller } from './codec/cluster-service.ts';
import type { ClientFrame } from './frames.ts';
import type { ClientFrame as WireClientFrame } from './generated/dmg/cluster/v1/ClientFrame.ts';
import { cutList } from './served-stream.ts';
import { startTestNodes, testEpoch, testFacts, testGatewayId, type TestNode, testRequest } from './testing/mesh-node.ts';
import { helloPartBytesMax, signedJobBytesMax } from './transport-options.ts';

async function pair(context: TestContext): Promise<[TestNode, TestNode]> {
  const nodes = await startTestNodes([{ nodeId: 'a' }, { nodeId: 'b', limit: 100_000 }]);
  for (const node of nodes) context.after(() => node.close());
  const [a, b] = nodes;
  assert.ok(a !== undefined && b !== undefined);
  return [a, b];
}

test('a thousand dispatches at once over one stream are a thousand answers, and every end is told once', async (t) => {
  const [a, b] = await pair(t);
  const worker = a.worker('b');
  await worker.hello(testEpoch);
  const events = a.events('b');
  const requests = Array.from({ length: 1_000 }, (_, index) => testRequest(`job-${index}`));
  const answers = await Promise.all(requests.map((request) => worker.dispatch(request)));
  assert.ok(answers.every(({ accepted }) => accepted));
  for (const { attemptId } of requests) b.own.finish(attemptId);
  const ended = (): WorkerEvent[] => events.filter(({ type }) => type === 'ended');
  await a.when(() => ended().length === 1_000);
  assert.equal(new Set(ended().map((event) => event.type === 'ended' && event.attemptId)).size, 1_000);
  assert.ok(a.connected('b'));
});

test('a job of 4 MiB goes over, one that is too large is refused here, and the list of many large jobs comes whole', async (t) => {
  const [a, b] = await pair(t);
  const worker = a.worker('b');
  await worker.hello(testEpoch);
  const large = Array.from({ length: 5 }, (_, index) => testRequest(`large-${index}`, { padding: 'x'.repeat(4 * 1024 * 1024) }));
  for (const request of large) assert.deepEqual(await worker.dispatch(request), { accepted: true });
  const tooLarge = await worker.dispatch(testRequest('huge', { padding: 'x'.repeat(signedJobBytesMax) }));
  assert.ok(!tooLarge.accepted && tooLarge.reason === 'NOT_ELIGIBLE');
  assert.match(tooLarge.evidence, /bytes/);
  for (let index = 0; index < 200; index++) await worker.dispatch(testRequest(`small-${index}`));
  // Together they are more than any one message may be.
  const hello = await worker.hello(testEpoch);
  assert.ok(hello.accepted);
  assert.deepEqual(hello.attempts.map(({ attemptId }) => attemptId), b.own.running);
  assert.deepEqual(hello.attempts.slice(0, 5).map(({ signedJob }) => signedJob), large.map(({ signedJob }) => signedJob));
  assert.equal(hello.used, 205);
});

test('a list is cut into parts that fit, in order, each attempt once', () => {
  const attempt = (bytes: number): RunningAttempt => ({
    jobId: 'j', tryNumber: 1, attemptId: newId(systemRandom), step: 'copy', progress: undefined, signedJob: 'x'.repeat(bytes),
  });
  for (const sizes of [[], [1], [helloPartBytesMax * 2], [1, helloPartBytesMax * 2, 1], Array.from({ length: 5_000 }, () => 500)]) {
    const attempts = sizes.map(attempt);
    const parts = cutList({ attempts, limit: 1, used: 2 }).map((part) => part.accepted ? part : assert.fail());
    assert.deepEqual(parts.flatMap((part) => part.attempts), attempts);
    assert.deepEqual(parts.map(({ more }) => more), parts.map((_, index) => index < parts.length - 1));
    for (const part of parts) {
      const bytes = part.attempts.reduce((sum, { signedJob }) => sum + (signedJob?.length ?? 0), 0);
      assert.ok(bytes <= helloPartBytesMax || part.attempts.length === 1);
      assert.ok(part.attempts.length > 0 || attempts.length === 0);
    }
  }
});

/** Says these frames and answers how the stream ends. */
async function speak(address: string, frames: readonly WireClientFrame[]): Promise<ServiceError & { readonly heard: number }> {
  const caller = new ClusterCaller(address, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
  const call = caller.connect();
  let heard = 0;
  call.on('data', () => heard++);
  try {
    return await new Promise((resolve) => {
      call.on('error', (error: ServiceError) => resolve(Object.assign(error, { heard })));
      for (const frame of frames) call.write(frame);
    });
  } finally {
    caller.close();
  }
}

test('what is not understood ends the stream, with the reason, and harms nobody else', async (t) => {
  const [a, b] = await pair(t);
  a.mesh.setMembers([a.member, b.member, { nodeId: 'c', nodeName: 'c', address: '' }]);
  const open: ClientFrame = {
    type: 'open', versions: [{ major: 1, minorMin: 0, minorMax: 1 }], gatewayId: testGatewayId, targetNodeId: 'a', facts: testFacts('c'),
  };
  const [opening, hello] = [encodeClientFrame(open), encodeClientFrame({ type: 'hello', requestId: 1, epoch: testEpoch })];
  const cases: readonly (readonly [frames: readonly WireClientFrame[], code: status, details: RegExp, heard: boolean])[] = [
    [[{}], status.INVALID_ARGUMENT, /ClientFrame.open is missing/, false],
    [[hello], status.INVALID_ARGUMENT, /ClientFrame.open is missing/, false],
    [[{ open: { ...opening.open, facts: null } }], status.INVALID_ARGUMENT, /Open.facts is missing/, false],
    [[opening, opening], status.INVALID_ARGUMENT, /open is not what comes now/, true],
    [[opening, { hello: { requestId: 0 } }], status.INVALID_ARGUMENT, /request_id/, true],
    [[opening, { dispatch: { requestId: 1, step: 'ATTEMPT_STEP_UNSPECIFIED' } }], status.INVALID_ARGUMENT, /signed_job/, true],
    [[{ open: { ...opening.open, facts: { ...opening.open?.facts, nodeId: 'd' } } }], status.PERMISSION_DENIED, /no member/, false],
  ];
  for (const [frames, code, details, heard] of cases) {
    const end = await speak(a.address, frames);
    assert.equal(end.code, code, end.details);
    assert.match(end.details, details);
    assert.equal(end.heard > 0, heard, end.details);
  }
  assert.ok(a.connected('b') && b.connected('a'));
});

test('a connection on which nothing is said is ended', async (t) => {
  const nodes = await startTestNodes([{ nodeId: 'a', times: { openLimitMs: 100 } }]);
  const [a] = nodes;
  assert.ok(a !== undefined);
  t.after(() => a.close());
  const end = await speak(a.address, []);
  assert.equal(end.code, status.UNAVAILABLE);
  // One that does not even speak HTTP/2.
  const socket = connect(Number(a.address.split(':').at(-1)), '127.0.0.1');
  await new Promise((resolve) => socket.once('connect', resolve));
  socket.resume().write('GET / HTTP/1.1\r\n\r\n');
  await new Promise((resolve) => socket.once('close', resolve));
});

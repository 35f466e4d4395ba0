import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test, type TestContext } from 'node:test';
import { hasCode, ManualClock } from '@dmg/base';
import { encodeServerFrame } from './codec/server-frame.ts';
import { clusterService } from './codec/cluster-service.ts';
import { decodeClientFrame } from './codec/client-frame.ts';
import type { ClientFrame, ServerFrame } from './frames.ts';
import type { ClientFrame as WireClientFrame } from './generated/dmg/cluster/v1/ClientFrame.ts';
import { type LinkNews, LinkStream } from './link-stream.ts';
import type { PeerChannel } from './peer-channel.ts';
import { spokenVersions } from './protocol-versions.ts';
import { defaultStreamTimes } from './stream-times.ts';
import { testEpoch, testFacts, testRequest } from './testing/mesh-node.ts';

const { Connect } = clusterService;

/** The other side, played by the test: what it says is heard at once, in the turn in which it is said. */
class PlayedCall extends EventEmitter {
  readonly heard: ClientFrame[] = [];

  write(frame: WireClientFrame): boolean {
    this.heard.push(decodeClientFrame(Connect.requestDeserialize(Connect.requestSerialize(frame))));
    return true;
  }

  say(frame: ServerFrame): void {
    this.emit('data', Connect.responseDeserialize(Connect.responseSerialize(encodeServerFrame(frame))));
  }

  end(): void {
    this.emit('end');
  }

  cancel(): void {
    // Nothing is left to be cancelled.
  }
}

interface World {
  readonly call: PlayedCall;
  readonly stream: LinkStream;
  readonly clock: ManualClock;
  readonly news: LinkNews[];
}

function begin(context: TestContext): World {
  const [call, clock, news] = [new PlayedCall(), new ManualClock(), [] as LinkNews[]];
  let bytes = 0;
  const channel: unknown = {
    caller: { connect: () => call },
    ended: new Promise(() => undefined),
    close: () => undefined,
    get bytesRead(): number {
      return ++bytes;
    },
  };
  const stream = new LinkStream({
    channel: channel as PeerChannel, gatewayId: 'g', nodeId: 'b', nodeName: 'Node B', versions: spokenVersions, self: () => testFacts('a'),
    clock, times: defaultStreamTimes, tell: (one) => news.push(one),
  });
  context.after(() => stream.cut('the test is over'));
  return { call, stream, clock, news };
}

function open(context: TestContext): World {
  const world = begin(context);
  world.call.say({ type: 'opened', protocol: { major: 1, minor: 1 }, facts: testFacts('b') });
  return world;
}

const requestIdOf = (call: PlayedCall): number => {
  const frame = call.heard.at(-1);
  return frame !== undefined && 'requestId' in frame ? frame.requestId : assert.fail('no request');
};

test('answers are seen before what was said after them, and after what was said before them, whatever comes in one turn', async (t) => {
  const { call, stream, news } = open(t);
  const seen: string[] = [];
  const watch = (name: string, promise: Promise<unknown>): Promise<unknown> => promise.then(() => seen.push(name));
  const hello = watch('hello', stream.hello(testEpoch));
  const helloId = requestIdOf(call);
  const dispatch = watch('dispatch', stream.dispatch(testRequest('j')));
  const dispatchId = requestIdOf(call);
  news.push = (one) => seen.push(one.type === 'event' && one.event.type === 'slots' ? `slots ${one.event.used}` : one.type);
  const slots = (used: number): void => call.say({ type: 'event', event: { type: 'slots', limit: 4, used } });
  slots(1);
  call.say({ type: 'helloAnswer', requestId: helloId, answer: { accepted: true, attempts: [], limit: 4, used: 0, more: false } });
  slots(2);
  call.say({ type: 'heartbeat', facts: testFacts('b') });
  call.say({ type: 'dispatchAnswer', requestId: dispatchId, answer: { accepted: true } });
  slots(3);
  await Promise.all([hello, dispatch]);
  while (seen.length < 6) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(seen, ['slots 1', 'hello', 'slots 2', 'alive', 'dispatch', 'slots 3']);
});

test('a list in parts is one list', async (t) => {
  const { call, stream } = open(t);
  const hello = stream.hello(testEpoch);
  const requestId = requestIdOf(call);
  for (const [index, more] of [true, true, false].entries()) {
    const attempt = { jobId: `j${index}`, tryNumber: 1, attemptId: `a${index}`, step: 'copy', progress: undefined } as const;
    call.say({ type: 'helloAnswer', requestId, answer: { accepted: true, attempts: [attempt], limit: 4, used: 3, more } });
  }
  const answer = await hello;
  assert.deepEqual(answer.accepted && answer.attempts.map(({ jobId }) => jobId), ['j0', 'j1', 'j2']);
});

test('an answer that comes after its deadline is for nobody, and answers to others go to those', async (t) => {
  const { call, stream, clock } = open(t);
  const late = stream.dispatch(testRequest('late'));
  const lateId = requestIdOf(call);
  clock.advance(defaultStreamTimes.dispatchLimitMs);
  await assert.rejects(late, (error) => hasCode(error, 'DMG_BASE_DEADLINE'));
  const unanswered = stream.hello(testEpoch);
  const inTime = stream.dispatch(testRequest('in-time'));
  const inTimeId = requestIdOf(call);
  const answer = { accepted: false, reason: 'DRAINING', evidence: '' } as const;
  call.say({ type: 'dispatchAnswer', requestId: inTimeId, answer });
  assert.deepEqual(await inTime, answer);
  call.say({ type: 'dispatchAnswer', requestId: lateId, answer });
  stream.cut('enough');
  await assert.rejects(unanswered, (error) => hasCode(error, 'DMG_PROTOCOL_UNREACHABLE') && String(error).includes('enough'));
  await assert.rejects(stream.hello(testEpoch), (error) => hasCode(error, 'DMG_PROTOCOL_UNREACHABLE'));
});

test('an answer of another kind than was asked for ends the stream', async (t) => {
  const { call, stream } = open(t);
  const hello = stream.hello(testEpoch);
  call.say({ type: 'cancelAnswer', requestId: requestIdOf(call) });
  await assert.rejects(hello, (error) => hasCode(error, 'DMG_PROTOCOL_UNREACHABLE') && String(error).includes('cancelAnswer'));
  assert.equal((await stream.ended).kind, 'closed');
});

test('a wire that was not offered, another node, or a word before the opening is not accepted', async (t) => {
  const cases: readonly (readonly [frame: ServerFrame, kind: string, reason: RegExp])[] = [
    [{ type: 'opened', protocol: { major: 1, minor: 7 }, facts: testFacts('b') }, 'closed', /opened/],
    [{ type: 'opened', protocol: { major: 1, minor: 1 }, facts: testFacts('c') }, 'denied', /node c answers/],
    [{ type: 'heartbeat', facts: testFacts('b') }, 'closed', /heartbeat/],
    [{ type: 'refused', reason: 'closing', evidence: 'it is stopping' }, 'denied', /it is stopping/],
  ];
  for (const [frame, kind, reason] of cases) {
    const { call, stream } = begin(t);
    const opened = assert.rejects(stream.opened(), (error) => hasCode(error, 'DMG_PROTOCOL_UNREACHABLE'));
    call.say(frame);
    const end = await stream.ended;
    assert.equal(end.kind, kind);
    assert.match(end.reason, reason);
    await opened;
  }
});

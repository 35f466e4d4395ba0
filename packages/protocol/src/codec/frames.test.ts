import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { hasCode } from '@dmg/base';
import type { Receipt } from '@dmg/model';
import type { ClientFrame, ServerFrame } from '../frames.ts';
import { testFacts } from '../testing/mesh-node.ts';
import { decodeClientFrame, encodeClientFrame } from './client-frame.ts';
import { clusterService } from './cluster-service.ts';
import { decodeServerFrame, encodeServerFrame } from './server-frame.ts';

const { Connect } = clusterService;
const epoch = { n: 7, token: '0123456789abcdef0123456789abcdef' };
const facts = testFacts('node-1', {
  address: '10.0.0.1:8060', troubles: [{ part: 'redis', reason: 'away' }],
  dispatcher: { nodeId: 'node-2', epoch: `7.${epoch.token}`, lostForMs: 12 },
});
const receipt: Receipt = {
  formatVersion: 1, jobId: 'job-1', generation: 1, guarantee: 'exactlyOnce', verification: 'acknowledged', consistency: 'perChunk',
  filesRead: 1, filesWritten: 1, bytesRead: 9_007_199_254_740_991, bytesWritten: 2, rowsRead: 3, rowsWritten: 4, rowsSkipped: 5, chunks: 6,
  hash: 'ffffffffffffffff', attempts: ['a1'], finishedBy: { attemptId: 'a1', nodeName: 'node-1', epoch: '7.0' },
  finishedAt: '2026-01-01T00:00:00Z',
};
const client = (frame: ClientFrame): Buffer => Connect.requestSerialize(encodeClientFrame(frame));
const server = (frame: ServerFrame): Buffer => Connect.responseSerialize(encodeServerFrame(frame));
const badField = (field: string) => (error: unknown): boolean => hasCode(error, 'DMG_PROTOCOL_BAD_FIELD') && String(error).includes(field);

const isUnsendable = (error: unknown): boolean => hasCode(error, 'DMG_PROTOCOL_UNSENDABLE');

/** Frames as a node of an earlier release sends them: their bytes may never change. */
const goldenFrames: Readonly<Record<string, { readonly client: ClientFrame } | { readonly server: ServerFrame }>> = {
  open: { client: { type: 'open', versions: [{ major: 1, minorMin: 0, minorMax: 1 }], gatewayId: 'g', targetNodeId: 'node-2', facts } },
  hello: { client: { type: 'hello', requestId: 1, epoch } },
  dispatch: { client: { type: 'dispatch', requestId: 2, signedJob: 'x.y.z', attemptId: 'a1', step: 'copy', epoch, jobId: 'job-1' } },
  cancel: { client: { type: 'cancel', requestId: 3, attemptId: 'a1' } },
  supersede: { client: { type: 'supersede', requestId: 4, attemptId: 'a1' } },
  goodbye: { client: { type: 'goodbye', successor: 'node-2', reason: 'stops' } },
  opened: { server: { type: 'opened', protocol: { major: 1, minor: 1 }, facts: testFacts('n') } },
  refused: { server: { type: 'refused', reason: 'protocol', evidence: 'it speaks 2.0' } },
  'hello accepted': { server: {
    type: 'helloAnswer', requestId: 1,
    answer: {
      accepted: true, limit: 4, used: 1, more: false,
      attempts: [{ jobId: 'job-1', tryNumber: 1, attemptId: 'a1', step: 'abort', progress: undefined, signedJob: 'x.y.z' }],
    },
  } },
  'hello refused': { server: { type: 'helloAnswer', requestId: 1, answer: { accepted: false, known: epoch } } },
  'dispatch refused': { server: {
    type: 'dispatchAnswer', requestId: 2, answer: { accepted: false, reason: 'NO_MEMORY', evidence: '1 MB free' },
  } },
  ended: { server: {
    type: 'event',
    event: {
      type: 'ended', jobId: 'job-1', tryNumber: 1, attemptId: 'a1', startedAtMs: 1_700_000_000_000, endedAtMs: 1_700_000_000_001,
      outcome: {
        kind: 'failed', sink: 'open',
        fault: {
          code: 'DMG_X_Y', category: 'config', retry: 'never', scope: 'job', message: 'm', fix: 'f', params: { a: 'b', c: 1.5, d: true },
        },
      },
    },
  } },
  progress: { server: {
    type: 'event',
    event: {
      type: 'progress', jobId: 'job-1', attemptId: 'a1',
      progress: {
        step: 'copy', bytesTotal: 9_007_199_254_740_991, bytesRead: 1, bytesWritten: 0, rowsWritten: 2, filesTotal: 3, filesWritten: 4,
      },
    },
  } },
};
const goldenBytes = JSON.parse(readFileSync(new URL('./testdata/wire-1.1.json', import.meta.url), 'utf8')) as Record<string, string>;

suite('golden bytes of 1.1', () => {
  test('there are some for each frame', () => assert.deepEqual(Object.keys(goldenBytes), Object.keys(goldenFrames)));
  for (const [name, frame] of Object.entries(goldenFrames)) {
    test(name, () => {
      const expected = goldenBytes[name] ?? '';
      const bytes = Buffer.from(expected, 'hex');
      if ('client' in frame) {
        assert.equal(client(frame.client).toString('hex'), expected);
        assert.deepEqual(decodeClientFrame(Connect.requestDeserialize(bytes)), frame.client);
      } else {
        assert.equal(server(frame.server).toString('hex'), expected);
        assert.deepEqual(decodeServerFrame(Connect.responseDeserialize(bytes)), frame.server);
      }
    });
  }
});

test('a number above 2^53 is refused and not rounded; so is one below zero where none can be', () => {
  const { event } = encodeServerFrame({
    type: 'event',
    event: {
      type: 'progress', jobId: 'j', attemptId: 'a',
      progress: { step: 'copy', bytesTotal: 0, bytesRead: 0, bytesWritten: 0, rowsWritten: 0, filesTotal: 0, filesWritten: 0 },
    },
  });
  for (const value of ['9007199254740993', '-1']) {
    const wire = { event: { progress: { ...event?.progress, progress: { ...event?.progress?.progress, bytesRead: value } } } };
    assert.throws(() => decodeServerFrame(Connect.responseDeserialize(Connect.responseSerialize(wire))), badField('bytes_read'));
  }
  for (const n of [Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60]) {
    assert.throws(() => client({ type: 'hello', requestId: 1, epoch: { ...epoch, n } }), isUnsendable);
  }
  for (const requestId of [-1, 1.5, 2 ** 32]) {
    assert.throws(() => client({ type: 'cancel', requestId, attemptId: 'a' }), isUnsendable);
  }
});

test('a field that this release does not know is passed over', () => {
  // Field 99, a text, at the end of the message within the frame and at the end of the frame.
  const unknown = Buffer.from([0x9a, 0x06, 0x02, 0x68, 0x69]);
  const frame: ClientFrame = { type: 'cancel', requestId: 3, attemptId: 'a1' };
  const inner = client(frame).subarray(2);
  const bytes = Buffer.concat([Buffer.from([0x22, inner.length + unknown.length]), inner, unknown, unknown]);
  assert.deepEqual(decodeClientFrame(Connect.requestDeserialize(bytes)), frame);
});

test('an enum number that this release does not know is refused, and so is UNSPECIFIED', () => {
  const frame = encodeServerFrame({ type: 'dispatchAnswer', requestId: 2, answer: { accepted: false, reason: 'DRAINING', evidence: '' } });
  const bytes = Connect.responseSerialize(frame);
  const at = bytes.lastIndexOf(0x18) + 1;
  assert.equal(bytes[at], 4, 'field 3 holds REFUSAL_REASON_DRAINING');
  for (const [number, problem] of [[99, '99, which is not known'], [0, 'unspecified']] as const) {
    bytes[at] = number;
    assert.throws(() => decodeServerFrame(Connect.responseDeserialize(bytes)), badField(`RefusalReason is ${problem}`));
  }
});

test('what is missing, empty, or of no meaning is refused with the name of the field', () => {
  const refuses = (wire: Parameters<typeof Connect.requestSerialize>[0], field: string): void =>
    assert.throws(() => decodeClientFrame(Connect.requestDeserialize(Connect.requestSerialize(wire))), badField(field));
  refuses({}, 'ClientFrame.frame');
  refuses({ hello: { requestId: 1 } }, 'Hello.epoch');
  refuses({ hello: { requestId: 0, epoch: { n: 1, token: epoch.token } } }, 'request_id');
  refuses({ hello: { requestId: 1, epoch: { n: 1, token: 'zz' } } }, 'Epoch.token');
  refuses({ cancel: { requestId: 1 } }, 'Cancel.attempt_id');
  refuses({ heartbeat: {} }, 'Heartbeat.facts');
  const { heartbeat } = encodeClientFrame({ type: 'heartbeat', facts });
  refuses({ heartbeat: { facts: { ...heartbeat?.facts, nodeId: '' } } }, 'NodeFacts.node_id');
  refuses({ heartbeat: { facts: { ...heartbeat?.facts, stage: 0 } } }, 'NodeFacts.stage');
  refuses({ heartbeat: { facts: { ...heartbeat?.facts, slots: null } } }, 'NodeFacts.slots');
  refuses({ heartbeat: { facts: { ...heartbeat?.facts, protocol: { major: 0, minor: 1 } } } }, 'ProtocolVersion');
  const accepted = { dispatchAnswer: { requestId: 1, accepted: true, reason: 'REFUSAL_REASON_DRAINING' } } as const;
  const bytes = Connect.responseSerialize(accepted);
  assert.throws(() => decodeServerFrame(Connect.responseDeserialize(bytes)), badField('DispatchAnswer.reason'));
});

test('a receipt is checked for its form, and no part of a broken one is shown', () => {
  const details = { planMs: 0, copyMs: 0, finishMs: 0, readMs: 0, writeMs: 0, parallelCopies: 1 };
  const ended = (text: string): Buffer => Connect.responseSerialize({
    event: { ended: { jobId: 'j', tryNumber: 1, attemptId: 'a', outcome: { succeeded: { receipt: Buffer.from(text), details } } } },
  });
  const refuses = (text: string, field: string): void => assert.throws(
    () => decodeServerFrame(Connect.responseDeserialize(ended(text))),
    (error) => badField(field)(error) && !String(error).includes('canary'),
  );
  decodeServerFrame(Connect.responseDeserialize(ended(JSON.stringify(receipt))));
  refuses('canary', 'Succeeded.receipt is not JSON');
  refuses('"canary"', 'not an object');
  refuses(JSON.stringify({ ...receipt, formatVersion: 2 }), 'format version');
  refuses(JSON.stringify({ ...receipt, rowsWritten: -1 }), 'rowsWritten');
  refuses(JSON.stringify({ ...receipt, hash: 7 }), 'hash');
  refuses(JSON.stringify({ ...receipt, attempts: 'canary' }), 'attempts');
  refuses(JSON.stringify({ ...receipt, finishedBy: null }), 'finishedBy');
});

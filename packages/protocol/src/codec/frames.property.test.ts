import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Fault } from '@dmg/base';
import { type AttemptOutcome, type AttemptProgress, type NodeFacts, type Receipt, refusalReasons, type RunningAttempt } from '@dmg/model';
import fc from 'fast-check';
import type { ClientFrame, ServerFrame, ToldEvent } from '../frames.ts';
import { decodeClientFrame, encodeClientFrame } from './client-frame.ts';
import { clusterService } from './cluster-service.ts';
import { decodeServerFrame, encodeServerFrame } from './server-frame.ts';

/** Plain objects, as the codec makes them. */
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
const text = fc.string({ unit: 'grapheme', maxLength: 40 });
const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 });
const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
const requestId = fc.integer({ min: 1, max: 0xffff_ffff });
const int64 = fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, Number.MAX_SAFE_INTEGER, 2 ** 32, 2 ** 52 + 1));
const measure = fc.double({ min: 0, max: 1e12, noNaN: true }).map((value) => value + 0);
const token = fc.string({ unit: fc.constantFrom(...'0123456789abcdef'.split('')), minLength: 32, maxLength: 32 });
const epoch = record({ n: int64, token });
const progress: fc.Arbitrary<AttemptProgress> = record({
  step: fc.constantFrom('plan', 'copy', 'finish', 'abort'),
  bytesTotal: int64, bytesRead: int64, bytesWritten: int64, rowsWritten: int64, filesTotal: int64, filesWritten: int64,
}).chain((fields) => fc.oneof(
  fc.constant(fields), fc.boolean().map((snapshotHeld) => ({ ...fields, snapshotHeld })),
  uint32.map((assistantsWanted) => ({ ...fields, assistantsWanted })),
));
const attempt: fc.Arbitrary<RunningAttempt> = record({
  jobId: name, tryNumber: uint32, attemptId: name, step: fc.constantFrom('copy', 'abort', 'assist', 'keep'),
  progress: fc.option(progress, { nil: undefined }),
}).chain((fields) => fc.option(text, { nil: undefined }).map((signedJob) => (signedJob === undefined ? fields : { ...fields, signedJob })));
const fault: fc.Arbitrary<Fault> = record({
  code: name, category: fc.constantFrom('config', 'transient', 'system'), retry: fc.constantFrom('never', 'backoff', 'reconnect'),
  scope: fc.constantFrom('row', 'batch', 'attempt', 'job', 'node'), message: name, fix: text,
  params: fc.array(fc.tuple(text, fc.oneof(text, measure, fc.boolean())), { maxLength: 4 }).map((pairs) => Object.fromEntries(pairs)),
}).chain((fields) => fc.option(text, { nil: undefined }).map((detail) => (detail === undefined ? fields : { ...fields, detail })));
const receipt: fc.Arbitrary<Receipt> = record({
  formatVersion: fc.constant(1), jobId: name, generation: int64, guarantee: fc.constantFrom('exactlyOnce', 'atLeastOnce', 'atMostOnce'),
  verification: fc.constantFrom('acknowledged', 'reread'), consistency: fc.constantFrom('snapshot', 'perChunk'),
  filesRead: int64, filesWritten: int64, bytesRead: int64, bytesWritten: int64, rowsRead: int64, rowsWritten: int64, rowsSkipped: int64,
  chunks: int64, hash: name, attempts: fc.array(text), finishedBy: record({ attemptId: name, nodeName: name, epoch: name }),
  finishedAt: name,
});
const details = record({
  planMs: measure, copyMs: measure, finishMs: measure, readMs: measure, writeMs: measure, parallelCopies: uint32,
});
const outcome: fc.Arbitrary<AttemptOutcome> = fc.oneof(
  record({ kind: fc.constant('succeeded' as const), receipt, details }),
  record({
    kind: fc.constant('failed' as const), fault, sink: fc.constantFrom('open' as const, 'aborted' as const, 'unconfirmed' as const),
  }),
  record({ kind: fc.constant('cancelled' as const), sink: fc.constantFrom('aborted' as const, 'unconfirmed' as const) }),
  fc.constant({ kind: 'stopped' as const }),
  record({ kind: fc.constant('lost' as const), reason: text }),
);
const event: fc.Arbitrary<ToldEvent> = fc.oneof(
  record({ type: fc.constant('progress' as const), jobId: name, attemptId: name, progress }),
  record({
    type: fc.constant('ended' as const), jobId: name, tryNumber: uint32, attemptId: name, outcome, startedAtMs: int64, endedAtMs: int64,
  }),
  record({ type: fc.constant('slots' as const), limit: uint32, used: uint32 }),
);
const protocol = record({ major: fc.integer({ min: 1, max: 9 }), minor: uint32 });
const facts: fc.Arbitrary<NodeFacts> = record({
  nodeId: name, nodeName: name, bootId: name, version: name, protocol, address: text, configDigest: text, config: text,
  stage: fc.constantFrom('initializing', 'running', 'upgrading', 'initializeFailed'), stageReason: text,
  slots: record({ limit: uint32, used: uint32, maximum: uint32 }), draining: fc.boolean(),
  troubles: fc.array(record({
    part: fc.constantFrom('redis' as const, 'queue' as const, 'controlPlane' as const, 'credentialKey' as const, 'disk' as const),
    reason: text,
  }), { maxLength: 5 }),
  dispatcher: fc.option(record({ nodeId: name, epoch: name, lostForMs: int64 }), { nil: undefined }),
});
const heartbeat = record({ type: fc.constant('heartbeat' as const), facts });
const goodbye = record({ type: fc.constant('goodbye' as const), successor: text, reason: text });

const clientFrame: fc.Arbitrary<ClientFrame> = fc.oneof(
  record({
    type: fc.constant('open' as const), gatewayId: name, targetNodeId: name, facts,
    versions: fc.array(record({ major: uint32, minorMin: uint32, minorMax: uint32 }), { maxLength: 3 }),
  }),
  record({ type: fc.constant('hello' as const), requestId, epoch }),
  record({
    type: fc.constant('dispatch' as const), requestId, signedJob: name, attemptId: name,
    step: fc.constantFrom('copy' as const, 'abort' as const, 'keep' as const), epoch, jobId: name,
  }),
  record({
    type: fc.constant('dispatch' as const), requestId, signedJob: name, attemptId: name, step: fc.constant('assist' as const), epoch,
    jobId: name, share: record({ index: fc.integer({ min: 1, max: 9 }), of: fc.integer({ min: 1, max: 9 }) }),
  }),
  record({ type: fc.constant('cancel' as const), requestId, attemptId: name }),
  record({ type: fc.constant('supersede' as const), requestId, attemptId: name }),
  record({ type: fc.constant('tellAssistants' as const), requestId, attemptId: name, assistants: uint32 }),
  heartbeat, goodbye,
);
const serverFrame: fc.Arbitrary<ServerFrame> = fc.oneof(
  record({ type: fc.constant('opened' as const), protocol, facts }),
  record({
    type: fc.constant('refused' as const), evidence: text,
    reason: fc.constantFrom('protocol' as const, 'wrongTarget' as const, 'closing' as const),
  }),
  record({
    type: fc.constant('helloAnswer' as const), requestId,
    answer: fc.oneof(
      record({
        accepted: fc.constant(true as const), attempts: fc.array(attempt, { maxLength: 4 }), limit: uint32, used: uint32,
        more: fc.boolean(),
      }),
      record({ accepted: fc.constant(false as const), known: epoch }),
    ),
  }),
  record({
    type: fc.constant('dispatchAnswer' as const), requestId,
    answer: fc.oneof(
      fc.constant({ accepted: true as const }),
      record({ accepted: fc.constant(false as const), reason: fc.constantFrom(...refusalReasons), evidence: text }),
    ),
  }),
  record({ type: fc.constant('cancelAnswer' as const), requestId }),
  record({ type: fc.constant('requestFailed' as const), requestId, fault }),
  heartbeat,
  record({ type: fc.constant('event' as const), event }),
  goodbye,
);

const { Connect } = clusterService;

test('every frame of the calling side is the same after a journey over the wire', () => {
  const seen = new Set<string>();
  fc.assert(fc.property(clientFrame, (frame) => {
    seen.add(frame.type);
    assert.deepEqual(decodeClientFrame(Connect.requestDeserialize(Connect.requestSerialize(encodeClientFrame(frame)))), frame);
  }), { numRuns: 400 });
  assert.equal(seen.size, 8);
});

test('every frame of the called side is the same after a journey over the wire', () => {
  const seen = new Set<string>();
  fc.assert(fc.property(serverFrame, (frame) => {
    seen.add(frame.type);
    assert.deepEqual(decodeServerFrame(Connect.responseDeserialize(Connect.responseSerialize(encodeServerFrame(frame)))), frame);
  }), { numRuns: 600 });
  assert.equal(seen.size, 9);
});

test('any bytes are a frame or an error of ours, and nothing else happens', () => {
  const judge = (bytes: Uint8Array): void => {
    let wire;
    try {
      wire = Connect.responseDeserialize(Buffer.from(bytes));
    } catch {
      // Bytes that are no message at all are refused by gRPC before the codec sees them.
      return;
    }
    try {
      decodeServerFrame(wire);
    } catch (error) {
      assert.match(String((error as { code?: unknown }).code), /^DMG_PROTOCOL_BAD_FIELD$/);
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), judge), { numRuns: 300 });
  // Bytes that almost are a frame: a real one with one byte changed.
  const almost = fc.tuple(serverFrame, fc.nat(), fc.integer({ min: 0, max: 255 })).map(([frame, at, value]) => {
    const bytes = Buffer.from(Connect.responseSerialize(encodeServerFrame(frame)));
    if (bytes.length > 0) bytes[at % bytes.length] = value;
    return bytes;
  });
  fc.assert(fc.property(almost, judge), { numRuns: 300 });
});

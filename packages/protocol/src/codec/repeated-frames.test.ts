import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testFacts } from '../testing/mesh-node.ts';
import { decodeClientFrame, encodeClientFrame } from './client-frame.ts';
import { clusterService } from './cluster-service.ts';
import { steadyFacts } from './repeated-frames.ts';
import { decodeServerFrame, encodeServerFrame } from './server-frame.ts';

const { Connect } = clusterService;

test('facts are the same object while they say the same, and another one as soon as they do not', () => {
  let used = 0;
  const self = steadyFacts(() => testFacts('node-1', { slots: { limit: 4, used, maximum: 8 } }));
  const first = self();
  assert.equal(self(), first);
  used = 1;
  assert.equal(self().slots.used, 1);
  used = 0;
  assert.deepEqual(self(), first);
});

test('a heartbeat that says what the last one said is neither made nor read again, on either side', () => {
  const facts = testFacts('node-1');
  const beat = { type: 'heartbeat', facts } as const;
  const asked = Connect.requestSerialize(encodeClientFrame(beat));
  assert.equal(Connect.requestSerialize(encodeClientFrame({ ...beat })), asked);
  const answered = Connect.responseSerialize(encodeServerFrame(beat));
  assert.equal(Connect.responseSerialize(encodeServerFrame({ ...beat })), answered);
  const heard = decodeClientFrame(Connect.requestDeserialize(asked));
  assert.deepEqual(heard, beat);
  assert.equal(decodeClientFrame(Connect.requestDeserialize(Buffer.from(asked))), heard);
  const told = decodeServerFrame(Connect.responseDeserialize(answered));
  assert.deepEqual(told, beat);
  assert.equal(decodeServerFrame(Connect.responseDeserialize(Buffer.from(answered))), told);
});

test('what has changed is heard at once, however many heartbeats are known', () => {
  for (let used = 0; used < 100; used++) {
    const frame = { type: 'heartbeat', facts: testFacts('node-1', { slots: { limit: 100, used, maximum: 100 } }) } as const;
    for (const _ of [1, 2]) {
      const bytes = Connect.requestSerialize(encodeClientFrame(frame));
      assert.deepEqual(decodeClientFrame(Connect.requestDeserialize(Buffer.from(bytes))), frame);
    }
  }
});

test('no other frame is kept', () => {
  const bytes = Connect.requestSerialize(encodeClientFrame({ type: 'goodbye', successor: 'node-2', reason: 'stops' }));
  assert.notEqual(Connect.requestDeserialize(bytes), Connect.requestDeserialize(bytes));
});

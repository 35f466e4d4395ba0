import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import rhea, { type Message } from 'rhea';
import { readItems, readSections, skipValue, writeMap, writeSimple, writeString } from './amqp-bytes.ts';
import { readBatch, readChanges, readIncoming, readMessage, writeOutgoing } from './amqp-message.ts';
import type { QueueMessage } from './queue-types.ts';

const dataSection = (bytes: Buffer): unknown => rhea.message.data_section(bytes);
const dataSections = (parts: Buffer[]): unknown => rhea.message.data_sections(parts);
const wrapUuid = (uuid: Buffer): unknown => rhea.types.wrap_uuid(uuid);
const newId = (): string => 'made-up';

function stored(payload: Buffer, more: Partial<QueueMessage> = {}): QueueMessage {
  return {
    sequence: 5, payload, idKey: 's:x', enqueuedMs: 1_700_000_000_000, expiresMs: undefined, dueMs: undefined, state: 'active',
    deliveryCount: 2, changes: undefined, lock: { token: 't', untilMs: 1_700_000_010_000 }, durable: true, handedOut: true, ...more,
  };
}

const decode = (bytes: Buffer): Message => readMessage(bytes);

test('properties and body pass byte for byte; header and annotations are ours', () => {
  const payload = rhea.message.encode({
    message_id: 'x', ttl: 1000, durable: true, priority: 7, delivery_count: 99, subject: 's',
    message_annotations: { 'x-opt-partition-key': 'p', 'x-opt-sequence-number': 77 },
    application_properties: { big: rhea.types.wrap_long(Buffer.alloc(8, 0x7f)), id: wrapUuid(Buffer.alloc(16, 3)) },
    body: dataSection(Buffer.from([0, 1, 2])),
  });
  const bytes = writeOutgoing(stored(payload), 'source');
  const tail = (message: Buffer): Buffer => message.subarray(readSections(message).find(({ code }) => code === 0x73)?.start);
  assert.ok(tail(bytes).equals(tail(payload)));
  const message = decode(bytes);
  assert.deepEqual([message.delivery_count, message.ttl, message.durable, message.priority], [2, 1000, true, 7]);
  assert.deepEqual({ ...message.message_annotations }, {
    'x-opt-partition-key': 'p',
    'x-opt-sequence-number': 5,
    'x-opt-enqueued-time': new Date(1_700_000_000_000),
    'x-opt-message-state': 0,
    'x-opt-locked-until': new Date(1_700_000_010_000),
    'x-opt-deadletter-source': 'source',
  });
});

test('changed properties replace and add, others stay', () => {
  const payload = rhea.message.encode({ message_id: 'x', application_properties: { a: 1, b: 'two' }, body: 'v' });
  const message = decode(writeOutgoing(stored(payload, { changes: { b: 'zwei', c: true, d: null, e: 1.5, f: 2 ** 40 } }), undefined));
  assert.deepEqual({ ...message.application_properties }, { a: 1, b: 'zwei', c: true, d: null, e: 1.5, f: 2 ** 40 });
  const bare = decode(writeOutgoing(stored(rhea.message.encode({ message_id: 'x', body: 'v' }), { changes: { c: 'new' } }), undefined));
  assert.deepEqual({ ...bare.application_properties }, { c: 'new' });
});

test('a message without id gets one; ids of different kinds differ', () => {
  const withId = (message_id: unknown): string => readIncoming(decode(rhea.message.encode({ message_id, body: 1 })), newId).idKey;
  assert.deepEqual([withId('7'), withId(7), withId(Buffer.alloc(16, 7))], ['s:7', 'n:7', `b:${'07'.repeat(16)}`]);
  const annotations = { 'x-opt-scheduled-enqueue-time': new Date(99) };
  const incoming = readIncoming(decode(rhea.message.encode({ body: 'v', ttl: 60, message_annotations: annotations })), newId);
  assert.deepEqual([incoming.idKey, incoming.timeToLiveMs, incoming.dueMs], ['s:made-up', 60, 99]);
  assert.equal(decode(incoming.payload).message_id, 'made-up');
});

test('a batch of one and of many is taken apart', () => {
  const parts = ['a', 'b', 'c'].map((body) => rhea.message.encode({ message_id: body, body }));
  for (const count of [1, 3]) {
    const envelope = rhea.message.encode({ body: dataSections(parts.slice(0, count)) });
    assert.deepEqual(readBatch(envelope), parts.slice(0, count));
  }
});

test('what we encode is what rhea reads, and the scanner finds its end', () => {
  const numbers = fc.oneof(fc.maxSafeInteger(), fc.double({ noNaN: true }).map((value) => (value === 0 ? 0 : value)));
  const simple = fc.oneof(fc.string(), fc.string({ minLength: 250, maxLength: 300 }), fc.boolean(), fc.constant(null), numbers);
  // rhea reads a map into an object, where this key has another meaning.
  const key = fc.string().filter((text) => text !== '__proto__');
  fc.assert(
    fc.property(fc.dictionary(key, simple), (values) => {
      const items = Object.entries(values).flatMap(([key, value]) => [writeString(key), writeSimple(value)]);
      const map = writeMap(items);
      assert.equal(skipValue(map, 0), map.length);
      assert.deepEqual(readItems(map, 0), items);
      const message = decode(Buffer.concat([rhea.message.encode({ body: 1 }), Buffer.from([0, 0x53, 0x74]), map]));
      for (const [key, value] of Object.entries(values)) assert.equal(message.application_properties?.[key], value);
    }),
  );
});

test('bytes that end too early are an error, not a loop', () => {
  const payload = rhea.message.encode({ message_id: 'x', application_properties: { a: 'text' }, body: 'v' });
  for (let end = 1; end < payload.length; end++) {
    const cut = payload.subarray(0, end);
    const isWhole = readSectionsOrUndefined(cut)?.at(-1)?.end === end;
    assert.ok(isWhole || readSectionsOrUndefined(cut) === undefined, `cut at ${end}`);
  }
});

test('properties given with a settlement become simple values', () => {
  const changes = readChanges({ a: 'x', when: new Date(5), bytes: Buffer.from([1, 2]), none: undefined });
  assert.deepEqual(changes, { a: 'x', when: 5, bytes: '0102' });
  assert.equal(readChanges({}), undefined);
  assert.equal(readChanges(undefined), undefined);
});

function readSectionsOrUndefined(bytes: Buffer): ReturnType<typeof readSections> | undefined {
  try {
    return readSections(bytes);
  } catch (error) {
    assert.ok(error instanceof RangeError);
    return undefined;
  }
}

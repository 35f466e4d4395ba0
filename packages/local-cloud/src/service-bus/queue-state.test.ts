import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QueueState } from './queue-state.ts';
import { defaultQueueSettings, type QueueRecord, type QueueSettings } from './queue-types.ts';

interface Emitted {
  readonly record: QueueRecord;
  readonly payload: Uint8Array | undefined;
}

interface Fixture {
  readonly queue: QueueState;
  readonly emitted: Emitted[];
  store(key: string, more?: object): number;
}

function newQueue(settings: Partial<QueueSettings> = {}): Fixture {
  const emitted: Emitted[] = [];
  const queue = new QueueState({
    name: 'q',
    settings: { ...defaultQueueSettings, ...settings },
    emit: (record, payload) => void emitted.push({ record, payload }),
  });
  const store = (key: string, more: object = {}): number => {
    const result = queue.enqueue({ idKey: key, payload: Buffer.from(key), ...more }, 0);
    assert.equal(result.kind, 'stored');
    if (result.kind !== 'stored') return 0;
    queue.confirm(result.sequence);
    return result.sequence;
  };
  return { queue, emitted, store };
}

test('a message is handed out only when it is durable', () => {
  const { queue } = newQueue();
  const result = queue.enqueue({ idKey: 'a', payload: Buffer.from('a') }, 0);
  assert.equal(queue.hasAvailable('main'), false);
  assert.deepEqual(queue.peek('main', 0, 10), []);
  assert.ok(result.kind === 'stored');
  queue.confirm(result.sequence);
  assert.equal(queue.lockNext('main', 't', 1)?.idKey, 'a');
});

test('a lock lapses at its time; the message comes back in its place with a higher count', () => {
  const { queue, store } = newQueue({ lockMs: 100 });
  for (const key of ['a', 'b', 'c']) store(key);
  assert.equal(queue.lockNext('main', 't1', 0)?.idKey, 'a');
  assert.equal(queue.nextDueMs(), 100);
  queue.advance(99);
  assert.ok(queue.holds('main', 't1', 99));
  queue.advance(100);
  assert.equal(queue.holds('main', 't1', 100), false);
  const again = queue.lockNext('main', 't2', 100);
  assert.deepEqual([again?.idKey, again?.deliveryCount], ['a', 1]);
  assert.equal(queue.settle('main', 't1', { type: 'complete' }, 101), 'lost');
  assert.equal(queue.settle('main', 't2', { type: 'complete' }, 101), 'settled');
  assert.equal(queue.settle('main', 't2', { type: 'complete' }, 101), 'lost');
});

test('renewing moves the end of a lock', () => {
  const { queue, store } = newQueue({ lockMs: 100 });
  store('a');
  queue.lockNext('main', 't', 0);
  assert.equal(queue.renew('main', 't', 60), 160);
  queue.advance(100);
  assert.ok(queue.holds('main', 't', 159));
  queue.advance(160);
  assert.equal(queue.renew('main', 't', 161), undefined);
});

test('dead letters have numbers, counts and locks of their own and cannot die again', () => {
  const { queue, store } = newQueue({ maxDeliveryCount: 2, lockMs: 100 });
  store('a');
  store('b');
  queue.lockNext('main', 't1', 0);
  queue.settle('main', 't1', { type: 'abandon' }, 0);
  queue.lockNext('main', 't2', 0);
  queue.advance(100);
  const dead = queue.lockNext('dead', 'd1', 100);
  assert.deepEqual([dead?.idKey, dead?.sequence, dead?.deliveryCount], ['a', 1, 2]);
  assert.equal(dead?.changes?.['DeadLetterReason'], 'MaxDeliveryCountExceeded');
  assert.equal(queue.settle('dead', 'd1', { type: 'deadLetter' }, 100), 'refused');
  assert.equal(queue.settle('main', 'd1', { type: 'complete' }, 100), 'lost', 'its token is of another area');
  queue.settle('dead', 'd1', { type: 'abandon' }, 100);
  assert.equal(queue.lockNext('dead', 'd2', 100)?.deliveryCount, 3);
  assert.deepEqual(queue.counts(), { active: 1, locked: 0, scheduled: 0, deferred: 0, deadLetter: 1 });
});

test('a locked message does not expire until it comes back', () => {
  const { queue, store } = newQueue({ lockMs: 100 });
  store('a', { timeToLiveMs: 50 });
  queue.lockNext('main', 't', 10);
  queue.advance(60);
  assert.ok(queue.holds('main', 't', 60));
  queue.settle('main', 't', { type: 'abandon' }, 70);
  assert.equal(queue.counts().deadLetter, 1);
});

test('the life of a scheduled message begins when it is due', () => {
  const { queue, store } = newQueue();
  store('a', { dueMs: 100, timeToLiveMs: 50 });
  queue.advance(99);
  assert.equal(queue.lockNext('main', 't', 99), undefined);
  queue.advance(149);
  assert.equal(queue.counts().active, 1);
  queue.advance(150);
  assert.equal(queue.counts().deadLetter, 1);
});

test('after a crash what was in hand has failed once more, and ids are still known', () => {
  const before = newQueue({ lockMs: 100, maxDeliveryCount: 3 });
  for (const key of ['a', 'b', 'c']) before.store(key);
  before.queue.lockNext('main', 't1', 0);
  before.queue.lockNext('main', 't2', 0);
  before.queue.settle('main', 't2', { type: 'complete' }, 1);
  const after = newQueue({ lockMs: 100, maxDeliveryCount: 3 });
  for (const { record, payload } of before.emitted) after.queue.apply(record, payload);
  after.queue.recover(5);
  assert.equal(after.queue.enqueue({ idKey: 'b', payload: Buffer.from('b') }, 6).kind, 'duplicate');
  const first = after.queue.lockNext('main', 't3', 6);
  assert.deepEqual([first?.idKey, first?.deliveryCount, Buffer.from(first?.payload ?? []).toString()], ['a', 1, 'a']);
  assert.deepEqual([after.queue.lockNext('main', 't4', 6)?.idKey, after.queue.lockNext('main', 't5', 6)], ['c', undefined]);
  assert.equal(after.store('d'), 4, 'numbers go on');
});

import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import {
  isServiceBusError, ServiceBusClient, type ServiceBusError, type ServiceBusMessage, type ServiceBusReceivedMessage,
  type ServiceBusReceiver, type ServiceBusReceiverOptions,
} from '@azure/service-bus';
import { systemClock } from '@dmg/base';
import { CleanupScope } from '../../../test/harness/cleanup.ts';
import { waitFor } from '../../../test/harness/wait-for.ts';
import { StandInProcess } from './testing/stand-in-process.ts';

/** The stand-in as the unmodified SDK sees it. Where Azure is known to answer otherwise the README of local-cloud says so. */
describe('Service Bus stand-in, seen by @azure/service-bus', () => {
  const scope = new CleanupScope();
  let standIn: StandInProcess;
  let client: ServiceBusClient;
  let queueNo = 0;

  before(async () => {
    standIn = await StandInProcess.start(scope);
    client = new ServiceBusClient(standIn.connectionString, { retryOptions: { maxRetries: 0, timeoutInMs: 4000 } });
  });
  after(async () => {
    await client.close();
    await scope.close();
  });

  const newQueue = (settings: Readonly<Record<string, number>> = {}): Promise<string> =>
    standIn.configure(`dmg-test-${++queueNo}`, settings);

  async function send(queue: string, ...messages: ServiceBusMessage[]): Promise<void> {
    const sender = client.createSender(queue);
    for (const message of messages) await sender.sendMessages(message);
    await sender.close();
  }

  /** A receiver that renews no lock; closed when the test ends. */
  function receiverOf(t: TestContext, queue: string, options: ServiceBusReceiverOptions = {}): ServiceBusReceiver {
    const receiver = client.createReceiver(queue, { maxAutoLockRenewalDurationInMs: 0, ...options });
    t.after(() => receiver.close());
    return receiver;
  }

  async function receiveOne(receiver: ServiceBusReceiver, maxWaitTimeInMs: number = 3000): Promise<ServiceBusReceivedMessage> {
    const [message] = await receiver.receiveMessages(1, { maxWaitTimeInMs });
    assert.ok(message !== undefined, 'a message arrives');
    return message;
  }

  async function isEmpty(receiver: ServiceBusReceiver): Promise<boolean> {
    return (await receiver.receiveMessages(1, { maxWaitTimeInMs: 150 })).length === 0;
  }

  async function rejectsWith(code: ServiceBusError['code'], work: Promise<unknown>, text: RegExp = /./): Promise<void> {
    await assert.rejects(work, (error: unknown) => {
      assert.ok(isServiceBusError(error), String(error));
      assert.equal(error.code, code);
      assert.match(error.message, text);
      return true;
    });
  }

  test('a message arrives as it was sent and is gone once completed', async (t) => {
    const queue = await newQueue();
    const applicationProperties = { text: 'å', int: -7, long: 2 ** 40, double: 1.5, yes: true, no: false, nothing: null, empty: '' };
    const body = { rows: [1, 2, 'drei'], deep: { null: null } };
    const properties = { messageId: 'm-1', correlationId: 'c', subject: 's', contentType: 'application/json', replyTo: 'r', to: 't' };
    await send(queue, { body, ...properties, applicationProperties });
    const receiver = receiverOf(t, queue);
    const message = await receiveOne(receiver);
    assert.deepEqual(message.body, body);
    assert.deepEqual({ ...message.applicationProperties }, applicationProperties);
    assert.deepEqual(
      [message.messageId, message.correlationId, message.subject, message.contentType, message.replyTo, message.to],
      ['m-1', 'c', 's', 'application/json', 'r', 't'],
    );
    assert.equal(message.deliveryCount, 0);
    assert.equal(message.sequenceNumber?.toNumber(), 1);
    assert.ok(Math.abs((message.enqueuedTimeUtc?.getTime() ?? 0) - systemClock.wallMs()) < 5000);
    assert.ok((message.lockedUntilUtc?.getTime() ?? 0) > systemClock.wallMs());
    await receiver.completeMessage(message);
    assert.ok(await isEmpty(receiver));
    assert.equal((await standIn.counts(queue)).active, 0);
  });

  test('bytes, text, null, a value and a sequence keep their kind', async (t) => {
    const queue = await newQueue();
    const bytes = Buffer.from([0, 255, 128, 13, 10]);
    await send(queue, { body: bytes }, { body: 'text' }, { body: null });
    const sender = client.createSender(queue);
    await sender.sendMessages({ body: { a: 1n.toString() }, bodyType: 'value' });
    await sender.sendMessages({ body: [1, 'two', [3]], bodyType: 'sequence' });
    await sender.close();
    const receiver = receiverOf(t, queue, { receiveMode: 'receiveAndDelete' });
    const bodies: unknown[] = [];
    for (let index = 0; index < 5; index++) bodies.push((await receiveOne(receiver)).body);
    assert.deepEqual(bodies, [bytes, 'text', null, { a: '1' }, [1, 'two', [3]]]);
  });

  test('a message of 900 kB passes both ways; one above the limit is refused', async (t) => {
    const queue = await newQueue();
    const body = Buffer.alloc(900_000, 7);
    await send(queue, { body });
    const receiver = receiverOf(t, queue);
    const message = await receiveOne(receiver);
    assert.ok(body.equals(message.body as Buffer));
    await receiver.completeMessage(message);
    await rejectsWith('MessageSizeExceeded', send(queue, { body: Buffer.alloc(1_100_000) }), /takes at most 1048576/);
  });

  test('a batch knows the size limit and arrives message by message', async (t) => {
    const queue = await newQueue();
    const sender = client.createSender(queue);
    t.after(() => sender.close());
    const batch = await sender.createMessageBatch();
    assert.equal(batch.maxSizeInBytes, 1_048_576);
    assert.equal(batch.tryAddMessage({ body: Buffer.alloc(3_000_000) }), false);
    for (const id of ['a', 'b', 'c']) assert.ok(batch.tryAddMessage({ body: id, messageId: id }));
    await sender.sendMessages(batch);
    await sender.sendMessages([{ body: 'd', messageId: 'd' }]);
    const receiver = receiverOf(t, queue, { receiveMode: 'receiveAndDelete' });
    const ids: unknown[] = [];
    for (let index = 0; index < 4; index++) ids.push((await receiveOne(receiver)).messageId);
    assert.deepEqual(ids, ['a', 'b', 'c', 'd']);
  });

  test('a duplicate id is accepted and dropped within the window, taken again after it', async (t) => {
    const queue = await newQueue({ duplicateWindowMs: 300 });
    await send(queue, { body: 1, messageId: 'same' }, { body: 2, messageId: 'same' }, { body: 3, messageId: 'other' });
    const receiver = receiverOf(t, queue, { receiveMode: 'receiveAndDelete' });
    assert.equal((await receiveOne(receiver)).body, 1);
    assert.equal((await receiveOne(receiver)).body, 3);
    assert.ok(await isEmpty(receiver));
    await waitFor('the window to pass', async () => {
      await send(queue, { body: 4, messageId: 'same' });
      return (await standIn.counts(queue)).active > 0;
    }, { everyMs: 50 });
    assert.equal((await receiveOne(receiver)).body, 4);
  });

  test('a lock that lapses brings the message back with a higher count, and its token is lost', async (t) => {
    const queue = await newQueue({ lockMs: 300 });
    await send(queue, { body: 'x' });
    const receiver = receiverOf(t, queue);
    const first = await receiveOne(receiver);
    const startedMs = systemClock.monotonicMs();
    const second = await receiveOne(receiver);
    assert.ok(systemClock.monotonicMs() - startedMs > 150);
    assert.equal(second.deliveryCount, 1);
    assert.notEqual(second.lockToken, first.lockToken);
    await rejectsWith('MessageLockLost', receiver.completeMessage(first));
    await receiver.completeMessage(second);
  });

  test('renewing keeps a lock, and fails once it is lost', async (t) => {
    const queue = await newQueue({ lockMs: 600 });
    await send(queue, { body: 'x' });
    const receiver = receiverOf(t, queue);
    const message = await receiveOne(receiver);
    const startedMs = systemClock.monotonicMs();
    let until = message.lockedUntilUtc?.getTime() ?? 0;
    await waitFor('two lock times', async () => {
      until = (await receiver.renewMessageLock(message)).getTime();
      return systemClock.monotonicMs() - startedMs > 1200;
    }, { everyMs: 200 });
    assert.ok(until > (message.enqueuedTimeUtc?.getTime() ?? 0) + 1200);
    await receiver.completeMessage(message);
    await rejectsWith('MessageLockLost', receiver.renewMessageLock(message));
  });

  test('abandon gives the message back at once, with the properties that were set', async (t) => {
    const queue = await newQueue();
    await send(queue, { body: 'x', applicationProperties: { keep: 1, change: 'old' } });
    const receiver = receiverOf(t, queue);
    await receiver.abandonMessage(await receiveOne(receiver), { change: 'new', added: true });
    const again = await receiveOne(receiver);
    assert.equal(again.deliveryCount, 1);
    assert.deepEqual({ ...again.applicationProperties }, { keep: 1, change: 'new', added: true });
    await receiver.completeMessage(again);
  });

  test('a deferred message is received by its number only', async (t) => {
    const queue = await newQueue();
    await send(queue, { body: 'x' });
    const receiver = receiverOf(t, queue);
    const message = await receiveOne(receiver);
    await receiver.deferMessage(message, { why: 'later' });
    assert.ok(await isEmpty(receiver));
    assert.ok(message.sequenceNumber !== undefined);
    const [peeked] = await receiver.peekMessages(1, { fromSequenceNumber: message.sequenceNumber });
    assert.equal(peeked?.state, 'deferred');
    const [deferred] = await receiver.receiveDeferredMessages(message.sequenceNumber);
    assert.ok(deferred !== undefined);
    assert.equal(deferred.applicationProperties?.['why'], 'later');
    await receiver.completeMessage(deferred);
    await rejectsWith('MessageNotFound', receiver.receiveDeferredMessages(message.sequenceNumber));
  });

  test('a dead letter carries its reason, its source and a number of its own', async (t) => {
    const queue = await newQueue();
    await send(queue, { body: 'x', messageId: 'bad' });
    const receiver = receiverOf(t, queue);
    const reason = { deadLetterReason: 'Unreadable', deadLetterErrorDescription: 'no JSON', extra: 5 };
    await receiver.deadLetterMessage(await receiveOne(receiver), reason);
    const graveyard = receiverOf(t, queue, { subQueueType: 'deadLetter' });
    const dead = await receiveOne(graveyard);
    const { messageId, deadLetterReason, deadLetterErrorDescription, deadLetterSource } = dead;
    assert.deepEqual([messageId, deadLetterReason, deadLetterErrorDescription, deadLetterSource], ['bad', 'Unreadable', 'no JSON', queue]);
    assert.equal(dead.applicationProperties?.['extra'], 5);
    assert.equal(dead.sequenceNumber?.toNumber(), 1);
    const renewed = await graveyard.renewMessageLock(dead);
    assert.ok(renewed.getTime() > systemClock.wallMs());
    await graveyard.completeMessage(dead);
    assert.equal((await standIn.counts(queue)).deadLetter, 0);
  });

  test('too many failed deliveries end in the dead-letter queue', async (t) => {
    const queue = await newQueue({ maxDeliveryCount: 3 });
    await send(queue, { body: 'poison' });
    const receiver = receiverOf(t, queue);
    for (let count = 0; count < 3; count++) {
      const message = await receiveOne(receiver);
      assert.equal(message.deliveryCount, count);
      await receiver.abandonMessage(message);
    }
    assert.ok(await isEmpty(receiver));
    const dead = await receiveOne(receiverOf(t, queue, { subQueueType: 'deadLetter', receiveMode: 'receiveAndDelete' }));
    assert.equal(dead.deadLetterReason, 'MaxDeliveryCountExceeded');
  });

  test('a message that expires goes to the dead-letter queue', async (t) => {
    const queue = await newQueue();
    await send(queue, { body: 'late', timeToLive: 100 });
    await waitFor('the message to expire', async () => (await standIn.counts(queue)).deadLetter === 1);
    const dead = await receiveOne(receiverOf(t, queue, { subQueueType: 'deadLetter', receiveMode: 'receiveAndDelete' }));
    assert.equal(dead.deadLetterReason, 'TTLExpiredException');
  });

  test('a scheduled message comes at its time, a cancelled one never', async (t) => {
    const queue = await newQueue();
    const sender = client.createSender(queue);
    t.after(() => sender.close());
    const dueMs = systemClock.wallMs() + 500;
    const numbers = await sender.scheduleMessages([{ body: 'first' }, { body: 'second' }], new Date(dueMs));
    await sender.sendMessages({ body: 'third', scheduledEnqueueTimeUtc: new Date(dueMs) });
    assert.equal((await standIn.counts(queue)).scheduled, 3);
    const [cancelled] = numbers;
    assert.ok(cancelled !== undefined);
    await sender.cancelScheduledMessages(cancelled);
    await rejectsWith('MessageNotFound', sender.cancelScheduledMessages(cancelled));
    const receiver = receiverOf(t, queue, { receiveMode: 'receiveAndDelete' });
    assert.equal((await receiveOne(receiver)).body, 'second');
    assert.ok(systemClock.wallMs() >= dueMs - 5, 'not before its time');
    assert.equal((await receiveOne(receiver)).body, 'third');
    assert.ok(await isEmpty(receiver));
  });

  test('peeking shows messages in order, locked ones too, and locks nothing', async (t) => {
    const queue = await newQueue();
    await send(queue, { body: 1 }, { body: 2 }, { body: 3 });
    const receiver = receiverOf(t, queue);
    const message = await receiveOne(receiver);
    const peeked = await receiver.peekMessages(10);
    assert.deepEqual(peeked.map(({ body }) => body as number), [1, 2, 3]);
    assert.deepEqual(await receiver.peekMessages(1), [], 'the next peek goes on behind the last');
    await receiver.completeMessage(message);
    assert.equal((await standIn.counts(queue)).active, 2);
  });

  test('receiveAndDelete forgets a message when it is handed out', async (t) => {
    const queue = await newQueue();
    await send(queue, { body: 1 });
    assert.equal((await receiveOne(receiverOf(t, queue, { receiveMode: 'receiveAndDelete' }))).body, 1);
    const { active, locked } = await standIn.counts(queue);
    assert.deepEqual([active, locked], [0, 0]);
  });

  test('an empty receive returns after its wait time, again and again, and loses no message that comes meanwhile', async (t) => {
    const queue = await newQueue();
    const receiver = receiverOf(t, queue, { receiveMode: 'receiveAndDelete' });
    const startedMs = systemClock.monotonicMs();
    for (let round = 0; round < 5; round++) assert.deepEqual(await receiver.receiveMessages(4, { maxWaitTimeInMs: 50 }), []);
    assert.ok(systemClock.monotonicMs() - startedMs < 900, 'each drain was answered');
    await send(queue, { body: 'now' });
    assert.equal((await receiveOne(receiver)).body, 'now');
  });

  test('subscribe delivers no more than it may have in hand', async (t) => {
    const queue = await newQueue();
    await send(queue, ...Array.from({ length: 6 }, (_, index) => ({ body: index })));
    const receiver = receiverOf(t, queue);
    const waiting: { message: ServiceBusReceivedMessage; release: () => void }[] = [];
    receiver.subscribe(
      {
        processMessage: (message) => new Promise<void>((release) => void waiting.push({ message, release })),
        processError: () => Promise.resolve(),
      },
      { maxConcurrentCalls: 2, autoCompleteMessages: true },
    );
    for (let index = 0; index < 6; index++) {
      const { message, release } = await waitFor('a message', () => waiting.shift());
      assert.ok((await standIn.counts(queue)).locked <= 2 + 1);
      assert.equal(typeof message.body, 'number');
      release();
    }
    await waitFor('all to be completed', async () => {
      const { active, locked } = await standIn.counts(queue);
      return active + locked === 0;
    });
  });

  test('3000 messages pass over one link', async (t) => {
    const queue = await newQueue();
    const sender = client.createSender(queue);
    t.after(() => sender.close());
    for (let part = 0; part < 3; part++) {
      await sender.sendMessages(Array.from({ length: 1000 }, (_, index) => ({ body: part * 1000 + index })));
    }
    const receiver = receiverOf(t, queue);
    const seen = new Set<unknown>();
    receiver.subscribe(
      {
        processMessage: (message) => receiver.completeMessage(message).then(() => void seen.add(message.body)),
        processError: () => Promise.resolve(),
      },
      { maxConcurrentCalls: 64, autoCompleteMessages: false },
    );
    await waitFor('all messages', () => seen.size === 3000, { withinMs: 15_000 });
  });

  test('a message can be settled by its token over another connection', async (t) => {
    const queue = await newQueue();
    await send(queue, { body: 1 }, { body: 2 }, { body: 3 });
    const receiver = receiverOf(t, queue);
    const second = new ServiceBusClient(standIn.connectionString, { retryOptions: { maxRetries: 0, timeoutInMs: 4000 } });
    t.after(() => second.close());
    const settler = second.createReceiver(queue);
    await settler.completeMessage(await receiveOne(receiver));
    await settler.abandonMessage(await receiveOne(receiver), { seen: 1 });
    await settler.deadLetterMessage(await receiveOne(receiver), { deadLetterReason: 'R', deadLetterErrorDescription: 'D' });
    const { deadLetter, locked, active } = await standIn.counts(queue);
    assert.deepEqual({ deadLetter, left: locked + active }, { deadLetter: 1, left: 1 });
    const message = await receiveOne(receiver);
    await settler.completeMessage(message);
    await rejectsWith('MessageLockLost', settler.completeMessage(message));
  });

  test('a wrong key is refused', async () => {
    const queue = await newQueue();
    const wrong = standIn.connectionString.replace(/SharedAccessKey=[^;]+/, `SharedAccessKey=${Buffer.alloc(32).toString('base64')}`);
    const stranger = new ServiceBusClient(wrong, { retryOptions: { maxRetries: 0, timeoutInMs: 4000 } });
    await rejectsWith('UnauthorizedAccess', stranger.createSender(queue).sendMessages({ body: 1 }), /signature does not fit/);
    await stranger.close();
    const otherName = standIn.connectionString.replace('SharedAccessKeyName=Root', 'SharedAccessKeyName=No');
    const nobody = new ServiceBusClient(otherName, { retryOptions: { maxRetries: 0 } });
    await rejectsWith('UnauthorizedAccess', nobody.createReceiver(queue).peekMessages(1), /no key of that name/);
    await nobody.close();
  });

  test('a queue that is not there and may not be made is not found', async (t) => {
    await rejectsWith('MessagingEntityNotFound', send('other-queue', { body: 1 }), /could not be found/);
    await rejectsWith('MessagingEntityNotFound', receiverOf(t, 'other-queue').receiveMessages(1, { maxWaitTimeInMs: 500 }));
  });

  test('a queue whose name fits the pattern is made when it is first used, whatever the case', async (t) => {
    await send('dmg-made-just-now', { body: 1 });
    assert.equal((await receiveOne(receiverOf(t, 'DMG-Made-Just-Now'))).body, 1);
  });

  test('message sessions are refused with a sentence', async () => {
    const queue = await newQueue();
    await assert.rejects(client.acceptNextSession(queue), /no message sessions/);
    // For a session by name the SDK has a sentence of its own, which it may show instead.
    await rejectsWith('SessionCannotBeLocked', client.acceptSession(queue, 'one'));
  });

  test('a silent queue takes links and messages and delivers nothing until it speaks again', async (t) => {
    const queue = await newQueue();
    await standIn.control({ action: 'silence', queue, on: true });
    await send(queue, { body: 1 });
    const receiver = receiverOf(t, queue);
    assert.ok(await isEmpty(receiver));
    assert.equal((await receiver.peekMessages(1)).length, 1);
    await standIn.control({ action: 'silence', queue, on: false });
    assert.equal((await receiveOne(receiver)).body, 1);
  });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServiceBusClient, type ServiceBusReceivedMessage, type ServiceBusReceiver } from '@azure/service-bus';
import { systemClock } from '@dmg/base';
import { waitFor } from '../../../test/harness/wait-for.ts';
import { letSdkTimersGo } from './testing/sdk-timers.ts';
import { StandInProcess } from './testing/stand-in-process.ts';

letSdkTimersGo();

test('kill -9 loses no accepted message, and what was in hand comes back with a higher count', async (t) => {
  const standIn = await StandInProcess.start(t);
  const queue = await standIn.configure('dmg-durable', { lockMs: 60_000, maxDeliveryCount: 5 });
  const open = (): ServiceBusClient => new ServiceBusClient(standIn.connectionString, { retryOptions: { timeoutInMs: 4000 } });
  const client = open();
  const sender = client.createSender(queue);
  await sender.sendMessages([0, 1, 2, 3, 4].map((body) => ({ body, messageId: `m-${body}` })));
  const [number] = await sender.scheduleMessages({ body: 'scheduled' }, new Date(systemClock.wallMs() + 3_600_000));
  const receiver = client.createReceiver(queue, { maxAutoLockRenewalDurationInMs: 0 });
  const [completed, held, dead] = [await receiveNext(receiver), await receiveNext(receiver), await receiveNext(receiver)];
  await receiver.completeMessage(completed);
  await receiver.deadLetterMessage(dead, { deadLetterReason: 'R', deadLetterErrorDescription: 'D' });
  await receiver.deferMessage(await receiveNext(receiver), { kept: 'yes' });
  assert.equal(held.deliveryCount, 0);
  await standIn.kill();
  await client.close();
  await standIn.start();

  const { active, locked, scheduled, deferred, deadLetter } = await standIn.counts(queue);
  assert.deepEqual({ active, locked, scheduled, deferred, deadLetter }, { active: 2, locked: 0, scheduled: 1, deferred: 1, deadLetter: 1 });
  const again = open();
  t.after(() => again.close());
  const secondSender = again.createSender(queue);
  await secondSender.sendMessages({ body: 'duplicate', messageId: 'm-0' });
  assert.ok(number !== undefined);
  await secondSender.cancelScheduledMessages(number);
  const secondReceiver = again.createReceiver(queue);
  const back = await receiveNext(secondReceiver);
  assert.deepEqual([back.body, back.deliveryCount], [1, 1]);
  assert.equal((await receiveNext(secondReceiver)).body, 4);
  assert.deepEqual(await secondReceiver.receiveMessages(1, { maxWaitTimeInMs: 150 }), [], 'the duplicate was dropped');
});

for (const action of ['detach', 'close-connections', 'drop-connections']) {
  test(`a subscription survives ${action}`, async (t) => {
    const standIn = await StandInProcess.start(t);
    const queue = await standIn.configure('dmg-faults');
    const retryOptions = { maxRetries: 1, timeoutInMs: 2000, retryDelayInMs: 50 };
    const client = new ServiceBusClient(standIn.connectionString, { retryOptions });
    t.after(() => client.close());
    const bodies: unknown[] = [];
    client.createReceiver(queue).subscribe({
      processMessage: (message) => Promise.resolve(void bodies.push(message.body)),
      processError: () => Promise.resolve(),
    });
    await waitFor('the receiver', async () => (await standIn.counts(queue)).receivers === 1);
    const answer = await standIn.control({ action, queue });
    assert.deepEqual(Object.values(answer), [1]);
    const sending = new ServiceBusClient(standIn.connectionString, { retryOptions: { timeoutInMs: 2000 } });
    t.after(() => sending.close());
    await sending.createSender(queue).sendMessages({ body: 1 });
    await waitFor('the message', () => bodies.length === 1);
  });
}

async function receiveNext(receiver: ServiceBusReceiver): Promise<ServiceBusReceivedMessage> {
  const [message] = await receiver.receiveMessages(1, { maxWaitTimeInMs: 3000 });
  assert.ok(message !== undefined);
  return message;
}

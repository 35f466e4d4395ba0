import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Labels, type Meter, type MetricDefinition, Secret, silentLogger, systemClock } from '@dmg/base';
import { waitFor } from '../../../test/harness/wait-for.ts';
import { ServiceBusJobQueue, type ServiceBusJobQueueOptions, ServiceBusJobSender } from './index.ts';
import { letSdkTimersGo } from './testing/sdk-timers.ts';
import { StandInProcess } from './testing/stand-in-process.ts';

letSdkTimersGo();

const quickTimes = { probeAfterMs: 400, probeLimitMs: 500, confirmAfterMs: 500, emptyAfterMs: 300, troubleProbeMs: 100 };

/** Counts by metric name and labels. */
class CountingMeter implements Meter {
  readonly counts = new Map<string, number>();

  add({ name }: MetricDefinition, value: number, labels: Labels = {}): void {
    const key = [name, ...Object.values(labels)].join(' ');
    this.counts.set(key, (this.counts.get(key) ?? 0) + value);
  }

  set(): void {}
  observe(): void {}
}

interface Fixture {
  readonly standIn: StandInProcess;
  readonly queueName: string;
  readonly meter: CountingMeter;
  send(messageId: string, sendNo?: number): Promise<void>;
  open(options?: Partial<ServiceBusJobQueueOptions>): ServiceBusJobQueue;
}

async function fixture(t: TestContext, settings: Readonly<Record<string, number>> = {}): Promise<Fixture> {
  const standIn = await StandInProcess.start(t);
  const queueName = await standIn.configure('dmg-faults', settings);
  const meter = new CountingMeter();
  const common = { connection: { connectionString: new Secret(standIn.connectionString) }, clock: systemClock, logger: silentLogger };
  // Sends in flight when a connection breaks are neither answered nor rejected by the SDK; ours end by their deadline.
  const sender = new ServiceBusJobSender({ ...common, sendLimitMs: 1000 });
  t.after(() => sender.close());
  return {
    standIn,
    queueName,
    meter,
    send: (messageId, sendNo = 0) => sender.send({ queueName, messageId, sendNo, body: messageId }),
    open(options = {}) {
      const queue = new ServiceBusJobQueue({ ...common, queueName, meter, times: quickTimes, ...options });
      t.after(() => queue.stop());
      return queue;
    },
  };
}

/** Sends until the queue has stored it: what the outbox of the control plane does. */
async function sendUntilStored({ send }: Fixture, messageId: string): Promise<void> {
  await waitFor(`${messageId} to be stored`, () => send(messageId).then(() => true, () => false));
}

test('a broker that is killed and comes back: every message arrives, and none that was completed arrives again', async (t) => {
  const f = await fixture(t, { lockMs: 2000 });
  const ids = Array.from({ length: 50 }, (_, index) => `m-${index}`);
  for (const id of ids) await f.send(id);
  const completed = new Set<string>();
  const again: string[] = [];
  const seen = new Set<string>();
  const queue = f.open({ window: 8 });
  await queue.start(async (delivery) => {
    if (completed.has(delivery.messageId)) again.push(delivery.messageId);
    seen.add(delivery.messageId);
    await delivery.complete();
    completed.add(delivery.messageId);
  });
  await waitFor('some to be completed', () => completed.size >= 10);
  await f.standIn.kill();
  await waitFor('the loss to be noticed', () => !queue.state().connected);
  assert.match(queue.state().trouble ?? '', /cannot be reached|no answer|Cannot/);
  assert.equal(queue.state().empty, false);
  await f.standIn.start();
  await waitFor('all messages', () => seen.size === ids.length && completed.size >= ids.length - 8, { withinMs: 15_000 });
  await waitFor('an empty queue', async () => {
    const { active, locked } = await f.standIn.counts(f.queueName);
    return active + locked === 0;
  });
  assert.deepEqual(again, []);
  assert.ok(queue.state().connected);
});

for (const isReconnected of [false, true]) {
  const when = isReconnected ? 'and is back before the message is settled' : 'and is not yet back when the message is settled';
  test(`a connection that breaks ${when}: it is settled once and not delivered again`, async (t) => {
    const f = await fixture(t, { lockMs: 5000 });
    const seen: string[] = [];
    let settledMs = 0;
    await f.open().start(async (delivery) => {
      seen.push(delivery.messageId);
      if (seen.length === 1) {
        await f.standIn.control({ action: 'drop-connections' });
        if (isReconnected) await waitFor('the new link', async () => (await f.standIn.counts(f.queueName)).receivers === 1);
      }
      const startedMs = systemClock.monotonicMs();
      await delivery.complete();
      settledMs = systemClock.monotonicMs() - startedMs;
    });
    await f.send('m-1');
    await waitFor('the settlement', () => settledMs > 0);
    assert.ok(settledMs < 2500, `it took ${settledMs} ms`);
    const counts = await f.standIn.counts(f.queueName);
    assert.deepEqual([counts.active, counts.locked], [0, 0]);
    // The SDK does not notice that its link is gone; the second connection settles.
    if (isReconnected) assert.equal(f.meter.counts.get('dmg_queue_fallback_settlements_total'), 1);
    await sendUntilStored(f, 'm-2');
    await waitFor('the next message', () => seen.length === 2);
    assert.deepEqual(seen, ['m-1', 'm-2']);
  });
}

for (const action of ['detach', 'close-connections', 'drop-connections']) {
  test(`messages flow again after ${action}`, async (t) => {
    const f = await fixture(t);
    const seen: string[] = [];
    await f.open().start(async (delivery) => {
      seen.push(delivery.messageId);
      await delivery.complete();
    });
    await f.send('before');
    await waitFor('the first message', () => seen.length === 1);
    await f.standIn.control({ action, queue: f.queueName });
    await sendUntilStored(f, 'after');
    await waitFor('the second message', () => seen.length === 2);
    assert.deepEqual(seen, ['before', 'after']);
  });
}

test('a link that has died unnoticed is replaced', async (t) => {
  const f = await fixture(t);
  const seen: string[] = [];
  const queue = f.open();
  await queue.start(async (delivery) => {
    seen.push(delivery.messageId);
    await delivery.complete();
  });
  await f.send('before');
  await waitFor('the first message', () => seen.length === 1);
  assert.deepEqual(await f.standIn.control({ action: 'mute', queue: f.queueName }), { links: 1 });
  await f.send('after');
  await waitFor('the second message', () => seen.length === 2);
  assert.deepEqual(seen, ['before', 'after']);
  assert.equal(f.meter.counts.get('dmg_queue_renewals_total rebuilt'), 1);
  await waitFor('an empty queue', () => queue.state().empty);
});

test('a frozen broker shows as trouble, and is used again when it thaws', async (t) => {
  const f = await fixture(t, { lockMs: 500 });
  const seen: string[] = [];
  const queue = f.open();
  await queue.start(async (delivery) => {
    seen.push(delivery.messageId);
    await delivery.complete();
  });
  f.standIn.process.signal('SIGSTOP');
  try {
    await waitFor('the trouble', () => !queue.state().connected);
    assert.match(queue.state().trouble ?? '', /no answer/);
  } finally {
    f.standIn.process.signal('SIGCONT');
  }
  await waitFor('the connection', () => queue.state().connected);
  await sendUntilStored(f, 'm');
  await waitFor('the message', () => seen.includes('m'));
});

test('no more than the window is in hand, also when a connection breaks under held messages', async (t) => {
  const f = await fixture(t, { lockMs: 1000 });
  const releases: (() => void)[] = [];
  const seen: string[] = [];
  let inHand = 0;
  let inHandMax = 0;
  await f.open({ window: 2 }).start(async (delivery) => {
    inHandMax = Math.max(inHandMax, ++inHand);
    seen.push(delivery.messageId);
    await delivery.complete();
    await new Promise<void>((release) => releases.push(release));
    inHand--;
  });
  for (const id of ['a', 'b', 'c', 'd', 'e', 'f']) await f.send(id);
  await waitFor('the window to fill', () => releases.length === 2);
  await f.standIn.control({ action: 'drop-connections' });
  await waitFor('more than the window', () => (f.meter.counts.get('dmg_queue_renewals_total overCapacity') ?? 0) > 0);
  assert.equal(releases.length, 2, 'held messages keep their places');
  await waitFor('all messages', () => {
    releases.shift()?.();
    return seen.length >= 6 && inHand === 0;
  }, { everyMs: 50, withinMs: 15_000 });
  assert.equal(inHandMax, 2);
  assert.deepEqual([...new Set(seen)].sort(), ['a', 'b', 'c', 'd', 'e', 'f']);
});

test('links are recycled before they stall', async (t) => {
  const f = await fixture(t);
  const seen = new Set<string>();
  const queue = f.open({ deliveriesMax: 5 });
  await queue.start(async (delivery) => {
    await delivery.complete();
    seen.add(delivery.messageId);
  });
  for (let index = 0; index < 40; index++) await f.send(`m-${index}`);
  await waitFor('all messages', () => seen.size === 40);
  assert.ok((f.meter.counts.get('dmg_queue_renewals_total recycled') ?? 0) >= 4);
  const { active, locked } = await f.standIn.counts(f.queueName);
  assert.deepEqual([active, locked], [0, 0], 'all are completed');
});

test('a wrong key and a missing queue are told by state, without a secret', async (t) => {
  const f = await fixture(t);
  const key = Buffer.alloc(32, 9).toString('base64');
  const wrong = { connectionString: new Secret(f.standIn.connectionString.replace(/SharedAccessKey=[^;]+/, `SharedAccessKey=${key}`)) };
  const locked = f.open({ connection: wrong });
  await locked.start(() => Promise.resolve());
  assert.equal(locked.state().connected, false);
  assert.match(locked.state().trouble ?? '', /refused the key/);
  assert.ok(!(locked.state().trouble ?? '').includes(key));
  const missing = f.open({ queueName: 'nowhere' });
  await missing.start(() => Promise.resolve());
  assert.match(missing.state().trouble ?? '', /queue nowhere: there is no such queue/);
});

test('a broker that is away at the start is found when it comes', async (t) => {
  const f = await fixture(t);
  await f.standIn.kill();
  const queue = f.open();
  await queue.start((delivery) => delivery.complete());
  assert.match(queue.state().trouble ?? '', /cannot be reached/);
  await assert.rejects(f.send('lost'), { code: 'DMG_QUEUE_UNREACHABLE' });
  await f.standIn.start();
  await waitFor('the connection', () => queue.state().connected);
  await sendUntilStored(f, 'm-1');
  await waitFor('the message to be taken', async () => queue.state().empty && (await f.standIn.counts(f.queueName)).active === 0);
});

test('a warm queue attaches no link, and finds a broker again that went away', async (t) => {
  const f = await fixture(t);
  const queue = f.open();
  await queue.warm();
  assert.deepEqual([queue.state().connected, queue.state().empty], [true, false]);
  assert.equal((await f.standIn.counts(f.queueName)).receivers, 0);
  await f.standIn.kill();
  await waitFor('the loss to be noticed', () => !queue.state().connected);
  assert.match(queue.state().trouble ?? '', /cannot be reached|no answer|Cannot/);
  await f.standIn.start();
  await waitFor('the connection', () => queue.state().connected);
  await sendUntilStored(f, 'm');
  assert.equal((await f.standIn.counts(f.queueName)).receivers, 0);
  const seen: string[] = [];
  const startedMs = systemClock.monotonicMs();
  let tookMs = 0;
  await queue.start(async (delivery) => {
    tookMs = systemClock.monotonicMs() - startedMs;
    seen.push(delivery.messageId);
    await delivery.complete();
  });
  await waitFor('the message', () => seen.length === 1);
  t.diagnostic(`first message ${tookMs.toFixed(0)} ms after the start`);
});

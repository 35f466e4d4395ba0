import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { systemClock, withDeadline } from '@dmg/base';
import type { DeadLetterReport } from '@dmg/model';
import type { Delivery, JobQueue, JobSender } from '../ports.ts';
import { waitFor } from '../../../../test/harness/wait-for.ts';

export interface JobQueueFixtureOptions {
  readonly lockMs: number;
  readonly maxDeliveryCount: number;
}

/** A new, empty queue and its two sides. */
export interface JobQueueFixture {
  readonly queueName: string;
  readonly sender: JobSender;
  /** A receiving side that is not started. */
  open(options: { window: number }): JobQueue;
  /** Stops what was opened. */
  close(): Promise<void>;
}

const limitMs = 8000;

/** What every queue does, whatever delivers it. Times are real: locks are made short instead. */
export function jobQueueContract(name: string, make: (options: JobQueueFixtureOptions) => Promise<JobQueueFixture>): void {
  const contract: Contract = (title, run, options = {}) => {
    test(title, async () => {
      const fixture = await make({ lockMs: 10_000, maxDeliveryCount: 100, ...options });
      try {
        await run(fixture);
      } finally {
        await fixture.close();
      }
    });
  };
  describe(`job queue contract: ${name}`, () => {
    receiving(contract);
    flow(contract);
    redelivery(contract);
    deadLetters(contract);
    states(contract);
    warmth(contract);
  });
}

type Contract = (title: string, run: (fixture: JobQueueFixture) => Promise<void>, options?: Partial<JobQueueFixtureOptions>) => void;

function receiving(contract: Contract): void {
  contract('a message arrives whole, and once completed does not come again', async ({ queueName, sender, open }) => {
    const body = JSON.stringify({ text: 'äöü 😀 "quoted"', nested: [1, null] });
    await sender.send({ queueName, messageId: 'job-1.1', sendNo: 7, body });
    const inbox = new Inbox();
    const queue = open({ window: 4 });
    await queue.start(inbox.receive);
    const { delivery, release } = await inbox.next();
    const { messageId, sendNo, deliveryCount } = delivery;
    assert.deepEqual([messageId, sendNo, deliveryCount, delivery.body], ['job-1.1', 7, 0, body]);
    await delivery.complete();
    release();
    await until('the queue to be empty', () => queue.state().empty);
    assert.equal(inbox.size, 0);
  });

  contract('a message sent twice under one id is delivered once', async ({ queueName, sender, open }) => {
    for (const messageId of ['a', 'a', 'b']) await sender.send({ queueName, messageId, sendNo: 1, body: messageId });
    const inbox = new Inbox();
    await open({ window: 4 }).start(inbox.receive);
    assert.deepEqual([await inbox.settleNext(), await inbox.settleNext()], ['a', 'b']);
    await sender.send({ queueName, messageId: 'c', sendNo: 2, body: '' });
    assert.equal(await inbox.settleNext(), 'c');
  });

  contract('after a stop it can be started again, and has not forgotten what it received', async ({ queueName, sender, open }) => {
    const queue = open({ window: 4 });
    const first = new Inbox();
    await queue.start(first.receive);
    await sender.send({ queueName, messageId: 'a', sendNo: 5, body: '' });
    assert.equal(await first.settleNext(), 'a');
    await queue.stop();
    assert.equal(queue.state().connected, false);
    assert.equal(queue.state().receivedUpTo, 5);
    const second = new Inbox();
    await queue.start(second.receive);
    await sender.send({ queueName, messageId: 'b', sendNo: 6, body: '' });
    assert.equal(await second.settleNext(), 'b');
    assert.equal(queue.state().receivedUpTo, 6);
  });

  contract('messages that come later arrive as well', async ({ queueName, sender, open }) => {
    const inbox = new Inbox();
    await open({ window: 4 }).start(inbox.receive);
    for (const messageId of ['a', 'b', 'c']) {
      await sender.send({ queueName, messageId, sendNo: 1, body: '' });
      assert.equal(await inbox.settleNext(), messageId);
    }
  });
}

function flow(contract: Contract): void {
  contract('no more messages are in hand than the window, and a held one keeps its place', async ({ queueName, sender, open }) => {
    for (let index = 0; index < 6; index++) await sender.send({ queueName, messageId: `m-${index}`, sendNo: index, body: '' });
    const inbox = new Inbox();
    await open({ window: 2 }).start(inbox.receive);
    const first = await inbox.next();
    const second = await inbox.next();
    // Completing is not enough: the place is free when the promise that `receive` returned settles.
    await first.delivery.complete();
    await second.delivery.complete();
    await inbox.staysEmpty(150);
    first.release();
    const third = await inbox.next();
    assert.equal(third.delivery.messageId, 'm-2');
    await inbox.staysEmpty(100);
    second.release();
    await third.delivery.complete();
    third.release();
    for (let index = 3; index < 6; index++) await inbox.settleNext();
  });

  contract('stop ends receiving at once; the next to start gets what is left', async ({ queueName, sender, open }) => {
    const inbox = new Inbox();
    const queue = open({ window: 1 });
    await queue.start(inbox.receive);
    await sender.send({ queueName, messageId: 'held', sendNo: 1, body: '' });
    const held = await inbox.next();
    await sender.send({ queueName, messageId: 'left', sendNo: 2, body: '' });
    const startedMs = systemClock.monotonicMs();
    await queue.stop();
    assert.ok(systemClock.monotonicMs() - startedMs < 600);
    held.release();
    await inbox.staysEmpty(100);
    const other = new Inbox();
    await open({ window: 4 }).start(other.receive);
    assert.equal(await other.settleNext(), 'left');
    assert.equal(await other.settleNext(), 'held');
  }, { lockMs: 1000 });
}

function redelivery(contract: Contract): void {
  contract('what is not settled comes back, and its old delivery is worth nothing', async ({ queueName, sender, open }) => {
    await sender.send({ queueName, messageId: 'm', sendNo: 1, body: '' });
    const inbox = new Inbox();
    await open({ window: 4 }).start(inbox.receive);
    const first = await inbox.next();
    const again = await inbox.next();
    assert.deepEqual([again.delivery.messageId, again.delivery.deliveryCount], ['m', 1]);
    await assert.rejects(first.delivery.complete());
    await again.delivery.complete();
    first.release();
    again.release();
  }, { lockMs: 400 });

  contract('a message whose receive rejects is left to its lock', async ({ queueName, sender, open }) => {
    await sender.send({ queueName, messageId: 'm', sendNo: 1, body: '' });
    const counts: number[] = [];
    await open({ window: 4 }).start(async (delivery) => {
      counts.push(delivery.deliveryCount);
      if (delivery.deliveryCount === 0) throw new Error('no');
      await delivery.complete();
    });
    await until('the second delivery', () => counts.length === 2);
    assert.deepEqual(counts, [0, 1]);
  }, { lockMs: 300 });
}

function deadLetters(contract: Contract): void {
  contract('a dead letter is handed over with its reason, until it was taken', async ({ queueName, sender, open }) => {
    await sender.send({ queueName, messageId: 'bad', sendNo: 1, body: '{' });
    await sender.send({ queueName, messageId: 'good', sendNo: 2, body: '{}' });
    const inbox = new Inbox();
    const queue = open({ window: 4 });
    await queue.start(inbox.receive);
    const { delivery, release } = await inbox.next();
    await delivery.deadLetter('UNREADABLE', 'it is no JSON');
    release();
    await inbox.settleNext();
    await assert.rejects(queue.drainDeadLetters(() => Promise.reject(new Error('the control plane is away'))), /control plane is away/);
    const taken: DeadLetterReport[] = [];
    const drain = (): Promise<number> => queue.drainDeadLetters((report) => Promise.resolve(void taken.push(report)));
    assert.equal(await drain(), 1);
    const [first] = taken;
    assert.deepEqual([taken.length, first?.messageId, first?.reason, first?.description], [1, 'bad', 'UNREADABLE', 'it is no JSON']);
    assert.equal(await drain(), 0);
  });

  contract('a message that fails too often becomes a dead letter', async ({ queueName, sender, open }) => {
    await sender.send({ queueName, messageId: 'poison', sendNo: 1, body: '' });
    const queue = open({ window: 4 });
    let deliveries = 0;
    await queue.start(() => {
      deliveries++;
      return Promise.resolve();
    });
    const taken: DeadLetterReport[] = [];
    await until('the dead letter', async () => (await queue.drainDeadLetters((report) => Promise.resolve(void taken.push(report)))) === 1);
    assert.equal(deliveries, 2);
    assert.deepEqual([taken[0]?.messageId, taken[0]?.reason], ['poison', 'MaxDeliveryCountExceeded']);
  }, { lockMs: 200, maxDeliveryCount: 2 });
}

function states(contract: Contract): void {
  contract('the state tells connection, progress and emptiness', async ({ queueName, sender, open }) => {
    const queue = open({ window: 4 });
    assert.equal(queue.state().connected, false);
    const inbox = new Inbox();
    await queue.start(inbox.receive);
    await until('the connection', () => queue.state().connected);
    assert.deepEqual([queue.state().trouble, queue.state().receivedUpTo], [undefined, 0]);
    await sender.send({ queueName, messageId: 'm-1', sendNo: 12, body: '' });
    const held = await inbox.next();
    assert.deepEqual([queue.state().receivedUpTo, queue.state().empty], [12, false]);
    await sender.send({ queueName, messageId: 'm-2', sendNo: 5, body: '' });
    await inbox.settleNext();
    assert.equal(queue.state().receivedUpTo, 12, 'it never falls');
    await held.delivery.complete();
    held.release();
    await until('the queue to be empty', () => queue.state().empty);
    await queue.stop();
    assert.equal(queue.state().connected, false);
  });
}

function warmth(contract: Contract): void {
  contract('warm it is connected and takes nothing; started it gives what has come meanwhile', async ({ queueName, sender, open }) => {
    const queue = open({ window: 4 });
    await queue.warm();
    await until('the connection', () => queue.state().connected);
    assert.deepEqual([queue.state().trouble, queue.state().empty], [undefined, false]);
    await sender.send({ queueName, messageId: 'm-1', sendNo: 1, body: '' });
    await sender.send({ queueName, messageId: 'm-2', sendNo: 2, body: '' });
    await queue.warm();
    const other = new Inbox();
    const rival = open({ window: 1 });
    await rival.start(other.receive);
    const taken = await other.next();
    assert.deepEqual([taken.delivery.messageId, taken.delivery.deliveryCount], ['m-1', 0], 'it was not taken before');
    await taken.delivery.complete();
    await rival.stop();
    const inbox = new Inbox();
    await queue.start(inbox.receive);
    assert.equal(queue.state().empty, false);
    assert.equal(await inbox.settleNext(), 'm-2');
    await queue.warm();
    await sender.send({ queueName, messageId: 'm-3', sendNo: 3, body: '' });
    assert.equal(await inbox.settleNext(), 'm-3', 'being warm is part of receiving');
    await until('the queue to be empty', () => queue.state().empty);
  });

  contract('a stop ends being warm; it can be made warm again', async ({ queueName, sender, open }) => {
    const queue = open({ window: 4 });
    for (let round = 0; round < 2; round++) {
      await queue.warm();
      await until('the connection', () => queue.state().connected);
      await queue.stop();
      assert.equal(queue.state().connected, false);
    }
    await queue.warm();
    const inbox = new Inbox();
    await queue.start(inbox.receive);
    await sender.send({ queueName, messageId: 'm', sendNo: 1, body: '' });
    assert.equal(await inbox.settleNext(), 'm');
  });
}

interface Held {
  readonly delivery: Delivery;
  /** Lets the promise that `receive` returned resolve. */
  release(): void;
}

/** Takes deliveries and holds them until they are released. */
class Inbox {
  #held: Held[] = [];
  #wake: (() => void) | undefined;

  get size(): number {
    return this.#held.length;
  }

  readonly receive = (delivery: Delivery): Promise<void> =>
    new Promise((release) => {
      this.#held.push({ delivery, release });
      this.#wake?.();
    });

  next(): Promise<Held> {
    return withDeadline({ clock: systemClock, limitMs, what: 'receive a message' }, async () => {
      for (;;) {
        const held = this.#held.shift();
        if (held !== undefined) return held;
        await new Promise<void>((wake) => {
          this.#wake = wake;
        });
      }
    });
  }

  /** Fails as soon as a delivery comes; resolves when none has come for so long. */
  async staysEmpty(forMs: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const timer = systemClock.after(forMs, resolve);
      this.#wake = () => {
        timer.cancel();
        reject(new Error('a message came although there was no place for it'));
      };
      if (this.#held.length > 0) this.#wake();
    });
    this.#wake = undefined;
  }

  /** Completes and releases the next delivery; gives its message id. */
  async settleNext(): Promise<string> {
    const { delivery, release } = await this.next();
    await delivery.complete();
    release();
    return delivery.messageId;
  }
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  await waitFor(what, condition, { withinMs: limitMs });
}

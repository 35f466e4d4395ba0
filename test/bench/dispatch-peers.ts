import { randomUUID } from 'node:crypto';
import { ServiceBusClient } from '@azure/service-bus';
import { Queue, Worker } from 'bullmq';
import { type CleanupContext, onCleanup } from '../harness/cleanup.ts';
import { within } from '../harness/wait-for.ts';

/** Messages or jobs a second of a peer, with so many in flight. */
export type PeerRun = (inFlight: number, count: number) => Promise<number>;

const runLimitMs = 120_000;

/**
 * The bare loop of the queue's own client: a handler that completes each message and does nothing else. All messages stand in the
 * queue before it begins; they are as large as a signed job. What it does in its first tenth is not counted.
 */
export function bareLoop(context: CleanupContext, options: { connectionString: string; queueName: string; bodyBytes: number }): PeerRun {
  const client = new ServiceBusClient(options.connectionString);
  onCleanup(context, () => client.close());
  const sender = client.createSender(options.queueName);
  const body = 'x'.repeat(options.bodyBytes);
  return async (inFlight, count) => {
    for (let sent = 0; sent < count; sent += 50) {
      const batch = Array.from({ length: Math.min(50, count - sent) }, () => ({ body, messageId: randomUUID() }));
      await sender.sendMessages(batch);
    }
    const receiver = client.createReceiver(options.queueName, { maxAutoLockRenewalDurationInMs: 0 });
    const meter = new RateMeter(count);
    const subscription = receiver.subscribe({
      processMessage: async (message) => {
        await receiver.completeMessage(message);
        meter.count();
      },
      processError: async ({ error }) => meter.fail(error),
    }, { maxConcurrentCalls: inFlight, autoCompleteMessages: false });
    try {
      return await within(`the bare loop with ${inFlight} in flight`, runLimitMs, meter.rate);
    } finally {
      await subscription.close();
      await receiver.close();
    }
  };
}

/** BullMQ on the Redis that holds our ledger, and so as durable: each job is added, processed by a handler that does nothing, completed. */
export function bullMq(context: CleanupContext, options: { redisUrl: string; bodyBytes: number }): PeerRun {
  const { hostname, port } = new URL(options.redisUrl);
  const connection = { host: hostname, port: Number(port), maxRetriesPerRequest: null };
  const data = { job: 'x'.repeat(options.bodyBytes) };
  return async (inFlight, count) => {
    const name = `bench-${randomUUID()}`;
    const queue = new Queue(name, { connection });
    const worker = new Worker(name, async () => undefined, { connection, concurrency: inFlight });
    onCleanup(context, async () => {
      await worker.close(true);
      await queue.close();
    });
    await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()]);
    const meter = new RateMeter(count);
    let added = 0;
    const add = (): void => {
      if (added++ < count) queue.add('no-op', data, { removeOnComplete: true }).catch((error: unknown) => meter.fail(error));
    };
    worker.on('completed', () => {
      meter.count();
      add();
    });
    worker.on('error', (error) => meter.fail(error));
    for (let index = 0; index < inFlight; index++) add();
    try {
      return await within(`BullMQ with ${inFlight} in flight`, runLimitMs, meter.rate);
    } finally {
      await worker.close();
      await queue.obliterate({ force: true });
      await queue.close();
    }
  };
}

/** Events a second, of all but the first tenth. */
export class RateMeter {
  readonly rate: Promise<number>;
  readonly #count: number;
  readonly #warmup: number;
  #seen = 0;
  #startedMs = 0;
  #resolve: (rate: number) => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;

  constructor(count: number, warmup: number = Math.ceil(count / 10)) {
    this.#count = count;
    this.#warmup = warmup;
    this.rate = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.rate.catch(() => undefined); // Whoever waits hears of it; nobody may be waiting yet.
  }

  count(): void {
    this.#seen += 1;
    if (this.#seen === this.#warmup) this.#startedMs = performance.now();
    if (this.#seen === this.#count) this.#resolve(((this.#count - this.#warmup) * 1000) / (performance.now() - this.#startedMs));
  }

  fail(error: unknown): void {
    this.#reject(error);
  }
}

import type { Clock, Timer } from '@dmg/base';
import type { DeadLetterReport } from '@dmg/model';
import type { Delivery, JobQueue, JobSender, QueueState } from '../ports.ts';

export interface InMemoryQueuesOptions {
  readonly clock: Clock;
  readonly lockMs?: number;
  readonly maxDeliveryCount?: number;
  readonly duplicateWindowMs?: number;
}

interface StoredMessage {
  readonly messageId: string;
  readonly sendNo: number;
  readonly body: string;
  readonly sequence: number;
  deliveryCount: number;
  lock: Timer | undefined;
}

interface Queue {
  readonly messages: Map<number, StoredMessage>;
  readonly dead: DeadLetterReport[];
  readonly seenUntilMs: Map<string, number>;
  readonly listeners: Set<() => void>;
}

/** What several `InMemoryJobQueue`s and senders share, as clients share one namespace; with a switch for its faults. */
export class InMemoryQueues {
  readonly clock: Clock;
  readonly lockMs: number;
  readonly maxDeliveryCount: number;
  readonly duplicateWindowMs: number;
  readonly #queues = new Map<string, Queue>();
  #sequence = 0;
  #trouble: Error | undefined;

  constructor(options: InMemoryQueuesOptions) {
    this.clock = options.clock;
    this.lockMs = options.lockMs ?? 10_000;
    this.maxDeliveryCount = options.maxDeliveryCount ?? 100;
    this.duplicateWindowMs = options.duplicateWindowMs ?? 600_000;
  }

  get trouble(): Error | undefined {
    return this.#trouble;
  }

  /** While set, nothing is delivered, and sending and settling reject with it. Locks go on lapsing. */
  setTrouble(trouble: Error | undefined): void {
    this.#trouble = trouble;
    for (const queue of this.#queues.values()) notify(queue);
  }

  queue(name: string): Queue {
    const known = this.#queues.get(name);
    if (known !== undefined) return known;
    const queue: Queue = { messages: new Map(), dead: [], seenUntilMs: new Map(), listeners: new Set() };
    this.#queues.set(name, queue);
    return queue;
  }

  /** Ids of the messages in a queue, locked ones too; for assertions. */
  messageIds(name: string): string[] {
    return [...this.queue(name).messages.values()].map(({ messageId }) => messageId);
  }

  store(name: string, message: { messageId: string; sendNo: number; body: string }): void {
    const queue = this.queue(name);
    const nowMs = this.clock.monotonicMs();
    if ((queue.seenUntilMs.get(message.messageId) ?? -1) > nowMs) return;
    queue.seenUntilMs.set(message.messageId, nowMs + this.duplicateWindowMs);
    const sequence = ++this.#sequence;
    queue.messages.set(sequence, { ...message, sequence, deliveryCount: 0, lock: undefined });
    notify(queue);
  }

  /** Locks the first message that is free. */
  lockNext(queue: Queue): StoredMessage | undefined {
    if (this.#trouble !== undefined) return undefined;
    // In order of arrival: the map is never re-ordered, a message that comes back keeps its place.
    const message = [...queue.messages.values()].find(({ lock }) => lock === undefined);
    if (message === undefined) return undefined;
    message.lock = this.clock.after(this.lockMs, () => {
      message.lock = undefined;
      message.deliveryCount++;
      if (message.deliveryCount >= this.maxDeliveryCount) {
        const description = `Message could not be consumed after ${this.maxDeliveryCount} delivery attempts.`;
        this.bury(queue, message, 'MaxDeliveryCountExceeded', description);
      }
      notify(queue);
    });
    return message;
  }

  /** Removes a message under its lock; false when the lock is lost. */
  settle(queue: Queue, message: StoredMessage, lock: Timer | undefined): boolean {
    if (message.lock !== lock || lock === undefined || queue.messages.get(message.sequence) !== message) return false;
    lock.cancel();
    queue.messages.delete(message.sequence);
    return true;
  }

  bury(queue: Queue, message: StoredMessage, reason: string, description: string): void {
    queue.messages.delete(message.sequence);
    queue.dead.push({ messageId: message.messageId, reason, description, deliveryCount: message.deliveryCount });
  }
}

function notify(queue: Queue): void {
  for (const listen of queue.listeners) listen();
}

/** The sender's twin. */
export class InMemoryJobSender implements JobSender {
  readonly #queues: InMemoryQueues;

  constructor(queues: InMemoryQueues) {
    this.#queues = queues;
  }

  send(message: { queueName: string; messageId: string; sendNo: number; body: string }): Promise<void> {
    if (this.#queues.trouble !== undefined) return Promise.reject(this.#queues.trouble);
    const { queueName, ...stored } = message;
    this.#queues.store(queueName, stored);
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

export interface InMemoryJobQueueOptions {
  readonly queues: InMemoryQueues;
  readonly queueName: string;
  readonly window?: number;
}

const emptyAfterMs = 5000;

/** The queue's twin: peek-lock with lapsing locks, delivery counts, dead letters and duplicates, as the real one has them. */
export class InMemoryJobQueue implements JobQueue {
  readonly #queues: InMemoryQueues;
  readonly #queue: Queue;
  readonly #window: number;
  #receive: ((delivery: Delivery) => Promise<void>) | undefined;
  #isWarm = false;
  #inHand = 0;
  #receivedUpTo = 0;
  #idleSinceMs = 0;
  /** How often `receive` rejected: such a message is left to its lock. */
  failedReceives = 0;

  constructor(options: InMemoryJobQueueOptions) {
    this.#queues = options.queues;
    this.#queue = options.queues.queue(options.queueName);
    this.#window = options.window ?? 4;
  }

  start(receive: (delivery: Delivery) => Promise<void>): Promise<void> {
    this.#receive = receive;
    this.#idleSinceMs = this.#queues.clock.monotonicMs();
    this.#queue.listeners.add(this.#pump);
    this.#pump();
    return Promise.resolve();
  }

  warm(): Promise<void> {
    this.#isWarm = true;
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#receive = undefined;
    this.#isWarm = false;
    this.#queue.listeners.delete(this.#pump);
    return Promise.resolve();
  }

  state(): QueueState {
    const { trouble, clock } = this.#queues;
    const isReceiving = this.#receive !== undefined;
    const connected = (isReceiving || this.#isWarm) && trouble === undefined;
    const isIdle = this.#inHand < this.#window && clock.monotonicMs() - this.#idleSinceMs >= emptyAfterMs;
    return {
      connected,
      receivedUpTo: this.#receivedUpTo,
      empty: connected && isReceiving && (this.#queue.messages.size === 0 || isIdle),
      trouble: trouble?.message ?? (isReceiving || this.#isWarm ? undefined : 'the queue was not started'),
    };
  }

  async drainDeadLetters(take: (report: DeadLetterReport) => Promise<void>): Promise<number> {
    let drained = 0;
    for (let report = this.#queue.dead[0]; report !== undefined; report = this.#queue.dead[0]) {
      if (this.#queues.trouble !== undefined) throw this.#queues.trouble;
      await take(report);
      this.#queue.dead.splice(this.#queue.dead.indexOf(report), 1);
      drained++;
    }
    return drained;
  }

  readonly #pump = (): void => {
    while (this.#receive !== undefined && this.#inHand < this.#window) {
      const message = this.#queues.lockNext(this.#queue);
      if (message === undefined) return;
      this.#hand(message, this.#receive);
    }
  };

  #hand(message: StoredMessage, receive: (delivery: Delivery) => Promise<void>): void {
    const { lock } = message;
    const settle = async (act: () => void): Promise<void> => {
      await Promise.resolve();
      if (this.#queues.trouble !== undefined) throw this.#queues.trouble;
      if (this.#receive === undefined) throw new Error(`Cannot settle message ${message.messageId}: the queue was stopped.`);
      const isSettled = this.#queues.settle(this.#queue, message, lock);
      if (!isSettled) throw new Error(`Cannot settle message ${message.messageId}: its lock is lost.`);
      act();
    };
    this.#inHand++;
    this.#receivedUpTo = Math.max(this.#receivedUpTo, message.sendNo);
    const delivery: Delivery = {
      messageId: message.messageId,
      sendNo: message.sendNo,
      body: message.body,
      deliveryCount: message.deliveryCount,
      complete: () => settle(() => undefined),
      deadLetter: (reason, description) => settle(() => this.#queues.bury(this.#queue, message, reason, description)),
    };
    Promise.resolve(delivery)
      .then(receive)
      .catch(() => {
        this.failedReceives++;
      })
      .finally(() => {
        this.#inHand--;
        this.#idleSinceMs = this.#queues.clock.monotonicMs();
        this.#pump();
      });
  }
}

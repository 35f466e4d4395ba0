import type { Delivery, JobQueue, QueueState } from '@dmg/core';
import type { DeadLetterReport } from '@dmg/model';
import { checkConnection } from './connection.ts';
import { queueErrors } from './errors.ts';
import { QueueSession, type QueueSessionOptions } from './queue-session.ts';

export type ServiceBusJobQueueOptions = QueueSessionOptions;

/**
 * The gateway's queue in Azure Service Bus (DESIGN-RULES 15). A dispatcher that steps down stops it and starts it again when it leads
 * again: each start, with the time of being warm before it, is a session of its own, since what a stopped link or client still does
 * behind our back must not reach the next.
 */
export class ServiceBusJobQueue implements JobQueue {
  readonly #options: ServiceBusJobQueueOptions;
  #session: QueueSession | undefined;
  /** Of the sessions that have ended: what was received stays received. */
  #receivedBefore = 0;

  /** Throws `BAD_CONNECTION_STRING` or `OTHER_QUEUE`. */
  constructor(options: ServiceBusJobQueueOptions) {
    checkConnection(options.connection, options.queueName);
    this.#options = options;
  }

  async start(receive: (delivery: Delivery) => Promise<void>): Promise<void> {
    if (this.#session?.isReceiving === true) throw queueErrors.ALREADY_STARTED.create({ queue: this.#options.queueName });
    this.#session ??= new QueueSession(this.#options);
    await this.#session.start(receive);
  }

  async warm(): Promise<void> {
    if (this.#session !== undefined) return;
    this.#session = new QueueSession(this.#options);
    await this.#session.warm();
  }

  async stop(): Promise<void> {
    const session = this.#session;
    if (session === undefined) return;
    this.#receivedBefore = this.state().receivedUpTo;
    this.#session = undefined;
    await session.stop();
  }

  state(): QueueState {
    const trouble = 'receiving was not started, or was stopped';
    const state = this.#session?.state() ?? { connected: false, receivedUpTo: 0, empty: false, trouble };
    return { ...state, receivedUpTo: Math.max(state.receivedUpTo, this.#receivedBefore) };
  }

  async drainDeadLetters(take: (report: DeadLetterReport) => Promise<void>): Promise<number> {
    if (this.#session === undefined) {
      throw queueErrors.STOPPED.create({ verb: 'drain the dead letters of', queue: this.#options.queueName });
    }
    return this.#session.drainDeadLetters(take);
  }
}

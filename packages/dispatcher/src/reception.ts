import { type Clock, firstLine, type Logger, withDeadline } from '@dmg/base';
import type { JobQueue } from '@dmg/core';
import type { Receiver } from './receiver.ts';

/** The queue stops within 500 ms; beyond this we go on without it. */
const queueStopLimitMs = 2_000;

export interface ReceptionOptions {
  readonly queue: JobQueue;
  readonly receiver: Receiver;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Whether messages flow: kept warm on standby, attached as soon as there is a right to act, opened when this node leads, and closed when
 * it does not any more. What the queue does takes time; here the last word counts, and a stop is always waited for before a start.
 */
export class Reception {
  readonly #options: ReceptionOptions;
  /** The start that stands; undefined while messages are not wanted. */
  #started: object | undefined;
  #stopping: Promise<void> = Promise.resolve();
  #isWarm = false;

  constructor(options: ReceptionOptions) {
    this.#options = options;
  }

  /** Messages are wanted, and the queue was started or is being started. */
  get isOn(): boolean {
    return this.#started !== undefined;
  }

  /** Keeps the queue's connection open while there is nothing to receive. */
  warm(): void {
    this.#isWarm = true;
    void this.#stopping.then(async () => {
      if (!this.#isWarm || this.#started !== undefined) return;
      await this.#options.queue.warm();
    }).catch((error: unknown) => this.#options.logger.warn({ reason: firstLine(error) }, 'queue could not be kept warm'));
  }

  /** Attaches the link; what comes is held until `open`. */
  prepare(): void {
    this.#options.receiver.prepare();
    this.#start();
  }

  /** Lets messages in; also starts what could not be started before. */
  open(): void {
    this.#options.receiver.open();
    this.#start();
  }

  /** Lets go of all messages, stops the queue and keeps it warm for the next time. */
  close(): void {
    void this.#stop();
    if (this.#isWarm) this.warm();
  }

  /** As `close`, for good. Resolves when the queue has stopped, or did not in time. */
  async end(): Promise<void> {
    this.#isWarm = false;
    this.#started ??= {};
    await this.#stop();
  }

  #start(): void {
    if (this.#started !== undefined) return;
    const mine = {};
    this.#started = mine;
    const { queue, receiver, logger } = this.#options;
    void this.#stopping.then(async () => {
      if (this.#started === mine) await queue.start((delivery) => receiver.receive(delivery));
    }).catch((error: unknown) => {
      // Repeated with the next tick.
      if (this.#started === mine) this.#started = undefined;
      logger.warn({ reason: firstLine(error) }, 'queue could not be started');
    });
  }

  #stop(): Promise<void> {
    const { queue, receiver, clock, logger } = this.#options;
    receiver.close();
    if (this.#started === undefined) return this.#stopping;
    this.#started = undefined;
    this.#stopping = this.#stopping.then(async () => {
      try {
        await withDeadline({ clock, limitMs: queueStopLimitMs, what: 'stop receiving' }, () => queue.stop());
      } catch (error) {
        // Whatever still comes is left to its lock.
        logger.warn({ reason: firstLine(error) }, 'queue did not stop in time');
      }
    });
    return this.#stopping;
  }
}

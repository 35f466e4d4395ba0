import type { ServiceBusClient, ServiceBusReceivedMessage, ServiceBusReceiver } from '@azure/service-bus';
import {
  baseErrors, type Clock, firstLine, hasCode, type Logger, type Meter, type Timer, withDeadline,
} from '@dmg/base';
import type { Delivery, JobQueue, QueueState } from '@dmg/core';
import type { DeadLetterReport } from '@dmg/model';
import { checkConnection, closeQuietly, openClient, type ServiceBusConnection } from './connection.ts';
import { drainDeadLetters } from './dead-letters.ts';
import { fromServiceBusError, queueErrors } from './errors.ts';
import { queueMetrics } from './metrics.ts';
import {
  defaultWatchTimes, isConnected, isEmpty, newWatch, nextProbeMs, onAnswer, onDelivery, onNoAnswer, onTrouble, type WatchTimes,
} from './queue-watch.ts';
import { ReceivingLink } from './receiving-link.ts';
import { type Settle, Settlement } from './settlement.ts';

export interface QueueSessionOptions {
  readonly connection: ServiceBusConnection;
  readonly queueName: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
  /** Messages in hand at once. Default 4. */
  readonly window?: number;
  readonly times?: Partial<WatchTimes>;
  /** How long a link may take to answer a settlement. Default 1 s. */
  readonly settleLimitMs?: number;
  /** A link is replaced after so many deliveries: one unsettled message stalls it 2048 deliveries later. Default 1900. */
  readonly deliveriesMax?: number;
}

/** How long a message above the window waits for a place before it is left to its lock. */
const placeWaitMs = 3000;
const stopLimitMs = 450;

/**
 * One life of the queue, from being warm or started to stop. Messages are pushed by a subscription whose credit is the window; settling
 * has a second way; a watch asks a silent broker and rebuilds the connection.
 */
export class QueueSession implements JobQueue {
  readonly #options: QueueSessionOptions;
  readonly #window: number;
  readonly #times: WatchTimes;
  readonly #settlement: Settlement;
  readonly #inHand = new Set<ServiceBusReceivedMessage>();
  /** Called whenever a message leaves our hands. */
  readonly #onRelease = new Set<() => void>();
  #client: ServiceBusClient | undefined;
  /** Asks for the first message while there is no link; attaches none itself. */
  #peeker: { readonly client: ServiceBusClient; readonly receiver: ServiceBusReceiver } | undefined;
  #link: ReceivingLink | undefined;
  #receive: ((delivery: Delivery) => Promise<void>) | undefined;
  #isStopped = false;
  #isWarm = false;
  #isReplacing = false;
  #isProbing = false;
  #watch;
  #creditSinceMs: number | undefined;
  #receivedUpTo = 0;
  #ticker: Timer | undefined;
  /** The zero of the SDK's 64-bit type, which it does not export; learnt from the first message. */
  #zero: ServiceBusReceivedMessage['sequenceNumber'];

  /** Throws `BAD_CONNECTION_STRING` or `OTHER_QUEUE`. */
  constructor(options: QueueSessionOptions) {
    checkConnection(options.connection, options.queueName);
    this.#options = options;
    this.#window = options.window ?? 4;
    this.#times = { ...defaultWatchTimes, ...options.times };
    this.#watch = newWatch(options.clock.monotonicMs());
    this.#settlement = new Settlement({
      ...options,
      openClient: () => openClient(options.connection, 0),
      linkLimitMs: options.settleLimitMs ?? 1000,
      fallbackLimitMs: 3000,
    });
  }

  /** Resolves when the queue has answered or has failed to; then `state()` tells, and connecting goes on by itself. */
  async start(receive: (delivery: Delivery) => Promise<void>): Promise<void> {
    if (this.#receive !== undefined) throw queueErrors.ALREADY_STARTED.create({ queue: this.#options.queueName });
    this.#receive = receive;
    // What a question found while nobody listened says nothing of now.
    this.#watch = { ...this.#watch, foundNothing: false, lastDeliveryMs: this.#options.clock.monotonicMs() };
    this.#openLink();
    await this.#probe();
    this.#tick();
  }

  /** Connects, and asks the broker every so often so that connection and token stay good. */
  async warm(): Promise<void> {
    if (this.#receive !== undefined || this.#isWarm) return;
    this.#isWarm = true;
    await this.#probe();
    this.#tick();
  }

  get isReceiving(): boolean {
    return this.#receive !== undefined;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#ticker?.cancel();
    this.#released();
    const { clock, logger, meter } = this.#options;
    meter.set(queueMetrics.connected, 0);
    const link = this.#link;
    const client = this.#client;
    await closeQuietly({ clock, logger, limitMs: stopLimitMs, what: 'the queue' }, async () => {
      await Promise.all([link?.suspend(stopLimitMs), this.#settlement.close()]);
      await client?.close();
    });
  }

  state(): QueueState {
    const nowMs = this.#options.clock.monotonicMs();
    const isRunning = (this.isReceiving || this.#isWarm) && !this.#isStopped;
    const trouble = isRunning ? this.#watch.trouble : 'receiving was not started, or was stopped';
    return {
      connected: isRunning && isConnected(this.#watch),
      receivedUpTo: this.#receivedUpTo,
      empty: isRunning && this.isReceiving && isEmpty(this.#watch, { nowMs, times: this.#times, creditSinceMs: this.#creditSinceMs }),
      trouble: trouble ?? (this.#watch.lastProbeMs === undefined ? 'connecting' : undefined),
    };
  }

  async drainDeadLetters(take: (report: DeadLetterReport) => Promise<void>): Promise<number> {
    const { queueName, clock, logger } = this.#options;
    const client = this.#client;
    if (client === undefined || this.#isStopped) throw queueErrors.STOPPED.create(this.#operation('drain the dead letters of'));
    return await drainDeadLetters({ client, queueName, clock, logger, isStopped: () => this.#isStopped, take });
  }

  #openLink(): void {
    const { connection, queueName, clock, logger } = this.#options;
    this.#client ??= openClient(connection, 0);
    this.#link = new ReceivingLink({
      client: this.#client,
      queueName,
      clock,
      logger,
      credits: this.#window,
      onMessage: (link, message) => this.#take(link, message),
      onError: (link, error) => this.#fault(link, error),
    });
    this.#noteCredit();
  }

  async #take(link: ReceivingLink, message: ServiceBusReceivedMessage): Promise<void> {
    const { clock, logger, deliveriesMax = 1900 } = this.#options;
    const receive = this.#receive;
    this.#watch = onDelivery({ ...this.#watch, lastProbeMs: this.#watch.lastProbeMs ?? clock.monotonicMs() }, clock.monotonicMs());
    this.#zero ??= message.sequenceNumber?.subtract(message.sequenceNumber);
    // After a reconnect of its own the SDK grants the whole window again, whatever is still in hand.
    if (this.#inHand.size >= this.#window) void this.#replace('overCapacity', false);
    // Without a place it is left to its lock.
    if (receive === undefined || !(await this.#enter(message))) return;
    const sendNo = Number(message.applicationProperties?.['sendNo'] ?? 0);
    if (Number.isSafeInteger(sendNo)) this.#receivedUpTo = Math.max(this.#receivedUpTo, sendNo);
    try {
      await receive(this.#delivery(link, message, Number.isSafeInteger(sendNo) ? sendNo : 0));
    } catch (error) {
      // Thrown on, the SDK would abandon the message and it would come back at once, again and again.
      logger.warn({ messageId: message.messageId, reason: firstLine(error) }, 'message was not taken and is left to its lock');
    } finally {
      this.#inHand.delete(message);
      this.#released();
      this.#noteCredit();
    }
    if (link.deliveries >= deliveriesMax && link === this.#link) void this.#replace('recycled', false);
  }

  #delivery(link: ReceivingLink, message: ServiceBusReceivedMessage, sendNo: number): Delivery {
    const settle = async (verb: string, act: Settle): Promise<void> => {
      if (this.#isStopped) throw queueErrors.STOPPED.create(this.#operation(verb));
      const wasOverLink = await this.#settlement.settle(verb, link.receiver, message, act);
      // The link never learns of it and would stall behind this delivery.
      if (!wasOverLink && link === this.#link) void this.#replace('recycled', false);
    };
    return {
      messageId: String(message.messageId ?? ''),
      sendNo,
      body: readBody(message.body),
      deliveryCount: message.deliveryCount ?? 0,
      complete: () => settle('complete a message of', (receiver, one) => receiver.completeMessage(one)),
      deadLetter: (reason, description) =>
        settle('dead-letter a message of', (receiver, one) =>
          receiver.deadLetterMessage(one, { deadLetterReason: reason, deadLetterErrorDescription: description }),
        ),
    };
  }

  /** Takes a message into our hands, when there is a place in the window; false when none came free in time. */
  async #enter(message: ServiceBusReceivedMessage): Promise<boolean> {
    const { clock } = this.#options;
    const untilMs = clock.monotonicMs() + placeWaitMs;
    while (this.#inHand.size >= this.#window) {
      if (this.#isStopped || clock.monotonicMs() >= untilMs) return false;
      await this.#release(untilMs - clock.monotonicMs());
    }
    if (this.#isStopped) return false;
    this.#inHand.add(message);
    this.#noteCredit();
    return true;
  }

  /** Resolves when a message leaves our hands, or after `limitMs`. */
  #release(limitMs: number | undefined): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        timer?.cancel();
        this.#onRelease.delete(done);
        resolve();
      };
      const timer = limitMs === undefined ? undefined : this.#options.clock.after(limitMs, done);
      this.#onRelease.add(done);
    });
  }

  #released(): void {
    for (const done of [...this.#onRelease]) done();
  }

  #noteCredit(): void {
    const isOut = this.#link !== undefined && !this.#link.isSuspended && this.#inHand.size < this.#window;
    if (!isOut) this.#creditSinceMs = undefined;
    else this.#creditSinceMs ??= this.#options.clock.monotonicMs();
  }

  /**
   * Puts a new link, or a whole new connection, in place of the old one. The new link starts when nothing of the old one is in
   * hand, so that its full credit is never more than the window.
   */
  async #replace(reason: 'recycled' | 'overCapacity' | 'rebuilt', withConnection: boolean): Promise<void> {
    const { clock, logger, meter } = this.#options;
    const oldClient = this.#client;
    const oldLink = this.#link;
    if (withConnection && oldClient !== undefined) {
      this.#client = undefined;
      this.#link = undefined;
      // Suspended first, so that the SDK ends its endless attempts to reconnect.
      void oldLink?.suspend(1000);
      void closeQuietly({ clock, logger, limitMs: 1000, what: 'the old connection' }, () => oldClient.close());
    }
    if (this.#isReplacing) return;
    this.#isReplacing = true;
    meter.add(queueMetrics.renewals, 1, { reason });
    if (!withConnection) await oldLink?.suspend(1000);
    this.#noteCredit();
    while (this.#inHand.size > 0 && !this.#isStopped) await this.#release(undefined);
    this.#isReplacing = false;
    if (this.#isStopped) return;
    if (this.isReceiving) this.#openLink();
    if (!withConnection) await oldLink?.close(1000);
  }

  #fault(link: ReceivingLink, error: unknown): void {
    if (this.#isStopped || link !== this.#link) return;
    const mapped = fromServiceBusError(error, this.#operation('receive from'));
    if (this.#watch.trouble === undefined) this.#options.logger.warn({ error: mapped }, 'queue has trouble');
    this.#watch = onTrouble(this.#watch, mapped.message);
  }

  /** Looks every so often whether the broker must be asked. */
  #tick(): void {
    const { clock, meter } = this.#options;
    if (this.#isStopped || this.#ticker !== undefined) return;
    meter.set(queueMetrics.connected, isConnected(this.#watch) ? 1 : 0);
    const everyMs = Math.min(this.#times.troubleProbeMs, this.#times.emptyAfterMs) / 2;
    this.#ticker = clock.after(everyMs, () => {
      this.#ticker = undefined;
      // `#probe` does not reject: it turns every failure into the watch's state.
      if (clock.monotonicMs() >= nextProbeMs(this.#watch, this.#times)) void this.#probe();
      this.#tick();
    });
  }

  /** Asks for the queue's first message and draws the conclusions. */
  async #probe(): Promise<void> {
    const { clock, logger, queueName } = this.#options;
    if (this.#isProbing || this.#isStopped) return;
    this.#isProbing = true;
    const hadTrouble = this.#watch.trouble !== undefined;
    const deliveredMs = this.#watch.lastDeliveryMs;
    try {
      const deadline = { clock, limitMs: this.#times.probeLimitMs, what: `look into queue ${queueName}` };
      const first = await withDeadline(deadline, () => this.#peek());
      if (this.#isStopped) return;
      const nowMs = clock.monotonicMs();
      const isOurs = [...this.#inHand].some(({ sequenceNumber }) => sequenceNumber?.toString() === first?.sequence);
      // What came while we asked proves that messages flow.
      const isCreditOut = this.#creditSinceMs !== undefined && deliveredMs === this.#watch.lastDeliveryMs;
      const { watch, isStuck } = onAnswer(this.#watch, first, { nowMs, times: this.#times, isCreditOut, isOurs });
      this.#watch = watch;
      if (hadTrouble) logger.info({ queueName }, 'queue is reached again');
      if (isStuck) {
        logger.warn({ queueName }, 'queue holds messages and delivers none: the connection is rebuilt');
        void this.#replace('rebuilt', true);
      }
    } catch (error) {
      this.#noAnswer(error);
    } finally {
      this.#isProbing = false;
    }
  }

  #noAnswer(error: unknown): void {
    if (this.#isStopped) return;
    const { clock, logger } = this.#options;
    const mapped = fromServiceBusError(error, this.#operation('look into'));
    const isTimeout = hasCode(mapped, baseErrors.DEADLINE.code) || hasCode(mapped, queueErrors.TIMEOUT.code);
    const { watch, isDead } = onNoAnswer(this.#watch, mapped.message, { nowMs: clock.monotonicMs(), isTimeout });
    // The first failure is worth a line, then every twentieth.
    if (watch.failures % 20 === 1) logger.warn({ error: mapped, failures: watch.failures }, 'queue cannot be reached');
    this.#watch = watch;
    if (isDead) void this.#replace('rebuilt', true);
  }

  async #peek(): Promise<{ sequence: string; lockedUntilMs: number | undefined } | undefined> {
    const { connection, queueName } = this.#options;
    const client = (this.#client ??= openClient(connection, 0));
    if (this.#peeker?.client !== client) this.#peeker = { client, receiver: client.createReceiver(queueName) };
    const receiver = this.#link?.receiver ?? this.#peeker.receiver;
    const from = this.#zero === undefined ? {} : { fromSequenceNumber: this.#zero };
    const [first] = await receiver.peekMessages(1, from);
    this.#zero ??= first?.sequenceNumber?.subtract(first.sequenceNumber);
    // A scheduled or deferred message is not for us now; none of ours is one.
    if (first?.sequenceNumber === undefined || first.state !== 'active') return undefined;
    return { sequence: first.sequenceNumber.toString(), lockedUntilMs: first.lockedUntilUtc?.getTime() };
  }

  #operation(verb: string): { verb: string; queue: string; messageId: string } {
    return { verb, queue: this.#options.queueName, messageId: '' };
  }
}

/** We send bytes; what others send as a value or sequence is shown as JSON. */
function readBody(body: unknown): string {
  if (typeof body === 'string') return body;
  return Buffer.isBuffer(body) ? body.toString('utf8') : (JSON.stringify(body) ?? '');
}

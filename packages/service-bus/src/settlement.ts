import type { ServiceBusClient, ServiceBusReceivedMessage, ServiceBusReceiver } from '@azure/service-bus';
import { type Clock, hasCode, type Logger, type Meter, withDeadline } from '@dmg/base';
import { closeQuietly } from './connection.ts';
import { fromServiceBusError, queueErrors } from './errors.ts';
import { queueMetrics } from './metrics.ts';

export interface SettlementOptions {
  readonly queueName: string;
  readonly openClient: () => ServiceBusClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
  /** How long the link may take to answer before the second connection is asked. */
  readonly linkLimitMs: number;
  /** How long one request over the second connection may take; there are two. */
  readonly fallbackLimitMs: number;
}

export type Settle = (receiver: ServiceBusReceiver, message: ServiceBusReceivedMessage) => Promise<void>;

/**
 * Settles messages although connections die. A settlement on a link whose connection was lost is neither answered nor rejected by
 * the SDK; a second client settles by lock token (`update-disposition`), which Service Bus accepts from any connection.
 * When the link's answer was lost but not the settlement itself, the second attempt finds the lock gone: `LOCK_LOST` means
 * *settled already, or it comes again*.
 */
export class Settlement {
  readonly #options: SettlementOptions;
  #second: { client: ServiceBusClient; receiver: ServiceBusReceiver } | undefined;
  #isClosed = false;

  constructor(options: SettlementOptions) {
    this.#options = options;
  }

  /** Returns true when it was settled over its own link, false when over the second connection. Throws a mapped error. */
  async settle(verb: string, link: ServiceBusReceiver, message: ServiceBusReceivedMessage, settle: Settle): Promise<boolean> {
    const { clock, queueName: queue, linkLimitMs, fallbackLimitMs, meter } = this.#options;
    const operation = { verb, queue, messageId: String(message.messageId) };
    const fail = (error: unknown): Error => fromServiceBusError(error, operation);
    try {
      await withDeadline({ clock, limitMs: linkLimitMs, what: `${verb} queue ${queue}` }, () => settle(link, message));
      return true;
    } catch (error) {
      const mapped = fail(error);
      if (hasCode(mapped, queueErrors.LOCK_LOST.code)) throw mapped;
    }
    meter.add(queueMetrics.fallbackSettlements, 1);
    for (let attempt = 1; ; attempt++) {
      if (this.#isClosed) throw queueErrors.STOPPED.create(operation);
      try {
        await withDeadline({ clock, limitMs: fallbackLimitMs, what: `${verb} queue ${queue}` }, () => settle(this.#receiver(), message));
        return false;
      } catch (error) {
        const mapped = fail(error);
        if (hasCode(mapped, queueErrors.LOCK_LOST.code) || attempt === 2) throw mapped;
        await this.#drop();
      }
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#drop();
  }

  #receiver(): ServiceBusReceiver {
    if (this.#second === undefined) {
      const client = this.#options.openClient();
      this.#second = { client, receiver: client.createReceiver(this.#options.queueName, { maxAutoLockRenewalDurationInMs: 0 }) };
    }
    return this.#second.receiver;
  }

  async #drop(): Promise<void> {
    const second = this.#second;
    this.#second = undefined;
    if (second === undefined) return;
    await closeQuietly({ ...this.#options, limitMs: 200, what: 'the second connection' }, () => second.client.close());
  }
}

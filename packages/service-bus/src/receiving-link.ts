import type { MessageHandlers, ServiceBusClient, ServiceBusReceivedMessage, ServiceBusReceiver } from '@azure/service-bus';
import type { Clock, Logger } from '@dmg/base';
import { closeQuietly } from './connection.ts';

export interface ReceivingLinkOptions {
  readonly client: ServiceBusClient;
  readonly queueName: string;
  /** Messages that the broker may have sent and we not yet released. */
  readonly credits: number;
  readonly onMessage: (link: ReceivingLink, message: ServiceBusReceivedMessage) => Promise<void>;
  readonly onError: (link: ReceivingLink, error: unknown) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** One subscription. The SDK reconnects it by itself; it is replaced when that does not help and before it stalls. */
export class ReceivingLink {
  readonly receiver: ServiceBusReceiver;
  deliveries = 0;
  isSuspended = false;
  readonly #options: ReceivingLinkOptions;
  readonly #subscription: { close(): Promise<void> };

  constructor(options: ReceivingLinkOptions) {
    this.#options = options;
    // No renewal of locks: the SDK renews on after its connection was lost, and a message is completed within milliseconds.
    this.receiver = options.client.createReceiver(options.queueName, { maxAutoLockRenewalDurationInMs: 0, skipParsingBodyAsJson: true });
    const handlers: MessageHandlers = {
      processMessage: (message) => {
        this.deliveries++;
        return options.onMessage(this, message);
      },
      processError: ({ error }) => {
        options.onError(this, error);
        return Promise.resolve();
      },
    };
    this.#subscription = this.receiver.subscribe(handlers, { autoCompleteMessages: false, maxConcurrentCalls: options.credits });
  }

  /** Takes the credit back. Messages in hand can still be settled. */
  async suspend(limitMs: number): Promise<void> {
    this.isSuspended = true;
    await closeQuietly({ ...this.#options, limitMs, what: 'the subscription' }, () => this.#subscription.close());
  }

  async close(limitMs: number): Promise<void> {
    await closeQuietly({ ...this.#options, limitMs, what: 'the receiving link' }, () => this.receiver.close());
  }
}

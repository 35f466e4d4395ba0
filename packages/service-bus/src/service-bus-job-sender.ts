import type { ServiceBusClient, ServiceBusSender } from '@azure/service-bus';
import { type Clock, type Logger, withDeadline } from '@dmg/base';
import type { JobSender } from '@dmg/core';
import { checkConnection, closeQuietly, openClient, type ServiceBusConnection } from './connection.ts';
import { fromServiceBusError, queueErrors } from './errors.ts';

export interface ServiceBusJobSenderOptions {
  readonly connection: ServiceBusConnection;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long one message may take, all attempts together. Default 10 s. */
  readonly sendLimitMs?: number;
}

/**
 * Sends jobs to the queues of a namespace. A send whose outcome is unknown (a connection that died, a deadline) rejects and may
 * have been stored; sending the same `messageId` again is safe while the queue detects duplicates.
 */
export class ServiceBusJobSender implements JobSender {
  readonly #options: ServiceBusJobSenderOptions;
  #client: ServiceBusClient | undefined;
  #senders = new Map<string, ServiceBusSender>();
  #isClosed = false;

  /** Throws `BAD_CONNECTION_STRING`. */
  constructor(options: ServiceBusJobSenderOptions) {
    checkConnection(options.connection);
    this.#options = options;
  }

  async send(message: { queueName: string; messageId: string; sendNo: number; body: string }): Promise<void> {
    const { queueName, messageId, sendNo, body } = message;
    const { clock, connection, sendLimitMs = 10_000 } = this.#options;
    const operation = { verb: 'send to', queue: queueName, messageId };
    if (this.#isClosed) throw queueErrors.STOPPED.create(operation);
    checkConnection(connection, queueName);
    const sender = this.#senderOf(queueName);
    const client = this.#client;
    try {
      // As bytes: a string would be sent as JSON text, in quotes.
      const bytes = Buffer.from(body, 'utf8');
      const sent = { messageId, body: bytes, contentType: 'application/json', applicationProperties: { sendNo } };
      await withDeadline({ clock, limitMs: sendLimitMs, what: `send to queue ${queueName}` }, (abortSignal) =>
        sender.sendMessages(sent, { abortSignal }),
      );
    } catch (error) {
      const mapped = fromServiceBusError(error, operation);
      // A client that lost its connection may stay broken: a link that was opened while it went down never opens.
      if (mapped.category === 'transient') this.#discard(client);
      throw mapped;
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const client = this.#client;
    this.#client = undefined;
    if (client !== undefined) await this.#close(client);
  }

  #senderOf(queueName: string): ServiceBusSender {
    this.#client ??= openClient(this.#options.connection, 1);
    let sender = this.#senders.get(queueName);
    if (sender === undefined) {
      sender = this.#client.createSender(queueName);
      this.#senders.set(queueName, sender);
    }
    return sender;
  }

  #discard(client: ServiceBusClient | undefined): void {
    if (client === undefined || client !== this.#client) return;
    this.#client = undefined;
    this.#senders = new Map();
    void this.#close(client);
  }

  #close(client: ServiceBusClient): Promise<void> {
    return closeQuietly({ ...this.#options, limitMs: 1000, what: 'the sending connection' }, () => client.close());
  }
}

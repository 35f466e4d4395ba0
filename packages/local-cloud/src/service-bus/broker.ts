import type { Server } from 'node:net';
import rhea, {
  type Connection, type Container, type Delivery, type EventContext, type Message, type Receiver, type Sender, type Session,
} from 'rhea';
import { type Clock, firstLine, type Logger, type Random, type Secret } from '@dmg/base';
import { readBatch, readIncoming } from './amqp-message.ts';
import { Consumer, readOutcome } from './consumer.ts';
import { DeliveryPump } from './delivery-pump.ts';
import { answerManagement, type ManagementReply } from './management.ts';
import type { Entity, QueueStore } from './queue-store.ts';
import type { Outcome } from './queue-types.ts';
import {
  acknowledge, answerDisposition, destroySocket, echoAttach, type LinkRefusal, outcomeStates, sendSettled,
} from './rhea-internals.ts';
import { pathCovers, verifySas } from './sas.ts';

export interface BrokerOptions {
  readonly store: QueueStore;
  readonly keyName: string;
  readonly key: Secret;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Enough for any number of concurrent sends that we expect: a sender without credit sleeps a second in the SDK. */
const senderCredit = 5000;
const batchFormat = 0x80013700;

/** What one client connection has: the paths its tokens opened, where its replies go, its links to queues. */
interface Scope {
  readonly connection: Connection;
  readonly paths: Set<string>;
  readonly replyLinks: Map<string, Sender>;
  readonly consumers: Set<Consumer>;
  readonly producers: Set<{ receiver: Receiver; entity: Entity }>;
}

/** Speaks AMQP 1.0 as Service Bus does, for the queues of a store. Decisions about messages are in `queue-state.ts`. */
export class Broker {
  readonly #options: BrokerOptions;
  readonly #container: Container;
  readonly #scopes = new Map<Connection, Scope>();
  readonly pump: DeliveryPump;
  #server: Server | undefined;

  constructor(options: BrokerOptions) {
    this.#options = options;
    this.pump = new DeliveryPump({ store: options.store, clock: options.clock, newToken: this.#newToken });
    this.#container = rhea.create_container({ id: 'dmg-service-bus-stand-in' });
    const container = this.#container;
    container.on('connection_open', (context: EventContext) => this.#scope(context.connection));
    container.on('connection_close', (context: EventContext) => this.#forget(context.connection));
    container.on('disconnected', (context: EventContext) => this.#forget(context.connection));
    container.on('session_close', (context: EventContext) => this.#dropSession(context.connection, context.session));
    container.on('sender_open', (context: EventContext) => this.#openSender(context));
    container.on('sender_close', (context: EventContext) => this.#dropSender(context.connection, context.sender));
    container.on('receiver_open', (context: EventContext) => this.#openReceiver(context));
    container.on('receiver_close', (context: EventContext) => this.#dropReceiver(context.connection, context.receiver));
    // A client's fault ends its own link, session or connection and nothing else; unhandled it would end the process.
    for (const event of ['connection_error', 'session_error', 'sender_error', 'receiver_error', 'protocol_error', 'error']) {
      container.on(event, (error: unknown) => {
        options.logger.debug({ event, reason: error instanceof Error ? firstLine(error) : '' }, 'client fault');
      });
    }
  }

  /** Listens; rejects with the system's error when the port is taken. */
  async listen(options: { host: string; port: number }): Promise<number> {
    const server = this.#container.listen({
      ...options,
      max_frame_size: 65_536,
      idle_time_out: 30_000,
      tcp_no_delay: true,
      session_buffer_size: { incoming: 2 * senderCredit, outgoing: 65_536 },
      sender_options: { autosettle: false, treat_modified_as_released: false },
      receiver_options: { autoaccept: false, credit_window: 0 },
    } as Parameters<Container['listen']>[0]);
    this.#server = server;
    await new Promise<void>((resolve, reject) => server.once('listening', resolve).once('error', reject));
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : options.port;
  }

  async close(): Promise<void> {
    this.pump.close();
    const server = this.#server;
    if (server === undefined) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    this.dropConnections();
    await closed;
  }

  /** Breaks all connections without an AMQP close, as a network does. Returns how many. */
  dropConnections(): number {
    const connections = [...this.#scopes.keys()];
    for (const connection of connections) destroySocket(connection);
    return connections.length;
  }

  /** Closes all connections with `amqp:connection:forced`, as Service Bus does before maintenance. */
  closeConnections(): number {
    const connections = [...this.#scopes.keys()];
    for (const connection of connections) {
      connection.close({ condition: 'amqp:connection:forced', description: 'The connection was closed on request.' });
    }
    return connections.length;
  }

  /** Detaches all links to a queue with `amqp:link:detach-forced`. */
  detachLinks(queueName: string): number {
    const refusal = { condition: 'amqp:link:detach-forced', description: 'The link was detached on request.' };
    let count = 0;
    for (const scope of this.#scopes.values()) {
      const consumers = [...scope.consumers].filter(({ entity }) => isQueue(entity, queueName));
      const producers = [...scope.producers].filter(({ entity }) => isQueue(entity, queueName));
      for (const consumer of consumers) this.#dropConsumer(scope, consumer);
      for (const link of [...consumers.map(({ sender }) => sender), ...producers.map(({ receiver }) => receiver)]) link.close(refusal);
      count += consumers.length + producers.length;
    }
    return count;
  }

  /** Leaves the receiving links of a queue open and gives them nothing any more, as if they had died unnoticed. */
  muteLinks(queueName: string): number {
    const all = [...this.#scopes.values()].flatMap((scope) => [...scope.consumers]);
    const consumers = all.filter(({ entity }) => isQueue(entity, queueName));
    for (const consumer of consumers) this.pump.remove(consumer);
    return consumers.length;
  }

  #scope(connection: Connection): Scope {
    const known = this.#scopes.get(connection);
    if (known !== undefined) return known;
    const scope: Scope = { connection, paths: new Set(), replyLinks: new Map(), consumers: new Set(), producers: new Set() };
    this.#scopes.set(connection, scope);
    return scope;
  }

  #forget(connection: Connection): void {
    const scope = this.#scopes.get(connection);
    this.#scopes.delete(connection);
    // Locks stay: they lapse by time, or are settled by token from another connection.
    for (const consumer of scope?.consumers ?? []) this.pump.remove(consumer);
  }

  #dropSession(connection: Connection, session: Session | undefined): void {
    const scope = this.#scopes.get(connection);
    for (const consumer of scope?.consumers ?? []) {
      if (scope !== undefined && consumer.sender.session === session) this.#dropConsumer(scope, consumer);
    }
  }

  #dropSender(connection: Connection, sender: Sender | undefined): void {
    const scope = this.#scopes.get(connection);
    if (scope === undefined || sender === undefined) return;
    for (const consumer of scope.consumers) if (consumer.sender === sender) this.#dropConsumer(scope, consumer);
    for (const [name, link] of scope.replyLinks) if (link === sender) scope.replyLinks.delete(name);
  }

  #dropReceiver(connection: Connection, receiver: Receiver | undefined): void {
    const producers = this.#scopes.get(connection)?.producers;
    for (const producer of producers ?? []) if (producer.receiver === receiver) producers?.delete(producer);
  }

  #dropConsumer(scope: Scope, consumer: Consumer): void {
    scope.consumers.delete(consumer);
    this.pump.remove(consumer);
  }

  /** A client wants to receive: from a queue, or the replies of `$cbs` or `$management`. */
  #openSender({ connection, sender }: EventContext): void {
    if (sender === undefined) return;
    const scope = this.#scope(connection);
    const address = sender.source?.address ?? '';
    if (address === '$cbs') {
      this.#openReplies(scope, sender, sender.name);
      return;
    }
    const found = this.#resolve(scope, address);
    if ('condition' in found) {
      sender.close(found);
      return;
    }
    if (isManagement(address)) {
      this.#openReplies(scope, sender, sender.target?.address ?? sender.name);
      return;
    }
    const filter: unknown = sender.source.filter;
    if (typeof filter === 'object' && filter !== null && 'com.microsoft:session-filter' in filter) {
      const description = 'This Service Bus stand-in has no message sessions: receive from the queue without a session.';
      this.#options.logger.warn({ queue: found.path, description }, 'session refused');
      // The condition for which the SDK gives up at once, whether it sees it before or after its link counts as open.
      sender.close({ condition: 'com.microsoft:session-cannot-be-locked', description });
      return;
    }
    echoAttach(sender);
    this.#openConsumer(scope, sender, found);
  }

  #openReplies(scope: Scope, sender: Sender, replyTo: string): void {
    echoAttach(sender);
    scope.replyLinks.set(replyTo, sender);
    sender.on('sender_flow', () => acknowledge(scope.connection));
  }

  #openConsumer(scope: Scope, sender: Sender, entity: Entity): void {
    const consumer = new Consumer(sender, entity);
    scope.consumers.add(consumer);
    this.pump.add(consumer);
    sender.on('sender_flow', () => this.pump.pump(entity.queue));
    sender.on('sender_draining', () => consumer.answerDrain());
    for (const kind of ['accepted', 'modified', 'rejected', 'released'] as const) {
      sender.on(kind, ({ delivery }: EventContext) => {
        if (delivery !== undefined) this.#settle(consumer, delivery, readOutcome(kind, delivery)).catch(this.#report);
      });
    }
  }

  /** A client wants to send: to a queue, or requests to `$cbs` or `$management`. */
  #openReceiver({ connection, receiver }: EventContext): void {
    if (receiver === undefined) return;
    const scope = this.#scope(connection);
    const address = receiver.target?.address ?? '';
    if (address === '$cbs') {
      echoAttach(receiver);
      this.#listenTo(receiver, (delivery, message) => {
        delivery.accept();
        this.#answerCbs(scope, message);
      });
      return;
    }
    const found = this.#resolve(scope, address);
    if ('condition' in found) {
      receiver.close(found);
      return;
    }
    if (isManagement(address)) {
      echoAttach(receiver);
      this.#listenTo(receiver, (delivery, message) => {
        delivery.accept();
        this.#answerManagement(scope, found, message).catch(this.#report);
      });
      return;
    }
    if (found.area === 'dead') {
      receiver.close({ condition: 'amqp:not-allowed', description: 'Messages cannot be sent to a dead-letter queue.' });
      return;
    }
    echoAttach(receiver, found.queue.settings.messageBytesMax);
    scope.producers.add({ receiver, entity: found });
    this.#listenTo(receiver, (delivery, message, format) => {
      this.#accept(found, delivery, message, format).catch(this.#report);
    });
  }

  #listenTo(receiver: Receiver, handle: (delivery: Delivery, message: Message | Buffer, format: number) => void): void {
    let received = 0;
    receiver.on('message', (context: EventContext & { format?: number }) => {
      if (++received % (senderCredit / 4) === 0) receiver.add_credit(senderCredit / 4);
      if (context.delivery !== undefined && context.message !== undefined) handle(context.delivery, context.message, context.format ?? 0);
    });
    receiver.add_credit(senderCredit);
  }

  /** The entity of an address, or why it cannot be attached to. */
  #resolve(scope: Scope, address: string): Entity | LinkRefusal {
    if (![...scope.paths].some((path) => pathCovers(path, address))) {
      return { condition: 'amqp:unauthorized-access', description: `Unauthorized access. No valid token was sent for '${address}'.` };
    }
    const entity = this.#options.store.entity(address);
    return entity ?? { condition: 'amqp:not-found', description: `The messaging entity '${address}' could not be found.` };
  }

  /** Stores what a sender sent and answers once it is durable. */
  async #accept(entity: Entity, delivery: Delivery, message: Message | Buffer, format: number): Promise<void> {
    const { store, random } = this.#options;
    const { queue } = entity;
    const newId = (): string => Buffer.from(random.bytes(16)).toString('hex');
    const incoming = format === batchFormat && Buffer.isBuffer(message)
      ? readBatch(message).map((part) => readIncoming(part, newId))
      : [readIncoming(message, newId)];
    const bytes = incoming.reduce((sum, { payload }) => sum + payload.length, 0);
    if (bytes > queue.settings.messageBytesMax) {
      const description = `The message has ${bytes} bytes; the queue takes at most ${queue.settings.messageBytesMax}.`;
      delivery.reject({ condition: 'amqp:link:message-size-exceeded', description });
      return;
    }
    const results = incoming.map((one) => queue.enqueue(one, store.nowMs()));
    await store.durable();
    for (const result of results) if (result.kind === 'stored') queue.confirm(result.sequence);
    delivery.accept();
    this.pump.pump(queue);
  }

  async #settle(consumer: Consumer, delivery: Delivery, outcome: Outcome): Promise<void> {
    const { store } = this.#options;
    const { queue, area } = consumer.entity;
    const token = consumer.tokenOf(delivery);
    const result = token === undefined ? 'lost' : queue.settle(area, token, outcome, store.nowMs());
    this.pump.pump(queue);
    if (result === 'settled') await store.durable();
    answerDisposition(delivery, stateOf(result, outcome));
  }

  #answerCbs(scope: Scope, request: Message | Buffer): void {
    if (Buffer.isBuffer(request)) return;
    const { key, keyName, store } = this.#options;
    const properties = request.application_properties ?? {};
    const verdict = properties['operation'] === 'put-token' && typeof request.body === 'string'
      ? verifySas({ token: request.body, keyName, key, nowMs: store.nowMs() })
      : ({ ok: false, reason: 'this is not a put-token request with a shared access signature' } as const);
    if (verdict.ok) scope.paths.add(verdict.path);
    const link = scope.replyLinks.get(request.reply_to ?? '');
    if (link === undefined) return;
    sendSettled(link, {
      correlation_id: request.message_id,
      application_properties: {
        'status-code': rhea.types.wrap_int(verdict.ok ? 202 : 401),
        'status-description': verdict.ok ? 'Accepted' : `InvalidSignature: ${verdict.reason}.`,
        ...(verdict.ok ? {} : { 'error-condition': rhea.types.wrap_symbol('amqp:unauthorized-access') }),
      },
      body: undefined,
    } as Message);
  }

  async #answerManagement(scope: Scope, entity: Entity, request: Message | Buffer): Promise<void> {
    if (Buffer.isBuffer(request)) return;
    const { store } = this.#options;
    const operation: unknown = request.application_properties?.['operation'];
    const body: unknown = request.body;
    const reply: ManagementReply = await answerManagement(String(operation), typeof body === 'object' && body !== null ? { ...body } : {}, {
      entity,
      nowMs: store.nowMs(),
      newToken: this.#newToken,
      durable: () => store.durable(),
    });
    this.pump.pump(entity.queue);
    const link = scope.replyLinks.get(request.reply_to ?? '');
    if (link === undefined || !link.is_open()) return;
    sendSettled(link, {
      correlation_id: request.message_id,
      application_properties: {
        statusCode: rhea.types.wrap_int(reply.status),
        statusDescription: reply.description,
        ...(reply.condition === undefined ? {} : { errorCondition: rhea.types.wrap_symbol(reply.condition) }),
      },
      body: reply.body ?? {},
    } as Message);
  }

  readonly #newToken = (): string => Buffer.from(this.#options.random.bytes(16)).toString('hex');

  /** A request that cannot be read: its sender gets no answer and times out. */
  readonly #report = (error: unknown): void => {
    this.#options.logger.warn({ reason: firstLine(error) }, 'request failed');
  };
}

function isQueue(entity: Entity, name: string): boolean {
  return entity.queue.name.toLowerCase() === name.toLowerCase();
}

function isManagement(address: string): boolean {
  return /\/\$management$/i.test(address);
}

function stateOf(result: 'settled' | 'lost' | 'refused', outcome: Outcome): object {
  if (result === 'lost') {
    return outcomeStates.rejected({
      condition: 'com.microsoft:message-lock-lost',
      description: 'The lock supplied is invalid. Either the lock expired, or the message has already been removed from the queue.',
    });
  }
  if (result === 'refused') {
    return outcomeStates.rejected({ condition: 'amqp:not-allowed', description: 'A dead letter cannot be dead-lettered.' });
  }
  if (outcome.type === 'complete') return outcomeStates.accepted();
  return outcome.type === 'deadLetter' ? outcomeStates.rejected() : outcomeStates.modified(outcome.type === 'defer');
}

import { Socket } from 'node:net';
import rhea, { type Connection, type Delivery, type Receiver, type Sender } from 'rhea';

/**
 * Parts of rhea 3.0.5 that its typings leave out and that a server needs. The version is pinned; the functional suite of the
 * stand-in fails when one of them changes.
 */
interface LinkInternals {
  readonly local: { readonly attach: { snd_settle_mode?: unknown; rcv_settle_mode?: unknown; max_message_size?: unknown } };
}

interface SenderInternals extends LinkInternals {
  credit: number;
  delivery_count: number;
  issue_flow: boolean;
  _get_drain: () => boolean;
}

export function senderInternals(sender: Sender): SenderInternals {
  return sender as Sender & SenderInternals;
}

/** Answers an attach with the same addresses and settle modes. Must run before the handler of the open event returns. */
export function echoAttach(link: Sender | Receiver, messageBytesMax?: number): void {
  const { attach } = (link as (Sender | Receiver) & LinkInternals).local;
  attach.snd_settle_mode = link.snd_settle_mode;
  attach.rcv_settle_mode = link.rcv_settle_mode;
  if (messageBytesMax !== undefined) attach.max_message_size = messageBytesMax;
  if (link.source !== null && link.source !== undefined) link.set_source(link.source);
  if (link.target !== null && link.target !== undefined) link.set_target(link.target);
}

/** The error of a link that is refused or detached; what rhea's typings call an AmqpError. */
export interface LinkRefusal {
  readonly condition: string;
  readonly description: string;
}

interface OutcomeTypes {
  accepted(): { described(): object };
  modified(fields: { undeliverable_here: boolean }): { described(): object };
  rejected(fields: { error?: LinkRefusal }): { described(): object };
}

const outcomes = rhea.message as typeof rhea.message & OutcomeTypes;

export const outcomeStates = {
  accepted: (): object => outcomes.accepted().described(),
  modified: (isUndeliverableHere: boolean): object => outcomes.modified({ undeliverable_here: isUndeliverableHere }).described(),
  rejected: (error?: LinkRefusal): object => outcomes.rejected(error === undefined ? {} : { error }).described(),
};

/**
 * Answers a receiver's disposition. A client in settle mode "second" never sends a settled disposition of its own, so the delivery
 * is marked as settled by both, or the session's buffer of unsettled deliveries fills up and delivery stops.
 */
export function answerDisposition(delivery: Delivery, state: object): void {
  delivery.update(true, state);
  (delivery as { remote_settled: boolean }).remote_settled = true;
}

/** Sends pre-settled: an unsettled reply makes the client write a small frame that delays its next request by about 40 ms. */
export function sendSettled(sender: Sender, message: Parameters<Sender['send']>[0]): void {
  const delivery = sender.send(message);
  (delivery as { settled: boolean }).settled = true;
}

/**
 * Writes an empty frame, as a heartbeat is. It acknowledges what the client's last small write brought, for which the client's
 * socket (Nagle's algorithm is on) else waits 40 ms before it sends its first request.
 */
export function acknowledge(connection: Connection): void {
  const write: unknown = connection['_write_frame'];
  if (typeof write === 'function') (write as (this: Connection) => void).call(connection);
}

/** Ends a connection as a broken network would: no AMQP close. */
export function destroySocket(connection: Connection): void {
  const socket: unknown = connection['socket'];
  // With an error, because rhea listens to "error" and "end" only and would not notice a plain "close".
  if (socket instanceof Socket) socket.destroy(new Error('connection destroyed on request'));
}

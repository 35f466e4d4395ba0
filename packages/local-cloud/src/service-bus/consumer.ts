import type { Delivery, Sender } from 'rhea';
import type { Entity } from './queue-store.ts';
import type { Outcome } from './queue-types.ts';
import { readChanges, writeOutgoing } from './amqp-message.ts';
import { senderInternals } from './rhea-internals.ts';
import { tagFromToken } from './lock-token.ts';

/** A client's receiving link: its credit, and which lock each delivery on it has. */
export class Consumer {
  readonly sender: Sender;
  readonly entity: Entity;
  /** Receive mode `receiveAndDelete`: what is written is gone. */
  readonly isSettledAtOnce: boolean;
  readonly #tokens = new WeakMap<Delivery, string>();
  #sent = 0;
  #drained = 0;
  #mustDrain = false;

  constructor(sender: Sender, entity: Entity) {
    this.sender = sender;
    this.entity = entity;
    this.isSettledAtOnce = sender.snd_settle_mode === 1;
    const internals = senderInternals(sender);
    // rhea answers a drain only while credit is left; the client waits for an answer to each.
    internals._get_drain = () => {
      if (!this.#mustDrain) return false;
      this.#mustDrain = false;
      this.#drained += internals.credit;
      internals.delivery_count += internals.credit;
      internals.credit = 0;
      return true;
    };
  }

  /** Messages that may be sent now. rhea lowers its credit only when a transfer is written, a turn after `deliver`. */
  get credit(): number {
    const { credit, delivery_count: advanced } = senderInternals(this.sender);
    return this.sender.sendable() ? credit - (this.#sent - (advanced - this.#drained)) : 0;
  }

  /** Sends the next message of the queue; false when there is none. */
  deliver(nextToken: () => string, nowMs: number): boolean {
    const { queue, area } = this.entity;
    const token = nextToken();
    const message = this.isSettledAtOnce ? queue.takeNext(area, nowMs) : queue.lockNext(area, token, nowMs);
    if (message === undefined) return false;
    const delivery = this.sender.send(writeOutgoing(message, area === 'dead' ? queue.name : undefined), tagFromToken(token), 0);
    this.#sent++;
    if (!this.isSettledAtOnce) this.#tokens.set(delivery, token);
    return true;
  }

  tokenOf(delivery: Delivery): string | undefined {
    return this.#tokens.get(delivery);
  }

  /** Gives back what credit is left, once the transfers before it are written. */
  answerDrain(): void {
    this.#mustDrain = true;
    senderInternals(this.sender).issue_flow = true;
  }
}

/** What a client's disposition asks for; undefined for `released` without meaning here. */
export function readOutcome(kind: 'accepted' | 'modified' | 'rejected' | 'released', delivery: Delivery): Outcome {
  const state: unknown = delivery.remote_state;
  const fields = typeof state === 'object' && state !== null ? (state as Record<string, unknown>) : {};
  switch (kind) {
    case 'accepted':
      return { type: 'complete' };
    case 'released':
      return { type: 'abandon' };
    case 'modified':
      return {
        type: fields['undeliverable_here'] === true ? 'defer' : 'abandon',
        changes: readChanges(fields['message_annotations']),
      };
    case 'rejected': {
      const error = fields['error'] as { info?: Record<string, unknown> } | undefined;
      const { DeadLetterReason: reason, DeadLetterErrorDescription: description, ...rest } = error?.info ?? {};
      return {
        type: 'deadLetter',
        reason: typeof reason === 'string' ? reason : undefined,
        description: typeof description === 'string' ? description : undefined,
        changes: readChanges(rest),
      };
    }
  }
}

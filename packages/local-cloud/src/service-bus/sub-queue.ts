import { MinHeap } from './min-heap.ts';
import type { QueueMessage } from './queue-types.ts';

/**
 * The messages of one area (the queue or its dead-letter queue), their order and their locks. It knows no rules: those are in
 * `queue-state.ts`. Messages are handed out in sequence order, also those that came back.
 */
export class SubQueue {
  nextSequence = 1;
  readonly #messages = new Map<number, QueueMessage>();
  readonly #available = new MinHeap<number>();
  readonly #sequenceOfToken = new Map<string, number>();

  get size(): number {
    return this.#messages.size;
  }

  get(sequence: number): QueueMessage | undefined {
    return this.#messages.get(sequence);
  }

  /** All messages, oldest first. */
  all(): IterableIterator<QueueMessage> {
    return this.#messages.values();
  }

  insert(message: QueueMessage): void {
    this.#messages.set(message.sequence, message);
    this.nextSequence = Math.max(this.nextSequence, message.sequence + 1);
    this.offer(message);
  }

  remove(message: QueueMessage): void {
    this.unlock(message);
    this.#messages.delete(message.sequence);
  }

  /** Puts a message among those that can be handed out, if it is one of them. */
  offer(message: QueueMessage): void {
    if (isAvailable(message)) this.#available.push(message.sequence, message.sequence);
  }

  /** The first message that can be handed out. */
  first(): QueueMessage | undefined {
    for (let entry = this.#available.peek(); entry !== undefined; entry = this.#available.peek()) {
      const message = this.#messages.get(entry.value);
      if (message !== undefined && isAvailable(message)) return message;
      this.#available.pop();
    }
    return undefined;
  }

  lock(message: QueueMessage, token: string, untilMs: number): void {
    message.lock = { token, untilMs };
    message.handedOut = true;
    this.#sequenceOfToken.set(token, message.sequence);
  }

  unlock(message: QueueMessage): void {
    if (message.lock !== undefined) this.#sequenceOfToken.delete(message.lock.token);
    message.lock = undefined;
  }

  byToken(token: string): QueueMessage | undefined {
    const sequence = this.#sequenceOfToken.get(token);
    return sequence === undefined ? undefined : this.#messages.get(sequence);
  }
}

function isAvailable(message: QueueMessage): boolean {
  return message.state === 'active' && message.lock === undefined && message.durable;
}

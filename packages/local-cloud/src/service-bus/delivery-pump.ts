import type { Clock, Timer } from '@dmg/base';
import type { Consumer } from './consumer.ts';
import type { QueueStore } from './queue-store.ts';
import type { QueueState } from './queue-state.ts';
import type { Area } from './queue-types.ts';

/** Brings messages to the links that wait for them, at once and when time makes messages available. */
export class DeliveryPump {
  readonly #store: QueueStore;
  readonly #clock: Clock;
  readonly #newToken: () => string;
  readonly #consumers = new Map<string, Consumer[]>();
  readonly #silenced = new Set<string>();
  #timer: { dueMs: number; timer: Timer } | undefined;

  constructor(options: { store: QueueStore; clock: Clock; newToken: () => string }) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#newToken = options.newToken;
  }

  add(consumer: Consumer): void {
    const key = keyOf(consumer.entity.queue, consumer.entity.area);
    this.#consumers.set(key, [...(this.#consumers.get(key) ?? []), consumer]);
  }

  remove(consumer: Consumer): void {
    const key = keyOf(consumer.entity.queue, consumer.entity.area);
    this.#consumers.set(key, (this.#consumers.get(key) ?? []).filter((other) => other !== consumer));
  }

  consumerCount(queue: QueueState): number {
    return (['main', 'dead'] as const).reduce((sum, area) => sum + (this.#consumers.get(keyOf(queue, area))?.length ?? 0), 0);
  }

  /** A silent queue takes links and messages and delivers nothing. */
  silence(queueName: string, isSilent: boolean): void {
    if (isSilent) this.#silenced.add(queueName.toLowerCase());
    else this.#silenced.delete(queueName.toLowerCase());
    this.pumpAll();
  }

  isSilent(queueName: string): boolean {
    return this.#silenced.has(queueName.toLowerCase());
  }

  pumpAll(): void {
    for (const queue of this.#store.all()) {
      queue.advance(this.#store.nowMs());
      this.pump(queue);
    }
  }

  /** Both areas, because what happens in one can fill the other. */
  pump(queue: QueueState): void {
    this.#pumpArea(queue, 'main');
    this.#pumpArea(queue, 'dead');
    this.#arm();
  }

  close(): void {
    this.#timer?.timer.cancel();
    this.#timer = undefined;
  }

  /** Hands out messages while there are some and a link has credit, one link after another. */
  #pumpArea(queue: QueueState, area: Area): void {
    const consumers = this.#consumers.get(keyOf(queue, area)) ?? [];
    if (consumers.length === 0 || this.isSilent(queue.name)) return;
    const nowMs = this.#store.nowMs();
    for (let misses = 0, turn = 0; misses < consumers.length && queue.hasAvailable(area); turn++) {
      const consumer = consumers[turn % consumers.length];
      misses = consumer !== undefined && consumer.credit > 0 && consumer.deliver(this.#newToken, nowMs) ? 0 : misses + 1;
    }
    // Another link comes first next time.
    if (consumers.length > 1) consumers.push(...consumers.splice(0, 1));
  }

  #arm(): void {
    const dueMs = Math.min(...this.#store.all().map((queue) => queue.nextDueMs() ?? Infinity));
    if (dueMs === Infinity || (this.#timer !== undefined && this.#timer.dueMs <= dueMs)) return;
    this.#timer?.timer.cancel();
    const timer = this.#clock.after(Math.max(1, dueMs - this.#store.nowMs()), () => {
      this.#timer = undefined;
      this.pumpAll();
      this.#arm();
    });
    this.#timer = { dueMs, timer };
  }
}

function keyOf(queue: QueueState, area: Area): string {
  return `${area}:${queue.name.toLowerCase()}`;
}

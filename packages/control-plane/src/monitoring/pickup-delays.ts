import type { Clock } from '@dmg/base';

const windowMs = 300_000;
const bucketMs = 10_000;

interface Bucket {
  readonly number: number;
  sumMs: number;
  count: number;
}

/**
 * How long activities waited until a node took them up, on average over the last 5 minutes, by gateway. In memory: after a restart of
 * the control plane the average begins anew. Bounded: sums of 10 s, not single delays.
 */
export class PickupDelays {
  readonly #clock: Clock;
  readonly #gateways = new Map<string, Bucket[]>();

  constructor(options: { clock: Clock }) {
    this.#clock = options.clock;
  }

  note(gatewayId: string, delayMs: number): void {
    const buckets = this.#recent(gatewayId);
    const number = Math.floor(this.#clock.monotonicMs() / bucketMs);
    const last = buckets.at(-1);
    if (last?.number === number) {
      last.sumMs += delayMs;
      last.count += 1;
    } else buckets.push({ number, sumMs: delayMs, count: 1 });
    this.#gateways.set(gatewayId, buckets);
  }

  /** Undefined: nothing was taken up in the last 5 minutes. */
  averageMs(gatewayId: string): number | undefined {
    const buckets = this.#recent(gatewayId);
    const count = buckets.reduce((sum, bucket) => sum + bucket.count, 0);
    return count === 0 ? undefined : buckets.reduce((sum, bucket) => sum + bucket.sumMs, 0) / count;
  }

  #recent(gatewayId: string): Bucket[] {
    const oldest = Math.floor((this.#clock.monotonicMs() - windowMs) / bucketMs);
    return (this.#gateways.get(gatewayId) ?? []).filter(({ number }) => number > oldest);
  }
}

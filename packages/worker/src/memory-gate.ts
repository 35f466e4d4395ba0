import type { Clock } from '@dmg/base';
import { admitByMemory } from '@dmg/core';

export interface MemoryGateOptions {
  readonly clock: Clock;
  /** For how long what was measured is believed. */
  readonly cacheMs: number;
  /** What one attempt takes at most: above it, it is killed. */
  readonly budgetBytes: number;
  /** Left over for everything else on the machine. */
  readonly reserveBytes: number;
  /** Undefined: it cannot be known here. */
  readonly availableBytes: () => number | undefined;
}

interface Memorable {
  readonly attemptId: string;
  /** Resident memory above that of an idle executor. */
  memoryBytes(): number;
}

/** What was available and what each attempt had taken, at one moment. */
interface MemoryLook {
  readonly atMs: number;
  readonly availableBytes: number | undefined;
  readonly usedBytes: ReadonlyMap<string, number>;
}

/** Lets no attempt in that could take the memory of those that run (core's memory admission, on what is measured here). */
export class MemoryGate {
  readonly #options: MemoryGateOptions;
  #seen: MemoryLook | undefined;

  constructor(options: MemoryGateOptions) {
    this.#options = options;
  }

  /** Why there is no memory for another attempt; undefined when there is, or when it cannot be known. `awaited` ones have not begun. */
  refusal(attempts: readonly Memorable[], awaited: number): string | undefined {
    const { budgetBytes, reserveBytes } = this.#options;
    const { availableBytes, usedBytes } = this.#look(attempts);
    if (availableBytes === undefined) return undefined;
    // What has begun since the look counts with its whole budget: nothing of it is missing from what was available then.
    const running = attempts.map(({ attemptId }) => ({ budgetBytes, usedBytes: usedBytes.get(attemptId) ?? 0 }));
    for (let count = 0; count < awaited; count++) running.push({ budgetBytes, usedBytes: 0 });
    const admission = admitByMemory({ availableBytes, reserveBytes, running, budgetBytes });
    return admission.admitted ? undefined : admission.evidence;
  }

  #look(attempts: readonly Memorable[]): MemoryLook {
    const { clock, cacheMs, availableBytes } = this.#options;
    const nowMs = clock.monotonicMs();
    if (this.#seen !== undefined && nowMs - this.#seen.atMs < cacheMs) return this.#seen;
    const usedBytes = new Map(attempts.map((attempt) => [attempt.attemptId, attempt.memoryBytes()]));
    this.#seen = { atMs: nowMs, availableBytes: availableBytes(), usedBytes };
    return this.#seen;
  }
}

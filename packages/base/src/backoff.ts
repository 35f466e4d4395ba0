export interface BackoffPolicy {
  /** Delay before the first repetition, in milliseconds. */
  readonly firstMs: number;
  readonly factor: number;
  readonly maxMs: number;
}

export const defaultBackoff: BackoffPolicy = { firstMs: 200, factor: 2, maxMs: 10_000 };

/**
 * Delay before repetition number `repetition` (0 is the first), with "equal jitter": half fixed, half random, so that many
 * callers neither march in step nor ever hammer at once.
 */
export function backoffMs(repetition: number, unit: number, policy: BackoffPolicy = defaultBackoff): number {
  const cappedMs = Math.min(policy.maxMs, policy.firstMs * policy.factor ** Math.min(repetition, 30));
  return cappedMs / 2 + (cappedMs / 2) * unit;
}

/**
 * One line of `npm run bench -- <name> --json`. With a peer, `ratio` (≥ 1: we are ahead) must reach `goal`; without, `ours` stays
 * within `limit`.
 */
export interface BenchLine {
  readonly bench: string;
  readonly case: string;
  readonly ours: number;
  readonly unit: string;
  readonly peer?: string;
  readonly theirs?: number;
  readonly ratio?: number;
  readonly goal?: number;
  readonly limit?: number;
  readonly met?: boolean;
  readonly cpuPerMRows?: number;
  readonly peakMB?: number;
  readonly guarantees?: string;
  /** What else must be known to read the figure. */
  readonly note?: string;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? (sorted[middle] ?? NaN) : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

export function round(value: number, digits = 2): number {
  return Math.round(value * 10 ** digits) / 10 ** digits;
}

/** The smallest value that at least `share` of the values do not exceed. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN;
}

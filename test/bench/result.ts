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
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? (sorted[middle] ?? NaN) : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

export function round(value: number, digits = 2): number {
  return Math.round(value * 10 ** digits) / 10 ** digits;
}

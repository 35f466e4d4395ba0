/** What a node has to judge by when another job asks to be let in. All sizes in bytes. */
export interface MemorySituation {
  /** What processes of this node may still take before the machine (or its container) has none. */
  readonly availableBytes: number;
  /** What must be left over for everything else on the machine. */
  readonly reserveBytes: number;
  /** Attempts that run or are about to: what each may take at most, and what it has taken already. */
  readonly running: readonly { readonly budgetBytes: number; readonly usedBytes: number }[];
  /** What the new one may take at most. */
  readonly budgetBytes: number;
}

export type MemoryAdmission =
  | { readonly admitted: true }
  /** `evidence`: a sentence with the figures, in MiB. */
  | { readonly admitted: false; readonly evidence: string };

/**
 * Whether one more job fits beside those that run, if all of them grow to their budgets: a new job never takes the memory that a
 * running one was promised. What a running one has taken already is no longer available and is not counted twice.
 *
 * Invariant: after each admission the budgets of all that run, less what they have taken, fit into what is available.
 */
export function admitByMemory(situation: MemorySituation): MemoryAdmission {
  const { availableBytes, reserveBytes, running, budgetBytes } = situation;
  const promisedBytes = running.reduce((sum, each) => sum + Math.max(0, each.budgetBytes - each.usedBytes), 0);
  if (availableBytes - promisedBytes >= budgetBytes + reserveBytes) return { admitted: true };
  const attempts = running.length === 1 ? '1 running attempt may' : `${running.length} running attempts may`;
  const evidence = [
    `${mebibytes(availableBytes)} MiB of memory are available; ${attempts} still take ${mebibytes(promisedBytes)} MiB,`,
    `and another one needs ${mebibytes(budgetBytes)} MiB with ${mebibytes(reserveBytes)} MiB left over.`,
  ].join(' ');
  return { admitted: false, evidence };
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / (1024 * 1024));
}

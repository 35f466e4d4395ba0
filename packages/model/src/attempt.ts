import type { Fault } from '@dmg/base';
import type { Receipt } from './receipt.ts';

/** The fencing token of a dispatcher's grant: ordered by `n`, then `token` (DESIGN-RULES 12). */
export interface Epoch {
  readonly n: number;
  /** 32 hex digits, random for each grant. */
  readonly token: string;
}

export function compareEpochs(a: Epoch, b: Epoch): number {
  if (a.n !== b.n) return a.n < b.n ? -1 : 1;
  if (a.token === b.token) return 0;
  return a.token < b.token ? -1 : 1;
}

export function formatEpoch(epoch: Epoch): string {
  return `${epoch.n}.${epoch.token}`;
}

/** Reads what `formatEpoch` wrote; undefined for any other text. */
export function parseEpoch(text: string): Epoch | undefined {
  const match = /^(\d{1,15})\.(.*)$/s.exec(text);
  return match === null ? undefined : { n: Number(match[1]), token: match[2] ?? '' };
}

/**
 * What the attempt that leads a job is to do: `copy` runs plan, copy and finish; `abort` closes the sink and cleans up, and is idempotent.
 */
export type LeadStep = 'copy' | 'abort';
/** What is done beside it on other nodes: `assist` copies chunks of the plan that stands; `keep` holds the source's snapshot open. */
export type AssistStep = 'assist' | 'keep';
export type AttemptStep = LeadStep | AssistStep;

export function isAssistStep(step: AttemptStep): step is AssistStep {
  return step === 'assist' || step === 'keep';
}

/** Which of all that copy one job an assistant is: `index` from 1 (0 leads), `of` so many. A hint where to begin, no claim to any chunk. */
export interface AssistShare {
  readonly index: number;
  readonly of: number;
}

/** Why a worker did not accept a job. Normal operation, not an error. */
export const refusalReasons = [
  'STALE_EPOCH', 'NO_FREE_SLOT', 'NO_MEMORY', 'DRAINING', 'NOT_ELIGIBLE', 'BAD_SIGNATURE', 'ALREADY_RUNNING',
] as const;
export type RefusalReason = (typeof refusalReasons)[number];

export interface AttemptProgress {
  readonly step: 'plan' | 'copy' | 'finish' | 'abort';
  readonly bytesTotal: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly rowsWritten: number;
  readonly filesTotal: number;
  readonly filesWritten: number;
  /** On how many further nodes chunks of its plan could be copied now; told by the attempt that leads. Absent: none. */
  readonly assistantsWanted?: number;
  /** It reads under a snapshot of the source that ends with this node unless another node keeps it. Absent: no. */
  readonly snapshotHeld?: boolean;
}

/** How an attempt ended. */
export type AttemptOutcome =
  /** The sink says done. True from whichever attempt it comes. */
  | { readonly kind: 'succeeded'; readonly receipt: Receipt; readonly details: AttemptDetails }
  /** `sink: open` when the policy has tries left; `aborted` when the sink was closed; `unconfirmed` when it could not be. */
  | { readonly kind: 'failed'; readonly fault: Fault; readonly sink: 'open' | 'aborted' | 'unconfirmed' }
  | { readonly kind: 'cancelled'; readonly sink: 'aborted' | 'unconfirmed' }
  /** Drained or shut down: nothing is wrong, the job is placed again. */
  | { readonly kind: 'stopped' }
  /** The executor is gone without a word. */
  | { readonly kind: 'lost'; readonly reason: string };

/** How an assisting attempt ended: never the end of the job. */
export type AssistOutcome =
  /** Nothing of its share is left to it, or the job is over. `chunks`: those that it has marked itself. */
  | { readonly kind: 'assisted'; readonly chunks: number }
  /** The lead copies what is left. */
  | { readonly kind: 'failed'; readonly fault: Fault }
  | { readonly kind: 'stopped' };

/** Where time went, for the activity's output. */
export interface AttemptDetails {
  readonly planMs: number;
  readonly copyMs: number;
  readonly finishMs: number;
  readonly readMs: number;
  readonly writeMs: number;
  readonly parallelCopies: number;
  /** Waiting for free part buffers, summed over parallel chunks. Absent: none. */
  readonly memoryWaitMs?: number;
  /** From the start of the attempt to the first byte of its source. Absent: it read none. */
  readonly firstByteMs?: number;
  /** Most calls to the source and to the sink that were under way at once. Absent: none. */
  readonly sourcePeakConnections?: number;
  readonly sinkPeakConnections?: number;
}

/** One line of a worker's complete list of what it runs. */
export interface RunningAttempt {
  readonly jobId: string;
  readonly tryNumber: number;
  readonly attemptId: string;
  readonly step: AttemptStep;
  readonly progress: AttemptProgress | undefined;
  /** The signed job as it was dispatched: a dispatcher whose ledger lost the job writes it again from this copy (DESIGN-RULES 12.8). */
  readonly signedJob?: string;
}

import type { AttemptStep } from '@dmg/model';
import type { AttemptOutcome } from '@dmg/model';

/**
 * The ledger's record of a job. `epochN` and `version` order the copies of a record: (epochN, version) grows with each write.
 */
export interface JobRecord {
  readonly jobId: string;
  readonly epochN: number;
  readonly version: number;
  readonly tryNumber: number;
  readonly sendNo: number;
  /** The signed job as received: a successor must be able to place it again. */
  readonly signedJob: string;
  readonly state: JobState;
  /** The current attempt, where there is one. */
  readonly attempt?: { readonly attemptId: string; readonly nodeId: string; readonly step: AttemptStep };
  /** Attempts made so far, all tries. More than 0: the sink may know this job. */
  readonly attempts: number;
  /** How often an executor died under this try. At three the job is failed. */
  readonly executorDeaths: number;
  readonly cancelRequested: boolean;
  /** The end of the current try; `reported` when the control plane has acknowledged it. */
  readonly outcome?: AttemptOutcome;
  readonly reported: boolean;
  readonly endedAtWallMs?: number;
}

/**
 * Waiting: bound to no node. Dispatched: sent, not answered. Running: accepted. Ended: the try is over.
 */
export type JobState = 'Waiting' | 'Dispatched' | 'Running' | 'Ended';


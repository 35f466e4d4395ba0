import type { Fault } from '@dmg/base';
import type { AssistStep, AttemptOutcome, LeadStep } from '@dmg/model';

/**
 * The ledger's record of a job. `epochN` and `version` order the copies of a record: (epochN, version) grows with each change.
 */
export interface JobRecord {
  readonly jobId: string;
  readonly epochN: number;
  readonly version: number;
  readonly tryNumber: number;
  /** True when a failure of this try ends the job: the sink must be closed before it is reported. */
  readonly finalTry: boolean;
  readonly sendNo: number;
  /**
   * The job came with the first delivery of its first send, and this record has been in memory ever since: an attempt that it does
   * not count cannot exist. Cleared when the record is read back from a ledger, which may be older than what happened.
   */
  readonly firstDelivery: boolean;
  /** The signed job as received: a successor must be able to place it again. Empty: unknown or no longer needed, we cannot place it. */
  readonly signedJob: string;
  readonly state: JobState;
  /** The current attempt; there exactly in the states Dispatched and Running. */
  readonly attempt?: CurrentAttempt | undefined;
  /**
   * What goes on beside the current attempt on other nodes, and goes on while the job waits for its next one. Nothing of the job depends
   * on them: they come and go, and are gone when the sink is to be closed. Absent: none.
   */
  readonly assistants?: readonly Assistant[] | undefined;
  /** Attempts made so far, all tries; assistants are not among them. More than 0: the sink may know this job. */
  readonly attempts: number;
  /** How often an executor died under this try. At three the try is over. */
  readonly executorDeaths: number;
  /** How often an executor died while it closed the sink. At three the job ends without confirmation. */
  readonly abortDeaths: number;
  /** How often a worker refused the job's signature although the dispatcher found it good. */
  readonly signatureRefusals: number;
  readonly cancelRequested: boolean;
  /** The try is to end Failed with this fault as soon as an `abort` step has closed the sink. */
  readonly failing?: Fault | undefined;
  /** The end of the current try; there exactly in the state Ended. */
  readonly end?: JobEnd | undefined;
  /** The control plane has acknowledged `end`. */
  readonly reported: boolean;
}

export interface CurrentAttempt {
  readonly attemptId: string;
  readonly nodeId: string;
  readonly step: LeadStep;
  /** The try under which it was dispatched; smaller than the record's when a new try arrived meanwhile. */
  readonly tryNumber: number;
}

export interface Assistant {
  readonly attemptId: string;
  readonly nodeId: string;
  readonly step: AssistStep;
  /** Its place among all that copy the job, see `AssistShare`; 0 of a keeper. */
  readonly index: number;
}

/** How a try ended, as it is reported to the control plane. */
export interface JobEnd {
  readonly tryNumber: number;
  /** Empty when there was no attempt. */
  readonly attemptId: string;
  readonly nodeName: string;
  readonly outcome: AttemptOutcome;
  readonly startedAtWallMs: number;
  readonly endedAtWallMs: number;
}

/**
 * Waiting: bound to no node. Dispatched: sent, not answered. Running: accepted. Ended: the try is over.
 */
export type JobState = 'Waiting' | 'Dispatched' | 'Running' | 'Ended';

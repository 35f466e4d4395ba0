import type { AssistShare, AttemptOutcome, AttemptProgress, AttemptStep, LeadStep, RefusalReason, RunningAttempt } from '@dmg/model';
import type { Assistant, JobEnd, JobRecord } from './job-record.ts';

/** What can happen to a job, seen by the dispatcher. */
export type JobEvent =
  /** A message with this job was read and verified. */
  | {
    readonly type: 'received'; readonly tryNumber: number; readonly finalTry: boolean; readonly sendNo: number;
    readonly firstDelivery: boolean; readonly signedJob: string;
  }
  /** Placement chose a node for a Waiting job. */
  | { readonly type: 'placed'; readonly attemptId: string; readonly nodeId: string; readonly step: LeadStep }
  /** Placement chose a node for an assistant. */
  | { readonly type: 'assistantPlaced'; readonly assistant: Assistant; readonly of: number }
  /** The dispatch was never sent: the ledger could not be written, or something changed before. */
  | { readonly type: 'undispatched'; readonly attemptId: string }
  | { readonly type: 'accepted'; readonly attemptId: string }
  | { readonly type: 'refused'; readonly attemptId: string; readonly reason: RefusalReason; readonly evidence: string }
  | { readonly type: 'progress'; readonly attemptId: string }
  /** An attempt ended, current or not. */
  | {
    readonly type: 'ended'; readonly attemptId: string; readonly tryNumber: number; readonly nodeName: string;
    readonly outcome: AttemptOutcome; readonly startedAtWallMs: number; readonly endedAtWallMs: number;
  }
  /** The user wants the job cancelled. Level-triggered: may come again and again. */
  | { readonly type: 'cancelRequested' }
  /** This end, which was to be reported only after the ledger had it, was not written: another dispatcher may decide otherwise. */
  | { readonly type: 'endWithheld'; readonly end: JobEnd }
  /** The control plane acknowledged this end. */
  | { readonly type: 'reported'; readonly end: JobEnd }
  /**
   * A worker's complete list names an attempt of this job. `finalTry` is known when the list carried the signed job; `current` is how
   * far the current attempt was when it was heard of last.
   */
  | {
    readonly type: 'listed'; readonly nodeId: string; readonly attempt: RunningAttempt; readonly finalTry: boolean;
    readonly current?: AttemptProgress | undefined;
  }
  /** A worker's complete list does not name the current attempt, which should be there; or the node was silent beyond its limit. */
  | { readonly type: 'notListed'; readonly nodeId: string }
  /** An assistant that should be there is not in its worker's complete list; or its node was silent beyond its limit. */
  | { readonly type: 'assistantGone'; readonly attemptId: string }
  /** Ended and reported long ago, or not placeable by us: the record goes. */
  | { readonly type: 'forgotten' };

/**
 * What is to be done, in the order of the list.
 *
 * Effects that stand before `write` are done at once, whether or not the ledger answers. Effects that stand after `write` are
 * done only when the ledger has stored the returned record (or a later one); when it could not, they are dropped, and
 * 1. a dropped `complete` leaves the message to its lock: it comes back and is recognised,
 * 2. a dropped `dispatch` is answered to the machine with `undispatched`,
 * 3. a dropped `report` is answered to the machine with `endWithheld`,
 * 4. a dropped `supersede` is forgotten: the next list brings it up again.
 */
export type JobEffect =
  | { readonly type: 'write' }
  /** Settle the message in hand. */
  | { readonly type: 'complete' }
  | {
    readonly type: 'dispatch'; readonly attemptId: string; readonly nodeId: string; readonly step: AttemptStep;
    readonly share?: AssistShare;
  }
  /** Ask the worker to end an assistant; nothing depends on when it does. */
  | { readonly type: 'dismiss'; readonly attemptId: string; readonly nodeId: string }
  /** Tell the current attempt how many assistants copy beside it, so that all together keep to the activity's parallel copies. */
  | { readonly type: 'tell'; readonly attemptId: string; readonly nodeId: string; readonly assistants: number }
  /** Ask the worker to stop an attempt for good: it closes the sink. */
  | { readonly type: 'stop'; readonly attemptId: string; readonly nodeId: string }
  /** Ask the worker to end an attempt beside which another one of the job goes on: the sink stays open. */
  | { readonly type: 'supersede'; readonly attemptId: string; readonly nodeId: string }
  /** Tell the control plane until it acknowledges. */
  | { readonly type: 'report'; readonly end: JobEnd }
  /** Take the record out of the ledger. */
  | { readonly type: 'remove' };

export interface JobContext {
  readonly jobId: string;
  /** Number of the epoch under which the dispatcher acts. */
  readonly epochN: number;
  readonly nowWallMs: number;
  /** Who signs ends that no attempt brought about. */
  readonly nodeName: string;
}

export interface JobStep {
  readonly record: JobRecord | undefined;
  readonly effects: readonly JobEffect[];
}

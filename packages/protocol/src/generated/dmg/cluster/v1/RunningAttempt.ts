// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/attempt.proto

import type { AttemptStep as _dmg_cluster_v1_AttemptStep, AttemptStep__Output as _dmg_cluster_v1_AttemptStep__Output } from '../../../dmg/cluster/v1/AttemptStep.ts';
import type { AttemptProgress as _dmg_cluster_v1_AttemptProgress, AttemptProgress__Output as _dmg_cluster_v1_AttemptProgress__Output } from '../../../dmg/cluster/v1/AttemptProgress.ts';

/**
 * One line of a worker's complete list of what it runs.
 */
export interface RunningAttempt {
  /**
   * The job, as the control plane named it.
   */
  'jobId'?: (string);
  /**
   * Which try of the job's retry policy it belongs to, from 1.
   */
  'tryNumber'?: (number);
  /**
   * 32 hex digits, chosen by whoever dispatched it. Attempts have no order.
   */
  'attemptId'?: (string);
  /**
   * What it is to do.
   */
  'step'?: (_dmg_cluster_v1_AttemptStep);
  /**
   * How far it is; absent: it has said nothing yet.
   */
  'progress'?: (_dmg_cluster_v1_AttemptProgress | null);
  /**
   * The job as it was dispatched, so that a dispatcher whose ledger lost it can write it again; absent: not kept.
   */
  'signedJob'?: (string);
  '_signedJob'?: "signedJob";
}

/**
 * One line of a worker's complete list of what it runs.
 */
export interface RunningAttempt__Output {
  /**
   * The job, as the control plane named it.
   */
  'jobId': (string);
  /**
   * Which try of the job's retry policy it belongs to, from 1.
   */
  'tryNumber': (number);
  /**
   * 32 hex digits, chosen by whoever dispatched it. Attempts have no order.
   */
  'attemptId': (string);
  /**
   * What it is to do.
   */
  'step': (_dmg_cluster_v1_AttemptStep__Output);
  /**
   * How far it is; absent: it has said nothing yet.
   */
  'progress': (_dmg_cluster_v1_AttemptProgress__Output | null);
  /**
   * The job as it was dispatched, so that a dispatcher whose ledger lost it can write it again; absent: not kept.
   */
  'signedJob'?: (string);
  '_signedJob'?: "signedJob";
}

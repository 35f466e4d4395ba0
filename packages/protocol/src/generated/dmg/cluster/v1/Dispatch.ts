// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/cluster.proto

import type { AttemptStep as _dmg_cluster_v1_AttemptStep, AttemptStep__Output as _dmg_cluster_v1_AttemptStep__Output } from '../../../dmg/cluster/v1/AttemptStep.ts';
import type { Epoch as _dmg_cluster_v1_Epoch, Epoch__Output as _dmg_cluster_v1_Epoch__Output } from '../../../dmg/cluster/v1/Epoch.ts';
import type { AssistShare as _dmg_cluster_v1_AssistShare, AssistShare__Output as _dmg_cluster_v1_AssistShare__Output } from '../../../dmg/cluster/v1/AssistShare.ts';

export interface Dispatch {
  /**
   * As of hello.
   */
  'requestId'?: (number);
  /**
   * The job as the control plane signed it. The worker believes nothing else.
   */
  'signedJob'?: (string);
  /**
   * 32 hex digits, chosen by the dispatcher.
   */
  'attemptId'?: (string);
  /**
   * What the attempt is to do.
   */
  'step'?: (_dmg_cluster_v1_AttemptStep);
  /**
   * Under which the job is dispatched.
   */
  'epoch'?: (_dmg_cluster_v1_Epoch | null);
  /**
   * The job's id; another one than in the signed job is refused.
   */
  'jobId'?: (string);
  /**
   * Since 1.1; with ATTEMPT_STEP_ASSIST only.
   */
  'share'?: (_dmg_cluster_v1_AssistShare | null);
}

export interface Dispatch__Output {
  /**
   * As of hello.
   */
  'requestId': (number);
  /**
   * The job as the control plane signed it. The worker believes nothing else.
   */
  'signedJob': (string);
  /**
   * 32 hex digits, chosen by the dispatcher.
   */
  'attemptId': (string);
  /**
   * What the attempt is to do.
   */
  'step': (_dmg_cluster_v1_AttemptStep__Output);
  /**
   * Under which the job is dispatched.
   */
  'epoch': (_dmg_cluster_v1_Epoch__Output | null);
  /**
   * The job's id; another one than in the signed job is refused.
   */
  'jobId': (string);
  /**
   * Since 1.1; with ATTEMPT_STEP_ASSIST only.
   */
  'share': (_dmg_cluster_v1_AssistShare__Output | null);
}

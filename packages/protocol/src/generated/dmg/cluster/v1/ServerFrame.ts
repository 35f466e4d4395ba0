// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/cluster.proto

import type { Opened as _dmg_cluster_v1_Opened, Opened__Output as _dmg_cluster_v1_Opened__Output } from '../../../dmg/cluster/v1/Opened.ts';
import type { Refused as _dmg_cluster_v1_Refused, Refused__Output as _dmg_cluster_v1_Refused__Output } from '../../../dmg/cluster/v1/Refused.ts';
import type { HelloAnswer as _dmg_cluster_v1_HelloAnswer, HelloAnswer__Output as _dmg_cluster_v1_HelloAnswer__Output } from '../../../dmg/cluster/v1/HelloAnswer.ts';
import type { DispatchAnswer as _dmg_cluster_v1_DispatchAnswer, DispatchAnswer__Output as _dmg_cluster_v1_DispatchAnswer__Output } from '../../../dmg/cluster/v1/DispatchAnswer.ts';
import type { CancelAnswer as _dmg_cluster_v1_CancelAnswer, CancelAnswer__Output as _dmg_cluster_v1_CancelAnswer__Output } from '../../../dmg/cluster/v1/CancelAnswer.ts';
import type { RequestFailed as _dmg_cluster_v1_RequestFailed, RequestFailed__Output as _dmg_cluster_v1_RequestFailed__Output } from '../../../dmg/cluster/v1/RequestFailed.ts';
import type { Heartbeat as _dmg_cluster_v1_Heartbeat, Heartbeat__Output as _dmg_cluster_v1_Heartbeat__Output } from '../../../dmg/cluster/v1/Heartbeat.ts';
import type { WorkerEvent as _dmg_cluster_v1_WorkerEvent, WorkerEvent__Output as _dmg_cluster_v1_WorkerEvent__Output } from '../../../dmg/cluster/v1/WorkerEvent.ts';
import type { Goodbye as _dmg_cluster_v1_Goodbye, Goodbye__Output as _dmg_cluster_v1_Goodbye__Output } from '../../../dmg/cluster/v1/Goodbye.ts';

/**
 * From the side that was called.
 */
export interface ServerFrame {
  /**
   * The first frame of a stream that is open from now on.
   */
  'opened'?: (_dmg_cluster_v1_Opened | null);
  /**
   * The first and last frame of a stream that is not.
   */
  'refused'?: (_dmg_cluster_v1_Refused | null);
  'helloAnswer'?: (_dmg_cluster_v1_HelloAnswer | null);
  'dispatchAnswer'?: (_dmg_cluster_v1_DispatchAnswer | null);
  'cancelAnswer'?: (_dmg_cluster_v1_CancelAnswer | null);
  /**
   * In place of an answer, when the worker could not give one.
   */
  'requestFailed'?: (_dmg_cluster_v1_RequestFailed | null);
  'heartbeat'?: (_dmg_cluster_v1_Heartbeat | null);
  'event'?: (_dmg_cluster_v1_WorkerEvent | null);
  'goodbye'?: (_dmg_cluster_v1_Goodbye | null);
  /**
   * Exactly one is set.
   */
  'frame'?: "opened"|"refused"|"helloAnswer"|"dispatchAnswer"|"cancelAnswer"|"requestFailed"|"heartbeat"|"event"|"goodbye";
}

/**
 * From the side that was called.
 */
export interface ServerFrame__Output {
  /**
   * The first frame of a stream that is open from now on.
   */
  'opened'?: (_dmg_cluster_v1_Opened__Output | null);
  /**
   * The first and last frame of a stream that is not.
   */
  'refused'?: (_dmg_cluster_v1_Refused__Output | null);
  'helloAnswer'?: (_dmg_cluster_v1_HelloAnswer__Output | null);
  'dispatchAnswer'?: (_dmg_cluster_v1_DispatchAnswer__Output | null);
  'cancelAnswer'?: (_dmg_cluster_v1_CancelAnswer__Output | null);
  /**
   * In place of an answer, when the worker could not give one.
   */
  'requestFailed'?: (_dmg_cluster_v1_RequestFailed__Output | null);
  'heartbeat'?: (_dmg_cluster_v1_Heartbeat__Output | null);
  'event'?: (_dmg_cluster_v1_WorkerEvent__Output | null);
  'goodbye'?: (_dmg_cluster_v1_Goodbye__Output | null);
  /**
   * Exactly one is set.
   */
  'frame'?: "opened"|"refused"|"helloAnswer"|"dispatchAnswer"|"cancelAnswer"|"requestFailed"|"heartbeat"|"event"|"goodbye";
}

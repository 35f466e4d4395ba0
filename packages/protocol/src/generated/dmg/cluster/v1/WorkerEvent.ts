// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/cluster.proto

import type { AttemptProgress as _dmg_cluster_v1_AttemptProgress, AttemptProgress__Output as _dmg_cluster_v1_AttemptProgress__Output } from '../../../dmg/cluster/v1/AttemptProgress.ts';
import type { AttemptOutcome as _dmg_cluster_v1_AttemptOutcome, AttemptOutcome__Output as _dmg_cluster_v1_AttemptOutcome__Output } from '../../../dmg/cluster/v1/AttemptOutcome.ts';
import type { Long } from '@grpc/proto-loader';

export interface _dmg_cluster_v1_WorkerEvent_Ended {
  /**
   * The job, as the control plane named it.
   */
  'jobId'?: (string);
  /**
   * Which try of the job's retry policy it belonged to, from 1.
   */
  'tryNumber'?: (number);
  /**
   * The attempt that is over.
   */
  'attemptId'?: (string);
  /**
   * How it ended.
   */
  'outcome'?: (_dmg_cluster_v1_AttemptOutcome | null);
  /**
   * By the worker's wall clock, milliseconds since 1970; for people.
   */
  'startedAtMs'?: (number | string | Long);
  /**
   * Likewise.
   */
  'endedAtMs'?: (number | string | Long);
}

export interface _dmg_cluster_v1_WorkerEvent_Ended__Output {
  /**
   * The job, as the control plane named it.
   */
  'jobId': (string);
  /**
   * Which try of the job's retry policy it belonged to, from 1.
   */
  'tryNumber': (number);
  /**
   * The attempt that is over.
   */
  'attemptId': (string);
  /**
   * How it ended.
   */
  'outcome': (_dmg_cluster_v1_AttemptOutcome__Output | null);
  /**
   * By the worker's wall clock, milliseconds since 1970; for people.
   */
  'startedAtMs': (string);
  /**
   * Likewise.
   */
  'endedAtMs': (string);
}

export interface _dmg_cluster_v1_WorkerEvent_Progress {
  /**
   * The job, as the control plane named it.
   */
  'jobId'?: (string);
  /**
   * The attempt that has come further.
   */
  'attemptId'?: (string);
  /**
   * How far it is. May be lost.
   */
  'progress'?: (_dmg_cluster_v1_AttemptProgress | null);
}

export interface _dmg_cluster_v1_WorkerEvent_Progress__Output {
  /**
   * The job, as the control plane named it.
   */
  'jobId': (string);
  /**
   * The attempt that has come further.
   */
  'attemptId': (string);
  /**
   * How far it is. May be lost.
   */
  'progress': (_dmg_cluster_v1_AttemptProgress__Output | null);
}

export interface _dmg_cluster_v1_WorkerEvent_Slots {
  /**
   * How many jobs may run at once.
   */
  'limit'?: (number);
  /**
   * How many do.
   */
  'used'?: (number);
}

export interface _dmg_cluster_v1_WorkerEvent_Slots__Output {
  /**
   * How many jobs may run at once.
   */
  'limit': (number);
  /**
   * How many do.
   */
  'used': (number);
}

/**
 * What becomes of attempts, told to every member.
 */
export interface WorkerEvent {
  'progress'?: (_dmg_cluster_v1_WorkerEvent_Progress | null);
  'ended'?: (_dmg_cluster_v1_WorkerEvent_Ended | null);
  'slots'?: (_dmg_cluster_v1_WorkerEvent_Slots | null);
  /**
   * Exactly one is set.
   */
  'event'?: "progress"|"ended"|"slots";
}

/**
 * What becomes of attempts, told to every member.
 */
export interface WorkerEvent__Output {
  'progress'?: (_dmg_cluster_v1_WorkerEvent_Progress__Output | null);
  'ended'?: (_dmg_cluster_v1_WorkerEvent_Ended__Output | null);
  'slots'?: (_dmg_cluster_v1_WorkerEvent_Slots__Output | null);
  /**
   * Exactly one is set.
   */
  'event'?: "progress"|"ended"|"slots";
}

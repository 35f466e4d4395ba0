// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/attempt.proto

import type { AttemptDetails as _dmg_cluster_v1_AttemptDetails, AttemptDetails__Output as _dmg_cluster_v1_AttemptDetails__Output } from '../../../dmg/cluster/v1/AttemptDetails.ts';
import type { Fault as _dmg_cluster_v1_Fault, Fault__Output as _dmg_cluster_v1_Fault__Output } from '../../../dmg/cluster/v1/Fault.ts';
import type { SinkState as _dmg_cluster_v1_SinkState, SinkState__Output as _dmg_cluster_v1_SinkState__Output } from '../../../dmg/cluster/v1/SinkState.ts';

export interface _dmg_cluster_v1_AttemptOutcome_Cancelled {
  /**
   * Closed or not; never open.
   */
  'sink'?: (_dmg_cluster_v1_SinkState);
}

export interface _dmg_cluster_v1_AttemptOutcome_Cancelled__Output {
  /**
   * Closed or not; never open.
   */
  'sink': (_dmg_cluster_v1_SinkState__Output);
}

export interface _dmg_cluster_v1_AttemptOutcome_Failed {
  /**
   * Why.
   */
  'fault'?: (_dmg_cluster_v1_Fault | null);
  /**
   * Open when the retry policy has tries left, else closed or not.
   */
  'sink'?: (_dmg_cluster_v1_SinkState);
}

export interface _dmg_cluster_v1_AttemptOutcome_Failed__Output {
  /**
   * Why.
   */
  'fault': (_dmg_cluster_v1_Fault__Output | null);
  /**
   * Open when the retry policy has tries left, else closed or not.
   */
  'sink': (_dmg_cluster_v1_SinkState__Output);
}

/**
 * The executor is gone without a word.
 */
export interface _dmg_cluster_v1_AttemptOutcome_Lost {
  /**
   * What was seen of it, for people.
   */
  'reason'?: (string);
}

/**
 * The executor is gone without a word.
 */
export interface _dmg_cluster_v1_AttemptOutcome_Lost__Output {
  /**
   * What was seen of it, for people.
   */
  'reason': (string);
}

/**
 * Drained or shut down: nothing is wrong, the job is placed again.
 */
export interface _dmg_cluster_v1_AttemptOutcome_Stopped {
}

/**
 * Drained or shut down: nothing is wrong, the job is placed again.
 */
export interface _dmg_cluster_v1_AttemptOutcome_Stopped__Output {
}

/**
 * The sink says done.
 */
export interface _dmg_cluster_v1_AttemptOutcome_Succeeded {
  /**
   * The receipt as UTF-8 JSON. It is the control plane's document, carries its own format version, is stored and shown as it is,
   * and is read by no node in between: so it is not spelled out a second time here.
   */
  'receipt'?: (Buffer | Uint8Array | string);
  /**
   * Where time went.
   */
  'details'?: (_dmg_cluster_v1_AttemptDetails | null);
}

/**
 * The sink says done.
 */
export interface _dmg_cluster_v1_AttemptOutcome_Succeeded__Output {
  /**
   * The receipt as UTF-8 JSON. It is the control plane's document, carries its own format version, is stored and shown as it is,
   * and is read by no node in between: so it is not spelled out a second time here.
   */
  'receipt': (Buffer);
  /**
   * Where time went.
   */
  'details': (_dmg_cluster_v1_AttemptDetails__Output | null);
}

/**
 * How an attempt ended.
 */
export interface AttemptOutcome {
  'succeeded'?: (_dmg_cluster_v1_AttemptOutcome_Succeeded | null);
  'failed'?: (_dmg_cluster_v1_AttemptOutcome_Failed | null);
  'cancelled'?: (_dmg_cluster_v1_AttemptOutcome_Cancelled | null);
  'stopped'?: (_dmg_cluster_v1_AttemptOutcome_Stopped | null);
  'lost'?: (_dmg_cluster_v1_AttemptOutcome_Lost | null);
  /**
   * Exactly one is set.
   */
  'outcome'?: "succeeded"|"failed"|"cancelled"|"stopped"|"lost";
}

/**
 * How an attempt ended.
 */
export interface AttemptOutcome__Output {
  'succeeded'?: (_dmg_cluster_v1_AttemptOutcome_Succeeded__Output | null);
  'failed'?: (_dmg_cluster_v1_AttemptOutcome_Failed__Output | null);
  'cancelled'?: (_dmg_cluster_v1_AttemptOutcome_Cancelled__Output | null);
  'stopped'?: (_dmg_cluster_v1_AttemptOutcome_Stopped__Output | null);
  'lost'?: (_dmg_cluster_v1_AttemptOutcome_Lost__Output | null);
  /**
   * Exactly one is set.
   */
  'outcome'?: "succeeded"|"failed"|"cancelled"|"stopped"|"lost";
}

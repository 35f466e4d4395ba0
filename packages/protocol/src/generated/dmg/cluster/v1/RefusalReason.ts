// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/attempt.proto

export const RefusalReason = {
  /**
   * The dispatch was accepted.
   */
  REFUSAL_REASON_UNSPECIFIED: 'REFUSAL_REASON_UNSPECIFIED',
  /**
   * The worker obeys a larger epoch.
   */
  REFUSAL_REASON_STALE_EPOCH: 'REFUSAL_REASON_STALE_EPOCH',
  /**
   * All places are taken.
   */
  REFUSAL_REASON_NO_FREE_SLOT: 'REFUSAL_REASON_NO_FREE_SLOT',
  /**
   * Since 1.1: places are free, memory is not. A node that speaks 1.0 is told NO_FREE_SLOT instead.
   */
  REFUSAL_REASON_NO_MEMORY: 'REFUSAL_REASON_NO_MEMORY',
  /**
   * The node takes no jobs any more.
   */
  REFUSAL_REASON_DRAINING: 'REFUSAL_REASON_DRAINING',
  /**
   * This node cannot run this job.
   */
  REFUSAL_REASON_NOT_ELIGIBLE: 'REFUSAL_REASON_NOT_ELIGIBLE',
  /**
   * The signed job is not the control plane's, not for this gateway, or has expired.
   */
  REFUSAL_REASON_BAD_SIGNATURE: 'REFUSAL_REASON_BAD_SIGNATURE',
  /**
   * Another attempt at the job runs here.
   */
  REFUSAL_REASON_ALREADY_RUNNING: 'REFUSAL_REASON_ALREADY_RUNNING',
} as const;

export type RefusalReason =
  /**
   * The dispatch was accepted.
   */
  | 'REFUSAL_REASON_UNSPECIFIED'
  | 0
  /**
   * The worker obeys a larger epoch.
   */
  | 'REFUSAL_REASON_STALE_EPOCH'
  | 1
  /**
   * All places are taken.
   */
  | 'REFUSAL_REASON_NO_FREE_SLOT'
  | 2
  /**
   * Since 1.1: places are free, memory is not. A node that speaks 1.0 is told NO_FREE_SLOT instead.
   */
  | 'REFUSAL_REASON_NO_MEMORY'
  | 3
  /**
   * The node takes no jobs any more.
   */
  | 'REFUSAL_REASON_DRAINING'
  | 4
  /**
   * This node cannot run this job.
   */
  | 'REFUSAL_REASON_NOT_ELIGIBLE'
  | 5
  /**
   * The signed job is not the control plane's, not for this gateway, or has expired.
   */
  | 'REFUSAL_REASON_BAD_SIGNATURE'
  | 6
  /**
   * Another attempt at the job runs here.
   */
  | 'REFUSAL_REASON_ALREADY_RUNNING'
  | 7

export type RefusalReason__Output = typeof RefusalReason[keyof typeof RefusalReason]

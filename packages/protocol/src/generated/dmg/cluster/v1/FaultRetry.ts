// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/attempt.proto

export const FaultRetry = {
  /**
   * Never sent.
   */
  FAULT_RETRY_UNSPECIFIED: 'FAULT_RETRY_UNSPECIFIED',
  FAULT_RETRY_NEVER: 'FAULT_RETRY_NEVER',
  FAULT_RETRY_BACKOFF: 'FAULT_RETRY_BACKOFF',
  FAULT_RETRY_RECONNECT: 'FAULT_RETRY_RECONNECT',
} as const;

export type FaultRetry =
  /**
   * Never sent.
   */
  | 'FAULT_RETRY_UNSPECIFIED'
  | 0
  | 'FAULT_RETRY_NEVER'
  | 1
  | 'FAULT_RETRY_BACKOFF'
  | 2
  | 'FAULT_RETRY_RECONNECT'
  | 3

export type FaultRetry__Output = typeof FaultRetry[keyof typeof FaultRetry]

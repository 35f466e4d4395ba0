// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/attempt.proto

export const FaultCategory = {
  /**
   * Never sent.
   */
  FAULT_CATEGORY_UNSPECIFIED: 'FAULT_CATEGORY_UNSPECIFIED',
  /**
   * The user must act.
   */
  FAULT_CATEGORY_CONFIG: 'FAULT_CATEGORY_CONFIG',
  /**
   * Nobody must act: it passes.
   */
  FAULT_CATEGORY_TRANSIENT: 'FAULT_CATEGORY_TRANSIENT',
  /**
   * The makers of the gateway must act.
   */
  FAULT_CATEGORY_SYSTEM: 'FAULT_CATEGORY_SYSTEM',
} as const;

export type FaultCategory =
  /**
   * Never sent.
   */
  | 'FAULT_CATEGORY_UNSPECIFIED'
  | 0
  /**
   * The user must act.
   */
  | 'FAULT_CATEGORY_CONFIG'
  | 1
  /**
   * Nobody must act: it passes.
   */
  | 'FAULT_CATEGORY_TRANSIENT'
  | 2
  /**
   * The makers of the gateway must act.
   */
  | 'FAULT_CATEGORY_SYSTEM'
  | 3

export type FaultCategory__Output = typeof FaultCategory[keyof typeof FaultCategory]

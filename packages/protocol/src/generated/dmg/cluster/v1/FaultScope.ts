// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/attempt.proto

export const FaultScope = {
  /**
   * Never sent.
   */
  FAULT_SCOPE_UNSPECIFIED: 'FAULT_SCOPE_UNSPECIFIED',
  FAULT_SCOPE_ROW: 'FAULT_SCOPE_ROW',
  FAULT_SCOPE_BATCH: 'FAULT_SCOPE_BATCH',
  FAULT_SCOPE_ATTEMPT: 'FAULT_SCOPE_ATTEMPT',
  FAULT_SCOPE_JOB: 'FAULT_SCOPE_JOB',
  FAULT_SCOPE_NODE: 'FAULT_SCOPE_NODE',
} as const;

export type FaultScope =
  /**
   * Never sent.
   */
  | 'FAULT_SCOPE_UNSPECIFIED'
  | 0
  | 'FAULT_SCOPE_ROW'
  | 1
  | 'FAULT_SCOPE_BATCH'
  | 2
  | 'FAULT_SCOPE_ATTEMPT'
  | 3
  | 'FAULT_SCOPE_JOB'
  | 4
  | 'FAULT_SCOPE_NODE'
  | 5

export type FaultScope__Output = typeof FaultScope[keyof typeof FaultScope]

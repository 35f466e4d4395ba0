// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/attempt.proto

export const AttemptStep = {
  /**
   * Never sent.
   */
  ATTEMPT_STEP_UNSPECIFIED: 'ATTEMPT_STEP_UNSPECIFIED',
  /**
   * Plan, copy and finish.
   */
  ATTEMPT_STEP_COPY: 'ATTEMPT_STEP_COPY',
  /**
   * Close the sink and clean up; may be repeated.
   */
  ATTEMPT_STEP_ABORT: 'ATTEMPT_STEP_ABORT',
  /**
   * Since 1.1: copy chunks of the plan that stands, beside the attempt that leads the job on another node.
   */
  ATTEMPT_STEP_ASSIST: 'ATTEMPT_STEP_ASSIST',
  /**
   * Since 1.1: hold the snapshot open under which that attempt reads.
   */
  ATTEMPT_STEP_KEEP: 'ATTEMPT_STEP_KEEP',
} as const;

export type AttemptStep =
  /**
   * Never sent.
   */
  | 'ATTEMPT_STEP_UNSPECIFIED'
  | 0
  /**
   * Plan, copy and finish.
   */
  | 'ATTEMPT_STEP_COPY'
  | 1
  /**
   * Close the sink and clean up; may be repeated.
   */
  | 'ATTEMPT_STEP_ABORT'
  | 2
  /**
   * Since 1.1: copy chunks of the plan that stands, beside the attempt that leads the job on another node.
   */
  | 'ATTEMPT_STEP_ASSIST'
  | 3
  /**
   * Since 1.1: hold the snapshot open under which that attempt reads.
   */
  | 'ATTEMPT_STEP_KEEP'
  | 4

export type AttemptStep__Output = typeof AttemptStep[keyof typeof AttemptStep]

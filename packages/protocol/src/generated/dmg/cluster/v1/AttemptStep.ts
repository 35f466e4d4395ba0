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

export type AttemptStep__Output = typeof AttemptStep[keyof typeof AttemptStep]

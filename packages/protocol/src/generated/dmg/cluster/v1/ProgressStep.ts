// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/attempt.proto

export const ProgressStep = {
  /**
   * Never sent.
   */
  PROGRESS_STEP_UNSPECIFIED: 'PROGRESS_STEP_UNSPECIFIED',
  PROGRESS_STEP_PLAN: 'PROGRESS_STEP_PLAN',
  PROGRESS_STEP_COPY: 'PROGRESS_STEP_COPY',
  PROGRESS_STEP_FINISH: 'PROGRESS_STEP_FINISH',
  PROGRESS_STEP_ABORT: 'PROGRESS_STEP_ABORT',
} as const;

export type ProgressStep =
  /**
   * Never sent.
   */
  | 'PROGRESS_STEP_UNSPECIFIED'
  | 0
  | 'PROGRESS_STEP_PLAN'
  | 1
  | 'PROGRESS_STEP_COPY'
  | 2
  | 'PROGRESS_STEP_FINISH'
  | 3
  | 'PROGRESS_STEP_ABORT'
  | 4

export type ProgressStep__Output = typeof ProgressStep[keyof typeof ProgressStep]

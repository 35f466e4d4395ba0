// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/node.proto

export const NodeStage = {
  /**
   * Never sent.
   */
  NODE_STAGE_UNSPECIFIED: 'NODE_STAGE_UNSPECIFIED',
  /**
   * It starts.
   */
  NODE_STAGE_INITIALIZING: 'NODE_STAGE_INITIALIZING',
  /**
   * It works.
   */
  NODE_STAGE_RUNNING: 'NODE_STAGE_RUNNING',
  /**
   * It is being replaced by another version.
   */
  NODE_STAGE_UPGRADING: 'NODE_STAGE_UPGRADING',
  /**
   * Its start has failed, and stays so until the next one.
   */
  NODE_STAGE_INITIALIZE_FAILED: 'NODE_STAGE_INITIALIZE_FAILED',
} as const;

export type NodeStage =
  /**
   * Never sent.
   */
  | 'NODE_STAGE_UNSPECIFIED'
  | 0
  /**
   * It starts.
   */
  | 'NODE_STAGE_INITIALIZING'
  | 1
  /**
   * It works.
   */
  | 'NODE_STAGE_RUNNING'
  | 2
  /**
   * It is being replaced by another version.
   */
  | 'NODE_STAGE_UPGRADING'
  | 3
  /**
   * Its start has failed, and stays so until the next one.
   */
  | 'NODE_STAGE_INITIALIZE_FAILED'
  | 4

export type NodeStage__Output = typeof NodeStage[keyof typeof NodeStage]

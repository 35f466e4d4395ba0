// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/attempt.proto

export const SinkState = {
  /**
   * Never sent.
   */
  SINK_STATE_UNSPECIFIED: 'SINK_STATE_UNSPECIFIED',
  /**
   * A later attempt goes on there.
   */
  SINK_STATE_OPEN: 'SINK_STATE_OPEN',
  /**
   * Closed for good.
   */
  SINK_STATE_ABORTED: 'SINK_STATE_ABORTED',
  /**
   * It could not be reached to close it.
   */
  SINK_STATE_UNCONFIRMED: 'SINK_STATE_UNCONFIRMED',
} as const;

export type SinkState =
  /**
   * Never sent.
   */
  | 'SINK_STATE_UNSPECIFIED'
  | 0
  /**
   * A later attempt goes on there.
   */
  | 'SINK_STATE_OPEN'
  | 1
  /**
   * Closed for good.
   */
  | 'SINK_STATE_ABORTED'
  | 2
  /**
   * It could not be reached to close it.
   */
  | 'SINK_STATE_UNCONFIRMED'
  | 3

export type SinkState__Output = typeof SinkState[keyof typeof SinkState]

// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/cluster.proto

export const ConnectRefusal = {
  /**
   * Never sent.
   */
  CONNECT_REFUSAL_UNSPECIFIED: 'CONNECT_REFUSAL_UNSPECIFIED',
  /**
   * There is no wire that both sides speak.
   */
  CONNECT_REFUSAL_PROTOCOL: 'CONNECT_REFUSAL_PROTOCOL',
  /**
   * The caller looks for another gateway or another node.
   */
  CONNECT_REFUSAL_WRONG_TARGET: 'CONNECT_REFUSAL_WRONG_TARGET',
  /**
   * The node stops.
   */
  CONNECT_REFUSAL_CLOSING: 'CONNECT_REFUSAL_CLOSING',
} as const;

export type ConnectRefusal =
  /**
   * Never sent.
   */
  | 'CONNECT_REFUSAL_UNSPECIFIED'
  | 0
  /**
   * There is no wire that both sides speak.
   */
  | 'CONNECT_REFUSAL_PROTOCOL'
  | 1
  /**
   * The caller looks for another gateway or another node.
   */
  | 'CONNECT_REFUSAL_WRONG_TARGET'
  | 2
  /**
   * The node stops.
   */
  | 'CONNECT_REFUSAL_CLOSING'
  | 3

export type ConnectRefusal__Output = typeof ConnectRefusal[keyof typeof ConnectRefusal]

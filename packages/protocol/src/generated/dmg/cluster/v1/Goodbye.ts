// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/cluster.proto


/**
 * The sender is about to stop, in order.
 */
export interface Goodbye {
  /**
   * The node that should lead now, where the sender led; else empty.
   */
  'successor'?: (string);
  /**
   * Why it stops, for people.
   */
  'reason'?: (string);
}

/**
 * The sender is about to stop, in order.
 */
export interface Goodbye__Output {
  /**
   * The node that should lead now, where the sender led; else empty.
   */
  'successor': (string);
  /**
   * Why it stops, for people.
   */
  'reason': (string);
}

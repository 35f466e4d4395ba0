// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/cluster.proto


/**
 * Asks an attempt to stop for good. One that does not run here is no error.
 */
export interface Cancel {
  /**
   * As of hello.
   */
  'requestId'?: (number);
  /**
   * The attempt that is to stop.
   */
  'attemptId'?: (string);
}

/**
 * Asks an attempt to stop for good. One that does not run here is no error.
 */
export interface Cancel__Output {
  /**
   * As of hello.
   */
  'requestId': (number);
  /**
   * The attempt that is to stop.
   */
  'attemptId': (string);
}

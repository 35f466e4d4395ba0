// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/cluster.proto


/**
 * Asks an attempt to end because another attempt of its job goes on: the sink stays open. One that does not run here is no error.
 */
export interface Supersede {
  /**
   * As of hello.
   */
  'requestId'?: (number);
  /**
   * The attempt that is to end.
   */
  'attemptId'?: (string);
}

/**
 * Asks an attempt to end because another attempt of its job goes on: the sink stays open. One that does not run here is no error.
 */
export interface Supersede__Output {
  /**
   * As of hello.
   */
  'requestId': (number);
  /**
   * The attempt that is to end.
   */
  'attemptId': (string);
}

// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/cluster.proto


/**
 * Tells an attempt that leads its job how many assistants copy beside it. One that does not run here is no error.
 */
export interface TellAssistants {
  /**
   * As of hello.
   */
  'requestId'?: (number);
  /**
   * The attempt that leads.
   */
  'attemptId'?: (string);
  /**
   * How many there are.
   */
  'assistants'?: (number);
}

/**
 * Tells an attempt that leads its job how many assistants copy beside it. One that does not run here is no error.
 */
export interface TellAssistants__Output {
  /**
   * As of hello.
   */
  'requestId': (number);
  /**
   * The attempt that leads.
   */
  'attemptId': (string);
  /**
   * How many there are.
   */
  'assistants': (number);
}

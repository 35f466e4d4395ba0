// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/attempt.proto


export interface AttemptDetails {
  /**
   * Milliseconds of planning.
   */
  'planMs'?: (number | string);
  /**
   * Milliseconds of copying.
   */
  'copyMs'?: (number | string);
  /**
   * Milliseconds of finishing.
   */
  'finishMs'?: (number | string);
  /**
   * Milliseconds in which the copy waited for the source.
   */
  'readMs'?: (number | string);
  /**
   * Milliseconds in which the copy waited for the sink.
   */
  'writeMs'?: (number | string);
  /**
   * How many chunks were copied at once.
   */
  'parallelCopies'?: (number);
}

export interface AttemptDetails__Output {
  /**
   * Milliseconds of planning.
   */
  'planMs': (number);
  /**
   * Milliseconds of copying.
   */
  'copyMs': (number);
  /**
   * Milliseconds of finishing.
   */
  'finishMs': (number);
  /**
   * Milliseconds in which the copy waited for the source.
   */
  'readMs': (number);
  /**
   * Milliseconds in which the copy waited for the sink.
   */
  'writeMs': (number);
  /**
   * How many chunks were copied at once.
   */
  'parallelCopies': (number);
}

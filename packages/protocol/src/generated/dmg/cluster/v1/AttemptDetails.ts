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
  /**
   * Milliseconds in which chunks waited for free part buffers.
   */
  'memoryWaitMs'?: (number | string);
  /**
   * Milliseconds from the start of the attempt to the first byte of its source; 0: it read none.
   */
  'firstByteMs'?: (number | string);
  /**
   * Most calls to the source that were under way at once.
   */
  'sourcePeakConnections'?: (number);
  /**
   * Most calls to the sink that were under way at once.
   */
  'sinkPeakConnections'?: (number);
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
  /**
   * Milliseconds in which chunks waited for free part buffers.
   */
  'memoryWaitMs': (number);
  /**
   * Milliseconds from the start of the attempt to the first byte of its source; 0: it read none.
   */
  'firstByteMs': (number);
  /**
   * Most calls to the source that were under way at once.
   */
  'sourcePeakConnections': (number);
  /**
   * Most calls to the sink that were under way at once.
   */
  'sinkPeakConnections': (number);
}

// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/cluster.proto


/**
 * Which of all that copy one job an assistant is: a hint where to begin.
 */
export interface AssistShare {
  /**
   * From 1; 0 leads.
   */
  'index'?: (number);
  /**
   * How many there are.
   */
  'of'?: (number);
}

/**
 * Which of all that copy one job an assistant is: a hint where to begin.
 */
export interface AssistShare__Output {
  /**
   * From 1; 0 leads.
   */
  'index': (number);
  /**
   * How many there are.
   */
  'of': (number);
}

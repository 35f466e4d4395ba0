// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/node.proto


/**
 * The minors of one major that a node speaks.
 */
export interface ProtocolRange {
  /**
   * Which major it is.
   */
  'major'?: (number);
  /**
   * The lowest minor of it that the node speaks.
   */
  'minorMin'?: (number);
  /**
   * The highest minor of it that the node speaks.
   */
  'minorMax'?: (number);
}

/**
 * The minors of one major that a node speaks.
 */
export interface ProtocolRange__Output {
  /**
   * Which major it is.
   */
  'major': (number);
  /**
   * The lowest minor of it that the node speaks.
   */
  'minorMin': (number);
  /**
   * The highest minor of it that the node speaks.
   */
  'minorMax': (number);
}

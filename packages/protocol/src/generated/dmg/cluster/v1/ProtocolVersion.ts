// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/node.proto


/**
 * A wire that a node speaks.
 */
export interface ProtocolVersion {
  /**
   * Two majors do not understand each other.
   */
  'major'?: (number);
  /**
   * Minors N and N-1 of one major understand each other.
   */
  'minor'?: (number);
}

/**
 * A wire that a node speaks.
 */
export interface ProtocolVersion__Output {
  /**
   * Two majors do not understand each other.
   */
  'major': (number);
  /**
   * Minors N and N-1 of one major understand each other.
   */
  'minor': (number);
}

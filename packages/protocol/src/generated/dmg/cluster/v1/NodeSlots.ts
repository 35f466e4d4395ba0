// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/node.proto


export interface NodeSlots {
  /**
   * How many jobs may run at once.
   */
  'limit'?: (number);
  /**
   * How many do.
   */
  'used'?: (number);
  /**
   * The largest limit that this machine may be given.
   */
  'maximum'?: (number);
}

export interface NodeSlots__Output {
  /**
   * How many jobs may run at once.
   */
  'limit': (number);
  /**
   * How many do.
   */
  'used': (number);
  /**
   * The largest limit that this machine may be given.
   */
  'maximum': (number);
}

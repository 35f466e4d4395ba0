// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/cluster.proto


export interface CancelAnswer {
  /**
   * Of the cancel, of the supersede, or of what was told.
   */
  'requestId'?: (number);
}

export interface CancelAnswer__Output {
  /**
   * Of the cancel, of the supersede, or of what was told.
   */
  'requestId': (number);
}

// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/attempt.proto


export interface FaultParam {
  /**
   * As in the message of the catalogue.
   */
  'name'?: (string);
  'text'?: (string);
  'number'?: (number | string);
  'flag'?: (boolean);
  /**
   * Exactly one is set.
   */
  'value'?: "text"|"number"|"flag";
}

export interface FaultParam__Output {
  /**
   * As in the message of the catalogue.
   */
  'name': (string);
  'text'?: (string);
  'number'?: (number);
  'flag'?: (boolean);
  /**
   * Exactly one is set.
   */
  'value'?: "text"|"number"|"flag";
}

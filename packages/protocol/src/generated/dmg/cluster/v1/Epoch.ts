// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/attempt.proto

import type { Long } from '@grpc/proto-loader';

/**
 * The fencing token of a dispatcher's grant: ordered by n, then token.
 */
export interface Epoch {
  /**
   * Grows with each grant; at least 1.
   */
  'n'?: (number | string | Long);
  /**
   * 32 hex digits, random for each grant.
   */
  'token'?: (string);
}

/**
 * The fencing token of a dispatcher's grant: ordered by n, then token.
 */
export interface Epoch__Output {
  /**
   * Grows with each grant; at least 1.
   */
  'n': (string);
  /**
   * 32 hex digits, random for each grant.
   */
  'token': (string);
}

// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/cluster.proto

import type { RefusalReason as _dmg_cluster_v1_RefusalReason, RefusalReason__Output as _dmg_cluster_v1_RefusalReason__Output } from '../../../dmg/cluster/v1/RefusalReason.ts';

export interface DispatchAnswer {
  /**
   * Of the dispatch.
   */
  'requestId'?: (number);
  /**
   * The attempt runs.
   */
  'accepted'?: (boolean);
  /**
   * Why it does not; unspecified when it does.
   */
  'reason'?: (_dmg_cluster_v1_RefusalReason);
  /**
   * What was seen, for people; empty when it was accepted.
   */
  'evidence'?: (string);
}

export interface DispatchAnswer__Output {
  /**
   * Of the dispatch.
   */
  'requestId': (number);
  /**
   * The attempt runs.
   */
  'accepted': (boolean);
  /**
   * Why it does not; unspecified when it does.
   */
  'reason': (_dmg_cluster_v1_RefusalReason__Output);
  /**
   * What was seen, for people; empty when it was accepted.
   */
  'evidence': (string);
}

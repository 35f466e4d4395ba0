// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/node.proto

import type { TroubledPart as _dmg_cluster_v1_TroubledPart, TroubledPart__Output as _dmg_cluster_v1_TroubledPart__Output } from '../../../dmg/cluster/v1/TroubledPart.ts';

export interface NodeTrouble {
  /**
   * What does not work.
   */
  'part'?: (_dmg_cluster_v1_TroubledPart);
  /**
   * Why, for people.
   */
  'reason'?: (string);
}

export interface NodeTrouble__Output {
  /**
   * What does not work.
   */
  'part': (_dmg_cluster_v1_TroubledPart__Output);
  /**
   * Why, for people.
   */
  'reason': (string);
}

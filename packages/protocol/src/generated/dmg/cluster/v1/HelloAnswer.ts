// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/cluster.proto

import type { HelloAccepted as _dmg_cluster_v1_HelloAccepted, HelloAccepted__Output as _dmg_cluster_v1_HelloAccepted__Output } from '../../../dmg/cluster/v1/HelloAccepted.ts';
import type { Epoch as _dmg_cluster_v1_Epoch, Epoch__Output as _dmg_cluster_v1_Epoch__Output } from '../../../dmg/cluster/v1/Epoch.ts';

export interface HelloAnswer {
  /**
   * Of the hello.
   */
  'requestId'?: (number);
  'accepted'?: (_dmg_cluster_v1_HelloAccepted | null);
  /**
   * The larger epoch that the worker obeys.
   */
  'known'?: (_dmg_cluster_v1_Epoch | null);
  /**
   * Exactly one is set.
   */
  'answer'?: "accepted"|"known";
}

export interface HelloAnswer__Output {
  /**
   * Of the hello.
   */
  'requestId': (number);
  'accepted'?: (_dmg_cluster_v1_HelloAccepted__Output | null);
  /**
   * The larger epoch that the worker obeys.
   */
  'known'?: (_dmg_cluster_v1_Epoch__Output | null);
  /**
   * Exactly one is set.
   */
  'answer'?: "accepted"|"known";
}

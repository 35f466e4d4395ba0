// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/cluster.proto

import type { Fault as _dmg_cluster_v1_Fault, Fault__Output as _dmg_cluster_v1_Fault__Output } from '../../../dmg/cluster/v1/Fault.ts';

export interface RequestFailed {
  /**
   * Of the request that could not be answered.
   */
  'requestId'?: (number);
  /**
   * Why.
   */
  'fault'?: (_dmg_cluster_v1_Fault | null);
}

export interface RequestFailed__Output {
  /**
   * Of the request that could not be answered.
   */
  'requestId': (number);
  /**
   * Why.
   */
  'fault': (_dmg_cluster_v1_Fault__Output | null);
}

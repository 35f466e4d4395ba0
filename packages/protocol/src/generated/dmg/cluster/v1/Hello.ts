// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/cluster.proto

import type { Epoch as _dmg_cluster_v1_Epoch, Epoch__Output as _dmg_cluster_v1_Epoch__Output } from '../../../dmg/cluster/v1/Epoch.ts';

/**
 * Promise to obey nothing smaller, and list what runs.
 */
export interface Hello {
  /**
   * Chosen by the caller, from 1; unique among the requests that are not answered.
   */
  'requestId'?: (number);
  /**
   * Under which the caller means to lead.
   */
  'epoch'?: (_dmg_cluster_v1_Epoch | null);
}

/**
 * Promise to obey nothing smaller, and list what runs.
 */
export interface Hello__Output {
  /**
   * Chosen by the caller, from 1; unique among the requests that are not answered.
   */
  'requestId': (number);
  /**
   * Under which the caller means to lead.
   */
  'epoch': (_dmg_cluster_v1_Epoch__Output | null);
}

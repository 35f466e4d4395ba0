// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/cluster.proto

import type { RunningAttempt as _dmg_cluster_v1_RunningAttempt, RunningAttempt__Output as _dmg_cluster_v1_RunningAttempt__Output } from '../../../dmg/cluster/v1/RunningAttempt.ts';

/**
 * The list and the promise are one step in the worker. A long list comes in several frames; only with the last one is it complete.
 */
export interface HelloAccepted {
  /**
   * What runs, all of it when the parts are put together.
   */
  'attempts'?: (_dmg_cluster_v1_RunningAttempt)[];
  /**
   * How many may run at once.
   */
  'limit'?: (number);
  /**
   * How many places are taken; may be more than the list, since a place is free only when its process is gone.
   */
  'used'?: (number);
  /**
   * Another part of the list follows.
   */
  'more'?: (boolean);
}

/**
 * The list and the promise are one step in the worker. A long list comes in several frames; only with the last one is it complete.
 */
export interface HelloAccepted__Output {
  /**
   * What runs, all of it when the parts are put together.
   */
  'attempts': (_dmg_cluster_v1_RunningAttempt__Output)[];
  /**
   * How many may run at once.
   */
  'limit': (number);
  /**
   * How many places are taken; may be more than the list, since a place is free only when its process is gone.
   */
  'used': (number);
  /**
   * Another part of the list follows.
   */
  'more': (boolean);
}

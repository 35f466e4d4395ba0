// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/attempt.proto

import type { FaultCategory as _dmg_cluster_v1_FaultCategory, FaultCategory__Output as _dmg_cluster_v1_FaultCategory__Output } from '../../../dmg/cluster/v1/FaultCategory.ts';
import type { FaultRetry as _dmg_cluster_v1_FaultRetry, FaultRetry__Output as _dmg_cluster_v1_FaultRetry__Output } from '../../../dmg/cluster/v1/FaultRetry.ts';
import type { FaultScope as _dmg_cluster_v1_FaultScope, FaultScope__Output as _dmg_cluster_v1_FaultScope__Output } from '../../../dmg/cluster/v1/FaultScope.ts';
import type { FaultParam as _dmg_cluster_v1_FaultParam, FaultParam__Output as _dmg_cluster_v1_FaultParam__Output } from '../../../dmg/cluster/v1/FaultParam.ts';

/**
 * An error as it travels between processes: no stack, no secret.
 */
export interface Fault {
  /**
   * Stable: DMG_<AREA>_<NAME>.
   */
  'code'?: (string);
  /**
   * Who must act.
   */
  'category'?: (_dmg_cluster_v1_FaultCategory);
  /**
   * What the runtime does about it.
   */
  'retry'?: (_dmg_cluster_v1_FaultRetry);
  /**
   * How far the damage goes.
   */
  'scope'?: (_dmg_cluster_v1_FaultScope);
  /**
   * For the user.
   */
  'message'?: (string);
  /**
   * What to do next, for the user.
   */
  'fix'?: (string);
  /**
   * What the message was made of.
   */
  'params'?: (_dmg_cluster_v1_FaultParam)[];
  /**
   * For the engineer: the chain of causes; absent: none is known.
   */
  'detail'?: (string);
  '_detail'?: "detail";
}

/**
 * An error as it travels between processes: no stack, no secret.
 */
export interface Fault__Output {
  /**
   * Stable: DMG_<AREA>_<NAME>.
   */
  'code': (string);
  /**
   * Who must act.
   */
  'category': (_dmg_cluster_v1_FaultCategory__Output);
  /**
   * What the runtime does about it.
   */
  'retry': (_dmg_cluster_v1_FaultRetry__Output);
  /**
   * How far the damage goes.
   */
  'scope': (_dmg_cluster_v1_FaultScope__Output);
  /**
   * For the user.
   */
  'message': (string);
  /**
   * What to do next, for the user.
   */
  'fix': (string);
  /**
   * What the message was made of.
   */
  'params': (_dmg_cluster_v1_FaultParam__Output)[];
  /**
   * For the engineer: the chain of causes; absent: none is known.
   */
  'detail'?: (string);
  '_detail'?: "detail";
}

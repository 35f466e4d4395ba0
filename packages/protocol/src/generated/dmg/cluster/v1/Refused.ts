// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/cluster.proto

import type { ConnectRefusal as _dmg_cluster_v1_ConnectRefusal, ConnectRefusal__Output as _dmg_cluster_v1_ConnectRefusal__Output } from '../../../dmg/cluster/v1/ConnectRefusal.ts';

export interface Refused {
  /**
   * What kind of refusal it is.
   */
  'reason'?: (_dmg_cluster_v1_ConnectRefusal);
  /**
   * What was compared, for people.
   */
  'evidence'?: (string);
}

export interface Refused__Output {
  /**
   * What kind of refusal it is.
   */
  'reason': (_dmg_cluster_v1_ConnectRefusal__Output);
  /**
   * What was compared, for people.
   */
  'evidence': (string);
}

// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/cluster.proto

import type { ProtocolVersion as _dmg_cluster_v1_ProtocolVersion, ProtocolVersion__Output as _dmg_cluster_v1_ProtocolVersion__Output } from '../../../dmg/cluster/v1/ProtocolVersion.ts';
import type { NodeFacts as _dmg_cluster_v1_NodeFacts, NodeFacts__Output as _dmg_cluster_v1_NodeFacts__Output } from '../../../dmg/cluster/v1/NodeFacts.ts';

export interface Opened {
  /**
   * The wire that both sides speak on this stream.
   */
  'protocol'?: (_dmg_cluster_v1_ProtocolVersion | null);
  /**
   * The side that was called.
   */
  'facts'?: (_dmg_cluster_v1_NodeFacts | null);
}

export interface Opened__Output {
  /**
   * The wire that both sides speak on this stream.
   */
  'protocol': (_dmg_cluster_v1_ProtocolVersion__Output | null);
  /**
   * The side that was called.
   */
  'facts': (_dmg_cluster_v1_NodeFacts__Output | null);
}

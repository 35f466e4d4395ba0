// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/cluster.proto

import type { ProtocolRange as _dmg_cluster_v1_ProtocolRange, ProtocolRange__Output as _dmg_cluster_v1_ProtocolRange__Output } from '../../../dmg/cluster/v1/ProtocolRange.ts';
import type { NodeFacts as _dmg_cluster_v1_NodeFacts, NodeFacts__Output as _dmg_cluster_v1_NodeFacts__Output } from '../../../dmg/cluster/v1/NodeFacts.ts';

export interface Open {
  /**
   * The wires that the caller speaks. The other side chooses the highest that both speak.
   */
  'versions'?: (_dmg_cluster_v1_ProtocolRange)[];
  /**
   * Streams join nodes of one gateway only.
   */
  'gatewayId'?: (string);
  /**
   * Whom the caller believes to speak to: an address may have gone to another node.
   */
  'targetNodeId'?: (string);
  /**
   * The caller.
   */
  'facts'?: (_dmg_cluster_v1_NodeFacts | null);
}

export interface Open__Output {
  /**
   * The wires that the caller speaks. The other side chooses the highest that both speak.
   */
  'versions': (_dmg_cluster_v1_ProtocolRange__Output)[];
  /**
   * Streams join nodes of one gateway only.
   */
  'gatewayId': (string);
  /**
   * Whom the caller believes to speak to: an address may have gone to another node.
   */
  'targetNodeId': (string);
  /**
   * The caller.
   */
  'facts': (_dmg_cluster_v1_NodeFacts__Output | null);
}

// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/node.proto

import type { ProtocolVersion as _dmg_cluster_v1_ProtocolVersion, ProtocolVersion__Output as _dmg_cluster_v1_ProtocolVersion__Output } from '../../../dmg/cluster/v1/ProtocolVersion.ts';
import type { NodeStage as _dmg_cluster_v1_NodeStage, NodeStage__Output as _dmg_cluster_v1_NodeStage__Output } from '../../../dmg/cluster/v1/NodeStage.ts';
import type { NodeSlots as _dmg_cluster_v1_NodeSlots, NodeSlots__Output as _dmg_cluster_v1_NodeSlots__Output } from '../../../dmg/cluster/v1/NodeSlots.ts';
import type { NodeTrouble as _dmg_cluster_v1_NodeTrouble, NodeTrouble__Output as _dmg_cluster_v1_NodeTrouble__Output } from '../../../dmg/cluster/v1/NodeTrouble.ts';
import type { DispatcherSight as _dmg_cluster_v1_DispatcherSight, DispatcherSight__Output as _dmg_cluster_v1_DispatcherSight__Output } from '../../../dmg/cluster/v1/DispatcherSight.ts';

export interface NodeFacts {
  /**
   * Given by the control plane at registration.
   */
  'nodeId'?: (string);
  /**
   * The name that people know it by; unique in its gateway.
   */
  'nodeName'?: (string);
  /**
   * Random for each start of the node's process.
   */
  'bootId'?: (string);
  /**
   * Release of the node: major.minor.patch.
   */
  'version'?: (string);
  /**
   * The highest wire that it speaks.
   */
  'protocol'?: (_dmg_cluster_v1_ProtocolVersion | null);
  /**
   * Host and port of its gRPC server; empty: it has none yet.
   */
  'address'?: (string);
  /**
   * Digest of what all nodes must have alike; empty: not known yet.
   */
  'configDigest'?: (string);
  /**
   * The same in words, as evidence when digests differ. Since 1.1; empty from a node that speaks 1.0.
   */
  'config'?: (string);
  /**
   * Where the node is in its life.
   */
  'stage'?: (_dmg_cluster_v1_NodeStage);
  /**
   * Why it is in this stage; may be empty.
   */
  'stageReason'?: (string);
  /**
   * Its places for jobs.
   */
  'slots'?: (_dmg_cluster_v1_NodeSlots | null);
  /**
   * It takes no jobs, because it stops or because the user drains it.
   */
  'draining'?: (boolean);
  /**
   * What around it does not work for it now.
   */
  'troubles'?: (_dmg_cluster_v1_NodeTrouble)[];
  /**
   * The dispatcher that it obeys; absent: it knows none.
   */
  'dispatcher'?: (_dmg_cluster_v1_DispatcherSight | null);
}

export interface NodeFacts__Output {
  /**
   * Given by the control plane at registration.
   */
  'nodeId': (string);
  /**
   * The name that people know it by; unique in its gateway.
   */
  'nodeName': (string);
  /**
   * Random for each start of the node's process.
   */
  'bootId': (string);
  /**
   * Release of the node: major.minor.patch.
   */
  'version': (string);
  /**
   * The highest wire that it speaks.
   */
  'protocol': (_dmg_cluster_v1_ProtocolVersion__Output | null);
  /**
   * Host and port of its gRPC server; empty: it has none yet.
   */
  'address': (string);
  /**
   * Digest of what all nodes must have alike; empty: not known yet.
   */
  'configDigest': (string);
  /**
   * The same in words, as evidence when digests differ. Since 1.1; empty from a node that speaks 1.0.
   */
  'config': (string);
  /**
   * Where the node is in its life.
   */
  'stage': (_dmg_cluster_v1_NodeStage__Output);
  /**
   * Why it is in this stage; may be empty.
   */
  'stageReason': (string);
  /**
   * Its places for jobs.
   */
  'slots': (_dmg_cluster_v1_NodeSlots__Output | null);
  /**
   * It takes no jobs, because it stops or because the user drains it.
   */
  'draining': (boolean);
  /**
   * What around it does not work for it now.
   */
  'troubles': (_dmg_cluster_v1_NodeTrouble__Output)[];
  /**
   * The dispatcher that it obeys; absent: it knows none.
   */
  'dispatcher': (_dmg_cluster_v1_DispatcherSight__Output | null);
}

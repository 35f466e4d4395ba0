// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/cluster.proto

import type { NodeFacts as _dmg_cluster_v1_NodeFacts, NodeFacts__Output as _dmg_cluster_v1_NodeFacts__Output } from '../../../dmg/cluster/v1/NodeFacts.ts';

/**
 * Each side sends one every 500 ms. A side that hears nothing at all for 2 s ends the stream.
 */
export interface Heartbeat {
  /**
   * Of the sender, as they are now.
   */
  'facts'?: (_dmg_cluster_v1_NodeFacts | null);
}

/**
 * Each side sends one every 500 ms. A side that hears nothing at all for 2 s ends the stream.
 */
export interface Heartbeat__Output {
  /**
   * Of the sender, as they are now.
   */
  'facts': (_dmg_cluster_v1_NodeFacts__Output | null);
}

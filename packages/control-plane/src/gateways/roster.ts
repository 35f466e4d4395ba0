import type { MemberState } from '@dmg/model';
import type { NodeRow } from '../database/schema.ts';
import type { PresenceBoard } from './presence.ts';

/**
 * The gateway's nodes as they were heard last; what versions and configuration are decided by. `nodes` in order of registration. A node
 * that this process has not heard yet is as silent as it was before, so that a restart here ages nobody and refreshes nobody.
 */
export function rosterOf(nodes: readonly NodeRow[], presence: PresenceBoard): MemberState[] {
  return nodes.map((node, index) => {
    const facts = presence.of(node.id)?.report.facts;
    return {
      nodeId: node.id, nodeName: node.name, ordinal: index + 1, version: facts?.version ?? node.version,
      configDigest: facts?.configDigest ?? node.config_digest,
      silentMs: presence.silentMs(node.id),
      registered: node.token_hash !== null,
    };
  });
}

import { type GatewaySight, judgeNode, type NodeJudgement, offlineAfterMs } from '@dmg/core';
import type { AliveReport, Judgement, NodeStatus } from '@dmg/model';
import type { GatewayRow, NodeRow } from '../database/schema.ts';
import { decisionOf } from './gateway-store.ts';
import type { Presence, PresenceBoard } from './presence.ts';

/** What a node is judged by besides itself. */
export type JudgedBy = Pick<GatewayRow, 'id' | 'decision' | 'target_version'>;

export interface JudgedNode extends NodeJudgement {
  readonly node: NodeRow;
  /** What was heard of it since the control plane started, at whatever time. */
  readonly presence: Presence | undefined;
  /** Its last report, if it is a member and not silent. */
  readonly report: AliveReport | undefined;
  /** It is the dispatcher. Of the nodes of a gateway one is, or none. */
  readonly leads: boolean;
}

/** Judges nodes by what the control plane has heard, with the function that dispatcher and node use too (core, node-status.ts). */
export class NodeJudge {
  readonly #presence: PresenceBoard;

  constructor(options: { presence: PresenceBoard }) {
    this.#presence = options.presence;
  }

  /** `nodes`: all of the gateway. */
  judgeAll(gateway: JudgedBy, nodes: readonly NodeRow[]): JudgedNode[] {
    const sight = this.#sightOf(gateway, nodes);
    return nodes.map((node) => {
      const presence = this.#presence.of(node.id);
      const silentMs = this.#presence.silentMs(node.id);
      const registered = node.token_hash !== null;
      const judgement = judgeNode(
        {
          nodeId: node.id, registered, everHeard: presence !== undefined || node.last_alive_at !== null, silentMs,
          facts: presence?.report.facts, drained: node.drain_grace_ms !== null,
        },
        sight,
      );
      const report = registered && silentMs <= offlineAfterMs ? presence?.report : undefined;
      return { ...judgement, node, presence, report, leads: sight.leader?.nodeId === node.id };
    });
  }

  /** What one of them is told in the answer to its alive report; undefined: it is not among them. */
  judgementFor(gateway: JudgedBy, nodes: readonly NodeRow[], nodeId: string): Judgement<NodeStatus> | undefined {
    const judged = this.judgeAll(gateway, nodes).find(({ node }) => node.id === nodeId);
    return judged === undefined ? undefined : { status: judged.status, evidence: judged.evidence, remedy: judged.remedy };
  }

  #sightOf(gateway: JudgedBy, nodes: readonly NodeRow[]): GatewaySight {
    const decision = decisionOf(gateway);
    const decidedConfig = nodes
      .map(({ id }) => this.#presence.of(id)?.report.facts)
      .find((facts) => facts !== undefined && facts.configDigest === decision?.configDigest && facts.config !== '')?.config;
    const leader = this.#presence.leaderOf(gateway.id);
    const isMember = nodes.some(({ id, token_hash: token }) => id === leader?.nodeId && token !== null);
    return { decision, decidedConfig, targetVersion: gateway.target_version ?? undefined, leader: isMember ? leader : undefined };
  }
}

import type { AliveReport, GatewayStatus, NodeStatus } from '@dmg/model';

/** What the status of a node is judged by. */
export interface NodeEvidence {
  readonly hasToken: boolean;
  readonly everHeard: boolean;
  /** Milliseconds since it was last heard, or since the control plane began to listen. */
  readonly silentMs: number;
  /** Its last report since the control plane started. */
  readonly report: AliveReport | undefined;
}

/** A status with its evidence and what to do about it. */
export interface NodeJudgement {
  readonly status: NodeStatus;
  readonly evidence: string;
  readonly remedy: string;
}

/** Three alive reports missed. */
export const offlineAfterMs = 15_000;

/** First that applies, as DESIGN §6 orders them. */
export function judgeNode(node: NodeEvidence): NodeJudgement {
  const seconds = Math.round(node.silentMs / 1000);
  if (!node.hasToken) {
    return {
      status: 'NeedRegistration', evidence: 'The key with which it registered was regenerated.',
      remedy: 'Register it again with a fresh key; its name and place are kept.',
    };
  }
  if (node.silentMs > offlineAfterMs) {
    return node.everHeard
      ? {
        status: 'Offline',
        evidence: `It was last heard ${seconds} s ago.`,
        remedy: 'Start the node, or check that it can reach the control plane outbound.',
      }
      : { status: 'Initializing', evidence: 'It has registered and was not heard since.', remedy: 'Start the node.' };
  }
  if (node.report === undefined) {
    return { status: 'Initializing', evidence: 'It was not heard since the control plane started.', remedy: 'Wait a few seconds.' };
  }
  if (node.report.troubles.length > 0) {
    return {
      status: 'Limited', evidence: node.report.troubles.map(({ part, reason }) => `${part}: ${reason}`).join('; '),
      remedy: 'Mend what is named; the node goes on with what it can.',
    };
  }
  return { status: 'Online', evidence: `It was heard ${seconds} s ago and reports no trouble.`, remedy: '' };
}

/** NeedRegistration: none · Online: all · Limited: some work · Offline: none works. */
export function judgeGateway(nodes: readonly NodeStatus[]): GatewayStatus {
  if (nodes.length === 0) return 'NeedRegistration';
  if (nodes.every((status) => status === 'Online')) return 'Online';
  return nodes.some((status) => status === 'Online' || status === 'Limited') ? 'Limited' : 'Offline';
}

import type { MemberState, NodeFacts } from '@dmg/model';

/** Facts of a node that is well, with what a test changes. Its name is its id. */
export function nodeFacts(change: Partial<NodeFacts> = {}): NodeFacts {
  const nodeId = change.nodeId ?? 'a';
  return {
    nodeId, nodeName: nodeId, bootId: 'boot', version: '1.0.0', protocol: { major: 1, minor: 0 }, address: `${nodeId}:8060`,
    configDigest: 'one', config: 'encryption on', stage: 'running', stageReason: '', slots: { limit: 8, used: 0, maximum: 16 },
    draining: false, troubles: [], dispatcher: undefined, ...change,
  };
}

/** A registered node that was just heard, with what a test changes. */
export function memberState(change: Partial<MemberState> = {}): MemberState {
  const nodeId = change.nodeId ?? 'a';
  return { nodeId, nodeName: nodeId, ordinal: 1, version: '1.0.0', configDigest: 'one', silentMs: 0, registered: true, ...change };
}

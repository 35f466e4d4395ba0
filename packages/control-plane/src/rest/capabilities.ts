import type { TroubledPart } from '@dmg/model';
import type { JudgedNode } from '../gateways/node-status.ts';

/** What a gateway can do as a whole: what each of its nodes can. Others are shown for single nodes only. */
const sharedNames = ['serviceBusConnected', 'credentialInSync', 'connectedToResourceManager', 'nodeEnabled'] as const;

/** Capabilities of a node in the words of the REST API, whose values are the texts `True` and `False`. */
export function nodeCapabilities({ node, report }: JudgedNode): Record<string, string> {
  const troubled = new Set(report?.facts.troubles.map(({ part }) => part));
  const works = (part: TroubledPart): string => word(report !== undefined && !troubled.has(part));
  return {
    serviceBusConnected: works('queue'),
    credentialInSync: works('credentialKey'),
    connectedToResourceManager: works('controlPlane'),
    nodeEnabled: word(node.token_hash !== null && node.drain_grace_ms === null),
    // The endpoint for entering credentials, which the product has on port 8050.
    httpsPortEnabled: 'False',
  };
}

export function sharedCapabilities(nodes: readonly JudgedNode[]): Record<string, string> {
  const all = nodes.map(nodeCapabilities);
  return Object.fromEntries(sharedNames.map((name) => [name, word(all.length > 0 && all.every((each) => each[name] === 'True'))]));
}

function word(is: boolean): string {
  return is ? 'True' : 'False';
}

import {
  compareEpochs, compareVersions, type GatewayDecision, type GatewayStatus, type Judgement, type NodeFacts, type NodeStatus, parseEpoch,
  type TroubledPart,
} from '@dmg/model';
import { offlineAfterMs } from './gateway-decision.ts';

/*
 * The status of a node and of a gateway (DESIGN §6, DESIGN-RULES 17): one function for the control plane, the dispatcher and the node
 * itself, so that all give the same answer to the same knowledge. First that applies:
 *
 *   NeedRegistration   its registration ended
 *   Initializing       it was not heard yet, or says that it starts
 *   InitializeFailed   it said so; stays until its next start, also when the process has ended
 *   Offline            the judge has not heard it for 15 s
 *   Upgrading          it says so
 *   Inactive           its configuration differs from the decided one; or it has no stream to the living dispatcher for 3 s
 *   Limited            its version is neither the logical nor the target one; a part of its surroundings fails; it is drained or stops
 *   Online             none of these
 *
 * Isolation is judged against the dispatcher alone, and only when somebody else is known to lead: the dispatcher is never isolated from
 * itself, and of two nodes that lost each other the one that leads stays Online. The dispatcher must have been heard after the node had
 * been without it for 3 s: one that dies does not make the others Inactive. Without a decision nothing differs from it.
 */

/** For how long a node may be without a stream to the living dispatcher. */
export const isolatedAfterMs = 3000;

/** Why a status is not Online. Limited and isolated nodes may have several; the first is what the status follows from. */
export type StatusCause =
  | 'registration' | 'starting' | 'startFailed' | 'silent' | 'upgrading' | 'configuration' | 'isolated' | 'version' | 'drained'
  | 'stopping' | TroubledPart;

export interface NodeJudgement extends Judgement<NodeStatus> {
  readonly causes: readonly StatusCause[];
}

export interface NodeView {
  readonly nodeId: string;
  /** False after its key was regenerated, or before it has one. */
  readonly registered: boolean;
  /** It was heard at least once, by this judge or before its start. */
  readonly everHeard: boolean;
  /** Milliseconds since the judge heard it, or since the judge began to listen; 0 for a node that judges itself. */
  readonly silentMs: number;
  /** What it said last; undefined: nothing since the judge started. */
  readonly facts: NodeFacts | undefined;
  /** The user wants it to take no jobs. */
  readonly drained: boolean;
  /** For how long the judge, being the dispatcher, has had no stream to it; undefined: the judge is not, or has one. */
  readonly unreachableMs?: number | undefined;
}

/** The dispatcher that the judge knows to be alive and to lead. */
export interface LeaderSight {
  readonly nodeId: string;
  readonly nodeName: string;
  /** `formatEpoch` of the grant that it leads under. */
  readonly epoch: string;
  /** For how long the judge has known that it leads. */
  readonly knownForMs: number;
  /** Milliseconds since the judge heard last that it does; 0 when the judge is it. */
  readonly silentMs: number;
}

/** What a judge knows of the gateway. */
export interface GatewaySight {
  readonly decision: GatewayDecision | undefined;
  /** The decided configuration in words, as some node with that digest told it; undefined: none did. */
  readonly decidedConfig: string | undefined;
  /** The version that an update in progress goes to. */
  readonly targetVersion: string | undefined;
  /** Undefined: nobody is known to lead now. */
  readonly leader: LeaderSight | undefined;
}

/** Judges a node. Pure: all times are durations that the judge measured itself, or that the node did. */
export function judgeNode(node: NodeView, gateway: GatewaySight): NodeJudgement {
  const { facts } = node;
  if (!node.registered) {
    return judged('NeedRegistration', 'registration', 'Its registration has ended: the key with which it registered was regenerated.',
      'Register it again with a fresh key; its name and place are kept.');
  }
  if (!node.everHeard) {
    return judged('Initializing', 'starting', 'It has registered and was not heard since.', 'Start the node.');
  }
  if (facts?.stage === 'initializeFailed') {
    return judged('InitializeFailed', 'startFailed', `It could not start: ${facts.stageReason.replace(/\.$/, '') || 'it gave no reason'}.`,
      'Mend what is named and start the node again.');
  }
  if (node.silentMs > offlineAfterMs) {
    const silence = durationText(node.silentMs);
    const evidence = facts === undefined ? `It was not heard for at least ${silence}.` : `It was last heard ${silence} ago.`;
    return judged('Offline', 'silent', evidence,
      'Start the node, or check that its machine runs and reaches the control plane and the other nodes.');
  }
  if (facts === undefined) {
    return judged('Initializing', 'starting', 'It was not heard yet since its judge, the control plane or the dispatcher, started.',
      'Wait a few seconds.');
  }
  if (facts.stage === 'initializing') {
    const doing = facts.stageReason === '' ? '' : `: ${facts.stageReason}`;
    return judged('Initializing', 'starting', `It starts${doing}.`, 'Wait until it has started.');
  }
  if (facts.stage === 'upgrading') {
    return judged('Upgrading', 'upgrading', `It is being updated from version ${facts.version}${targetText(gateway)}.`,
      'Wait until it has started with its new version.');
  }
  return differs(facts, gateway) ?? isolated(node, facts, gateway) ?? limited(node, facts, gateway)
    ?? { status: 'Online', causes: [], evidence: `It was heard ${durationText(node.silentMs)} ago and reports no trouble.`, remedy: '' };
}

/** Jobs go to Online nodes, and to Limited ones when no Online one lives; never to one that is drained, stops or has no disk. */
export function takesJobs({ status, causes }: NodeJudgement): boolean {
  const takesNone = causes.some((cause) => cause === 'drained' || cause === 'stopping' || cause === 'disk');
  return status === 'Online' || (status === 'Limited' && !takesNone);
}

export interface NamedJudgement extends Judgement<NodeStatus> {
  readonly nodeName: string;
}

/** NeedRegistration: no node is registered · Online: all are · Offline: none is Online or Limited · Limited: the others. */
export function judgeGateway(nodes: readonly NamedJudgement[]): Judgement<GatewayStatus> {
  if (nodes.every(({ status }) => status === 'NeedRegistration')) {
    return {
      status: 'NeedRegistration',
      evidence: nodes.length === 0 ? 'No node is registered.' : `The registration of ${list(nodes)} has ended.`,
      remedy: 'Register a node with a key of the gateway.',
    };
  }
  const unwell = nodes.filter(({ status }) => status !== 'Online');
  if (unwell.length === 0) {
    return { status: 'Online', evidence: nodes.length === 1 ? 'Its node is Online.' : `All ${nodes.length} nodes are Online.`, remedy: '' };
  }
  const isSomeoneUp = nodes.some(({ status }) => status === 'Online' || status === 'Limited');
  const each = unwell.map(({ nodeName, status, evidence }) => `${nodeName} is ${status} (${evidence.replace(/\.$/, '')})`);
  return {
    status: isSomeoneUp ? 'Limited' : 'Offline',
    evidence: `${nodes.length - unwell.length} of ${nodes.length} nodes are Online; ${each.join('; ')}.`,
    remedy: unwell.flatMap(({ nodeName, remedy }) => (remedy === '' ? [] : [`${nodeName}: ${remedy}`])).join(' '),
  };
}

function judged(status: NodeStatus, cause: StatusCause, evidence: string, remedy: string): NodeJudgement {
  return { status, causes: [cause], evidence, remedy };
}

function differs(facts: NodeFacts, { decision, decidedConfig }: GatewaySight): NodeJudgement | undefined {
  if (decision === undefined || facts.configDigest === '' || facts.configDigest === decision.configDigest) return undefined;
  const [own, common] = [facts.config || facts.configDigest, decidedConfig ?? decision.configDigest];
  return judged('Inactive', 'configuration', `Its configuration (${own}) differs from that of the gateway (${common}).`,
    'Set it up as the other nodes are and start it again; or, if it is the one that is right, set up the others like it.');
}

function isolated(node: NodeView, facts: NodeFacts, gateway: GatewaySight): NodeJudgement | undefined {
  const { leader } = gateway;
  if (leader === undefined || leader.nodeId === node.nodeId) return undefined;
  const evidence = isolationOf(node, facts, leader);
  if (evidence === undefined) return undefined;
  return {
    status: 'Inactive',
    causes: ['isolated', ...(limited(node, facts, gateway)?.causes ?? [])],
    evidence,
    remedy: `Let the machines of this node and of ${leader.nodeName} reach each other at the addresses that the nodes show; `
      + 'a firewall between them is the usual reason.',
  };
}

function isolationOf(node: NodeView, { dispatcher }: NodeFacts, leader: LeaderSight): string | undefined {
  if (node.unreachableMs !== undefined && node.unreachableMs >= isolatedAfterMs) {
    return `The dispatcher ${leader.nodeName} has had no stream to it ${lostText(node.unreachableMs)}.`;
  }
  if (dispatcher?.nodeId === leader.nodeId) {
    const lostWhileItLedMs = Math.min(dispatcher.lostForMs, dispatcher.lostForMs + node.silentMs - leader.silentMs);
    if (lostWhileItLedMs < isolatedAfterMs) return undefined;
    return `The stream between it and the dispatcher ${leader.nodeName} has been down ${lostText(dispatcher.lostForMs)}.`;
  }
  // What it said may be older than the leader, or the leader may be one that gave way already: only what it said later on counts.
  const ledForMs = leader.knownForMs - leader.silentMs;
  if (Math.min(ledForMs, leader.knownForMs - node.silentMs) < isolatedAfterMs) return undefined;
  if (dispatcher !== undefined && dispatcher.lostForMs < isolatedAfterMs && isLater(dispatcher.epoch, leader.epoch)) return undefined;
  return `It ${dispatcher === undefined ? 'knows no dispatcher' : 'obeys another dispatcher'}, `
    + `while ${leader.nodeName} has led for ${durationText(leader.knownForMs)}.`;
}

function isLater(epoch: string, other: string): boolean {
  const [a, b] = [parseEpoch(epoch), parseEpoch(other)];
  return a !== undefined && (b === undefined || compareEpochs(a, b) > 0);
}

function limited(node: NodeView, facts: NodeFacts, gateway: GatewaySight): NodeJudgement | undefined {
  const reasons: { cause: StatusCause; evidence: string; remedy: string }[] = [];
  const { decision, targetVersion } = gateway;
  if (decision !== undefined && facts.version !== decision.version && facts.version !== targetVersion) {
    const wanted = targetVersion ?? decision.version;
    reasons.push({
      cause: 'version',
      evidence: `It runs version ${facts.version}, and the gateway ${decision.version}${targetText(gateway)}.`,
      remedy: compareVersions(facts.version, wanted) < 0
        ? `Update it to version ${wanted}.` : `Update the other nodes to version ${facts.version}, or install ${wanted} on it.`,
    });
  }
  if (node.drained) {
    const evidence = 'The user drains it: it takes no new jobs.';
    reasons.push({ cause: 'drained', evidence, remedy: 'Resume it when it is to take jobs again.' });
  } else if (facts.draining) {
    const evidence = 'It takes no new jobs because it stops.';
    reasons.push({ cause: 'stopping', evidence, remedy: 'Start it again when it is to take jobs.' });
  }
  for (const { part, reason } of facts.troubles) {
    const { effect, remedy } = troubleTexts[part] ?? unknownTrouble;
    reasons.push({ cause: part, evidence: `${effect} (${part}: ${reason.replace(/\.$/, '')}).`, remedy });
  }
  if (reasons.length === 0) return undefined;
  const joined = (texts: readonly string[]): string => [...new Set(texts)].join(' ');
  return {
    status: 'Limited',
    causes: reasons.map(({ cause }) => cause),
    evidence: joined(reasons.map(({ evidence }) => evidence)),
    remedy: joined(reasons.map(({ remedy }) => remedy)),
  };
}

interface TroubleTexts {
  readonly effect: string;
  readonly remedy: string;
}

/** A newer node may name parts that are not known here. */
const unknownTrouble: TroubleTexts = { effect: 'It reports a trouble', remedy: 'Mend what it names.' };

const troubleTexts: Readonly<Partial<Record<TroubledPart, TroubleTexts>>> = {
  redis: {
    effect: 'It cannot lead, and goes on as a worker', remedy: 'Check the Redis server of the gateway and the way from this node to it.',
  },
  queue: {
    effect: 'It cannot receive jobs from the queue when it leads',
    remedy: 'Check the Service Bus namespace, its connection string and the way from this node to it, with its proxy.',
  },
  controlPlane: {
    effect: 'Its reports wait until the control plane answers', remedy: 'Check the control plane and the way from this node to it.',
  },
  credentialKey: {
    effect: 'It cannot read encrypted credentials yet',
    remedy: 'Let it reach a node that holds the credential key of the gateway; it fetches the key from there by itself.',
  },
  disk: { effect: 'It takes no new jobs until it can write again', remedy: 'Free space on the disk of its state folder.' },
};

function targetText({ targetVersion }: GatewaySight): string {
  return targetVersion === undefined ? '' : `, with an update to ${targetVersion} in progress`;
}

function list(nodes: readonly NamedJudgement[]): string {
  return nodes.map(({ nodeName }) => nodeName).join(', ');
}

/** A stream that never was is lost for a very large time. */
function lostText(ms: number): string {
  return ms > 10 * 365 * 86_400_000 ? 'since it started' : `for ${durationText(ms)}`;
}

/** Roughly, for a sentence: `4 s`, `12 min`, `3 h`, `5 d`. */
function durationText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
}

import type { Clock } from '@dmg/base';
import {
  betterPeer, decideGateway, type DecisionMemory, emptyDecisionMemory, type GatewaySight, isolatedAfterMs, judgeNode, laterDecision,
  type LeaderSight, type LeadRank, leadRank, memberView, type NodeJudgement, type Standing, takesJobs,
} from '@dmg/core';
import {
  type AliveAnswer, compareEpochs, type DesiredState, type DispatcherSight, type GatewayDecision, type Judgement, type MemberState,
  type NodeFacts, type NodeStatus, parseEpoch,
} from '@dmg/model';

/** What the streams show of another node. */
export interface PeerSight {
  readonly nodeId: string;
  readonly nodeName: string;
  readonly connected: boolean;
  /** What it said last; undefined: nothing yet. */
  readonly facts?: NodeFacts | undefined;
  /** For how long there has been no stream to it; 0 while there is one. */
  readonly lostForMs: number;
  /** For how long it has had no stream to this node; 0 while it has one. */
  readonly missedForMs: number;
}

export interface ClusterViewOptions {
  readonly nodeId: string;
  readonly nodeName: string;
  readonly clock: Clock;
  /** This node's facts but for the dispatcher, which this view adds. */
  readonly facts: () => Omit<NodeFacts, 'dispatcher'>;
  readonly peers: () => readonly PeerSight[];
  /** Epoch under which this node leads; undefined: it does not. */
  readonly leadingEpoch: () => string | undefined;
  /** Who holds the lease, as Redis showed it last; undefined: nobody, or Redis does not answer. */
  readonly leaseHolder: () => { readonly nodeId: string; readonly epoch: string } | undefined;
}

/**
 * What one question to the view is answered from: asked for once, since a question goes through all nodes and each of them is judged by
 * all that is known.
 */
interface Look {
  readonly own: NodeFacts;
  readonly peers: readonly PeerSight[];
  readonly leadingEpoch: string | undefined;
  readonly gateway: GatewaySight;
}

/**
 * The gateway as this node sees it: who leads, how each node is, what is decided. All judging is core's; here is only what was heard,
 * from the control plane (roster, decision) and from the other nodes.
 */
export class ClusterView {
  readonly #options: ClusterViewOptions;
  #roster: readonly MemberState[] = [];
  #rosterAtMs = 0;
  #decision: GatewayDecision | undefined;
  #targetVersion: string | undefined;
  #drained = false;
  #memory: DecisionMemory = emptyDecisionMemory;
  #leader: { readonly nodeId: string; readonly epoch: string; readonly sinceMs: number } | undefined;
  /** Other nodes that should lead rather than this one, and since when without a break. */
  #betterSinceMs: ReadonlyMap<string, number> = new Map();
  /** The dispatcher that this node goes by, and since when. */
  #obeyed: { readonly nodeId: string; readonly sinceMs: number } | undefined;
  #said: Judgement<NodeStatus> | undefined;

  constructor(options: ClusterViewOptions) {
    this.#options = options;
  }

  takeAnswer({ judgement, roster }: AliveAnswer): void {
    this.#said = judgement;
    this.#roster = roster;
    this.#rosterAtMs = this.#options.clock.monotonicMs();
  }

  /** The control plane does not answer: what it said of this node may not be so any more. */
  forgetAnswer(): void {
    this.#said = undefined;
  }

  applyDesired({ decision, targetVersion, drain }: DesiredState): void {
    this.#decision = laterDecision(this.#decision, decision);
    this.#targetVersion = targetVersion;
    this.#drained = drain !== undefined;
  }

  /** This node's facts, for the other nodes and the control plane. */
  facts(): NodeFacts {
    const peers = this.#options.peers();
    return { ...this.#options.facts(), dispatcher: this.#sight(peers, claimsOf(peers)) };
  }

  /** How this node is: as the control plane says while it answers, else as this node judges itself by the same rules. */
  judgement(): Judgement<NodeStatus> {
    return this.#said ?? this.#judgeSelf(this.#look());
  }

  /** Whether the control plane said last what this node says of itself; if not, one of the two does not know something yet. */
  agrees(): boolean {
    return this.#said === undefined || this.#said.status === this.#judgeSelf(this.#look()).status;
  }

  /** How the dispatcher on this node sees a worker; one that must get no job whatever its status is not among those that may. */
  statusOf(nodeId: string): NodeStatus {
    const look = this.#look();
    const judgement = nodeId === this.#options.nodeId ? this.#judgeSelf(look) : this.#judgePeer(look, nodeId);
    if (judgement === undefined) return 'Offline';
    return judgement.status === 'Limited' && !takesJobs(judgement) ? 'Inactive' : judgement.status;
  }

  /**
   * Whether and how soon this node may lead, and who should instead: one that has been better for some time, so that a trouble which
   * one node notices before the others moves nothing. To be asked often: what is better only between two calls is not seen.
   */
  standing(): Standing {
    const look = this.#look();
    const judgement = this.#judgeSelf(look);
    // What is due matters only to one that may not lead as things are.
    const rank = leadRank(judgement) ?? leadRank(judgement, this.#judgeSelfAsDue(look));
    const nowMs = this.#options.clock.monotonicMs();
    const peers = this.#reachable(look);
    const better = peers.filter((peer) => peer.rank !== undefined && (rank === undefined || peer.rank < rank));
    this.#betterSinceMs = new Map(better.map(({ nodeId }) => [nodeId, this.#betterSinceMs.get(nodeId) ?? nowMs]));
    const betterForMs = (nodeId: string): number => nowMs - (this.#betterSinceMs.get(nodeId) ?? nowMs);
    return { rank, better: betterPeer(rank, peers.map((peer) => ({ ...peer, betterForMs: betterForMs(peer.nodeId) }))) };
  }

  /**
   * Nodes that have been without a stream from this one for too long while it leads. The control plane takes a node for isolated only when
   * it has heard the dispatcher after that, so this is worth a report.
   */
  cutOff(): readonly string[] {
    if (this.#options.leadingEpoch() === undefined) return [];
    return this.#options.peers().flatMap(({ nodeId, lostForMs }) => (lostForMs >= isolatedAfterMs ? [nodeId] : []));
  }

  /** Who should lead when this node stops: the best that is reachable. */
  successor(): string | undefined {
    return betterPeer(undefined, this.#reachable(this.#look()).map((peer) => ({ ...peer, betterForMs: 0 })));
  }

  #reachable(look: Look): readonly { readonly nodeId: string; readonly rank: LeadRank }[] {
    return look.peers.filter(({ connected }) => connected).map(({ nodeId }) => {
      const judgement = this.#judgePeer(look, nodeId);
      return { nodeId, rank: judgement === undefined ? undefined : leadRank(judgement) };
    });
  }

  /** What is decided for the gateway; a dispatcher decides first. */
  decision(): GatewayDecision | undefined {
    const decision = this.#due(this.#look());
    // Only a dispatcher publishes what is due; the others need to know it to tell whether they may lead.
    if (this.#options.leadingEpoch() !== undefined) this.#decision = laterDecision(this.#decision, decision);
    return this.#decision;
  }

  /** The decision that is due by what this node knows; undefined: the one that there is stays. */
  #due(look: Pick<Look, 'own' | 'peers'>): GatewayDecision | undefined {
    const nowMs = this.#options.clock.monotonicMs();
    const own = { facts: look.own, silentMs: 0 };
    const others = look.peers.flatMap(({ facts, lostForMs }) => (facts === undefined ? [] : [{ facts, silentMs: lostForMs }]));
    const members = memberView(this.#roster, { rosterAgeMs: nowMs - this.#rosterAtMs, heard: [own, ...others] });
    const { decision, memory } = decideGateway({ members, current: this.#decision, nowMs }, this.#memory);
    this.#memory = memory;
    return decision;
  }

  #judgeSelf({ own, gateway }: Look): NodeJudgement {
    const { nodeId } = this.#options;
    return judgeNode({ nodeId, registered: true, everHeard: true, silentMs: 0, facts: own, drained: this.#drained }, gateway);
  }

  /** Under the decision that is due by what this node knows; undefined when none is. */
  #judgeSelfAsDue(look: Look): NodeJudgement | undefined {
    const decision = this.#due(look);
    return decision === undefined ? undefined : this.#judgeSelf({ ...look, gateway: { ...look.gateway, decision } });
  }

  #judgePeer({ peers, leadingEpoch, gateway }: Look, nodeId: string): NodeJudgement | undefined {
    const peer = peers.find((each) => each.nodeId === nodeId);
    if (peer === undefined) return undefined;
    const { facts, connected, lostForMs } = peer;
    const unreachableMs = connected || leadingEpoch === undefined ? undefined : lostForMs;
    return judgeNode(
      { nodeId, registered: true, everHeard: facts !== undefined, silentMs: lostForMs, facts, drained: false, unreachableMs },
      gateway,
    );
  }

  #look(): Look {
    const peers = this.#options.peers();
    const claims = claimsOf(peers);
    const leadingEpoch = this.#options.leadingEpoch();
    const own = { ...this.#options.facts(), dispatcher: this.#sight(peers, claims) };
    const decision = this.#decision;
    const isDecided = ({ configDigest }: NodeFacts): boolean => configDigest === decision?.configDigest;
    const decided = isDecided(own) ? own : peers.find(({ facts }) => facts !== undefined && isDecided(facts))?.facts;
    const leader = this.#leaderSight(peers, claims);
    return {
      own, peers, leadingEpoch, gateway: { decision, targetVersion: this.#targetVersion, leader, decidedConfig: decided?.config },
    };
  }

  /** The dispatcher that lives: this node, the holder of the lease, or one that a reachable node has a stream to. */
  #leaderSight(peers: readonly PeerSight[], claims: readonly DispatcherSight[]): LeaderSight | undefined {
    const { nodeId: own, clock, leaseHolder, leadingEpoch } = this.#options;
    const epoch = leadingEpoch();
    const leader = latest([
      ...(epoch === undefined ? [] : [{ nodeId: own, epoch }]),
      ...[leaseHolder()].filter((holder) => holder !== undefined),
      ...claims.filter(({ lostForMs }) => lostForMs === 0),
    ]);
    if (leader === undefined) {
      this.#leader = undefined;
      return undefined;
    }
    const nowMs = clock.monotonicMs();
    if (this.#leader?.nodeId !== leader.nodeId || this.#leader.epoch !== leader.epoch) this.#leader = { ...leader, sinceMs: nowMs };
    const { nodeId, sinceMs } = this.#leader;
    return { nodeId, nodeName: this.#nameOf(peers, nodeId), epoch: leader.epoch, knownForMs: nowMs - sinceMs, silentMs: 0 };
  }

  /** The dispatcher that this node goes by, alive or not. */
  #sight(peers: readonly PeerSight[], claims: readonly DispatcherSight[]): DispatcherSight | undefined {
    const { nodeId: own, leaseHolder, leadingEpoch } = this.#options;
    const epoch = leadingEpoch();
    if (epoch !== undefined) return { nodeId: own, epoch, lostForMs: 0 };
    const known = latest([...[leaseHolder()].filter((holder) => holder !== undefined), ...claims]);
    if (known === undefined || known.nodeId === own) return undefined;
    const { nodeId } = known;
    const nowMs = this.#options.clock.monotonicMs();
    if (this.#obeyed?.nodeId !== nodeId) this.#obeyed = { nodeId, sinceMs: nowMs };
    // A stream that was never there is missed from when there was somebody at its other end.
    const knownForMs = nowMs - this.#obeyed.sinceMs;
    const peer = peers.find((each) => each.nodeId === nodeId);
    // Jobs come on its stream, what is known of it on ours: without either this node takes no part.
    const lostForMs = peer === undefined ? knownForMs : Math.max(peer.lostForMs, peer.missedForMs);
    return { nodeId, epoch: known.epoch, lostForMs: Math.min(lostForMs, knownForMs) };
  }

  #nameOf(peers: readonly PeerSight[], nodeId: string): string {
    const { nodeId: own, nodeName } = this.#options;
    if (nodeId === own) return nodeName;
    const known = peers.find((peer) => peer.nodeId === nodeId) ?? this.#roster.find((member) => member.nodeId === nodeId);
    return known?.nodeName ?? nodeId;
  }
}

/**
 * What reachable nodes say of the dispatcher. Of one that can be asked itself only its own word counts: otherwise two nodes that have it
 * from each other would believe in a dispatcher for ever which was started again since.
 */
function claimsOf(peers: readonly PeerSight[]): readonly DispatcherSight[] {
  const heard = peers.filter(({ connected, facts }) => connected && facts !== undefined);
  const isDenied = ({ nodeId }: DispatcherSight): boolean =>
    heard.some((peer) => peer.nodeId === nodeId && peer.facts?.dispatcher?.nodeId !== nodeId);
  return heard.flatMap(({ facts }) => facts?.dispatcher ?? []).filter((claim) => !isDenied(claim));
}

function latest<T extends { readonly epoch: string }>(sights: readonly T[]): T | undefined {
  return sights.reduce<T | undefined>((best, sight) => {
    const epoch = parseEpoch(sight.epoch);
    const bestEpoch = best === undefined ? undefined : parseEpoch(best.epoch);
    if (epoch === undefined) return best;
    return bestEpoch === undefined || compareEpochs(epoch, bestEpoch) > 0 ? sight : best;
  }, undefined);
}

import { compareVersions, type GatewayDecision, type MemberState, type NodeFacts } from '@dmg/model';

/*
 * What version and which configuration a gateway goes by (DESIGN-RULES 17). Only a dispatcher publishes what this decides.
 *
 * Input: R, the registered nodes heard in the last 10 minutes, each with what it said last; and V, what was decided before.
 *   (a) a strict majority of R has X                      → X
 *   (b) else a live node has V                            → V stays
 *   (c) else, when that has been so for long enough       → what most live nodes have; on a tie the highest version, or the
 *                                                           configuration of the earliest registered node
 * Long enough: 10 minutes for the version; 60 s for the configuration, because nodes that differ in it do not work. Without a V
 * there is nothing to wait for, and (c) applies at once.
 *
 * Registered nodes are counted, not live ones: a node that freezes for a moment changes no majority. A target version needs no
 * rule of its own here: during an update nodes of both versions are full members (node-status.ts), and the strict majority moves V.
 *
 * Invariants: deciding again about the same view changes nothing; what nobody lives by and no majority has is never decided; a restart of
 * everything changes nothing, since V is kept at the control plane and on every node, and waiting times begin afresh.
 */

/** Not heard for longer than this, a node is not live. Three alive reports missed. */
export const offlineAfterMs = 15_000;
/** Not heard for longer than this, a registered node counts for no majority. */
export const countedForMs = 600_000;
/** How long (b) must have failed before (c) changes what was decided. */
export const versionWaitMs = 600_000;
export const configWaitMs = 60_000;

/** Since when, by the caller's monotonic clock, no live node has had what is decided; undefined: one has it, or a majority does. */
export interface DecisionMemory {
  readonly versionSinceMs: number | undefined;
  readonly configSinceMs: number | undefined;
}

export const emptyDecisionMemory: DecisionMemory = { versionSinceMs: undefined, configSinceMs: undefined };

export interface DecisionView {
  /** All registered nodes, `silentMs` as whoever heard them last heard them (`memberView`). */
  readonly members: readonly MemberState[];
  readonly current: GatewayDecision | undefined;
  /** Monotonic clock of the caller, the same as in `memory`. */
  readonly nowMs: number;
}

export interface DecisionStep {
  /** The new decision, its number one above the last; undefined: nothing changes. */
  readonly decision: GatewayDecision | undefined;
  /** Goes into the next call. A process that starts begins with `emptyDecisionMemory`. */
  readonly memory: DecisionMemory;
}

/** Decides version and configuration. Called as often as one likes; the same view gives the same answer. */
export function decideGateway(view: DecisionView, memory: DecisionMemory): DecisionStep {
  const { current, nowMs } = view;
  const counted = view.members.filter((member) => member.registered && member.silentMs <= countedForMs);
  const version = settle({
    counted, nowMs, valueOf: (member) => member.version, decided: current?.version, sinceMs: memory.versionSinceMs, waitMs: versionWaitMs,
    precedes: (a, b) => (compareVersions(a.version, b.version) || b.ordinal - a.ordinal) > 0,
  });
  const config = settle({
    counted, nowMs, valueOf: (member) => member.configDigest, decided: current?.configDigest, sinceMs: memory.configSinceMs,
    waitMs: configWaitMs, precedes: (a, b) => a.ordinal < b.ordinal,
  });
  const next: DecisionMemory = { versionSinceMs: version.sinceMs, configSinceMs: config.sinceMs };
  if (version.value === undefined || config.value === undefined) return { decision: undefined, memory: next };
  if (version.value === current?.version && config.value === current.configDigest) return { decision: undefined, memory: next };
  return { decision: { number: (current?.number ?? 0) + 1, version: version.value, configDigest: config.value }, memory: next };
}

interface Question {
  readonly counted: readonly MemberState[];
  readonly nowMs: number;
  /** Empty: not known; such a node counts for R, so that ignorance makes no majority, and votes for nothing. */
  readonly valueOf: (member: MemberState) => string;
  readonly decided: string | undefined;
  readonly sinceMs: number | undefined;
  readonly waitMs: number;
  /** Which of two nodes speaks for the value that wins a tie. */
  readonly precedes: (a: MemberState, b: MemberState) => boolean;
}

function settle(question: Question): { readonly value: string | undefined; readonly sinceMs: number | undefined } {
  const { counted, nowMs, valueOf, decided, waitMs } = question;
  const majority = [...new Set(counted.map(valueOf))].find(
    (value) => value !== '' && 2 * counted.filter((member) => valueOf(member) === value).length > counted.length,
  );
  if (majority !== undefined) return { value: majority, sinceMs: undefined };
  const live = counted.filter((member) => member.silentMs <= offlineAfterMs && valueOf(member) !== '');
  if (decided !== undefined && live.some((member) => valueOf(member) === decided)) return { value: decided, sinceMs: undefined };
  const sinceMs = question.sinceMs ?? nowMs - silenceOf(counted.filter((member) => valueOf(member) === decided));
  if (decided !== undefined && (live.length === 0 || nowMs - sinceMs < waitMs)) return { value: decided, sinceMs };
  return { value: mostCommon(live, question), sinceMs: undefined };
}

/** The wait of (c) began when the last node that had it was heard for the last time; now, if none has it any more. */
function silenceOf(holders: readonly MemberState[]): number {
  return holders.length === 0 ? 0 : Math.min(...holders.map(({ silentMs }) => silentMs));
}

function mostCommon(live: readonly MemberState[], { valueOf, precedes }: Question): string | undefined {
  const votes = (member: MemberState): number => live.filter((other) => valueOf(other) === valueOf(member)).length;
  let best: MemberState | undefined;
  for (const member of live) {
    if (best === undefined || votes(member) > votes(best) || (votes(member) === votes(best) && precedes(member, best))) best = member;
  }
  return best === undefined ? undefined : valueOf(best);
}

/**
 * The later of two decisions: what a node goes by when it is told another. Of two with one number, made by two dispatchers that did
 * not know of each other, the control plane's counts, so it is given as `offered`.
 */
export function laterDecision(known: GatewayDecision | undefined, offered: GatewayDecision | undefined): GatewayDecision | undefined {
  if (known === undefined || offered === undefined) return known ?? offered;
  return offered.number >= known.number ? offered : known;
}

/** What a node heard of another on their streams. */
export interface HeardFacts {
  readonly facts: NodeFacts;
  /** Milliseconds since then. */
  readonly silentMs: number;
}

/**
 * The registered nodes as one who has both a roster and streams sees them: of each node what was heard last, by the control plane
 * or here. `rosterAgeMs` is how long ago the roster came; facts of nodes that are not in it are left out, for they are no members.
 */
export function memberView(
  roster: readonly MemberState[], { rosterAgeMs, heard }: { readonly rosterAgeMs: number; readonly heard: readonly HeardFacts[] },
): readonly MemberState[] {
  const byNode = new Map(heard.map((each) => [each.facts.nodeId, each]));
  return roster.map((member) => {
    const agedMs = Math.min(member.silentMs + rosterAgeMs, Number.MAX_SAFE_INTEGER);
    const own = byNode.get(member.nodeId);
    if (own === undefined || own.silentMs > agedMs) return { ...member, silentMs: agedMs };
    return { ...member, version: own.facts.version, configDigest: own.facts.configDigest, silentMs: own.silentMs };
  });
}

import type { NodeJudgement, StatusCause } from './node-status.ts';

/*
 * Who leads is a rank, not a ban (DESIGN-RULES 17). A node with a lower rank tries for the lease at once, one with the next rank one
 * lease later, and so on; so the best that is alive leads, and somebody does as long as anybody can.
 *
 *   0           Online
 *   1           Limited, for whatever reason but draining; Inactive because it is cut off from the dispatcher: when that dispatcher is
 *               gone, the one that lost it must be able to follow
 *   2           one that takes no new jobs, drained or stopping; and one whose configuration is not yet the decided one but is due to be
 *   undefined   never: not registered, not started, Offline, Upgrading, or in conflict with the decided configuration
 *
 * A conflict of configurations ends by a decision, and only a leader decides. So a node in conflict also looks at the decision that is
 * due by what it knows itself (`decideGateway` with its own memory): when that would bring it in, it may lead, and decides it first.
 *
 * Lead never depends on credentials, nor on the control plane or the queue: a dispatcher without them is better than none.
 */
export type LeadRank = 0 | 1 | 2 | undefined;

/** How long a better node must have been better before a leader hands over to it. */
export const betterAfterMs = 10_000;

/**
 * Rank of a node as it judges itself. `due`: the same node judged under the decision that `decideGateway` makes of what it knows, when
 * that differs from the one in force.
 */
export function leadRank(now: NodeJudgement, due?: NodeJudgement): LeadRank {
  const rank = rankOf(now);
  if (rank !== undefined || due === undefined || !now.causes.includes('configuration')) return rank;
  return rankOf(due) === undefined ? undefined : 2;
}

function rankOf({ status, causes }: NodeJudgement): LeadRank {
  switch (status) {
    case 'Online':
      return 0;
    case 'Limited':
      return takesNoJobs(causes) ? 2 : 1;
    case 'Inactive':
      if (!causes.includes('isolated')) return undefined;
      return takesNoJobs(causes) ? 2 : 1;
    case 'NeedRegistration':
    case 'Initializing':
    case 'InitializeFailed':
    case 'Offline':
    case 'Upgrading':
      return undefined;
  }
}

function takesNoJobs(causes: readonly StatusCause[]): boolean {
  return causes.includes('drained') || causes.includes('stopping');
}

/** A node that a leader could hand over to: one it has a stream to. */
export interface LeadCandidate {
  readonly nodeId: string;
  readonly rank: LeadRank;
  /** For how long, without a break, it has been reachable with a rank better than the leader's. */
  readonly betterForMs: number;
}

/**
 * To whom a leader hands over: the best candidate that has been better for 10 s; a leader that may not lead any more hands over at
 * once, to the best that may. Undefined: it goes on, or, when it may not lead, gives up without a successor.
 */
export function betterPeer(ownRank: LeadRank, candidates: readonly LeadCandidate[]): string | undefined {
  const own = ownRank ?? Number.POSITIVE_INFINITY;
  const neededMs = ownRank === undefined ? 0 : betterAfterMs;
  let best: { readonly nodeId: string; readonly rank: number } | undefined;
  for (const { nodeId, rank, betterForMs } of candidates) {
    if (rank === undefined || rank >= own || betterForMs < neededMs) continue;
    if (best === undefined || rank < best.rank || (rank === best.rank && nodeId < best.nodeId)) best = { nodeId, rank };
  }
  return best?.nodeId;
}

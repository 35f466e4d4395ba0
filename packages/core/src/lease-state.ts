import assert from 'node:assert/strict';
import { type Epoch, formatEpoch } from '@dmg/model';
import type { LeadRank } from './lead-rank.ts';
import type { ClaimAnswer, InstallAnswer, MasterSight } from './ports.ts';
import type { LeaseSettings } from './lease-settings.ts';

/** What a node knows and does about the lease; changed by `stepLease` only. All times are its own monotonic milliseconds. */
export interface LeaseState {
  readonly phase: LeasePhase;
  readonly masters: readonly KnownMaster[];
  /** By token: every lease that the masters showed at the last peek. */
  readonly holders: ReadonlyMap<string, Holder>;
  /** Whose lease and lead a majority showed last. */
  readonly leader: SeenLeader | undefined;
  /** Largest epoch number ever seen at a master, installed, or told by a node. */
  readonly highestN: number;
  readonly standing: Standing;
  /** A node obeys an epoch with this number: one that is granted must be larger. */
  readonly above: number;
  /** Somebody waits for a grant. Without that the node only looks. */
  readonly wanted: boolean;
  readonly peeking: boolean;
  readonly nextPeekMs: number;
  /** When a majority answered last. */
  readonly answeredMs: number;
  /** Since when there has been no majority of answers, and why; undefined: the last question was answered. */
  readonly unreachable: { readonly sinceMs: number; readonly reason: string } | undefined;
  /** Since when each peek has shown no lease on a majority that counts. */
  readonly absentSinceMs: number | undefined;
  /** Another node was named successor, or we have just handed over: no candidacy before this. */
  readonly heldBackUntilMs: number;
  /** We were named successor: no waiting for our rank until this. */
  readonly invitedUntilMs: number;
  /** The machine of this lease's holder refused us. Another lease of the same node is of a process that was started since. */
  readonly refused: { readonly token: string; readonly sinceMs: number } | undefined;
  readonly endedEarlyMs: number;
  readonly candidacy: Candidacy | undefined;
  readonly tenure: Tenure | undefined;
}

/** See the head of lease-machine.ts. */
export type LeasePhase = 'watching' | 'seizing' | 'acquiring' | 'claiming' | 'installing' | 'leading' | 'stopped';

/** How a node stands among those that may lead (DESIGN-RULES 17). */
export interface Standing {
  /** 0 tries at once, 1 one lease later, and so on; undefined: never. */
  readonly rank: LeadRank;
  /** To whom this node should hand over if it leads (see `betterPeer`). */
  readonly better?: string | undefined;
}

export interface SeenLeader {
  readonly nodeId: string;
  /** Where it says it can be reached; a hint, never an authority. Empty: not known. */
  readonly address: string;
  /** `formatEpoch` of its grant. */
  readonly epoch: string;
}

/** What is remembered of a master. */
export interface KnownMaster {
  /** Id of its data as it was shown last; undefined: it has never answered. */
  readonly life: string | undefined;
  /** Since when it has shown this life; -Infinity: since we know it. It counts when a lease's time has passed since. */
  readonly lifeSinceMs: number;
  readonly seenMs: number;
}

/** A lease, by its token. */
export interface Holder {
  readonly token: string;
  /** Undefined until its lead was seen. */
  readonly nodeId: string | undefined;
  /** At each master; undefined: its lease was not seen there. */
  readonly beats: readonly (Beat | undefined)[];
  /** Since when no beat has moved, although the masters answered. */
  readonly stillSinceMs: number;
}

/** How far the holder of a lease has come; `none`: it has not installed an epoch yet. */
export type Beat = { readonly n: number; readonly beat: number } | 'none';

/** On the way to a grant: from the acquisition on. */
export interface Candidacy {
  /** When the acquisition was sent: the lease cannot have ended before this + leaseMs. */
  readonly sentMs: number;
  readonly sentWallMs: number;
  /** Empty until it was acquired. */
  readonly token: string;
  readonly n: number;
}

/** The time of one lease in our hands, under one epoch or several growing ones. */
export interface Tenure {
  readonly epoch: Epoch;
  /** Ids of the masters' data in one text. */
  readonly life: string;
  /** When the last renewal (or the acquisition) that succeeded was sent, by both clocks. */
  readonly goodMs: number;
  readonly goodWallMs: number;
  /** When the last renewal was sent, by both clocks. */
  readonly sentMs: number;
  readonly sentWallMs: number;
  readonly busy: 'renewing' | 'raising' | undefined;
  /** A larger epoch is wanted; the one installed is not acted under any more. */
  readonly raise: boolean;
  /** When it began. */
  readonly sinceMs: number;
}

/** The clocks when it happened. */
export interface Moment {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

export type LeaseEvent =
  /** Time has passed; `leaseDueMs` says when the next one is needed. */
  | { readonly type: 'tick' }
  | { readonly type: 'peeked'; readonly sights: readonly MasterSight[] }
  /** `unknown`: it may have been acquired. `unit`: a random number in [0, 1). */
  | { readonly type: 'acquired'; readonly token: string; readonly outcome: 'acquired' | 'refused' | 'unknown'; readonly unit: number }
  | { readonly type: 'claimed'; readonly token: string; readonly answers: readonly ClaimAnswer[] }
  | { readonly type: 'installed'; readonly epoch: Epoch; readonly answers: readonly InstallAnswer[] }
  | { readonly type: 'renewed'; readonly token: string; readonly outcome: 'renewed' | 'lost' | 'silent' }
  | { readonly type: 'seized'; readonly token: string; readonly ended: boolean }
  /** A grant is wanted, or a larger epoch under the one that is held; larger than `above`. */
  | { readonly type: 'wanted'; readonly above: number }
  /** Nobody waits for the grant any more. */
  | { readonly type: 'unwanted' }
  /** The holder gives the lease back. */
  | { readonly type: 'release'; readonly token: string; readonly successor: string | undefined }
  | { readonly type: 'standing'; readonly standing: Standing }
  /** The stream to this node was reset; `refused`: its machine answers and nobody listens at its address. */
  | { readonly type: 'leaderGone'; readonly nodeId: string; readonly refused: boolean }
  | { readonly type: 'invited' }
  | { readonly type: 'othersInvited' }
  | { readonly type: 'stop'; readonly successor: string | undefined };

export type EndCause = 'lost' | 'silent' | 'released' | 'handedOver' | 'stopped';

/**
 * What the shell does, in this order. Each of the first six asks the masters and is answered by one event, also when nobody answers;
 * only one is under way at a time, unless the grant ended meanwhile.
 */
export type LeaseEffect =
  | { readonly type: 'peek' }
  /** With a token of its own choice, random and new. */
  | { readonly type: 'acquire' }
  | { readonly type: 'claim'; readonly token: string }
  | { readonly type: 'install'; readonly epoch: Epoch }
  | { readonly type: 'renew'; readonly token: string }
  | { readonly type: 'seize'; readonly token: string; readonly beats: readonly (number | undefined)[] }
  | { readonly type: 'release'; readonly token: string }
  /** This node may act under `epoch`: a new grant, or a larger epoch under the lease that it holds. */
  | { readonly type: 'grant'; readonly epoch: Epoch; readonly life: string }
  /** It may not any more. */
  | { readonly type: 'ended'; readonly epoch: Epoch; readonly cause: EndCause; readonly successor: string | undefined };

export interface LeaseStep {
  readonly state: LeaseState;
  readonly effects: readonly LeaseEffect[];
}

export function startLease(masters: number, moment: Moment, standing: Standing): LeaseState {
  assert(Number.isInteger(masters) && masters > 0, 'there is at least one master');
  return {
    phase: 'watching',
    masters: Array.from({ length: masters }, () => ({ life: undefined, lifeSinceMs: Infinity, seenMs: -Infinity })),
    holders: new Map(),
    leader: undefined,
    highestN: 0,
    above: 0,
    standing,
    wanted: false,
    peeking: false,
    nextPeekMs: moment.monotonicMs,
    answeredMs: -Infinity,
    unreachable: { sinceMs: moment.monotonicMs, reason: 'no answer yet' },
    absentSinceMs: undefined,
    heldBackUntilMs: -Infinity,
    invitedUntilMs: -Infinity,
    refused: undefined,
    endedEarlyMs: -Infinity,
    candidacy: undefined,
    tenure: undefined,
  };
}

/**
 * Whether this node may act as dispatcher now (DESIGN-RULES 12.9). Asked before every effect. False now may be true again after a
 * renewal: the machine may have been suspended, which moves one clock and not the other.
 */
export function mayAct(state: LeaseState, { monotonicMs, wallMs }: Moment, settings: LeaseSettings): boolean {
  const { tenure } = state;
  if (state.phase !== 'leading' || tenure === undefined || tenure.raise) return false;
  const sinceMs = monotonicMs - tenure.goodMs;
  if (sinceMs >= settings.leaseMs - settings.marginMs) return false;
  return Math.abs(wallMs - tenure.goodWallMs - sinceMs) <= settings.driftMs;
}

/** When the machine needs its next tick; Infinity: not before something else happens. */
export function leaseDueMs(state: LeaseState, settings: LeaseSettings): number {
  const { phase, tenure } = state;
  if (phase === 'watching') return state.peeking ? Infinity : state.nextPeekMs;
  if (phase !== 'leading' || tenure === undefined) return Infinity;
  const endMs = tenure.goodMs + settings.leaseMs;
  if (tenure.busy !== undefined) return endMs;
  return Math.min(endMs, tenure.sentMs + settings.renewMs, handOverDueMs(state, settings));
}

/** When a holder gives the lease to a better node: at once if it may not lead, else not so soon that the lease would wander about. */
export function handOverDueMs({ standing, tenure }: LeaseState, settings: LeaseSettings): number {
  if (standing.rank === undefined) return -Infinity;
  return standing.better === undefined || tenure === undefined ? Infinity : tenure.sinceMs + settings.handOverMs;
}

/** Why this node cannot lead; undefined when the masters answer. What fails for less than a lease's time is no trouble yet. */
export function leaseTrouble(state: LeaseState, nowMs: number, settings: LeaseSettings): string | undefined {
  const { unreachable } = state;
  return unreachable !== undefined && nowMs - unreachable.sinceMs >= settings.leaseMs ? unreachable.reason : undefined;
}

/** Who leads, as it was seen last, this node included. */
export function leaderOf(state: LeaseState, self: { readonly nodeId: string; readonly address: string }): SeenLeader | undefined {
  return state.tenure === undefined ? state.leader : { ...self, epoch: formatEpoch(state.tenure.epoch) };
}

export function isMajority(count: number, masters: number): boolean {
  return count > masters / 2;
}

export function stay(state: LeaseState): LeaseStep {
  return { state, effects: [] };
}

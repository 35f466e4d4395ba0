import { beginHolding, stepHolding } from './lease-holding.ts';
import type { LeaseSettings } from './lease-settings.ts';
import { counts, judgeInstall, observe } from './lease-sights.ts';
import {
  type Candidacy, type Holder, isMajority, type LeaseEffect, type LeaseEvent, type LeaseState, type LeaseStep, type Moment, stay,
} from './lease-state.ts';
import type { ClaimAnswer } from './ports.ts';

/**
 * The lease and the epoch of one node (DESIGN-RULES 12 and 13). The lease makes it likely that one node leads, the epoch decides whom
 * nodes obey. Pure: the shell performs the effects and brings back what came of them, with the clocks of that moment.
 *
 * States
 * - `watching`    looks at the masters every `peekMs`. It tries when somebody wants a grant, the node's rank lets it, and the lease is
 *                 absent on a majority of masters that count; or ends it first: a beat that stood still for `stillMs`, or, when its
 *                 holder's machine refused us, for `refusedStillMs`.
 * - `seizing`     ends the lease of such a holder.
 * - `acquiring`   asks for the lease; from the sending on its time runs.
 * - `claiming`    has it; reads the largest epoch of all masters.
 * - `installing`  installs a larger one; where one as large stands, goes above that.
 * - `leading`     was granted: renews every `renewMs`, measured from when the renewal before was sent; installs larger epochs under the
 *                 same lease when a node obeys a larger one.
 * - `stopped`     for good.
 *
 * Events and effects: lease-state.ts. Each effect that asks the masters is answered by one event; in the states seizing to installing
 * nothing else is under way. Answers that fit no longer (another token) are dropped; a lease that may be ours is given back.
 *
 * Invariants
 * - A grant is given only after, in this order, the lease was acquired, a majority of masters that count said that it is ours, and a
 *   majority of those took the epoch. So while a master shared by two grants keeps its data, the later one has the larger number.
 * - No two grants have the same (n, token): a token is made for each acquisition, and under one token n only grows.
 * - `mayAct` is false from `leaseMs` − `marginMs` after the last good renewal was sent, by the own monotonic clock; no other time of
 *   another machine or of the wall clock ends or prolongs it. At `leaseMs` the grant ends.
 * - A master whose `life` is missing or has changed counts for nothing until `leaseMs` later.
 */
export function stepLease(state: LeaseState, event: LeaseEvent & Moment, settings: LeaseSettings): LeaseStep {
  const nowMs = event.monotonicMs;
  switch (event.type) {
    case 'tick':
      if (state.phase === 'leading') return stepHolding(state, event, settings);
      if (state.phase !== 'watching' || state.peeking || nowMs < state.nextPeekMs) return stay(state);
      return { state: { ...state, peeking: true }, effects: [{ type: 'peek' }] };
    case 'peeked':
      return onPeeked(state, event, settings);
    case 'seized':
      return onSeized(state, event, settings);
    case 'acquired':
      return onAcquired(state, event, settings);
    case 'claimed':
      return onClaimed(state, event, settings);
    case 'installed':
      return state.phase === 'installing' ? onInstalled(state, event, settings) : stepHolding(state, event, settings);
    case 'renewed':
      return stepHolding(state, event, settings);
    case 'wanted':
      return onWanted(state, event, settings);
    case 'unwanted':
      return state.phase === 'leading' ? stepHolding(state, event, settings) : stay({ ...state, wanted: false });
    case 'release':
      return stepHolding(state, event, settings);
    case 'standing':
      return stepHolding({ ...state, standing: event.standing }, event, settings);
    case 'leaderGone':
      return onLeaderGone(state, event, settings);
    case 'invited':
      return onInvited(state, event, settings);
    case 'othersInvited':
      return stay({ ...state, heldBackUntilMs: Math.max(state.heldBackUntilMs, nowMs + 2 * settings.peekMs) });
    case 'stop':
      return onStop(state, event, settings);
  }
}

type Of<T extends LeaseEvent['type']> = Extract<LeaseEvent, { type: T }> & Moment;

function onPeeked(state: LeaseState, event: Of<'peeked'>, settings: LeaseSettings): LeaseStep {
  const nowMs = event.monotonicMs;
  const seen = { ...observe(state, event.sights, nowMs, settings), peeking: false };
  if (seen.phase !== 'watching') return stay(seen);
  return seen.unreachable === undefined ? attempt(seen, event, settings) : stay(waitForPeek(seen, nowMs, settings));
}

/** Tries for the lease, or ends one that is dead, if there is cause; else waits for the next peek. */
function attempt(state: LeaseState, moment: Moment, settings: LeaseSettings): LeaseStep {
  const nowMs = moment.monotonicMs;
  const waits = stay(waitForPeek(state, nowMs, settings));
  if (!mayTry(state) || nowMs < state.heldBackUntilMs) return waits;
  const patienceMs = nowMs < state.invitedUntilMs ? 0 : (state.standing.rank ?? 0) * settings.leaseMs;
  if (state.absentSinceMs !== undefined) return nowMs - state.absentSinceMs >= patienceMs ? acquire(state, moment) : waits;
  const dead = [...state.holders.values()].find((holder) => isDead(state, holder, { nowMs, patienceMs }, settings));
  if (dead === undefined) return waits;
  const beats = dead.beats.map((beat) => (beat === 'none' ? undefined : beat?.beat));
  return { state: { ...state, phase: 'seizing' }, effects: [{ type: 'seize', token: dead.token, beats }] };
}

function mayTry({ wanted, standing }: LeaseState): boolean {
  return wanted && standing.rank !== undefined;
}

function isDead(state: LeaseState, holder: Holder, at: { nowMs: number; patienceMs: number }, settings: LeaseSettings): boolean {
  const stillMs = at.nowMs - holder.stillSinceMs;
  if (stillMs >= settings.stillMs + at.patienceMs) return true;
  return isRefused(state, holder, at.nowMs, settings) && stillMs >= settings.refusedStillMs + at.patienceMs;
}

/** Its process is gone, as far as we can tell from here. */
function isRefused(state: LeaseState, holder: Holder, nowMs: number, settings: LeaseSettings): boolean {
  const { refused } = state;
  if (refused?.token !== holder.token || nowMs - refused.sinceMs > settings.stillMs) return false;
  return nowMs - state.endedEarlyMs >= settings.refusedEveryMs;
}

/** The next peek is soon when we were named successor, or as soon as a holder that refused us has been still for long enough. */
function waitForPeek(state: LeaseState, nowMs: number, settings: LeaseSettings): LeaseState {
  let nextPeekMs = nowMs + (nowMs < state.invitedUntilMs ? settings.peekMs / 5 : settings.peekMs);
  for (const holder of state.holders.values()) {
    const deadMs = holder.stillSinceMs + settings.refusedStillMs;
    if (deadMs > nowMs && isRefused(state, holder, nowMs, settings)) nextPeekMs = Math.min(nextPeekMs, deadMs);
  }
  return { ...state, phase: 'watching', nextPeekMs };
}

function onSeized(state: LeaseState, { token, ended, ...moment }: Of<'seized'>, settings: LeaseSettings): LeaseStep {
  if (state.phase !== 'seizing') return stay(state);
  const nowMs = moment.monotonicMs;
  if (!ended) return stay(waitForPeek(state, nowMs, settings));
  const holder = state.holders.get(token);
  const early = holder !== undefined && nowMs - holder.stillSinceMs < settings.stillMs;
  const after = { ...state, endedEarlyMs: early ? nowMs : state.endedEarlyMs, refused: undefined };
  return mayTry(after) ? acquire(after, moment) : stay(waitForPeek(after, nowMs, settings));
}

function acquire(state: LeaseState, { monotonicMs, wallMs }: Moment): LeaseStep {
  const candidacy: Candidacy = { sentMs: monotonicMs, sentWallMs: wallMs, token: '', n: 0 };
  return { state: { ...state, phase: 'acquiring', candidacy }, effects: [{ type: 'acquire' }] };
}

function onAcquired(state: LeaseState, event: Of<'acquired'>, settings: LeaseSettings): LeaseStep {
  const { token, outcome, monotonicMs: nowMs } = event;
  const { candidacy } = state;
  const release: LeaseEffect[] = outcome === 'refused' ? [] : [{ type: 'release', token }];
  if (state.phase !== 'acquiring' || candidacy === undefined) return { state, effects: release };
  if (outcome === 'acquired' && goesOn(state, nowMs, settings)) {
    return { state: { ...state, phase: 'claiming', candidacy: { ...candidacy, token } }, effects: [{ type: 'claim', token }] };
  }
  // Several who tried at once may have kept each other from a majority: they try again at different moments.
  const invited = nowMs < state.invitedUntilMs;
  const nextPeekMs = nowMs + (invited ? settings.peekMs / 5 : event.unit * settings.peekMs);
  return { state: { ...state, phase: 'watching', candidacy: undefined, nextPeekMs }, effects: release };
}

/** Whether the way to a grant is still worth going: nobody gave up waiting, and the lease has not run out under us. */
function goesOn(state: LeaseState, nowMs: number, settings: LeaseSettings): boolean {
  return mayTry(state) && state.candidacy !== undefined && nowMs - state.candidacy.sentMs < settings.leaseMs - settings.marginMs;
}

function onClaimed(state: LeaseState, event: Of<'claimed'>, settings: LeaseSettings): LeaseStep {
  const { candidacy } = state;
  if (state.phase !== 'claiming' || candidacy?.token !== event.token) return stay(state);
  const nowMs = event.monotonicMs;
  const claimed = state.masters.filter((master, index) => {
    const answer: ClaimAnswer | undefined = event.answers[index];
    return answer?.kind === 'claimed' && counts(master, answer.life, nowMs, settings);
  }).length;
  const highestN = Math.max(state.highestN, ...event.answers.map((answer) => (answer.kind === 'claimed' ? answer.n : 0)));
  const after = { ...state, highestN };
  if (!isMajority(claimed, state.masters.length) || !goesOn(after, nowMs, settings)) return giveUp(after, nowMs, settings);
  return install(after);
}

function install(state: LeaseState): LeaseStep {
  const { candidacy } = state;
  if (candidacy === undefined) return stay(state);
  const n = state.highestN + 1;
  return {
    state: { ...state, phase: 'installing', highestN: n, candidacy: { ...candidacy, n } },
    effects: [{ type: 'install', epoch: { n, token: candidacy.token } }],
  };
}

function onInstalled(state: LeaseState, { epoch, answers, ...moment }: Of<'installed'>, settings: LeaseSettings): LeaseStep {
  const { candidacy } = state;
  if (candidacy === undefined || epoch.token !== candidacy.token || epoch.n !== candidacy.n) return stay(state);
  const nowMs = moment.monotonicMs;
  const result = judgeInstall(answers);
  const after = { ...state, highestN: Math.max(state.highestN, result.highestN) };
  if (!goesOn(after, nowMs, settings)) return giveUp(after, nowMs, settings);
  if (result.behind || (result.installed && epoch.n <= after.above)) return install(after);
  if (!result.installed) return giveUp(after, nowMs, settings);
  return beginHolding(after, { epoch, answers, sentMs: candidacy.sentMs, sentWallMs: candidacy.sentWallMs });
}

function giveUp(state: LeaseState, nowMs: number, settings: LeaseSettings): LeaseStep {
  const { candidacy } = state;
  const effects: LeaseEffect[] = candidacy === undefined ? [] : [{ type: 'release', token: candidacy.token }];
  return { state: waitForPeek({ ...state, candidacy: undefined }, nowMs, settings), effects };
}

function onWanted(state: LeaseState, event: Of<'wanted'>, settings: LeaseSettings): LeaseStep {
  const above = Math.max(state.above, event.above);
  const after = { ...state, wanted: true, above, highestN: Math.max(state.highestN, above) };
  if (state.phase === 'leading') return stepHolding(after, event, settings);
  // What the last peek showed may be acted upon only by the next one.
  return stay(state.phase === 'watching' && !state.peeking ? { ...after, nextPeekMs: event.monotonicMs } : after);
}

function onLeaderGone(state: LeaseState, { nodeId, refused, monotonicMs: nowMs }: Of<'leaderGone'>, settings: LeaseSettings): LeaseStep {
  const holder = [...state.holders.values()].find((one) => one.nodeId === nodeId);
  if (!refused || state.phase !== 'watching' || holder === undefined) return stay(state);
  const nextPeekMs = Math.min(state.nextPeekMs, Math.max(nowMs, holder.stillSinceMs + settings.refusedStillMs));
  return stay({ ...state, refused: { token: holder.token, sinceMs: nowMs }, nextPeekMs });
}

function onInvited(state: LeaseState, event: Of<'invited'>, settings: LeaseSettings): LeaseStep {
  const nowMs = event.monotonicMs;
  const invited = { ...state, invitedUntilMs: nowMs + settings.leaseMs, heldBackUntilMs: -Infinity };
  if (state.phase !== 'watching' || state.peeking) return stay(invited);
  const fresh = state.unreachable === undefined && nowMs - state.answeredMs <= 2 * settings.peekMs;
  // The lease was seen held a moment ago and has been given back since: asking for it tells.
  return fresh && mayTry(invited) ? acquire(invited, event) : stay({ ...invited, nextPeekMs: nowMs });
}

function onStop(state: LeaseState, event: Of<'stop'>, settings: LeaseSettings): LeaseStep {
  if (state.phase === 'leading') return stepHolding(state, event, settings);
  const token = state.candidacy?.token ?? '';
  return {
    state: { ...state, phase: 'stopped', candidacy: undefined },
    effects: token === '' ? [] : [{ type: 'release', token }],
  };
}

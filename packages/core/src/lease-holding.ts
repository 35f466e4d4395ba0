import type { Epoch } from '@dmg/model';
import type { LeaseSettings } from './lease-settings.ts';
import { judgeInstall } from './lease-sights.ts';
import {
  type EndCause, handOverDueMs, type LeaseEffect, type LeaseEvent, type LeaseState, type LeaseStep, type Moment,
  stay, type Tenure,
} from './lease-state.ts';
import type { InstallAnswer } from './ports.ts';

/** The state `leading` of the lease machine: renewing, larger epochs under the same lease, and the end (see lease-machine.ts). */
export function stepHolding(state: LeaseState, event: LeaseEvent & Moment, settings: LeaseSettings): LeaseStep {
  const { tenure } = state;
  if (state.phase !== 'leading' || tenure === undefined) return stay(state);
  switch (event.type) {
    case 'tick':
      return onTick(state, tenure, event, settings);
    case 'renewed':
      return event.token === tenure.epoch.token && tenure.busy === 'renewing' ? onRenewed(state, tenure, event, settings) : stay(state);
    case 'installed':
      return event.epoch.token === tenure.epoch.token && tenure.busy === 'raising' ? onRaised(state, tenure, event, settings) : stay(state);
    case 'wanted': {
      const raised = { ...state, tenure: { ...tenure, raise: true } };
      return tenure.busy === undefined ? installLarger(raised, raised.tenure) : stay(raised);
    }
    case 'unwanted':
      if (tenure.raise) return end({ ...state, wanted: false }, tenure, event, { cause: 'released', settings });
      return stay({ ...state, wanted: false });
    case 'standing':
      return onTick(state, tenure, event, settings);
    case 'release':
      if (event.token !== tenure.epoch.token) return stay(state);
      return end(state, tenure, event, { cause: 'released', successor: event.successor, settings });
    case 'stop':
      return end(state, tenure, event, { cause: 'stopped', successor: event.successor, settings });
    default:
      return stay(state);
  }
}

export interface Installed {
  readonly epoch: Epoch;
  readonly answers: readonly InstallAnswer[];
  /** When the acquisition of the lease was sent, by both clocks. */
  readonly sentMs: number;
  readonly sentWallMs: number;
}

/** A candidate's epoch was taken by a majority: it leads. */
export function beginHolding(state: LeaseState, { epoch, answers, sentMs, sentWallMs }: Installed): LeaseStep {
  const tenure: Tenure = {
    epoch, life: lifeOf(state, answers), goodMs: sentMs, goodWallMs: sentWallMs, sentMs, sentWallMs, busy: undefined, raise: false,
    sinceMs: sentMs,
  };
  return {
    state: {
      ...state, phase: 'leading', wanted: false, candidacy: undefined, tenure, holders: new Map(), absentSinceMs: undefined,
      unreachable: undefined, invitedUntilMs: -Infinity, refused: undefined,
    },
    effects: [{ type: 'grant', epoch, life: tenure.life }],
  };
}

function lifeOf(state: LeaseState, answers: readonly InstallAnswer[]): string {
  // Of a silent master, what it showed last: that it does not answer is no loss of data.
  return answers.map((answer, index) => (answer.kind === 'installed' ? answer.life : state.masters[index]?.life ?? '')).join(',');
}

function onTick(state: LeaseState, tenure: Tenure, moment: Moment, settings: LeaseSettings): LeaseStep {
  const nowMs = moment.monotonicMs;
  if (nowMs - tenure.goodMs >= settings.leaseMs) return end(state, tenure, moment, { cause: 'silent', settings });
  if (nowMs >= handOverDueMs(state, settings)) {
    return end(state, tenure, moment, { cause: 'handedOver', successor: state.standing.better, settings });
  }
  if (tenure.busy !== undefined || nowMs < tenure.sentMs + settings.renewMs) return stay(state);
  return {
    state: { ...state, tenure: { ...tenure, busy: 'renewing', sentMs: nowMs, sentWallMs: moment.wallMs } },
    effects: [{ type: 'renew', token: tenure.epoch.token }],
  };
}

function onRenewed(
  state: LeaseState, tenure: Tenure, event: Extract<LeaseEvent, { type: 'renewed' }> & Moment, settings: LeaseSettings,
): LeaseStep {
  if (event.outcome === 'lost') return end(state, tenure, event, { cause: 'lost', settings });
  const idle: Tenure = { ...tenure, busy: undefined };
  if (event.outcome === 'silent') {
    const unreachable = state.unreachable ?? { sinceMs: event.monotonicMs, reason: 'no majority of the masters answers renewals' };
    return onTick({ ...state, tenure: idle, unreachable }, idle, event, settings);
  }
  // Its time runs from when it was sent: the lease may have been extended at any moment since, but not before.
  const good: Tenure = { ...idle, goodMs: tenure.sentMs, goodWallMs: tenure.sentWallMs };
  const renewed = { ...state, tenure: good, unreachable: undefined };
  if (event.monotonicMs - good.goodMs >= settings.leaseMs) return end(renewed, good, event, { cause: 'silent', settings });
  return good.raise ? installLarger(renewed, good) : onTick(renewed, good, event, settings);
}

function installLarger(state: LeaseState, tenure: Tenure): LeaseStep {
  const n = Math.max(state.highestN, tenure.epoch.n) + 1;
  return {
    state: { ...state, highestN: n, tenure: { ...tenure, busy: 'raising' } },
    effects: [{ type: 'install', epoch: { n, token: tenure.epoch.token } }],
  };
}

function onRaised(
  state: LeaseState, tenure: Tenure, event: Extract<LeaseEvent, { type: 'installed' }> & Moment, settings: LeaseSettings,
): LeaseStep {
  const { epoch, answers } = event;
  const result = judgeInstall(answers);
  const after = { ...state, highestN: Math.max(state.highestN, result.highestN) };
  const idle: Tenure = { ...tenure, busy: undefined };
  if (event.monotonicMs - tenure.goodMs >= settings.leaseMs) return end(after, idle, event, { cause: 'silent', settings });
  if (result.lost) return end(after, idle, event, { cause: 'lost', settings });
  // Another grant got in between, or a node has told a larger epoch meanwhile.
  if (result.behind || (result.installed && epoch.n <= after.above)) return installLarger(after, idle);
  // Undecided: again after the next renewal.
  if (!result.installed) return onTick({ ...after, tenure: idle }, idle, event, settings);
  const raised: Tenure = { ...idle, epoch, life: lifeOf(after, answers), raise: false };
  const next = onTick({ ...after, wanted: false, tenure: raised }, raised, event, settings);
  return { state: next.state, effects: [{ type: 'grant', epoch, life: raised.life }, ...next.effects] };
}

interface Ending {
  readonly cause: EndCause;
  readonly successor?: string | undefined;
  readonly settings: LeaseSettings;
}

function end(state: LeaseState, tenure: Tenure, { monotonicMs: nowMs }: Moment, { cause, successor, settings }: Ending): LeaseStep {
  const { epoch } = tenure;
  const ended: LeaseEffect = { type: 'ended', epoch, cause, successor };
  const given = cause === 'released' || cause === 'handedOver';
  return {
    state: {
      ...state, phase: cause === 'stopped' ? 'stopped' : 'watching', tenure: undefined, leader: undefined, peeking: false,
      nextPeekMs: nowMs, absentSinceMs: undefined,
      // Who gives the lease back lets the others go first.
      heldBackUntilMs: given ? nowMs + 2 * settings.peekMs : state.heldBackUntilMs,
    },
    effects: cause === 'lost' ? [ended] : [ended, { type: 'release', token: epoch.token }],
  };
}

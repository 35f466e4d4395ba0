import { formatEpoch } from '@dmg/model';
import type { LeaseSettings } from './lease-settings.ts';
import { type Beat, type Holder, isMajority, type KnownMaster, type SeenLeader, type LeaseState } from './lease-state.ts';
import type { InstallAnswer, MasterSight } from './ports.ts';

type Seen = Extract<MasterSight, { kind: 'seen' }>;

/** Peeks further apart than this show nothing of what happened between them. */
function gapMs(settings: LeaseSettings): number {
  return settings.leaseMs / 2;
}

/** Takes in what the masters showed (DESIGN-RULES 12, steps 1 to 3). */
export function observe(state: LeaseState, sights: readonly MasterSight[], nowMs: number, settings: LeaseSettings): LeaseState {
  const seen = sights.map((sight) => (sight.kind === 'seen' ? sight : undefined));
  const masters = state.masters.map((master, index) => knowMaster(master, seen[index], nowMs, settings));
  const answered = isMajority(seen.filter((sight) => sight !== undefined).length, masters.length);
  const highestN = Math.max(state.highestN, ...seen.map((sight) => sight?.lead?.n ?? 0));
  const known = { ...state, masters, highestN };
  if (!answered) {
    const unreachable = { sinceMs: state.unreachable?.sinceMs ?? nowMs, reason: silence(sights) };
    // Whoever led then may have lost its lease by now: from here it cannot be told any more.
    const leader = nowMs - unreachable.sinceMs < settings.leaseMs ? state.leader : undefined;
    return { ...known, leader, absentSinceMs: undefined, unreachable };
  }
  const continuous = nowMs - state.answeredMs <= gapMs(settings);
  const holders = holdersOf(continuous ? state.holders : new Map<string, Holder>(), seen, nowMs);
  const free = seen.filter((sight, index) => {
    const master = masters[index];
    return sight !== undefined && sight.leaseToken === undefined && master !== undefined && counts(master, sight.life, nowMs, settings);
  });
  const absent = isMajority(free.length, masters.length);
  return {
    ...known, holders, leader: leaderIn(seen), answeredMs: nowMs, unreachable: undefined,
    absentSinceMs: absent ? (continuous ? state.absentSinceMs : undefined) ?? nowMs : undefined,
  };
}

/**
 * Whether what a master says counts, given the life it says it with. One that lost its data may have forgotten a lease that its holder
 * still believes in: it counts again when that lease's time has passed. A missing life does not tell one loss from the next, so it is
 * believed only while it is watched.
 */
export function counts(master: KnownMaster, life: string, nowMs: number, settings: LeaseSettings): boolean {
  if (master.life !== life || nowMs - master.lifeSinceMs < settings.leaseMs) return false;
  return life !== '' || nowMs - master.seenMs <= gapMs(settings);
}

function knowMaster(master: KnownMaster, sight: Seen | undefined, nowMs: number, settings: LeaseSettings): KnownMaster {
  if (sight === undefined) return master;
  const { life } = sight;
  const watched = nowMs - master.seenMs <= gapMs(settings);
  if (master.life === life && (life !== '' || watched)) return { ...master, seenMs: nowMs };
  // Whoever gave a life to a master that had none, before we ever saw it, has waited for the leases that it had forgotten.
  const isFirst = master.life === undefined && life !== '';
  return { life, lifeSinceMs: isFirst ? -Infinity : nowMs, seenMs: nowMs };
}

function holdersOf(known: ReadonlyMap<string, Holder>, seen: readonly (Seen | undefined)[], nowMs: number): ReadonlyMap<string, Holder> {
  const holders = new Map<string, Holder>();
  const tokens = new Set(seen.flatMap((sight) => (sight?.leaseToken === undefined ? [] : [sight.leaseToken])));
  for (const token of tokens) {
    const before = known.get(token);
    const leads = seen.map((sight) => (sight?.lead?.token === token ? sight.lead : undefined));
    let moved = false;
    const beats = seen.map((sight, index) => {
      const last = before?.beats[index];
      if (sight?.leaseToken !== token) return last;
      const lead = leads[index];
      // A larger epoch under the same lease begins to count beats anew.
      const beat = lead === undefined ? 'none' : { n: lead.n, beat: lead.beat };
      if (last !== undefined && !isSameBeat(last, beat)) moved = true;
      return beat;
    });
    const nodeId = leads.find((lead) => lead !== undefined)?.nodeId ?? before?.nodeId;
    holders.set(token, { token, nodeId, beats, stillSinceMs: before === undefined || moved ? nowMs : before.stillSinceMs });
  }
  return holders;
}

function isSameBeat(a: Beat, b: Beat): boolean {
  if (a === 'none' || b === 'none') return a === b;
  return a.n === b.n && a.beat === b.beat;
}

function leaderIn(seen: readonly (Seen | undefined)[]): SeenLeader | undefined {
  const leads = seen.flatMap((sight) => (sight?.lead !== undefined && sight.lead.token === sight.leaseToken ? [sight.lead] : []));
  const held = leads.filter(({ token }) => isMajority(seen.filter((sight) => sight?.leaseToken === token).length, seen.length));
  // A master that missed a larger epoch of the same lease shows the one before.
  const lead = held.toSorted((a, b) => b.n - a.n)[0];
  return lead === undefined ? undefined : { nodeId: lead.nodeId, address: lead.address, epoch: formatEpoch(lead) };
}

function silence(sights: readonly MasterSight[]): string {
  const reasons = new Set(sights.flatMap((sight) => (sight.kind === 'silent' ? [sight.reason] : [])));
  return [...reasons].join('; ');
}

/**
 * What an installation came to. Every master that took it counts: when the lease was claimed, a majority that may be believed held
 * nobody else's, and a master that lost it since would have said so.
 */
export function judgeInstall(answers: readonly InstallAnswer[]): InstallResult {
  const count = (kind: InstallAnswer['kind']): number => answers.filter((answer) => answer.kind === kind).length;
  return {
    installed: isMajority(count('installed'), answers.length),
    lost: isMajority(count('lost'), answers.length),
    behind: count('behind') > 0,
    highestN: Math.max(0, ...answers.map((answer) => (answer.kind === 'behind' ? answer.n : 0))),
  };
}

export interface InstallResult {
  readonly installed: boolean;
  readonly lost: boolean;
  readonly behind: boolean;
  /** Of those that were behind another grant: its number; 0: none was. */
  readonly highestN: number;
}

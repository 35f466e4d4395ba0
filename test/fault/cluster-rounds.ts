import { type Random, sleep, systemClock } from '@dmg/base';
import { killIfThere } from '../harness/left-processes.ts';
import type { NodeState } from '../harness/rest.ts';
import { waitFor } from '../harness/wait-for.ts';
import type { ClusterLoad } from './cluster-load.ts';
import { RedisControl } from './redis-control.ts';
import { nodesOf, pidsOf, type Rig, type RigNode } from './rig.ts';

/** What is done to a cluster while it works. Whatever dies is started again by `dmg up`. */
export const clusterStrikes = [
  'kill-dispatcher', 'kill-node', 'kill-host', 'kill-executor', 'freeze-dispatcher', 'freeze-node', 'freeze-host', 'stop-dispatcher',
  'stop-node', 'redis-kill', 'redis-freeze', 'redis-flush',
] as const;
export type ClusterStrike = (typeof clusterStrikes)[number];

/** A round, drawn whole before it begins: the same seed gives the same rounds whatever the cluster does. */
export interface ClusterRound {
  readonly number: number;
  readonly strike: ClusterStrike;
  /** From the round's beginning to the strike. */
  readonly atMs: number;
  /** How long what is frozen stays so. */
  readonly forMs: number;
  /** From 0 to 1: which of those that could be struck. */
  readonly choice: number;
}

export interface ClusterRoundResult extends ClusterRound {
  /** Who was struck; empty: there was nobody to strike. */
  readonly victim: string;
  /** From the strike until all nodes were online and one of them led. */
  readonly backMs: number;
  /** Jobs that were open when it struck. */
  readonly open: number;
}

const freezeMs = { min: 500, max: 20_000 };
/** Redis and executors have no successor: shorter, so that rounds do not become minutes. */
const redisFreezeMaxMs = 5000;
const backLimitMs = 90_000;

/** Every strike comes once before any comes again. `freezeMaxMs`: at most so long, for a short form. */
export function drawRounds(random: Random, count: number, freezeMaxMs: number = freezeMs.max): ClusterRound[] {
  const rounds: ClusterRound[] = [];
  let deck: ClusterStrike[] = [];
  for (let number = 1; number <= count; number++) {
    if (deck.length === 0) deck = shuffled(clusterStrikes, random);
    const strike = deck.pop() ?? 'kill-node';
    const longest = strike === 'redis-freeze' ? Math.min(redisFreezeMaxMs, freezeMaxMs) : freezeMaxMs;
    // Short ones more often: about half of them are below a quarter of the longest.
    const forMs = Math.round(freezeMs.min + (longest - freezeMs.min) * random.unit() ** 2);
    rounds.push({ number, strike, forMs, atMs: Math.floor(random.unit() * 1500), choice: random.unit() });
  }
  return rounds;
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const mixed = [...items];
  for (let at = mixed.length - 1; at > 0; at--) {
    const other = Math.floor(random.unit() * (at + 1));
    const [a, b] = [mixed[at], mixed[other]];
    if (a !== undefined && b !== undefined) [mixed[at], mixed[other]] = [b, a];
  }
  return mixed;
}

/** Strikes once while the load goes on, and waits until the cluster is whole again. Throws when it is not in time. */
export async function runClusterRound(rig: Rig, load: ClusterLoad, round: ClusterRound): Promise<ClusterRoundResult> {
  await sleep(systemClock, round.atMs);
  const { open } = load;
  const before = await nodesOf(rig);
  const struckMs = systemClock.monotonicMs();
  const struckAt = new Date(systemClock.wallMs()).toISOString();
  const victim = await strike(rig, round);
  await waitFor(`the cluster to be whole after ${round.strike} of ${victim}`, () => isWhole(rig, { before, round, victim, struckAt }), {
    withinMs: backLimitMs, everyMs: 250,
  });
  return { ...round, victim, open, backMs: Math.round(systemClock.monotonicMs() - struckMs) };
}

async function strike(rig: Rig, round: ClusterRound): Promise<string> {
  switch (round.strike) {
    case 'kill-dispatcher':
    case 'kill-node': return onNode(rig, round, ({ pid }) => killIfThere(-pid, 'SIGKILL'));
    case 'kill-host': return onNode(rig, round, ({ pid }) => killIfThere(pid, 'SIGKILL'));
    case 'stop-dispatcher':
    case 'stop-node': return onNode(rig, round, ({ pid }) => killIfThere(pid, 'SIGTERM'));
    case 'freeze-dispatcher':
    case 'freeze-node': return onNode(rig, round, ({ pid }) => frozen(-pid, round.forMs));
    case 'freeze-host': return onNode(rig, round, ({ pid }) => frozen(pid, round.forMs));
    case 'kill-executor': {
      const pids = await pidsOf(rig, 'executor');
      const pid = pids[Math.floor(round.choice * pids.length)];
      return pid !== undefined && killIfThere(pid, 'SIGKILL') ? `executor ${pid}` : '';
    }
    case 'redis-kill':
    case 'redis-freeze': {
      const [pid] = await pidsOf(rig, 'redis');
      if (pid === undefined) return '';
      await (round.strike === 'redis-kill' ? killIfThere(pid, 'SIGKILL') : frozen(pid, round.forMs));
      return 'redis';
    }
    case 'redis-flush': {
      const redis = await RedisControl.connect(rig.line.redis);
      try {
        await redis.send('FLUSHALL');
        return 'redis';
      } finally {
        redis.close();
      }
    }
  }
}

type Act = (node: RigNode) => boolean | Promise<boolean>;

async function onNode(rig: Rig, { strike: kind, choice }: ClusterRound, act: Act): Promise<string> {
  const nodes = await nodesOf(rig);
  const leader = kind.endsWith('dispatcher') ? await leaderName(rig) : undefined;
  const victim = nodes.find(({ name }) => name === leader) ?? nodes[Math.floor(choice * nodes.length)];
  return victim !== undefined && (await act(victim)) ? victim.name : '';
}

/** Stops a process, or with a negative number a process group, for so long. */
async function frozen(pid: number, forMs: number): Promise<boolean> {
  if (!killIfThere(pid, 'SIGSTOP')) return false;
  const thaw = (): void => void killIfThere(pid, 'SIGCONT');
  // What is frozen cannot notice that we are gone, and would stay for ever.
  process.once('exit', thaw);
  try {
    await sleep(systemClock, forMs);
  } finally {
    process.off('exit', thaw);
    thaw();
  }
  return true;
}

async function leaderName(rig: Rig): Promise<string | undefined> {
  return (await rig.rest.nodes()).find(({ isActiveDispatcher }) => isActiveDispatcher === true)?.nodeName;
}

interface Struck {
  readonly before: readonly RigNode[];
  readonly round: ClusterRound;
  readonly victim: string;
  /** ISO 8601, as the control plane tells when it heard a node; all on one machine. */
  readonly struckAt: string;
}

/** All nodes were heard since, are online, and one of them leads; one that was ended has another process. */
async function isWhole(rig: Rig, { before, round: { strike: kind }, victim, struckAt }: Struck): Promise<boolean> {
  const states = await rig.rest.nodes();
  const isLed = states.some(({ isActiveDispatcher }) => isActiveDispatcher === true);
  const isThere = ({ status, lastConnectTime = '' }: NodeState): boolean => status === 'Online' && lastConnectTime > struckAt;
  if (!isLed || !states.every(isThere)) return false;
  const isEnded = /^(?:kill|stop)-(?:dispatcher|node|host)$/.test(kind);
  if (!isEnded) return true;
  const old = before.find(({ name }) => name === victim);
  return (await nodesOf(rig)).some(({ name, pid }) => name === victim && pid !== old?.pid);
}

export function describeClusterRound({ number, strike: kind, victim, atMs, forMs, open, backMs }: ClusterRoundResult): string {
  const frozenFor = kind.includes('freeze') ? ` for ${(forMs / 1000).toFixed(1)} s` : '';
  const what = `${kind}${victim === '' ? ' (none)' : ` ${victim}`}${frozenFor}`;
  const when = `round ${String(number).padStart(2)} at ${String(atMs).padStart(4)} ms`;
  return `${when}  ${what.padEnd(40)} ${open} jobs open, whole after ${backMs} ms`;
}

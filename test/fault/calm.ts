import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism, cpus, setPriority } from 'node:os';
import { sleep, systemClock } from '@dmg/base';
import { type CleanupContext, onCleanup } from '../harness/cleanup.ts';
import { histogramBound, type MetricSample, readMetrics, sampleOf } from '../harness/metrics-text.ts';
import { parseNodeLog } from '../harness/node-process.ts';
import { within } from '../harness/wait-for.ts';
import { ClusterLoad, type LoadVerdict } from './cluster-load.ts';
import { nodesOf, type Rig, startRig } from './rig.ts';

export interface CalmOptions {
  readonly forMs: number;
  /** Default 4. */
  readonly nodes?: number;
  readonly onLog?: (line: string) => void;
  readonly say?: (line: string) => void;
}

export interface CalmVerdict {
  readonly forMs: number;
  readonly burners: number;
  /** Share of all cores that was in use meanwhile. */
  readonly busy: number;
  /** Grants that were made although nothing was done to anybody. */
  readonly falseFailovers: number;
  readonly renewals: Renewals;
  /** The worst p99.9 that each host's event loop showed, in milliseconds. */
  readonly loopDelayMs: Readonly<Record<string, number>>;
  readonly load: LoadVerdict;
  readonly problems: readonly string[];
}

/** Renewals of the lease: how many, below which bounds of the histogram half, 99 % and all of them were apart, and how many failed. */
interface Renewals {
  readonly count: number;
  readonly failures: number;
  readonly gapP50Ms: number;
  readonly gapP99Ms: number;
  readonly gapMaxMs: number;
}

/** The priority of executors. */
const niceness = 10;
const sampleEveryMs = 2_000;
/** What a host says of its event loop goes back so far; so long after its start it speaks of the start. */
const loopWindowMs = 60_000;
/** DESIGN-RULES 13: more, and the lease needs a thread of its own. */
const loopDelayLimitMs = 100;
const busyMin = 0.95;

/**
 * Nothing is struck: all cores are kept busy by copies and by programs that burn with the priority of executors, and the dispatcher must
 * stay the one that it is.
 */
export async function runCalm(context: CleanupContext, options: CalmOptions): Promise<CalmVerdict> {
  const { forMs, nodes = 4, onLog, say = () => undefined } = options;
  let grants = 0;
  const rig = await startRig(context, {
    nodes,
    onLog: (line) => {
      if (parseNodeLog('', line)?.msg === 'dispatcher leads') grants += 1;
      onLog?.(line);
    },
  });
  const working = await ClusterLoad.start(rig);
  const burners = startBurners(context);
  say(`${nodes} nodes at work beside ${burners.length} burners at nice ${niceness}, for ${Math.round(forMs / 1000)} s`);
  await sleep(systemClock, sampleEveryMs);

  const startGrants = grants;
  const [renewalsBefore, coresBefore] = [await leasePages(rig), cpuTimes()];
  const loopDelayMs: Record<string, number> = {};
  const endMs = systemClock.monotonicMs() + forMs;
  const listenMs = Math.min(systemClock.monotonicMs() + loopWindowMs, endMs - sampleEveryMs);
  while (systemClock.monotonicMs() < endMs) {
    await sleep(systemClock, Math.min(sampleEveryMs, Math.max(0, endMs - systemClock.monotonicMs())));
    if (systemClock.monotonicMs() < listenMs) continue;
    for (const [name, page] of await pagesOf(rig)) {
      const delay = sampleOf(page, 'dmg_host_event_loop_delay_seconds', { quantile: '0.999' }) ?? 0;
      loopDelayMs[name] = Math.max(loopDelayMs[name] ?? 0, Math.round(delay * 1000));
    }
  }
  const busy = busyShare(coresBefore, cpuTimes());
  const falseFailovers = grants - startGrants;
  const renewals = renewalsIn(renewalsBefore, await leasePages(rig));
  await Promise.all(burners.map(end));
  const load = await working.end();
  const found = { forMs, burners: burners.length, busy, falseFailovers, renewals, loopDelayMs, load };
  return { ...found, problems: problemsOf(found, startGrants) };
}

function problemsOf(found: Omit<CalmVerdict, 'problems'>, startGrants: number): string[] {
  const { forMs, busy, falseFailovers, renewals, loopDelayMs, load } = found;
  const late = Object.entries(loopDelayMs).filter(([, delayMs]) => delayMs >= loopDelayLimitMs);
  // Four a second; a machine as busy as this one may well miss some.
  const expected = (forMs / 1000) * 2;
  return [
    ...load.problems,
    ...(startGrants === 1 ? [] : [`${startGrants} nodes led before it began`]),
    ...(falseFailovers === 0 ? [] : [`${falseFailovers} failovers although nothing had failed`]),
    ...(busy >= busyMin ? [] : [`only ${percent(busy)} of the cores were busy: this shows nothing`]),
    ...(renewals.count >= expected ? [] : [`only ${renewals.count} renewals were counted`]),
    ...late.map(([name, delayMs]) => `the event loop of ${name} was ${delayMs} ms late (p99.9; limit ${loopDelayLimitMs})`),
  ];
}

/** Programs that do nothing but burn, two a core. They end with us. */
function startBurners(context: CleanupContext): ChildProcess[] {
  return Array.from({ length: 2 * availableParallelism() }, () => {
    const program = 'process.stdin.on("end", () => process.exit()).resume(); (function burn() { '
      + 'for (let i = 0; i < 1e7; i++) Math.sqrt(i); setImmediate(burn); })()';
    const burner = spawn(process.execPath, ['-e', program], { stdio: ['pipe', 'ignore', 'inherit'] });
    burner.stdin?.on('error', () => undefined); // The pipe breaks when it is killed.
    if (burner.pid !== undefined) setPriority(burner.pid, niceness);
    onCleanup(context, () => end(burner));
    return burner;
  });
}

async function end(burner: ChildProcess): Promise<void> {
  if (burner.exitCode !== null || burner.signalCode !== null) return;
  const gone = once(burner, 'exit');
  burner.kill('SIGKILL');
  await within('a burner to end', 5_000, gone);
}

async function pagesOf(rig: Rig): Promise<(readonly [name: string, page: readonly MetricSample[]])[]> {
  return Promise.all((await nodesOf(rig)).map(async ({ name, metrics }) => [name, await readMetrics(metrics, 5_000)] as const));
}

/** What all nodes together have counted of the lease. */
async function leasePages(rig: Rig): Promise<readonly MetricSample[]> {
  const sums = new Map<string, MetricSample>();
  for (const [, page] of await pagesOf(rig)) {
    for (const sample of page.filter(({ name }) => name.startsWith('dmg_lease_renew'))) {
      const key = `${sample.name} ${JSON.stringify(sample.labels)}`;
      sums.set(key, { ...sample, value: sample.value + (sums.get(key)?.value ?? 0) });
    }
  }
  return [...sums.values()];
}

function renewalsIn(before: readonly MetricSample[], after: readonly MetricSample[]): Renewals {
  const since = after.map((sample) => ({ ...sample, value: sample.value - (sampleOf(before, sample.name, sample.labels) ?? 0) }));
  const gapMs = (share: number): number => 1000 * (histogramBound(since, 'dmg_lease_renewal_gap_seconds', share) ?? Number.NaN);
  return {
    count: sampleOf(since, 'dmg_lease_renewal_gap_seconds_count') ?? 0,
    failures: sampleOf(since, 'dmg_lease_renew_failures_total') ?? 0,
    gapP50Ms: gapMs(0.5), gapP99Ms: gapMs(0.99), gapMaxMs: gapMs(1),
  };
}

interface CpuTimes {
  readonly idle: number;
  readonly total: number;
}

function cpuTimes(): CpuTimes {
  const times = cpus().map((cpu) => cpu.times);
  const idle = times.reduce((sum, one) => sum + one.idle, 0);
  return { idle, total: times.reduce((sum, one) => sum + one.idle + one.user + one.nice + one.sys + one.irq, 0) };
}

function busyShare(before: CpuTimes, after: CpuTimes): number {
  const total = after.total - before.total;
  return total === 0 ? 0 : 1 - (after.idle - before.idle) / total;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

export function describeCalm(verdict: CalmVerdict): string {
  const { forMs, burners, busy, falseFailovers, renewals, loopDelayMs, load, problems } = verdict;
  const { count, failures, gapP50Ms, gapP99Ms, gapMaxMs } = renewals;
  const loops = Object.entries(loopDelayMs).map(([name, delayMs]) => `${name} ${delayMs} ms`).join(', ');
  return [
    `${forMs / 1000} s, cores ${percent(busy)} busy (${burners} burners, ${load.jobs} jobs, ${load.succeeded} succeeded once)`,
    `${falseFailovers} false failovers`,
    `${count} renewals, ${failures} failed, apart less than ${gapP50Ms} ms (p50), ${gapP99Ms} ms (p99), ${gapMaxMs} ms (all)`,
    `event loops late by at most (p99.9) ${loops}`,
    problems.length === 0 ? 'all as it must be' : `${problems.length} PROBLEMS`,
  ].join('; ');
}

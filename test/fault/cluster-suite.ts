import { seededRandom } from '@dmg/base';
import { CleanupScope } from '../harness/cleanup.ts';
import { waitFor } from '../harness/wait-for.ts';
import { ClusterLoad, type LoadVerdict } from './cluster-load.ts';
import { type ClusterRound, type ClusterRoundResult, drawRounds, runClusterRound } from './cluster-rounds.ts';
import { ReservationLog } from './reservation-log.ts';
import { type Rig, startRig } from './rig.ts';
import { SlotWatch } from './slot-watch.ts';

export interface ClusterSuiteOptions {
  readonly seed: number;
  readonly rounds: number;
  readonly freezeMaxMs?: number;
  readonly onRound: (result: ClusterRoundResult) => void;
  /** Takes each line that any of the gateway's programs logs. */
  readonly onLog?: (line: string) => void;
}

export interface ClusterVerdict {
  readonly rounds: readonly ClusterRoundResult[];
  readonly load: LoadVerdict;
  /** Attempts that workers accepted, and the most slots that a node had at once, by the kernel. */
  readonly accepted: number;
  readonly mostSlots: number;
  /** What should not have been, in words; empty: all is as it must be. */
  readonly problems: readonly string[];
}

const nodeCount = 4;
/** Jobs at once on a node: low, so that limits are reached. */
const limit = 2;

/**
 * One cluster of four nodes under load, struck once a round; at the end every job must have ended once, every sink must be exact, no
 * node may ever have had more slots than its limit, and nothing may be left.
 */
export async function runClusterSuite(options: ClusterSuiteOptions): Promise<ClusterVerdict> {
  const reservations = new ReservationLog(limit);
  // It ends here, so that what is left can be looked for.
  const scope = new CleanupScope();
  const results: ClusterRoundResult[] = [];
  const problems: string[] = [];
  let load: LoadVerdict = { jobs: 0, succeeded: 0, lost: 0, doubled: 0, problems: [] };
  let slots: SlotWatch | undefined;
  try {
    const rig = await startRig(scope, {
      nodes: nodeCount,
      onLog: (line) => {
        reservations.take(line);
        options.onLog?.(line);
      },
    });
    await setLimits(rig);
    slots = await SlotWatch.start(rig, limit);
    const working = await ClusterLoad.start(rig);
    try {
      const rounds: ClusterRound[] = drawRounds(seededRandom(options.seed), options.rounds, options.freezeMaxMs);
      await waitFor('the cluster to be at work', () => working.open >= nodeCount, { withinMs: 60_000, everyMs: 50 });
      for (const round of rounds) {
        const result = await runClusterRound(rig, working, round);
        results.push(result);
        options.onRound(result);
      }
    } finally {
      load = await working.end();
    }
    problems.push(...load.problems, ...(await slots.end()), ...reservations.over);
    if (slots.most === 0) problems.push('no slot was ever seen: the watch has watched nothing');
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
  } finally {
    await slots?.end();
    // Fails when a process of the rig lives on.
    await scope.close().catch((error: unknown) => problems.push(error instanceof Error ? error.message : String(error)));
  }
  const left = await slots?.held();
  if (left !== undefined && left.length > 0) problems.push(`slots are held although all has ended: ${left.join(', ')}`);
  return { rounds: results, load, accepted: reservations.accepted, mostSlots: slots?.most ?? 0, problems };
}

async function setLimits(rig: Rig): Promise<void> {
  for (const { nodeName } of await rig.rest.nodes()) {
    await rig.rest.call('PATCH', `/integrationRuntimes/local/nodes/${nodeName}`, { concurrentJobsLimit: limit });
  }
  // In force within a second: then the warm executors above it are gone as well.
  const areInForce = async (): Promise<boolean> =>
    (await rig.rest.monitoring()).every(({ concurrentJobsLimit }) => concurrentJobsLimit === limit);
  await waitFor('the limits to be in force', areInForce, { withinMs: 20_000, everyMs: 100 });
}

export function describeClusterVerdict({ rounds, load, accepted, mostSlots, problems }: ClusterVerdict): string {
  const { jobs, succeeded, lost, doubled } = load;
  const facts = `${jobs} jobs, ${succeeded} succeeded once, ${lost} lost, ${doubled} doubled; ${accepted} attempts`;
  const end = problems.length === 0 ? 'all as it must be' : `${problems.length} PROBLEMS`;
  return `${rounds.length} rounds: ${facts}, never more than ${mostSlots} of ${limit} slots of a node in use; ${end}`;
}

import type { Logger } from '@dmg/base';
import { addIncrements } from './counter-tally.ts';
import type { ExecutorLaunch } from './executor.ts';
import { ExecutorPool } from './executor-pool.ts';
import { Keepers } from './keepers.ts';
import type { LocalWorkerOptions } from './local-worker-options.ts';
import { troublesMetric } from './metrics.ts';
import { RunDirectory } from './run-directory.ts';
import type { WorkerTimes } from './worker-times.ts';

const idleHeapMb = 64;

/** The processes of a worker: those that hold its slots, and the keepers beside them. */
export function createProcesses(
  options: LocalWorkerOptions,
  parts: {
    readonly budgetBytes: number; readonly times: WorkerTimes; readonly logger: Logger;
    readonly slotsChanged: (slots: { limit: number; used: number }) => void;
  },
): { readonly pool: ExecutorPool; readonly keepers: Keepers } {
  const { meter, clock, random, nodeId } = options;
  const { budgetBytes, times, logger, slotsChanged } = parts;
  const counters = new Map((options.executorCounters ?? []).map((metric) => [metric.name, metric]));
  const runDirectory = new RunDirectory({ directory: options.runDirectory, nodeId, logger });
  const launch: ExecutorLaunch = {
    modulePath: options.executorModule,
    execArgv: options.executorArguments ?? [],
    oldSpaceMb: idleHeapMb + Math.ceil(budgetBytes / 1e6),
    env: options.executorEnvironment, niceness: options.executorNiceness, takeLine: options.takeExecutorLine ?? (() => undefined),
    takeCounts: (counts) => {
      const unknown = addIncrements(meter, counters, counts);
      if (unknown.length > 0) meter.add(troublesMetric, unknown.length, { what: 'counter' });
    },
  };
  const pool = new ExecutorPool({
    nodeId, limit: options.concurrentJobsLimit, launch, warm: options.warmExecutors ?? 2,
    jobsPerExecutorMax: options.jobsPerExecutorMax ?? 50, retainedBytesMax: budgetBytes * 0.75,
    times, runDirectory, clock, random, logger, meter, slotsChanged,
  });
  const keepers = new Keepers({ nodeId, launch: { ...launch, oldSpaceMb: idleHeapMb }, times, runDirectory, clock, logger });
  return { pool, keepers };
}

import type { Clock, Logger, Meter, MetricDefinition, Random } from '@dmg/base';
import type { Job } from '@dmg/model';
import type { WorkerTimes } from './worker-times.ts';

export interface LocalWorkerOptions {
  readonly nodeId: string;
  readonly nodeName: string;
  /** The module that executors run; it calls `runExecutorProcess`. */
  readonly executorModule: string;
  /** Flags of Node for executors besides the heap limit. */
  readonly executorArguments?: readonly string[];
  /** Environment of executors. Default: that of the host; better is one without the host's secrets. */
  readonly executorEnvironment?: Readonly<Record<string, string>>;
  /**
   * Priority with which executors already start; they lower it themselves only when their program is loaded, for which they need a
   * second of processor time beside hosts that must not wait. Not above their own. Default: that of the host.
   */
  readonly executorNiceness?: number;
  /** Takes each line that an executor logs. Default: dropped. */
  readonly takeExecutorLine?: (line: string) => void;
  readonly concurrentJobsLimit: number;
  /** Where this host notes its executors for the next one. */
  readonly runDirectory: string;
  /** Reads a job from its signed form; undefined when the signature is not the control plane's, or the job is not for this gateway. */
  readonly verify: (signedJob: string) => Job | undefined | Promise<Job | undefined>;
  /**
   * Why this node must not run the job now (a local path of another node, a missing key); undefined when it may. What does not answer
   * within `times.eligibilityLimitMs`, or rejects, is a no.
   */
  readonly ineligible?: (job: Job) => string | undefined | Promise<string | undefined>;
  /**
   * Memory of one job above an idle executor, in bytes. Default 150 MB; an attempt fails at one and a half times that, and so much must
   * be available for it to be let in.
   */
  readonly memoryBudgetBytes?: number;
  /** Memory that a new attempt must leave over, in bytes. Default 128 MiB: another executor, the host's own growth, the machine. */
  readonly memoryReserveBytes?: number;
  /** Memory that this node can still take; undefined: unknown, then all are let in. Default: what the kernel says. */
  readonly availableMemoryBytes?: () => number | undefined;
  /** The counters that executors may add to; they count through `TaskContext.meter`. Default: none. */
  readonly executorCounters?: readonly MetricDefinition[];
  /** Idle executors kept ready. Default 2. */
  readonly warmExecutors?: number;
  /**
   * An executor is replaced after so many attempts, but not before `times.replaceAgeMs` (replacing by number alone was measured to
   * cost nine tenths of the throughput of short jobs). Default 50. One that keeps memory is replaced at once.
   */
  readonly jobsPerExecutorMax?: number;
  readonly times?: Partial<WorkerTimes>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
}

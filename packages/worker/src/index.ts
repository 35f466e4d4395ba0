export { readAvailableMemory } from './available-memory.ts';
export { defaultConcurrentJobsLimit, type MachineSize, maximumConcurrentJobs } from './default-limit.ts';
export { workerErrors } from './errors.ts';
export { executorMemoryFlags } from './executor.ts';
export type { ExecutorTask } from './executor-messages.ts';
export { type ExecutorProcessOptions, runExecutorProcess, type TaskContext } from './executor-process.ts';
export { LocalWorker } from './local-worker.ts';
export type { LocalWorkerOptions } from './local-worker-options.ts';
export {
  attemptDurationMetric, attemptsMetric, dispatchesMetric, eventLoopDelayMetric, executorDeathsMetric, executorsMetric, residentBytesMetric,
  slotsMetric, troublesMetric,
} from './metrics.ts';
export { defaultWorkerTimes, type WorkerTimes } from './worker-times.ts';

export { defaultConcurrentJobsLimit, type MachineSize, maximumConcurrentJobs } from './default-limit.ts';
export { workerErrors } from './errors.ts';
export type { ExecutorTask } from './executor-messages.ts';
export { type ExecutorProcessOptions, runExecutorProcess, type TaskContext } from './executor-process.ts';
export { LocalWorker, type LocalWorkerOptions } from './local-worker.ts';
export { attemptDurationMetric, attemptsMetric, dispatchesMetric, executorDeathsMetric, slotsMetric, troublesMetric } from './metrics.ts';
export { defaultWorkerTimes, type WorkerTimes } from './worker-times.ts';

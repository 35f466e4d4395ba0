import type { AttemptLimits } from '@dmg/core';

/** Every time limit of a worker, in milliseconds; those of one attempt are the attempt machine's. */
export interface WorkerTimes extends Omit<AttemptLimits, 'memoryLimitBytes'> {
  /** How often an executor says that it lives. */
  readonly tickIntervalMs: number;
  /** How often the host looks at memory, silence and limits. */
  readonly watchIntervalMs: number;
  /** How often the worker tells its listeners that it lives; in steps of `watchIntervalMs`. */
  readonly aliveIntervalMs: number;
  /** How often the resident memory of all processes is measured. */
  readonly residentIntervalMs: number;
  /** For how long what was read of the machine's available memory is believed. */
  readonly memoryCacheMs: number;
  /** How long the answer may take whether this node may run a job. */
  readonly eligibilityLimitMs: number;
  /** Least time between two progress messages of an attempt. */
  readonly progressIntervalMs: number;
  /** From the start of a process to its being ready. */
  readonly spawnLimitMs: number;
  /** How long an idle process above the number kept warm is kept. */
  readonly idleKeepMs: number;
  /** An executor that has done its number of jobs is replaced only when it is this old: short jobs would wait for processes. */
  readonly replaceAgeMs: number;
  /** How long a retired process may take to exit. */
  readonly retireLimitMs: number;
  /** How often names held by others are looked up while there are any. */
  readonly foreignPollMs: number;
  /** How long running attempts may take to stop when the worker is closed. */
  readonly closeGraceMs: number;
}

export const defaultWorkerTimes: WorkerTimes = {
  tickIntervalMs: 1_000,
  tickLimitMs: 5_000,
  watchIntervalMs: 250,
  aliveIntervalMs: 500,
  residentIntervalMs: 5_000,
  memoryCacheMs: 100,
  eligibilityLimitMs: 3_000,
  progressIntervalMs: 500,
  progressLimitMs: 600_000,
  stopAcknowledgeMs: 1_000,
  stopGraceMs: 10_000,
  handOverMs: 2_000,
  timeoutGraceMs: 10_000,
  abortLimitMs: 30_000,
  killLimitMs: 5_000,
  spawnLimitMs: 30_000,
  idleKeepMs: 30_000,
  replaceAgeMs: 60_000,
  retireLimitMs: 2_000,
  foreignPollMs: 100,
  closeGraceMs: 1_000,
};

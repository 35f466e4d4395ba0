const mebibyte = 1024 * 1024;
/** What one executor takes at most before its attempt fails: an idle process and one and a half times the memory budget. */
const executorBytes = 300 * mebibyte;
/** Left to the host process, its pages and the machine. */
const reservedBytes = 512 * mebibyte;
const ceiling = 64;

/** The part of a machine that the limits are computed from. In a container both are the container's. */
export interface MachineSize {
  readonly cores: number;
  readonly memoryBytes: number;
}

/**
 * The largest limit a node of this size takes: `min(8 × cores, (memory − 512 MiB) / 300 MiB, 64)`, at least 1. Above it jobs
 * would fail for want of memory, or only take turns.
 */
export function maximumConcurrentJobs(machine: MachineSize): number {
  return clamp(Math.min(machine.cores * 8, fitting(machine), ceiling), ceiling);
}

/**
 * The limit a node starts with: `min(2 × cores, (memory − 512 MiB) / 300 MiB)`, at least 1. Two copies a core keep it busy while
 * one of them waits for a store. 4 cores with 8 GiB give 8; 2 cores with 24 GiB give 4; 1 core with 1 GiB gives 1.
 */
export function defaultConcurrentJobsLimit(machine: MachineSize): number {
  return clamp(Math.min(machine.cores * 2, fitting(machine)), maximumConcurrentJobs(machine));
}

function fitting(machine: MachineSize): number {
  return (machine.memoryBytes - reservedBytes) / executorBytes;
}

function clamp(value: number, max: number): number {
  return Math.max(1, Math.min(max, Math.floor(value)));
}

import { readFileSync, writeFileSync } from 'node:fs';
import { systemClock } from '@dmg/base';
import type { AttemptOutcome, CopyEnd } from '@dmg/model';
import { copyOnce } from '../harness/copy-run.ts';
import { patternedConnector, type Region } from '../harness/patterned-source.ts';

/** One copy in a process of its own, as an executor is one, so that its memory can be measured. Prints one JSON line. */
export interface MeasuredCopy {
  readonly source: MeasuredEnd;
  readonly sink: MeasuredEnd;
  /** What the source `patterned` holds. */
  readonly regions?: readonly Region[];
}

export interface MeasuredEnd {
  readonly end: CopyEnd;
  readonly secrets: Readonly<Record<string, string>>;
}

export interface CopyMeasurement {
  readonly outcome: AttemptOutcome;
  /** Resident at most, above what it was before the copy. */
  readonly memoryBytes: number;
  readonly ms: number;
  readonly cpuMs: number;
}

/** Name of the patterned source's only object. */
export const patternedPath = 'large.csv';

function residentBytes(field: 'VmHWM' | 'VmRSS'): number {
  const line = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'utf8'));
  return Number(line?.[1] ?? 0) * 1024;
}

const task = JSON.parse(process.argv[2] ?? '') as MeasuredCopy;
const sideOf = ({ end, secrets }: MeasuredEnd) => ({ end, secrets: new Map(Object.entries(secrets)) });
// Linux: the highest mark of resident memory starts anew.
writeFileSync('/proc/self/clear_refs', '5');
const idleBytes = residentBytes('VmRSS');
const idleCpu = process.cpuUsage();
const startedMs = systemClock.monotonicMs();
const outcome = await copyOnce({
  source: sideOf(task.source), sink: sideOf(task.sink), connectors: [patternedConnector(patternedPath, task.regions ?? [])],
});
const cpu = process.cpuUsage(idleCpu);
const measurement: CopyMeasurement = {
  outcome, ms: systemClock.monotonicMs() - startedMs, cpuMs: (cpu.user + cpu.system) / 1000,
  memoryBytes: residentBytes('VmHWM') - idleBytes,
};
process.stdout.write(`${JSON.stringify(measurement)}\n`);
// Connections that are kept for the next request would hold the process for some seconds.
process.exit(0);

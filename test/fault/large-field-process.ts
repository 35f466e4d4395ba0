import { readFileSync, writeFileSync } from 'node:fs';
import { newId, silentLogger, systemClock, systemRandom } from '@dmg/base';
import { fileConnector } from '@dmg/connector-file';
import { runCopy } from '@dmg/engine';
import type { AttemptOutcome, CopyActivity, DelimitedTextFormat, Job } from '@dmg/model';
import { patternedConnector, type Region } from '../harness/patterned-source.ts';

/** One copy in a process of its own, as an executor is one, so that its memory can be measured. Prints one JSON line. */
export interface LargeFieldTask {
  /** What the source holds; undefined: the folder `in` of `root`. */
  readonly regions: readonly Region[] | undefined;
  readonly format: DelimitedTextFormat;
  /** Folder of a file store, with the target folder `out`. */
  readonly root: string;
}

export interface LargeFieldReport {
  readonly outcome: AttemptOutcome;
  /** Resident before the copy, when everything is loaded and a small copy has run. */
  readonly idleBytes: number;
  /** The most that was resident during the copy. */
  readonly peakBytes: number;
  readonly ms: number;
}

const task = JSON.parse(process.argv[2] ?? '') as LargeFieldTask;

function residentBytes(field: 'VmHWM' | 'VmRSS'): number {
  const line = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'utf8'));
  return Number(line?.[1] ?? 0) * 1024;
}

function copy(regions: readonly Region[] | undefined, folderPath: string): Promise<AttemptOutcome> {
  const file = { connector: fileConnector.spec.name, connection: { host: task.root } };
  const sinkFormat: DelimitedTextFormat = { ...task.format, encodingName: 'UTF-8', columnDelimiter: ';', rowDelimiter: '\n' };
  const activity: CopyActivity = {
    type: 'Copy', parallelCopies: 0, validateDataConsistency: false,
    source: regions === undefined
      ? { ...file, location: { folderPath: 'in' }, settings: {}, format: task.format }
      : { connector: 'patterned', connection: {}, location: {}, settings: {}, format: task.format },
    sink: { ...file, location: { folderPath }, settings: {}, format: sinkFormat },
  };
  const job: Job = {
    formatVersion: 1, jobId: newId(systemRandom), gatewayId: 'large', tryNumber: 1, finalTry: true, activity,
    origin: { factoryName: 'large', pipelineName: 'large', runId: 'large', activityName: 'large', activityRunId: 'large' },
    policy: { timeoutMs: 3_600_000, retry: 0, retryIntervalMs: 30_000 },
  };
  return runCopy({
    job, attemptId: newId(systemRandom), nodeName: 'node', epoch: '1.large',
    connectors: new Map([['file', fileConnector], ['patterned', patternedConnector('large.csv', regions ?? [])]]),
    secrets: { source: new Map(), sink: new Map() },
    clock: systemClock, random: systemRandom, logger: silentLogger, signal: new AbortController().signal,
  });
}

const warm = await copy([{ pattern: '1,"some text"\n', bytes: 14 * 5000 }], 'warm');
if (warm.kind !== 'succeeded') throw new Error(JSON.stringify(warm));
// Linux: the highest mark of resident memory starts anew.
writeFileSync('/proc/self/clear_refs', '5');
const idleBytes = residentBytes('VmRSS');
const startedMs = systemClock.monotonicMs();
const outcome = await copy(task.regions, 'out');
const report: LargeFieldReport = { outcome, idleBytes, peakBytes: residentBytes('VmHWM'), ms: systemClock.monotonicMs() - startedMs };
process.stdout.write(`${JSON.stringify(report)}\n`);

import { dirname } from 'node:path';
import { baseErrors } from '@dmg/base';
import { chooseMarks, connectorErrors, mapParallel, missingChunks } from '@dmg/connector-api';
import type { Mark, PlanTarget, Receipt } from '@dmg/model';
import type { JobEnd, JobFolder, JobRecord, MarkEntry } from './job-folder.ts';
import type { TargetPublisher } from './target-publisher.ts';
import type { WorkFiles } from './work-files.ts';

export const callsAtOnce = 16;

/** A mark and what it names. */
export interface ChunkEntry {
  readonly mark: Mark;
  readonly entry: MarkEntry;
}

/** The marks of one target that count, in order of chunk, read afresh. */
export async function readMarks(job: JobFolder, work: string, target: PlanTarget, signal: AbortSignal): Promise<ChunkEntry[]> {
  const found = new Map<number, ChunkEntry>();
  const read = async (chunk: number): Promise<boolean> => {
    signal.throwIfAborted();
    const entry = await job.markOf(work, `${target.target}.${chunk}`);
    if (entry === undefined) return false;
    const { attemptId, bytes, rows, hash, sourceStart, sourceEnd } = entry;
    found.set(chunk, { entry, mark: { target: target.target, chunk, attemptId, bytes, rows, hash, sourceStart, sourceEnd } });
    return true;
  };
  if (target.cutting.kind === 'ranges') await mapParallel(target.cutting.chunks, callsAtOnce, (range) => read(range.chunk));
  else for (let chunk = 0; await read(chunk); chunk++);
  return chooseMarks(target, [...found.values()].map(({ mark }) => mark)).flatMap((mark) => found.get(mark.chunk) ?? []);
}

export interface FinishOptions {
  readonly files: WorkFiles;
  readonly job: JobFolder;
  readonly publisher: TargetPublisher;
  readonly record: JobRecord & { readonly phase: 'open' };
  readonly receipt: Receipt;
  /** The absolute path of a target, checked. */
  readonly locate: (target: PlanTarget) => Promise<string>;
  readonly signal: AbortSignal;
}

/** Publishes every target of an open job and links `done`; returns the end that stands. Throws `MARKS_MISSING`. */
export async function finishJob(options: FinishOptions): Promise<JobEnd> {
  const { files, job, publisher, record, receipt, locate, signal } = options;
  const { plan, work } = record;
  const marks = await mapParallel(plan.targets, callsAtOnce, (target) => readMarks(job, work, target, signal));
  const missing = plan.targets.reduce((sum, target, index) => sum + missingChunks(target, marks[index]?.map(({ mark }) => mark) ?? []), 0);
  if (missing > 0) {
    const now = await job.read();
    if (now.phase === 'done' || now.phase === 'aborted') return now;
    throw connectorErrors.MARKS_MISSING.create({ jobId: plan.jobId, missing });
  }
  const folders = new Set<string>();
  const whole = await mapParallel(plan.targets, callsAtOnce, async (target, index) => {
    signal.throwIfAborted();
    const path = await locate(target);
    folders.add(dirname(path));
    return publisher.publish(work, target, path, marks[index]?.map(({ entry }) => entry) ?? []);
  });
  if (whole.includes(false)) {
    const now = await job.read();
    if (now.phase === 'done' || now.phase === 'aborted') return now;
    throw baseErrors.UNEXPECTED.create({ reason: `somebody removed work files of job ${plan.jobId}` });
  }
  // Also for targets that an earlier finisher renamed: it may have died before it synced.
  await mapParallel([...folders], callsAtOnce, (folder) => files.syncFolder(folder));
  return job.end({ phase: 'done', receipt });
}

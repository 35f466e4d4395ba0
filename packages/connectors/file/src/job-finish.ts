import { dirname } from 'node:path';
import { baseErrors, type DmgError, isDmgError } from '@dmg/base';
import { chooseMarks, connectorErrors, isSkippedFile, mapParallel, missingChunks, plannedChunks } from '@dmg/connector-api';
import type { Mark, PlanTarget, Receipt } from '@dmg/model';
import type { JobEnd, JobFolder, MarkEntry, OpenRecord } from './job-folder.ts';
import type { TargetPublisher } from './target-publisher.ts';
import type { WorkFiles } from './work-files.ts';

export const callsAtOnce = 16;
const roundsMax = 20;

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
    const { part: _part, ...facts } = entry;
    found.set(chunk, { entry, mark: { target: target.target, chunk, ...facts } });
    return true;
  };
  const planned = plannedChunks(target);
  if (planned !== undefined) await mapParallel(planned, callsAtOnce, read);
  else for (let chunk = 0; await read(chunk); chunk++);
  return chooseMarks(target, [...found.values()].map(({ mark }) => mark)).flatMap((mark) => found.get(mark.chunk) ?? []);
}

export interface PublishOptions {
  readonly files: WorkFiles;
  readonly job: JobFolder;
  readonly publisher: TargetPublisher;
  /** The absolute path of a target, checked. */
  readonly locate: (target: PlanTarget) => Promise<string>;
  readonly signal: AbortSignal;
}

/** Publishes every target of an open job and links `done`; returns the end that stands. Throws `MARKS_MISSING`. */
export async function finishJob(options: PublishOptions, record: OpenRecord, receipt: Receipt): Promise<JobEnd> {
  const { job } = options;
  // Where nothing is to be published there is nothing that an abort could cut in two: the link to `end` is all.
  if (record.plan.targets.length === 0) return job.end({ phase: 'done', receipt }, { hasWork: false });
  const prepared = await prepareAll(options, record);
  if (prepared === undefined) return endedWithout(job, record);
  const intent = await job.intend({ phase: 'done', receipt });
  if (intent.phase === 'aborted') return job.end(intent);
  return publishAll(options, record, prepared, intent);
}

/** Aborts a job; or, when a finisher has already begun to publish, completes that. Returns the end that stands. */
export async function abortJob(options: PublishOptions, undone: (error: DmgError) => void): Promise<JobEnd> {
  const { job } = options;
  for (let round = 0; round < roundsMax; round++) {
    const record = await job.read();
    if (record.phase === 'done' || record.phase === 'aborted') return record;
    if (record.phase === 'none') {
      if (await job.forbid()) return { phase: 'aborted' };
      continue;
    }
    const intent = await job.intend({ phase: 'aborted' });
    if (intent.phase === 'aborted') return job.end(intent);
    try {
      const prepared = await prepareAll(options, record);
      return prepared === undefined ? await endedWithout(job, record) : await publishAll(options, record, prepared, intent);
    } catch (error) {
      if (!isDmgError(error) || error.retry !== 'never') throw error;
      undone(error);
      return job.end({ phase: 'aborted' });
    }
  }
  throw baseErrors.UNEXPECTED.create({ reason: 'a job begins and ends all the time' });
}

/** Path of the file that is going to be renamed to a target, joined where it is made of several parts. Undefined: the job has ended. */
export async function stagedPath(options: PublishOptions, record: OpenRecord, target: PlanTarget): Promise<string | undefined> {
  const { job, publisher, locate, signal } = options;
  const marks = await readMarks(job, record.work, target, signal);
  if (missingChunks(target, marks.map(({ mark }) => mark)) > 0) return undefined;
  const entry = await publisher.prepare(record.work, target, await locate(target), marks.map(({ entry: own }) => own));
  return entry === undefined ? undefined : `${record.work}/parts/${entry.part}`;
}

/** What is to be renamed for a target; nothing where its file was left out. */
type Prepared = MarkEntry | 'skipped';

/** What is to be renamed for each target. Undefined: something is gone, so the job must have ended. */
async function prepareAll(options: PublishOptions, record: OpenRecord): Promise<Prepared[] | undefined> {
  const { job, publisher, locate, signal } = options;
  const { plan, work } = record;
  const marks = await mapParallel(plan.targets, callsAtOnce, (target) => readMarks(job, work, target, signal));
  const missing = plan.targets.reduce((sum, target, index) => sum + missingChunks(target, marks[index]?.map(({ mark }) => mark) ?? []), 0);
  if (missing > 0) {
    const now = await job.read();
    if (now.phase === 'done' || now.phase === 'aborted') return undefined;
    throw connectorErrors.MARKS_MISSING.create({ jobId: plan.jobId, missing });
  }
  const prepared = await mapParallel(plan.targets, callsAtOnce, async (target, index): Promise<Prepared | undefined> => {
    signal.throwIfAborted();
    if (isSkippedFile(marks[index]?.map(({ mark }) => mark) ?? [])) return 'skipped';
    return publisher.prepare(work, target, await locate(target), marks[index]?.map(({ entry }) => entry) ?? []);
  });
  const entries = prepared.filter((entry) => entry !== undefined);
  return entries.length === prepared.length ? entries : undefined;
}

async function publishAll(options: PublishOptions, record: OpenRecord, prepared: readonly Prepared[], end: JobEnd): Promise<JobEnd> {
  const { files, job, publisher, locate, signal } = options;
  const folders = new Set<string>();
  await mapParallel(record.plan.targets, callsAtOnce, async (target, index) => {
    signal.throwIfAborted();
    const entry = prepared[index];
    if (entry === 'skipped') return;
    const path = await locate(target);
    folders.add(dirname(path));
    if (entry !== undefined) await publisher.publish(record.work, target, path, entry);
  });
  // Also for targets that an earlier finisher renamed: it may have died before it synced.
  await mapParallel([...folders], callsAtOnce, (folder) => files.syncFolder(folder));
  return job.end(end);
}

async function endedWithout(job: JobFolder, record: OpenRecord): Promise<JobEnd> {
  const now = await job.read();
  if (now.phase === 'done' || now.phase === 'aborted') return now;
  throw baseErrors.UNEXPECTED.create({ reason: `somebody removed work files of job ${record.plan.jobId}` });
}

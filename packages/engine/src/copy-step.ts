import { availableParallelism } from 'node:os';
import type { ChunkRange, Mark, Plan, PlanTarget } from '@dmg/model';
import type { CopyContext } from './copy-context.ts';
import { forEachParallel } from './parallel.ts';
import { copyRange } from './range-copy.ts';
import { copyRows } from './row-copy.ts';
import { totalBytes } from './source-reader.ts';
import { copyStream } from './stream-copy.ts';
import { contiguousMarks } from './tiling.ts';

const parallelCopiesMax = 64;
/** Targets whose marks are read at once. */
const parallelMarks = 8;
/** Part buffers of one stream: one is filled while two are on their way. */
const streamOutputsMax = 3;

/** How many chunks are copied at once: what the activity asks for, or by default two per core, 4 to 16. */
export function parallelCopiesOf(requested: number, cores: number = availableParallelism()): number {
  if (requested > 0) return Math.min(requested, parallelCopiesMax);
  return Math.min(16, Math.max(4, 2 * cores));
}

/** Marks of every target of the plan, in order of target, read afresh from the sink. */
export async function readMarks(context: CopyContext, signal: AbortSignal): Promise<Mark[][]> {
  const { calls, plan, sink } = context;
  const marks: Mark[][] = plan.targets.map(() => []);
  await forEachParallel(plan.targets, { count: parallelMarks, signal }, async (target, targetSignal) => {
    const options = { what: `read the marks of ${target.path}`, signal: targetSignal };
    marks[target.target] = await calls.repeated(options, (callSignal) => sink.marks(plan, target, callSignal));
  });
  return marks;
}

interface WorkItem {
  readonly target: PlanTarget;
  readonly copy: (signal: AbortSignal) => Promise<void>;
}

/** Copies every chunk of the plan that has no mark in `marks`. Resolves when all are marked, by this attempt or another. */
export async function copyMissing(context: CopyContext, marks: readonly (readonly Mark[])[], signal: AbortSignal): Promise<void> {
  const { plan, progress, activity, sink } = context;
  const count = Math.min(parallelCopiesOf(activity.parallelCopies), sink.limits.parallelChunks ?? parallelCopiesMax);
  const items = plan.targets.flatMap((target) => missingWork(context, target, marks[target.target] ?? [], count));
  const open = new Map<PlanTarget, number>();
  for (const item of items) open.set(item.target, (open.get(item.target) ?? 0) + 1);
  progress.resumed(marks.flat(), plan.targets.length - open.size);
  progress.parallelCopies = Math.max(progress.parallelCopies, Math.min(count, items.length));
  await forEachParallel(items, { count, signal }, async (item, itemSignal) => {
    await item.copy(itemSignal);
    const left = (open.get(item.target) ?? 1) - 1;
    open.set(item.target, left);
    if (left === 0) progress.fileWritten();
  });
}

/** Part buffers for each of so many streams: as many as there is memory for, so that all of them can run at once. */
function streamOutputs({ pool, plan }: CopyContext, count: number): number {
  const affordable = Math.floor(pool.capacityBytes / (pool.sizeFor(plan.partBytes) * Math.min(count, streamsOf(plan))));
  return Math.max(1, Math.min(streamOutputsMax, affordable));
}

function streamsOf(plan: Plan): number {
  return Math.max(1, plan.targets.reduce((sum, target) => sum + target.sources.length, 0));
}

function missingWork(context: CopyContext, target: PlanTarget, marks: readonly Mark[], count: number): WorkItem[] {
  const outputs = streamOutputs(context, count);
  if (target.cutting.kind === 'sequential') {
    const { chain, position } = contiguousMarks(marks);
    if (chain.length > 0 && position >= totalBytes(target)) return [];
    return [{ target, copy: (signal) => copyRows(context, target, marks, signal) }];
  }
  const marked = new Set(marks.map((mark) => mark.chunk));
  if (target.cutting.kind === 'streams') {
    return target.sources.map((_, chunk) => chunk).filter((chunk) => !marked.has(chunk))
      .map((chunk) => ({ target, copy: (signal) => copyStream(context, { target, chunk, outputs }, signal) }));
  }
  return target.cutting.chunks
    .filter((range: ChunkRange) => !marked.has(range.chunk))
    .map((range) => ({ target, copy: (signal: AbortSignal) => copyRange(context, target, range, signal) }));
}

import { availableParallelism } from 'node:os';
import { firstLine } from '@dmg/base';
import type { AssistShare, Mark, Plan } from '@dmg/model';
import { parallelShare } from './chunk-order.ts';
import type { CopyContext } from './copy-context.ts';
import { CopyQueue } from './copy-queue.ts';
import type { CopyUnit } from './copy-units.ts';
import { forEachParallel } from './parallel.ts';
import { copyRange } from './range-copy.ts';
import { copyRows } from './row-copy.ts';
import { copyRowRange } from './row-range-copy.ts';
import { skipFile } from './skip-file.ts';
import { isOfSmallFiles, smallFilesAtOnce } from './small-files.ts';
import { copyStream } from './stream-copy.ts';

const parallelCopiesMax = 64;
/** Targets whose marks are read at once. */
const parallelMarks = 8;
/** Part buffers of one stream: one is filled while two are on their way. */
const streamOutputsMax = 3;

/**
 * How many chunks are copied at once: what the activity asks for; by default two per core, 4 to 16. Small files that go as they are
 * cost little else than waiting for calls: 16 of them go at once, however few the cores are.
 */
export function parallelCopiesOf(requested: number, plan: Plan, cores: number = availableParallelism()): number {
  if (requested > 0) return Math.min(requested, parallelCopiesMax);
  return isOfSmallFiles(plan) ? smallFilesAtOnce : Math.min(16, Math.max(4, 2 * cores));
}

/** Marks of every target of the plan, in order of target, read afresh from the sink. */
export async function readMarks(context: CopyContext, signal: AbortSignal): Promise<Mark[][]> {
  const { calls, plan, sink } = context;
  const marks: Mark[][] = plan.targets.map(() => []);
  await forEachParallel(plan.targets, { count: parallelMarks, signal }, async (target, targetSignal) => {
    const options = { what: `read the marks of ${target.path}`, signal: targetSignal };
    const read = await calls.repeated(options, (callSignal) => sink.marks(plan, target, callSignal));
    marks[target.target] = read;
    context.skips.learn(target, read);
  });
  return marks;
}

/** Who of all attempts that copy one plan this one is. */
export interface CopyPart {
  /** 0 leads. */
  readonly index: number;
  /** How many attempts copy; may grow while they do. */
  readonly of: () => number;
  /** Told when a chunk could not be copied; throws what ends the attempt. Default: the failure ends it. */
  readonly onFailure?: (error: unknown) => void;
  /** Told when a chunk was copied. */
  readonly onCopied?: () => void;
}

/**
 * Copies chunks of the plan that have no mark in `marks` (undefined: nothing is known of them). For who leads it resolves when all are
 * marked, by this attempt or another, for others when nothing of their share is left.
 */
export async function copyMissing(
  context: CopyContext, marks: readonly (readonly Mark[])[] | undefined, part: CopyPart, signal: AbortSignal,
): Promise<void> {
  const { activity, progress, sink, clock } = context;
  const ownMax = Math.min(parallelCopiesOf(activity.parallelCopies, context.plan), sink.limits.parallelChunks ?? parallelCopiesMax);
  const allowed = (): number => runnersOf(activity.parallelCopies, ownMax, { index: part.index, of: Math.max(1, part.of()) });
  const queue = new CopyQueue({ context, marks, index: part.index, of: part.of, parallel: ownMax });
  const count = Math.min(ownMax, queue.size);
  const outputs = streamOutputs(context, ownMax);
  progress.parallelCopies = Math.max(progress.parallelCopies, count);
  const runners = Array.from({ length: count }, (_, runner) => runner);
  await forEachParallel(runners, { count, signal }, async (runner, runnerSignal) => {
    while (runner < allowed()) {
      const unit = await queue.next(runnerSignal);
      const assistants = assistantsOf(activity.parallelCopies, queue.size, ownMax);
      if (part.index === 0) progress.aid({ assistants, snapshotHeld: isHeld(context) });
      if (unit === undefined) return;
      const startedMs = clock.monotonicMs();
      try {
        await copyOrSkip(context, queue, { unit, outputs }, runnerSignal);
        queue.ended(unit, clock.monotonicMs() - startedMs);
        part.onCopied?.();
      } catch (error) {
        if (part.onFailure === undefined || runnerSignal.aborted) throw error;
        part.onFailure(error);
      }
    }
  });
}

/** What the activity asks for counts over all nodes; without a wish each of them does what it can. */
function runnersOf(requested: number, ownMax: number, share: AssistShare): number {
  return requested > 0 ? Math.min(ownMax, parallelShare(Math.min(requested, parallelCopiesMax), share)) : ownMax;
}

/** On how many further nodes something could be done while this one does as much as it can. */
function assistantsOf(requested: number, open: number, ownMax: number): number {
  const wanted = Math.ceil(open / ownMax);
  return requested > 0 ? Math.min(wanted, requested - 1) : wanted;
}

/** A snapshot that other nodes can keep. */
function isHeld({ underSnapshot, source }: CopyContext): boolean {
  return underSnapshot && source.kind === 'table' && source.table.snapshots !== undefined;
}

/** Part buffers for each of so many streams: as many as there is memory for, so that all of them can run at once. */
function streamOutputs({ pool, plan }: CopyContext, count: number): number {
  const affordable = Math.floor(pool.capacityBytes / (pool.sizeFor(plan.partBytes) * Math.min(count, streamsOf(plan))));
  return Math.max(1, Math.min(streamOutputsMax, affordable));
}

function streamsOf(plan: Plan): number {
  return Math.max(1, plan.targets.reduce((sum, target) => sum + target.sources.length, 0));
}

/** Copies a unit, or leaves its file out where something is wrong with it that the activity names. */
async function copyOrSkip(
  context: CopyContext, queue: CopyQueue, work: { unit: CopyUnit; outputs: number }, signal: AbortSignal,
): Promise<void> {
  const { unit } = work;
  const known = context.skips.reasonOf(unit.target);
  if (known !== undefined) return skipFile(context, unit, known, signal);
  try {
    await copyUnit(context, queue, work, signal);
  } catch (error) {
    const reason = signal.aborted ? undefined : context.skips.decide(unit.target, error);
    if (reason === undefined) throw error;
    context.logger.warn({ path: unit.target.sources[0]?.path ?? '', reason: firstLine(error) }, 'file is skipped');
    await skipFile(context, unit, reason, signal);
  }
}

async function copyUnit(
  context: CopyContext, queue: CopyQueue, work: { unit: CopyUnit; outputs: number }, signal: AbortSignal,
): Promise<void> {
  const { unit: { target, chunk }, outputs } = work;
  const { cutting } = target;
  if (chunk === undefined) return copyRows(context, target, queue.marksOf(target), signal);
  if (cutting.kind === 'streams') return copyStream(context, { target, chunk, outputs }, signal);
  const range = cutting.kind === 'ranges' ? cutting.chunks.find((candidate) => candidate.chunk === chunk) : undefined;
  if (range === undefined) throw new Error(`the plan has no chunk ${chunk} for ${target.path}`);
  return context.plan.representation === 'rows' ? copyRowRange(context, target, range, signal) : copyRange(context, target, range, signal);
}

import type { Mark, PlanTarget } from '@dmg/model';
import { extentTotal } from './source-extents.ts';

/**
 * Of everything that is complete at the sink, the marks that count, in order of chunk. Where a chunk has several complete versions
 * the lowest attempt id is taken, so that every reader takes the same. Under `sequential` cutting a version counts only if it
 * starts where the one before it ended, and nothing counts after a gap (DESIGN-RULES 5.2). A version that skips the file goes before all
 * others: once a file is skipped, it stays so, whoever comes later.
 */
export function chooseMarks(target: PlanTarget, complete: readonly Mark[]): Mark[] {
  const byAttempt = (a: Mark, b: Mark): number => (a.attemptId < b.attemptId ? -1 : a.attemptId > b.attemptId ? 1 : 0);
  const ordered = complete.toSorted((a, b) => a.chunk - b.chunk || skipFirst(a, b) || byAttempt(a, b));
  const chosen: Mark[] = [];
  const chunks = plannedChunks(target);
  if (chunks !== undefined) {
    const planned = new Set(chunks);
    for (const mark of ordered) if (planned.has(mark.chunk) && chosen.at(-1)?.chunk !== mark.chunk) chosen.push(mark);
    return chosen;
  }
  for (const mark of ordered) {
    if (mark.chunk === chosen.length && mark.sourceStart === (chosen.at(-1)?.sourceEnd ?? 0)) chosen.push(mark);
  }
  return chosen;
}

function skipFirst(a: Mark, b: Mark): number {
  return Number(b.fileSkipped !== undefined) - Number(a.fileSkipped !== undefined);
}

/** Of the marks of a target that count: was its file left out? Then nothing of it is published. */
export function isSkippedFile(marks: readonly Mark[]): boolean {
  return marks.some((mark) => mark.fileSkipped !== undefined);
}

/**
 * How many chunks of a target are not among `marks` (as `chooseMarks` gives them). Under `sequential` cutting the number is not
 * known beforehand: 1 says that the chain of marks does not reach the end of the sources yet.
 */
export function missingChunks(target: PlanTarget, marks: readonly Mark[]): number {
  const chunks = plannedChunks(target);
  if (chunks !== undefined) {
    const present = new Set(marks.map((mark) => mark.chunk));
    return chunks.filter((chunk) => !present.has(chunk)).length;
  }
  const last = marks.at(-1);
  return last !== undefined && last.sourceEnd === extentTotal(target) ? 0 : 1;
}

/** Numbers of a target's chunks, in order; undefined under `sequential` cutting, where they show only while the source is read. */
export function plannedChunks(target: PlanTarget): number[] | undefined {
  const { cutting } = target;
  if (cutting.kind === 'sequential') return undefined;
  return cutting.kind === 'ranges' ? cutting.chunks.map((range) => range.chunk) : target.sources.map((_, index) => index);
}

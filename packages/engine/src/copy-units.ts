import type { Mark, Plan, PlanTarget } from '@dmg/model';
import { totalBytes } from './source-reader.ts';
import { contiguousMarks } from './tiling.ts';

/** What one attempt copies without asking anybody: a chunk, or a target whose chunks show only one after the other. */
export interface CopyUnit {
  /** From 0 within the plan, the same for every attempt. */
  readonly number: number;
  readonly target: PlanTarget;
  /** Undefined: all chunks of the target. */
  readonly chunk: number | undefined;
}

/** Everything that a plan has to copy, in its order. */
export function unitsOf(plan: Plan): CopyUnit[] {
  const units: CopyUnit[] = [];
  for (const target of plan.targets) {
    const { cutting } = target;
    const chunks = cutting.kind === 'sequential' ? [undefined]
      : cutting.kind === 'streams' ? target.sources.map((_, chunk) => chunk) : cutting.chunks.map((range) => range.chunk);
    for (const chunk of chunks) units.push({ number: units.length, target, chunk });
  }
  return units;
}

/** The chunks of a target that stand at the sink; `whole` when nothing of it is left. */
export function markedOf(target: PlanTarget, marks: readonly Mark[]): { readonly chunks: ReadonlySet<number>; readonly whole: boolean } {
  const chunks = new Set(marks.map((mark) => mark.chunk));
  if (target.cutting.kind !== 'sequential') return { chunks, whole: false };
  const { chain, position } = contiguousMarks(marks);
  return { chunks, whole: chain.length > 0 && position >= totalBytes(target) };
}

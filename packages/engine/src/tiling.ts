import { connectorErrors, missingChunks } from '@dmg/connector-api';
import type { Mark, Plan, PlanTarget, Receipt } from '@dmg/model';
import { sumHashes } from '@dmg/formats';
import { engineErrors } from './errors.ts';

/**
 * Checks that the marks of a target cover each byte of its sources exactly once and returns those that count, in order of chunk.
 * Throws `MARKS_MISSING` when chunks are not there yet, and `MARKS_INVALID` when a mark contradicts the plan.
 */
export function tiledMarks(plan: Plan, target: PlanTarget, marks: readonly Mark[]): Mark[] {
  const missing = missingChunks(target, marks);
  if (missing > 0) throw connectorErrors.MARKS_MISSING.create({ jobId: plan.jobId, missing });
  const invalid = (chunk: number, reason: string): Error => engineErrors.MARKS_INVALID.create({ path: target.path, chunk, reason });
  const counted: Mark[] = [];
  if (target.cutting.kind === 'ranges') {
    const ranges = new Map(target.cutting.chunks.map((range) => [range.chunk, range]));
    for (const mark of marks) {
      const range = ranges.get(mark.chunk);
      if (range === undefined) throw invalid(mark.chunk, 'the plan has no such chunk, or it is marked twice');
      ranges.delete(mark.chunk);
      if (mark.sourceStart !== range.startByte || mark.sourceEnd !== range.endByte) throw invalid(mark.chunk, 'its range differs');
      if (mark.bytes !== range.endByte - range.startByte) throw invalid(mark.chunk, 'its length differs');
      counted.push(mark);
    }
    return counted.toSorted((a, b) => a.chunk - b.chunk);
  }
  let position = 0;
  for (const mark of marks.toSorted((a, b) => a.chunk - b.chunk)) {
    if (mark.chunk !== counted.length) throw invalid(mark.chunk, 'it is out of order');
    if (mark.sourceStart !== position || mark.sourceEnd < position) {
      throw invalid(mark.chunk, 'it does not start where the one before it ended');
    }
    position = mark.sourceEnd;
    counted.push(mark);
  }
  return counted;
}

/** The chain of marks of a target under sequential cutting that a new attempt can go on from, and where it ends. */
export function contiguousMarks(marks: readonly Mark[]): { chain: Mark[]; position: number; rows: number } {
  const chain: Mark[] = [];
  let position = 0;
  let rows = 0;
  for (const mark of marks.toSorted((a, b) => a.chunk - b.chunk)) {
    // A version that was cut from another position belongs to a chain that lost: it does not count.
    if (mark.chunk !== chain.length || mark.sourceStart !== position) continue;
    chain.push(mark);
    position = mark.sourceEnd;
    rows += mark.rows;
  }
  return { chain, position, rows };
}

export interface ReceiptRequest {
  readonly plan: Plan;
  /** Marks of each target, in order of target, as `tiledMarks` returned them. */
  readonly marks: readonly (readonly Mark[])[];
  readonly atomicPublish: 'yes' | 'renameOnly' | 'none';
  readonly finishedBy: Receipt['finishedBy'];
  readonly finishedAtMs: number;
}

/** What the copy did, from the marks and from nothing else. */
export function draftReceipt(request: ReceiptRequest): Receipt {
  const { plan } = request;
  const marks = request.marks.flat();
  const sum = (of: (mark: Mark) => number): number => marks.reduce((total, mark) => total + of(mark), 0);
  const rows = sum((mark) => mark.rows);
  return {
    formatVersion: 1,
    jobId: plan.jobId,
    generation: plan.generation,
    guarantee: request.atomicPublish === 'yes' && plan.sourceKind === 'addressable' ? 'exactlyOnce' : 'atLeastOnce',
    verification: 'acknowledged',
    // Each file is pinned by its identity; several files need not be of one moment.
    consistency: 'perChunk',
    filesRead: plan.targets.reduce((total, target) => total + target.sources.length, 0),
    filesWritten: plan.targets.length,
    bytesRead: sum((mark) => mark.sourceEnd - mark.sourceStart),
    bytesWritten: sum((mark) => mark.bytes),
    rowsRead: rows,
    rowsWritten: rows,
    rowsSkipped: 0,
    chunks: marks.length,
    hash: sumHashes(marks.map((mark) => mark.hash)),
    attempts: [...new Set(marks.map((mark) => mark.attemptId))].toSorted(),
    finishedBy: request.finishedBy,
    finishedAt: new Date(request.finishedAtMs).toISOString(),
  };
}

import { connectorErrors, isSkippedFile, missingChunks, sourceBytesOf } from '@dmg/connector-api';
import { type Mark, type Plan, type PlanTarget, type Receipt, receiptDigest } from '@dmg/model';
import { sumHashes } from '@dmg/formats';
import { engineErrors } from './errors.ts';
import { receiptTargets } from './receipt-targets.ts';

/** Where the mark of a stream starts that was read under the snapshot of the plan; 0 otherwise. */
export const underSnapshot = 1;

/**
 * Checks that the marks of a target cover each byte of its sources exactly once and returns those that count, in order of chunk.
 * Throws `MARKS_MISSING` when chunks are not there yet, and `MARKS_INVALID` when a mark contradicts the plan.
 */
export function tiledMarks(plan: Plan, target: PlanTarget, marks: readonly Mark[]): Mark[] {
  const missing = missingChunks(target, marks);
  if (missing > 0) throw connectorErrors.MARKS_MISSING.create({ jobId: plan.jobId, missing });
  const invalid = (chunk: number, reason: string): Error => engineErrors.MARKS_INVALID.create({ path: target.path, chunk, reason });
  // Nothing of a file that was left out is published, so that its marks need not fit together.
  if (isSkippedFile(marks)) return [...marks];
  const counted: Mark[] = [];
  if (target.cutting.kind === 'ranges' && plan.representation === 'rows') return rowRangeMarks(target, marks, invalid);
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
  if (target.cutting.kind === 'streams') return streamMarks(target, marks, invalid);
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

/**
 * A chunk of rows starts with the first row in its range and ends with its last one, which may reach beyond it: each has to start where
 * the one before it has ended, so that a row delimiter that ends no row cannot have been taken for one.
 */
function rowRangeMarks(target: PlanTarget, marks: readonly Mark[], invalid: (chunk: number, reason: string) => Error): Mark[] {
  const counted = marks.toSorted((a, b) => a.chunk - b.chunk);
  let position = 0;
  for (const [index, mark] of counted.entries()) {
    if (mark.chunk !== index) throw invalid(mark.chunk, 'the plan has no such chunk, or it is marked twice');
    if (mark.sourceStart !== position) {
      throw engineErrors.ROWS_OVERLAP.create({ source: target.sources[0]?.path ?? '', position: mark.sourceStart, end: position });
    }
    position = mark.sourceEnd;
  }
  if (position !== target.sources[0]?.sizeBytes) throw invalid(counted.length - 1, 'it does not end where the file ends');
  return counted;
}

/** Every stream is marked once, from its beginning. How long it was, its mark alone says. */
function streamMarks(target: PlanTarget, marks: readonly Mark[], invalid: (chunk: number, reason: string) => Error): Mark[] {
  const counted = marks.toSorted((a, b) => a.chunk - b.chunk);
  for (const [index, mark] of counted.entries()) {
    if (mark.chunk !== index || index >= target.sources.length) {
      throw invalid(mark.chunk, 'the plan has no such chunk, or it is marked twice');
    }
    const whole = mark.sourceStart === 0 || mark.sourceStart === underSnapshot;
    if (!whole || mark.sourceEnd < mark.sourceStart) throw invalid(mark.chunk, 'it is not a whole stream');
  }
  return counted;
}

/** The chain of marks of a target under sequential cutting that a new attempt can go on from, and where it ends. */
export function contiguousMarks(marks: readonly Mark[]): { chain: Mark[]; position: number; rows: number; rowsWritten: number } {
  const chain: Mark[] = [];
  let position = 0;
  let rows = 0;
  let rowsWritten = 0;
  for (const mark of marks.toSorted((a, b) => a.chunk - b.chunk)) {
    // A version that was cut from another position belongs to a chain that lost: it does not count.
    if (mark.chunk !== chain.length || mark.sourceStart !== position) continue;
    chain.push(mark);
    position = mark.sourceEnd;
    rows += mark.rows + (mark.rowsSkipped ?? 0);
    rowsWritten += mark.rows;
  }
  return { chain, position, rows, rowsWritten };
}

/** True when the chunks of different attempts make one whole: they can be read again, or under one snapshot only, or there is only one. */
function isRepeatable(plan: Plan): boolean {
  if (plan.sourceKind === 'addressable' || plan.sourceKind === 'snapshotBound') return true;
  const chunks = plan.targets.reduce((total, target) => total + target.sources.length, 0);
  return plan.sourceKind === 'onePass' && chunks === 1 && plan.targets[0]?.cutting.kind === 'streams';
}

/**
 * Of one moment are: a single stream, since it is one statement; and streams of which every mark says that they were read under the
 * plan's snapshot, whoever read them. Each file is pinned by its identity, but several files need not be of one moment.
 */
function consistencyOf(plan: Plan, marks: readonly Mark[]): Receipt['consistency'] {
  const streams = plan.targets.every((target) => target.cutting.kind === 'streams');
  if (!streams || marks.length === 0) return 'perChunk';
  return marks.length === 1 || marks.every((mark) => mark.sourceStart === underSnapshot) ? 'snapshot' : 'perChunk';
}

export interface ReceiptRequest {
  readonly plan: Plan;
  /** Marks of each target, in order of target, as `tiledMarks` returned them. */
  readonly marks: readonly (readonly Mark[])[];
  readonly atomicPublish: 'yes' | 'renameOnly' | 'none';
  /** Default `acknowledged`. */
  readonly verification?: Receipt['verification'];
  readonly finishedBy: Receipt['finishedBy'];
  readonly finishedAtMs: number;
}

/** What the copy did, from the marks and from nothing else. */
export function draftReceipt(request: ReceiptRequest): Receipt {
  const { plan } = request;
  const skipped = request.marks.map(isSkippedFile);
  const counted = request.marks.map((own, target) => (skipped[target] === true ? [] : own));
  const copied = plan.targets.filter(({ target }) => skipped[target] !== true);
  const filesSkipped = plan.targets.length - copied.length;
  const marks = counted.flat();
  const sum = (of: (mark: Mark) => number): number => marks.reduce((total, mark) => total + of(mark), 0);
  const rows = sum((mark) => mark.rows);
  const rowsSkipped = sum((mark) => mark.rowsSkipped ?? 0);
  const receipt: Receipt = {
    formatVersion: 1,
    jobId: plan.jobId,
    generation: plan.generation,
    guarantee: request.atomicPublish === 'yes' && isRepeatable(plan) ? 'exactlyOnce' : 'atLeastOnce',
    verification: request.verification ?? 'acknowledged',
    consistency: consistencyOf(plan, marks),
    filesRead: copied.reduce((total, target) => total + (target.cutting.kind === 'streams' ? 0 : target.sources.length), 0),
    filesWritten: copied.filter((target) => target.columns === undefined).length,
    bytesRead: plan.targets.reduce(
      (total, target, index) => (counted[index] ?? []).reduce((bytes, mark) => bytes + sourceBytesOf(target, mark), total), 0,
    ),
    bytesWritten: sum((mark) => mark.bytes),
    rowsRead: rows + rowsSkipped,
    rowsWritten: rows,
    rowsSkipped,
    chunks: marks.length,
    ...(filesSkipped === 0 ? {} : { filesSkipped }),
    hash: sumHashes(marks.map((mark) => mark.hash)),
    attempts: [...new Set(marks.map((mark) => mark.attemptId))].toSorted(),
    ...receiptTargets({ ...plan, targets: copied }, counted),
    finishedBy: request.finishedBy,
    finishedAt: new Date(request.finishedAtMs).toISOString(),
  };
  return { ...receipt, digest: receiptDigest(receipt) };
}

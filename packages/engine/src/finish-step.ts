import { connectorErrors } from '@dmg/connector-api';
import type { Mark, PlanTarget, Receipt } from '@dmg/model';
import type { CopyContext } from './copy-context.ts';
import { readMarks } from './copy-step.ts';
import { rereadTargets } from './reread.ts';
import { draftReceipt, tiledMarks } from './tiling.ts';

/**
 * Checks that all marks are there, publishes and closes the job at the sink; returns the receipt that stands, which may be that of
 * another attempt. Throws `MARKS_MISSING` when chunks have to be copied (again).
 */
export async function finishCopy(context: CopyContext, finishedBy: Receipt['finishedBy'], signal: AbortSignal): Promise<Receipt> {
  const { calls, clock, limits, plan, progress, sink } = context;
  const read = await readMarks(context, signal);
  const marks = plan.targets.map((target) => tiledMarks(plan, target, read[target.target] ?? []));
  for (const target of plan.targets) checkParts(context, target, marks[target.target] ?? []);
  progress.resumed(marks.flat(), plan.targets.length);
  const verification = await rereadTargets(context, marks, signal);
  const receipt = draftReceipt({ plan, marks, verification, atomicPublish: sink.atomicPublish, finishedBy, finishedAtMs: clock.wallMs() });
  await context.logs.prepare({ plan, marks, receipt }, signal);
  // At a table that is staged, its script runs at the end, and all rows are moved.
  // Publishing is one call for all targets: each of them costs the store some round trips, and its bytes may have to be moved.
  const limitMs = (sink.table === undefined ? limits.finishLimitMs : limits.scriptLimitMs) + plan.targets.length * 1_000;
  const options = { what: 'publish the copy at the sink', limitMs, bytes: receipt.bytesWritten, signal };
  const standing = await calls.repeated(options, (callSignal) => sink.finish(plan, receipt, callSignal));
  await context.logs.publish(standing, signal);
  return standing;
}

/** Streams were cut by estimates: together they may have become more parts than the sink can put into one target. */
function checkParts({ activity, plan, sink }: CopyContext, target: PlanTarget, marks: readonly Mark[]): void {
  if (target.cutting.kind !== 'streams') return;
  const parts = marks.reduce((sum, mark) => sum + Math.max(1, Math.ceil(mark.bytes / plan.partBytes)), 0);
  const { partsPerTargetMax } = sink.limits;
  if (parts <= partsPerTargetMax) return;
  const sizeBytes = marks.reduce((sum, mark) => sum + mark.bytes, 0);
  const { connector: store } = activity.sink;
  throw connectorErrors.TOO_LARGE.create({ path: target.path, sizeBytes, store, limitBytes: partsPerTargetMax * plan.partBytes });
}

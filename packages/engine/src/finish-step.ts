import type { Receipt } from '@dmg/model';
import type { CopyContext } from './copy-context.ts';
import { readMarks } from './copy-step.ts';
import { draftReceipt, tiledMarks } from './tiling.ts';

/**
 * Checks that all marks are there, publishes and closes the job at the sink; returns the receipt that stands, which may be that of
 * another attempt. Throws `MARKS_MISSING` when chunks have to be copied (again).
 */
export async function finishCopy(context: CopyContext, finishedBy: Receipt['finishedBy'], signal: AbortSignal): Promise<Receipt> {
  const { calls, clock, limits, plan, progress, sink } = context;
  const read = await readMarks(context, signal);
  const marks = plan.targets.map((target) => tiledMarks(plan, target, read[target.target] ?? []));
  progress.resumed(marks.flat(), plan.targets.length);
  const receipt = draftReceipt({ plan, marks, atomicPublish: sink.atomicPublish, finishedBy, finishedAtMs: clock.wallMs() });
  // Publishing is one call for all targets: each of them costs the store some round trips, and its bytes may have to be moved.
  const limitMs = limits.finishLimitMs + plan.targets.length * 1_000;
  const options = { what: 'publish the copy at the sink', limitMs, bytes: receipt.bytesWritten, signal };
  return calls.repeated(options, (callSignal) => sink.finish(plan, receipt, callSignal));
}

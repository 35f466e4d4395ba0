import { crc32 } from 'node:zlib';
import { isSkippedFile, type StagedTarget } from '@dmg/connector-api';
import type { Mark, PlanTarget, VerificationLevel } from '@dmg/model';
import { type CopyContext, whilePinned } from './copy-context.ts';
import { engineErrors } from './errors.ts';
import { forEachParallel } from './parallel.ts';
import { hashesBytes } from './receipt-targets.ts';

const blockBytes = 1024 * 1024;
/** Targets that are read again at once. */
const parallelTargets = 4;

/**
 * Where the activity wants its data validated: reads every target again as it waits at the sink to be published, chunk by chunk, and
 * compares it with the marks (DESIGN-RULES 27). Throws `INCONSISTENT` where the sink has other bytes than were written. Returns what
 * was done: `acknowledged` also where the sink cannot be read before it publishes, and where marks have hashes of rows.
 */
export async function rereadTargets(
  context: CopyContext, marks: readonly (readonly Mark[])[], signal: AbortSignal,
): Promise<VerificationLevel> {
  const { activity, plan, sink, logger } = context;
  if (!activity.validateDataConsistency || sink.table !== undefined) return 'acknowledged';
  if (sink.openStaged === undefined || !hashesBytes(plan)) {
    logger.warn({ verification: 'acknowledged' }, 'targets are not read again: the receipt says which verification was done');
    return 'acknowledged';
  }
  let whole = true;
  const copied = plan.targets.filter(({ target }) => !isSkippedFile(marks[target] ?? []));
  await forEachParallel(copied, { count: parallelTargets, signal }, async (target, targetSignal) => {
    if (!(await rereadTarget(context, target, marks[target.target] ?? [], targetSignal))) whole = false;
  });
  return whole ? 'reread' : 'acknowledged';
}

/** False: it cannot be read, because another attempt is finishing; the receipt that stands will be that one's. */
async function rereadTarget(context: CopyContext, target: PlanTarget, marks: readonly Mark[], signal: AbortSignal): Promise<boolean> {
  const { calls, limits, plan, sink } = context;
  const what = `read ${target.path} again`;
  const bytes = marks.reduce((sum, mark) => sum + mark.bytes, 0);
  return calls.repeating('call', { what, signal }, async () => {
    const staged = await calls.once({ what, bytes, signal }, async (callSignal) => {
      const opened = await sink.openStaged?.(plan, target, callSignal);
      if (callSignal.aborted) await opened?.close();
      return opened;
    });
    if (staged === undefined) return false;
    try {
      await compare(context, { target, marks, staged }, signal);
      return true;
    } finally {
      const never = new AbortController().signal;
      await calls.once({ what: `close ${target.path}`, limitMs: limits.closeLimitMs, signal: never }, () => staged.close());
    }
  });
}

async function compare(
  context: CopyContext, work: { target: PlanTarget; marks: readonly Mark[]; staged: StagedTarget }, signal: AbortSignal,
): Promise<void> {
  const { target, marks, staged } = work;
  const { calls, pool, plan } = context;
  const size = Math.min(blockBytes, plan.partBytes);
  const buffer = await pool.lend(size, signal);
  const readAt = (position: number, bytes: number): Promise<number> =>
    calls.once({ what: `read ${target.path} again`, bytes, signal }, (callSignal) =>
      whilePinned(buffer, () => staged.read(position, buffer.memory.subarray(0, bytes), callSignal)));
  try {
    let position = 0;
    for (const { chunk, bytes, hash } of marks) {
      const endByte = position + bytes;
      const inconsistent = (): Error => engineErrors.INCONSISTENT.create({ path: target.path, chunk, endByte });
      let crc = 0;
      while (position < endByte) {
        const count = await readAt(position, Math.min(size, endByte - position));
        if (count === 0) throw inconsistent();
        crc = crc32(buffer.memory.subarray(0, count), crc);
        position += count;
      }
      if (crc.toString(16).padStart(16, '0') !== hash) throw inconsistent();
    }
    // Nothing may stand behind the last chunk.
    if (await readAt(position, 1) > 0) throw engineErrors.INCONSISTENT.create({
      path: target.path, chunk: marks.at(-1)?.chunk ?? 0, endByte: position,
    });
  } finally {
    buffer.unpin();
  }
}

import type { ChunkRange, FileSkipReason, PlanTarget } from '@dmg/model';
import type { CopyContext } from './copy-context.ts';
import type { CopyUnit } from './copy-units.ts';
import { OpenChunk } from './open-chunk.ts';
import { totalBytes } from './source-reader.ts';
import { contiguousMarks } from './tiling.ts';

const noHash = '0'.repeat(16);

/** Marks what a unit has left to copy as skipped, unless another attempt has marked it. */
export async function skipFile(context: CopyContext, unit: CopyUnit, reason: FileSkipReason, signal: AbortSignal): Promise<void> {
  const { calls, sink, plan } = context;
  const { target, chunk } = unit;
  const what = `skip the file of ${target.path}`;
  await calls.repeating('chunk', { what, signal }, async () => {
    if (chunk !== undefined) return void await markSkipped(context, target, { ...rangeOf(target, chunk), reason }, signal);
    for (;;) {
      const marks = await calls.once({ what, signal }, (callSignal) => sink.marks(plan, target, callSignal));
      const { chain, position } = contiguousMarks(marks);
      const endByte = totalBytes(target);
      if (chain.length > 0 && position >= endByte) return;
      const rest = { chunk: chain.length, startByte: position, endByte, reason };
      if (await markSkipped(context, target, rest, signal) === 'marked') return;
    }
  });
}

function rangeOf(target: PlanTarget, chunk: number): Omit<ChunkRange, 'source'> {
  const range = target.cutting.kind === 'ranges' ? target.cutting.chunks.find((candidate) => candidate.chunk === chunk) : undefined;
  if (range === undefined) throw new Error(`the plan has no chunk ${chunk} for ${target.path}`);
  return range;
}

async function markSkipped(
  context: CopyContext, target: PlanTarget, rest: Omit<ChunkRange, 'source'> & { reason: FileSkipReason }, signal: AbortSignal,
): Promise<'marked' | 'already'> {
  const { chunk, startByte, endByte, reason } = rest;
  const buffer = await context.pool.lend(1, signal);
  try {
    const opened = await OpenChunk.open({ context, target, chunk, signal });
    try {
      const facts = { bytes: 0, rows: 0, hash: noHash, sourceStart: startByte, sourceEnd: endByte, fileSkipped: reason };
      return await opened.mark(facts, { part: 0, bytes: buffer.memory.subarray(0, 0), buffer }, signal);
    } catch (error) {
      await opened.discard(signal);
      throw error;
    }
  } finally {
    buffer.unpin();
  }
}

import { createRowStartFinder } from '@dmg/formats';
import type { ChunkRange, PlanTarget } from '@dmg/model';
import { type CopyContext, readExactly } from './copy-context.ts';
import { RowRun } from './row-copy.ts';
import { headerBytes } from './source-columns.ts';

/**
 * Copies the rows that start in a range of a file and marks them as a chunk; repeats it after transient errors. The chunk's own
 * positions are those of its rows: it begins with the first row that starts at or after the range's first byte, and ends with the first
 * row boundary at or after the range's end. Chunks know nothing of each other and may be copied in any order, on any node.
 */
export function copyRowRange(context: CopyContext, target: PlanTarget, range: ChunkRange, signal: AbortSignal): Promise<void> {
  const what = `copy to ${target.path}`;
  return context.calls.repeating('chunk', { what, signal }, async () => {
    const run = new RowRun(context, target, signal);
    try {
      await run.open();
      const position = await firstRow(context, { run, target, range }, signal);
      const rows = range.startByte === 0 ? 0 : undefined;
      // Whoever was first with the chunk, its rows are in.
      await run.copyChunk({ chunk: range.chunk, position, rows, rowsWritten: 0, limit: Math.max(position, range.endByte) });
    } finally {
      await run.close();
    }
  });
}

async function firstRow(
  context: CopyContext, { run, target, range }: { run: RowRun; target: PlanTarget; range: ChunkRange }, signal: AbortSignal,
): Promise<number> {
  if (range.startByte === 0) return 0;
  const object = target.sources[range.source];
  const { format } = context.activity.source;
  if (object === undefined || format.type !== 'DelimitedText') throw new Error(`${target.path} cannot be copied in ranges`);
  // What the first chunk has to read to know its columns is its own.
  const { position: rowsFrom } = await run.columnsOf(range.source);
  const wanted = Math.max(range.startByte, rowsFrom);
  const finder = createRowStartFinder(format, wanted);
  const { buffer } = run;
  for (let position = finder.from; ; position += headerBytes) {
    const bytes = Math.min(headerBytes, object.sizeBytes - position);
    const block = await readExactly(context, { object, position, bytes, buffer }, signal);
    // Read by the chunk before, too, so that it does not count as progress.
    context.progress.undo(bytes, 0);
    const found = finder.push(block, position + bytes >= object.sizeBytes);
    if (found !== undefined) return found;
  }
}

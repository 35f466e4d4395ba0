import { findsRowStarts } from '@dmg/formats';
import type { CopyActivity, DataFormat, PlanTarget, RowFormat } from '@dmg/model';

/** True for text that rows are read from and written to. */
export function isRowFormat(format: DataFormat): format is RowFormat {
  return format.type === 'DelimitedText' || format.type === 'Json';
}

/** True where objects are written with commas between them, so that what stands before a row must be known when it is written. */
export function isJsonArray(format: DataFormat): boolean {
  return format.type === 'Json' && format.filePattern === 'arrayOfObjects';
}

/** True when the rows of a file can be copied in ranges, each without knowing the others. */
export function copiesRowRanges({ source, sink }: CopyActivity): boolean {
  return source.format.type === 'DelimitedText' && findsRowStarts(source.format) && !isJsonArray(sink.format);
}

/** Where in its target a source stands: how many rows come before, and whether the target ends with it. */
export function arrayPlace(
  target: PlanTarget, source: number, { rowsBefore, isCompressed }: { rowsBefore: number; isCompressed: boolean },
): { rowsBefore: number; endsAt?: number } {
  const last = target.sources.findLastIndex((object) => object.sizeBytes > 0);
  if (source < last) return { rowsBefore };
  return { rowsBefore, endsAt: isCompressed ? Infinity : target.sources[source]?.sizeBytes ?? 0 };
}

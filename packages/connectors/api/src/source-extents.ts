import type { PlanTarget } from '@dmg/model';

/** Positions of marks are kept in 48 bits by some sinks; one bit is left. */
const positionsMax = 2 ** 47;

/** Positions for each of so many sources whose length is not known before they have been read: a power of two. */
export function extentFor(sources: number): number {
  let extentBytes = positionsMax;
  while (extentBytes * sources > positionsMax) extentBytes /= 2;
  return extentBytes;
}

/** How many positions each source of a target takes up under sequential cutting, in order: its bytes, or its extent. */
export function extentsOf({ cutting, sources }: PlanTarget): number[] {
  const extentBytes = cutting.kind === 'sequential' ? cutting.extentBytes : undefined;
  return sources.map((source) => extentBytes ?? source.sizeBytes);
}

/** Positions of all sources of a target, laid end to end: where its last chunk ends. */
export function extentTotal(target: PlanTarget): number {
  return extentsOf(target).reduce((sum, extent) => sum + extent, 0);
}

/**
 * Bytes of the source that a chunk of `target` stands for. Where positions count what compressed files hold, a file counts as a whole,
 * for the chunk in which it ends.
 */
export function sourceBytesOf(target: PlanTarget, range: { readonly sourceStart: number; readonly sourceEnd: number }): number {
  const { cutting, sources } = target;
  const extentBytes = cutting.kind === 'sequential' ? cutting.extentBytes : undefined;
  if (extentBytes === undefined) return range.sourceEnd - range.sourceStart;
  const ended = sources.filter((_, index) => {
    const end = (index + 1) * extentBytes;
    return end > range.sourceStart && end <= range.sourceEnd;
  });
  return ended.reduce((sum, source) => sum + source.sizeBytes, 0);
}

import { extentFor } from '@dmg/connector-api';
import type { Cutting, PlanTarget } from '@dmg/model';
import { type CopyCodecs, isOneChunk } from './codecs.ts';
import { cutTargets, type CuttingRequest } from './cutting.ts';

/** What a compressed file is thought to hold, for each of its bytes, where only sizes of buffers and parts depend on it. */
const usualRatio = 4;

/**
 * Cuts targets into chunks, as `cutTargets` does; where something is decompressed or compressed each target is one sequence, whatever
 * is exchanged. The content of compressed sources is cut, not their bytes.
 */
export function cutContents(codecs: CopyCodecs, request: CuttingRequest): { partBytes: number; cuttings: Cutting[] } {
  if (codecs.source === undefined && codecs.sink === undefined) return cutTargets(request);
  const isCompressed = codecs.source !== undefined;
  const layouts = request.layouts.map(({ path, sources }) => ({
    path, sources: sources.map((source) => ({ ...source, sizeBytes: source.sizeBytes * (isCompressed ? usualRatio : 1) })),
  }));
  const { partBytes, cuttings } = cutTargets({ ...request, layouts, representation: 'rows', rowRanges: false });
  return {
    partBytes,
    cuttings: cuttings.map((cutting, index): Cutting => {
      if (cutting.kind !== 'sequential') return cutting;
      const sources = Math.max(1, layouts[index]?.sources.length ?? 0);
      return {
        kind: 'sequential',
        chunkBytes: isOneChunk(codecs) ? Number.MAX_SAFE_INTEGER : cutting.chunkBytes,
        ...(isCompressed ? { extentBytes: extentFor(sources) } : {}),
      };
    }),
  };
}

/** About how many bytes a target will hold. */
export function contentEstimate({ cutting, sources }: PlanTarget): number {
  const ratio = cutting.kind === 'sequential' && cutting.extentBytes !== undefined ? usualRatio : 1;
  return sources.reduce((sum, source) => sum + source.sizeBytes * ratio, 0);
}

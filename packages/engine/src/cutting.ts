import { connectorErrors, type SinkLimits } from '@dmg/connector-api';
import type { ChunkRange, Cutting, Representation } from '@dmg/model';
import { engineErrors } from './errors.ts';
import type { TargetLayout } from './target-layout.ts';

/** Parts in a chunk where nothing asks for more: with parts of 8 MiB a chunk is 64 MiB, what a crash may cost at most. */
const chunkParts = 8;
/** Text may grow when it is written in another form (quotes, a longer delimiter, two bytes a character). */
const growth = 4;

export interface CuttingRequest {
  readonly layouts: readonly TargetLayout[];
  readonly representation: Representation;
  /** Rows can be found from any position of a source on. Default: they cannot. */
  readonly rowRanges?: boolean;
  readonly limits: SinkLimits;
  /** Name of the sink's connector, for errors. */
  readonly store: string;
}

/**
 * Cuts targets into chunks within the sink's limits. Parts start at the sink's best size and double only as far as the largest
 * target needs. Throws `TOO_LARGE` when not even the largest parts fit, `TOO_MANY_TO_MERGE` when the sources alone are too many.
 */
export function cutTargets(request: CuttingRequest): { partBytes: number; cuttings: Cutting[] } {
  const { layouts, representation, limits } = request;
  const fits = representation === 'bytes' ? rangesFit : sequenceFits;
  let partBytes = Math.min(limits.partBytes, limits.partBytesMax);
  for (const layout of layouts) {
    checkMergeable(layout, request);
    while (!fits(layout, partBytes, limits)) {
      if (partBytes >= limits.partBytesMax) {
        // Rows are refused only when they would not fit even if they did not grow; the sink has the last word.
        if (representation === 'rows' && Math.ceil(sizeOf(layout) / partBytes) + 1 <= limits.partsPerTargetMax) break;
        const limitBytes = limits.partsPerTargetMax * limits.partBytesMax;
        throw connectorErrors.TOO_LARGE.create({ path: layout.path, sizeBytes: sizeOf(layout), store: request.store, limitBytes });
      }
      partBytes = Math.min(partBytes * 2, limits.partBytesMax);
    }
  }
  const cuttings = layouts.map((layout): Cutting => {
    if (representation === 'bytes') {
      return { kind: 'ranges', chunks: cutRanges(layout, chunkBytesFor(layout, partBytes, limits)) };
    }
    const even = Math.ceil(sizeOf(layout) / limits.chunksPerTargetMax);
    const chunkBytes = Math.max(partBytes * chunkParts, even);
    // One file in several chunks; what is merged keeps its order of headers and columns in a sequence.
    if (request.rowRanges === true && layout.sources.length === 1 && sizeOf(layout) > chunkBytes) {
      return { kind: 'ranges', chunks: cutRanges(layout, chunkBytes) };
    }
    return { kind: 'sequential', chunkBytes };
  });
  return { partBytes, cuttings };
}

export interface StreamCuttingRequest {
  readonly path: string;
  /** For errors. */
  readonly source: string;
  /** What each stream will probably hold, in bytes; 0 where nothing is known. */
  readonly sizes: readonly number[];
  readonly limits: SinkLimits;
  readonly store: string;
}

/**
 * Streams are chunks as they are; what is chosen is the size of their parts, so that all of them fit the sink although their lengths
 * are estimates. Each stream gets an equal share of the parts. One that outgrows every estimate is refused while it is written.
 */
export function cutStreams({ path, source, sizes, limits, store }: StreamCuttingRequest): { partBytes: number; cutting: Cutting } {
  const streamsMax = Math.min(limits.chunksPerTargetMax, limits.partsPerTargetMax);
  if (sizes.length > streamsMax) {
    throw engineErrors.TOO_MANY_STREAMS.create({ source, target: path, streams: sizes.length, store, streamsMax });
  }
  const partsEach = Math.floor(limits.partsPerTargetMax / Math.max(1, sizes.length));
  const largest = sizes.reduce((most, size) => Math.max(most, size), 0);
  let partBytes = Math.min(limits.partBytes, limits.partBytesMax);
  while (largest * growth > partsEach * partBytes && partBytes < limits.partBytesMax) {
    partBytes = Math.min(partBytes * 2, limits.partBytesMax);
  }
  const sizeBytes = sizes.reduce((sum, size) => sum + size, 0);
  // Refused beforehand only if it does not fit even when the estimates are right.
  if (Math.ceil(sizeBytes / partBytes) + sizes.length - 1 > limits.partsPerTargetMax) {
    throw connectorErrors.TOO_LARGE.create({ path, sizeBytes, store, limitBytes: limits.partsPerTargetMax * limits.partBytesMax });
  }
  return { partBytes, cutting: { kind: 'streams' } };
}

/** Every source's bytes in chunks of one source each; a target without bytes has one empty chunk, so that it has a mark. */
export function cutRanges(layout: TargetLayout, chunkBytes: number): ChunkRange[] {
  const chunks: ChunkRange[] = [];
  for (const [source, object] of layout.sources.entries()) {
    for (let startByte = 0; startByte < object.sizeBytes; startByte += chunkBytes) {
      chunks.push({ chunk: chunks.length, source, startByte, endByte: Math.min(startByte + chunkBytes, object.sizeBytes) });
    }
  }
  return chunks.length > 0 ? chunks : [{ chunk: 0, source: 0, startByte: 0, endByte: 0 }];
}

/** Whole parts per chunk, doubled until the number of chunks is allowed. */
function chunkBytesFor(layout: TargetLayout, partBytes: number, limits: SinkLimits): number {
  let chunkBytes = partBytes * chunkParts;
  while (pieces(layout, chunkBytes) > limits.chunksPerTargetMax) chunkBytes *= 2;
  return chunkBytes;
}

function rangesFit(layout: TargetLayout, partBytes: number, limits: SinkLimits): boolean {
  return pieces(layout, partBytes) <= limits.partsPerTargetMax;
}

function sequenceFits(layout: TargetLayout, partBytes: number, limits: SinkLimits): boolean {
  const sizeBytes = sizeOf(layout);
  // Each chunk may end with a part that is not full.
  const chunks = Math.ceil(sizeBytes / (partBytes * chunkParts));
  return Math.ceil((sizeBytes * growth) / partBytes) + Math.min(chunks, limits.chunksPerTargetMax) + 1 <= limits.partsPerTargetMax;
}

function checkMergeable(layout: TargetLayout, request: CuttingRequest): void {
  if (request.representation === 'rows') return;
  const files = layout.sources.filter((source) => source.sizeBytes > 0).length;
  const filesMax = Math.min(request.limits.chunksPerTargetMax, request.limits.partsPerTargetMax);
  if (files > filesMax) throw engineErrors.TOO_MANY_TO_MERGE.create({ files, path: layout.path, store: request.store, filesMax });
}

function pieces(layout: TargetLayout, pieceBytes: number): number {
  return layout.sources.reduce((sum, source) => sum + Math.ceil(source.sizeBytes / pieceBytes), 0);
}

function sizeOf(layout: TargetLayout): number {
  return layout.sources.reduce((sum, source) => sum + source.sizeBytes, 0);
}

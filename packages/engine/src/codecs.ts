import { isCuttable, isWritableCompression, type SourceCodec } from '@dmg/formats';
import type { Compression, CopyActivity, DataFormat, SourceObject } from '@dmg/model';
import { copyBehaviorOf } from './copy-behavior.ts';
import { engineErrors } from './errors.ts';
import { negotiate } from './negotiation.ts';
import { archiveEntryOf } from './zip-source.ts';

/** What has to be undone at the source and done at the sink. Both absent: bytes are what they are. */
export interface CopyCodecs {
  readonly source: Compression | undefined;
  readonly sink: Compression | undefined;
}

const none: CopyCodecs = { source: undefined, sink: undefined };

/**
 * Files are decompressed and compressed only where something changes: copied byte for byte, with the same compression at both ends,
 * they stay as they are. Throws `COMPRESSION_NOT_WRITTEN` where files would have to be written with a compression that is only read.
 */
export function codecsOf(activity: CopyActivity): CopyCodecs {
  const source = compressionOf(activity.source.format);
  const sink = compressionOf(activity.sink.format);
  if (source === undefined && sink === undefined) return none;
  if (source?.type === sink?.type && negotiate(activity) === 'bytes' && isMergeable(activity, source)) return none;
  if (sink !== undefined && !isWritableCompression(sink)) throw engineErrors.COMPRESSION_NOT_WRITTEN.create({ compression: sink.type });
  return { source, sink };
}

/** How the bytes of one source of the copy are compressed. */
export function sourceCodecOf({ source }: CopyCodecs, object: SourceObject): SourceCodec | undefined {
  if (source === undefined) return undefined;
  if (source.type !== 'zipDeflate') return { type: source.type };
  const { stored, crc, contentBytes } = archiveEntryOf(object);
  return { type: 'zipEntry', stored, crc, contentBytes };
}

/** A file that is one chunk cannot be continued by another attempt: only what cannot be cut is written so. */
export function isOneChunk({ sink }: CopyCodecs): boolean {
  return sink !== undefined && !isCuttable(sink);
}

function compressionOf(format: DataFormat): Compression | undefined {
  return 'compression' in format ? format.compression : undefined;
}

/** Files laid end to end are one file of the same compression. */
function isMergeable(activity: CopyActivity, compression: Compression | undefined): boolean {
  return copyBehaviorOf(activity) !== 'MergeFiles' || compression?.type === 'gzip' || compression?.type === 'bzip2';
}

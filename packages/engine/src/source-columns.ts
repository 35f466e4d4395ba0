import { createHeaderReader } from '@dmg/formats';
import type { DelimitedTextFormat, SourceObject } from '@dmg/model';

/** Columns of a text file. */
export interface SourceColumns {
  /** Undefined without a header row. */
  readonly names: readonly string[] | undefined;
  /** 0 where the file is empty. */
  readonly count: number;
}

/** Size of the pieces in which a header is read; the whole header need not fit into one. */
export const headerBytes = 64 * 1024;

/** Reads the columns of a file from its beginning, with `read`, which gives exactly so many bytes from a position on. */
export async function readSourceColumns(
  object: SourceObject, format: DelimitedTextFormat, read: (position: number, bytes: number) => Promise<Uint8Array>,
): Promise<SourceColumns> {
  const reader = createHeaderReader(format, object.path);
  for (let position = 0, done = false; !done; position += headerBytes) {
    const bytes = Math.min(headerBytes, Math.max(0, object.sizeBytes - position));
    const block = await read(position, bytes);
    const atEnd = position + bytes >= object.sizeBytes;
    done = reader.push(block, atEnd) || atEnd;
  }
  return { names: reader.header, count: reader.columnCount };
}

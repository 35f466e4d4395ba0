import { type AddedColumn, createDecompressor, createHeaderReader, type HeaderReader, type SourceCodec } from '@dmg/formats';
import type { RowFormat, SourceObject, Translator } from '@dmg/model';

/** Columns of a text file. */
export interface SourceColumns {
  /** Undefined without a header row. */
  readonly names: readonly string[] | undefined;
  /** 0 where the file is empty. */
  readonly count: number;
  /** JSON: whether the file is one array. */
  readonly inArray?: boolean;
  /** Where rows begin: behind the header, or behind the first row where there is no header. */
  readonly position: number;
}

/** What the columns of JSON depend on besides the file. */
export interface ColumnEnds {
  readonly sink?: RowFormat;
  readonly translator?: Translator;
  readonly added?: readonly AddedColumn[];
}

/** Size of the pieces in which a header is read; the whole header need not fit into one. */
export const headerBytes = 64 * 1024;

/** Gives exactly so many bytes of a file from a position on. */
type ReadBytes = (position: number, bytes: number) => Promise<Uint8Array>;

/** Reads the columns of a file from its beginning, or of what it holds when it is decompressed. */
export async function readSourceColumns(
  object: SourceObject, format: RowFormat, read: ReadBytes, options: { codec?: SourceCodec | undefined; ends?: ColumnEnds } = {},
): Promise<SourceColumns> {
  const reader = createHeaderReader(format, object.path, options.ends);
  if (options.codec !== undefined) return readContentColumns(object, reader, read, options.codec);
  for (let position = 0, done = false; !done; position += headerBytes) {
    const bytes = Math.min(headerBytes, Math.max(0, object.sizeBytes - position));
    const block = await read(position, bytes);
    const atEnd = position + bytes >= object.sizeBytes;
    done = reader.push(block, atEnd) || atEnd;
  }
  return columnsIn(reader);
}

async function readContentColumns(
  object: SourceObject, reader: HeaderReader, read: ReadBytes, codec: SourceCodec,
): Promise<SourceColumns> {
  let position = 0;
  const decompressor = createDecompressor({
    codec,
    fileName: object.path,
    read: async () => {
      const bytes = Math.min(headerBytes, object.sizeBytes - position);
      if (bytes <= 0) return undefined;
      const block = await read(position, bytes);
      position += bytes;
      return block;
    },
  });
  try {
    for (let done = false; !done;) {
      const block = await decompressor.next();
      done = reader.push(block ?? new Uint8Array(0), block === undefined) || block === undefined;
    }
  } finally {
    decompressor.close();
  }
  return columnsIn(reader);
}

function columnsIn({ header, columnCount, inArray, position }: HeaderReader): SourceColumns {
  return { names: header, count: columnCount, ...(inArray === undefined ? {} : { inArray }), position };
}

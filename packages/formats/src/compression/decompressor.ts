import { type Bzip2Options, Bzip2Decompressor } from './bzip2-decompressor.ts';
import { DeflateDecompressor } from './deflate-decompressor.ts';
import { GzipDecompressor } from './gzip-decompressor.ts';
import { InputCursor, type ReadBlock } from './input-cursor.ts';
import { ZipEntryDecompressor } from './zip-entry-decompressor.ts';

/** How the bytes of one file are compressed. */
export type SourceCodec =
  | { readonly type: 'gzip' | 'deflate' | 'bzip2' }
  | {
    readonly type: 'zipEntry';
    readonly stored: boolean;
    readonly crc: number;
    /** What it holds when it is decompressed. */
    readonly contentBytes: number;
  };

/** What a compressed file holds, from its beginning to its end, in blocks of at most 1 MiB. */
export interface Decompressor {
  /**
   * The next bytes; undefined at the end. Every block is memory of its own. Throws `DMG_FORMATS_COMPRESSION_INVALID` or
   * `_COMPRESSION_TRUNCATED` with the place in the compressed file; what stood before it was given already.
   */
  next(): Promise<Uint8Array | undefined>;
  /** Ends the decompression, also in its middle. */
  close(): void;
}

export interface DecompressorOptions extends Pick<Bzip2Options, 'pause'> {
  readonly codec: SourceCodec;
  /** For errors. */
  readonly fileName: string;
  readonly read: ReadBlock;
}

/** Decompresses a file whose bytes `read` gives from the first on. A file without a byte holds nothing. */
export function createDecompressor({ codec, fileName, read, pause }: DecompressorOptions): Decompressor {
  const input = new InputCursor(read);
  switch (codec.type) {
    case 'gzip': return new GzipDecompressor({ input, fileName });
    case 'deflate': return new DeflateDecompressor({ input, fileName });
    case 'bzip2': return new Bzip2Decompressor({ input, fileName, pause });
    case 'zipEntry': return new ZipEntryDecompressor({ input, fileName, codec });
  }
}

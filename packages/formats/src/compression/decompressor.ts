import { type Bzip2Options, Bzip2Decompressor } from './bzip2-decompressor.ts';
import { DeflateDecompressor } from './deflate-decompressor.ts';
import type { Decompressor, SourceCodec } from './decompressor-types.ts';
import { GzipDecompressor } from './gzip-decompressor.ts';
import { InputCursor, type ReadBlock } from './input-cursor.ts';
import { ZipEntryDecompressor } from './zip-entry-decompressor.ts';

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

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

import { crc32 } from 'node:zlib';
import type { Compression } from '@dmg/model';
import { Deflater, type Emit } from './deflater.ts';
import { type ZipEntryHead, zipEntryHead, zipTail } from './zip-writer.ts';

/** Makes the compressed bytes of one chunk of a file. */
export interface Compressor {
  /** `bytes` may be reused when the promise has resolved. */
  push(bytes: Uint8Array, emit: Emit): Promise<void>;
  /** All bytes of the chunk were pushed. */
  finish(emit: Emit): Promise<void>;
  /** Ends the compression, also in its middle. */
  close(): void;
}

export interface CompressorOptions {
  readonly compression: Compression;
  /** From 0. The bytes of all chunks of a file, in order, are the compressed file. */
  readonly chunk: number;
  /** The file ends with this chunk. Known when the chunk ends. */
  readonly isLast: () => boolean;
  /** The one file of an archive. */
  readonly entry: ZipEntryHead;
}

/** Compressions whose files can be written in chunks that know nothing of each other. */
export function isCuttable({ type }: Compression): boolean {
  return type !== 'zipDeflate';
}

export function isWritableCompression({ type }: Compression): boolean {
  return type !== 'bzip2';
}

/**
 * gzip: each chunk is a member, and a file is as many members as it has chunks (RFC 1952, 2.2). deflate: bare (RFC 1951), each chunk
 * ends in an empty block at a byte and refers to nothing before it; the last one ends the stream. ZipDeflate: an archive with one
 * file, whose checksum is that of the whole, so that it is a single chunk.
 */
export function createCompressor(options: CompressorOptions): Compressor {
  switch (options.compression.type) {
    case 'gzip': return new GzipMember(options);
    case 'deflate': return new DeflatePiece(options);
    case 'zipDeflate': return new ZipArchive(options);
    case 'bzip2': throw new TypeError('bzip2 is not written');
  }
}

class GzipMember implements Compressor {
  readonly #options: CompressorOptions;
  readonly #deflater: Deflater;
  #isEmpty = true;

  constructor(options: CompressorOptions) {
    this.#options = options;
    this.#deflater = new Deflater('gzip', options.compression.level);
  }

  push(bytes: Uint8Array, emit: Emit): Promise<void> {
    if (bytes.length > 0) this.#isEmpty = false;
    return this.#deflater.push(bytes, emit);
  }

  async finish(emit: Emit): Promise<void> {
    // An empty file is an empty member; behind others it would say nothing.
    if (!this.#isEmpty || this.#options.chunk === 0) await this.#deflater.finish(emit);
  }

  close(): void {
    this.#deflater.close();
  }
}

class DeflatePiece implements Compressor {
  readonly #options: CompressorOptions;
  readonly #deflater: Deflater;

  constructor(options: CompressorOptions) {
    this.#options = options;
    this.#deflater = new Deflater('raw', options.compression.level);
  }

  push(bytes: Uint8Array, emit: Emit): Promise<void> {
    return this.#deflater.push(bytes, emit);
  }

  finish(emit: Emit): Promise<void> {
    return this.#options.isLast() ? this.#deflater.finish(emit) : this.#deflater.flush(emit);
  }

  close(): void {
    this.#deflater.close();
  }
}

class ZipArchive implements Compressor {
  readonly #entry: ZipEntryHead;
  readonly #deflater: Deflater;
  #head: Uint8Array | undefined;
  #crc = 0;
  #contentBytes = 0;
  #compressedBytes = 0;

  constructor({ compression, entry }: CompressorOptions) {
    this.#entry = entry;
    this.#head = zipEntryHead(entry);
    this.#deflater = new Deflater('raw', compression.level);
  }

  async push(bytes: Uint8Array, emit: Emit): Promise<void> {
    await this.#begin(emit);
    this.#crc = crc32(bytes, this.#crc);
    this.#contentBytes += bytes.length;
    await this.#deflater.push(bytes, this.#counting(emit));
  }

  async finish(emit: Emit): Promise<void> {
    await this.#begin(emit);
    await this.#deflater.finish(this.#counting(emit));
    await emit(zipTail(this.#entry, { crc: this.#crc, contentBytes: this.#contentBytes, compressedBytes: this.#compressedBytes }));
  }

  close(): void {
    this.#deflater.close();
  }

  async #begin(emit: Emit): Promise<void> {
    const head = this.#head;
    this.#head = undefined;
    if (head !== undefined) await emit(head);
  }

  #counting(emit: Emit): Emit {
    return (bytes) => {
      this.#compressedBytes += bytes.length;
      return emit(bytes);
    };
  }
}

import { createDecompressor, type Decompressor, type SourceCodec } from '@dmg/formats';
import { engineErrors } from './errors.ts';
import type { BlockReader, SourceBlock } from './source-reader.ts';

/**
 * What was given stays at hand for so long: whoever looks for the end of a row goes back a little. Further back everything is
 * decompressed again from the beginning.
 */
const keptBytes = 1024 * 1024;

export interface ContentReaderOptions {
  /** The compressed file, at its beginning. */
  readonly file: BlockReader;
  readonly fileName: string;
  readonly codec: SourceCodec;
  /** Where reading begins, in what the file holds. */
  readonly position: number;
  /** Most that the file may hold. */
  readonly extentBytes: number;
  readonly signal: AbortSignal;
}

interface KeptBlock {
  readonly start: number;
  readonly bytes: Uint8Array;
}

/** Reads what a compressed file holds, in blocks of at most 256 KiB: positions count what comes out, not what is in the file. */
export class ContentReader implements BlockReader {
  readonly #options: ContentReaderOptions;
  #decompressor: Decompressor;
  #kept: KeptBlock[] = [];
  /** The reader's position, and how far the content was decompressed. */
  #position: number;
  #reached = 0;
  #ended = false;
  /** The file's block that is being decompressed. */
  #taken: SourceBlock | undefined;

  constructor(options: ContentReaderOptions) {
    this.#options = options;
    this.#position = options.position;
    this.#decompressor = this.#open();
  }

  /** Position of the end of the content, once it was given out. */
  get contentEnd(): number | undefined {
    return this.#ended ? this.#reached : undefined;
  }

  async block(): Promise<SourceBlock> {
    const oldest = this.#kept[0]?.start ?? this.#reached;
    if (this.#position < oldest) await this.#restart();
    for (;;) {
      const kept = this.#kept.find(({ start, bytes }) => this.#position >= start && this.#position < start + bytes.length);
      if (kept !== undefined) {
        return { bytes: kept.bytes.subarray(this.#position - kept.start), end: kept.start + kept.bytes.length, atEnd: false };
      }
      if (this.#ended) {
        if (this.#position > this.#reached) throw this.#shorter();
        return { bytes: new Uint8Array(0), end: this.#reached, atEnd: true };
      }
      await this.#decompress();
    }
  }

  moveTo(position: number): Promise<void> {
    this.#position = position;
    return Promise.resolve();
  }

  async close(reason: unknown): Promise<void> {
    this.#decompressor.close();
    await this.#options.file.close(reason);
  }

  async #decompress(): Promise<void> {
    const { extentBytes, fileName, signal } = this.#options;
    signal.throwIfAborted();
    const bytes = await this.#decompressor.next();
    if (bytes === undefined) {
      this.#ended = true;
      return;
    }
    this.#kept.push({ start: this.#reached, bytes });
    this.#reached += bytes.length;
    if (this.#reached > extentBytes) throw engineErrors.CONTENT_TOO_LARGE.create({ path: fileName, limitBytes: extentBytes });
    let length = this.#kept.reduce((sum, kept) => sum + kept.bytes.length, 0);
    while (length > keptBytes && this.#kept.length > 1) length -= this.#kept.shift()?.bytes.length ?? 0;
  }

  async #restart(): Promise<void> {
    this.#decompressor.close();
    await this.#options.file.moveTo(0);
    this.#taken = undefined;
    this.#kept = [];
    this.#reached = 0;
    this.#ended = false;
    this.#decompressor = this.#open();
  }

  #open(): Decompressor {
    const { file, fileName, codec } = this.#options;
    return createDecompressor({
      codec,
      fileName,
      read: async () => {
        const before = this.#taken;
        if (before?.atEnd === true) return undefined;
        if (before !== undefined) await file.moveTo(before.end);
        const block = await file.block();
        this.#taken = block;
        return block.bytes.length === 0 ? undefined : block.bytes;
      },
      pause: () => new Promise((resolve) => setImmediate(resolve)),
    });
  }

  /** What was marked before went further: the file is not the one that it was. */
  #shorter(): Error {
    return engineErrors.CONTENT_SHORTER.create({ path: this.#options.fileName, position: this.#position, contentBytes: this.#reached });
  }
}

import { formatErrors } from '../errors.ts';
import { type BlockBits, Bzip2Fault, readBlock } from './bzip2-block.ts';
import { Bzip2Text } from './bzip2-text.ts';
import type { Decompressor } from './decompressor-types.ts';
import type { InputCursor } from './input-cursor.ts';

const outputBytes = 256 * 1024;
const blockMagic = 0x314159265359;
const endMagic = 0x177245385090;
/** What a block of the largest size can take at most when it is compressed: bzip2 says a hundredth and 600 bytes more. */
const blockBytesMax = 1024 * 1024;

export interface Bzip2Options {
  readonly input: InputCursor;
  readonly fileName: string;
  /** Called between blocks, each of which takes the thread for some 50 ms. */
  readonly pause?: (() => Promise<void>) | undefined;
}

class EndOfBytes extends Error {}

/** The bits that are in memory, from any bit on. */
class MemoryBits implements BlockBits {
  bytes: Uint8Array = new Uint8Array(0);
  /** In bits. */
  position = 0;

  bits(count: number): number {
    const value = this.peek(count);
    this.skip(count);
    return value;
  }

  peek(count: number): number {
    const { bytes } = this;
    const index = this.position >>> 3;
    const word = ((bytes[index] ?? 0) << 24) | ((bytes[index + 1] ?? 0) << 16) | ((bytes[index + 2] ?? 0) << 8) | (bytes[index + 3] ?? 0);
    return (word << (this.position & 7)) >>> (32 - count);
  }

  skip(count: number): void {
    const position = this.position + count;
    if (position > this.bytes.length * 8) throw new EndOfBytes('the bytes in memory have ended');
    this.position = position;
  }
}

/**
 * Reads bzip2: streams one after the other, each of blocks with a checksum. No library for it on the registry is kept up and says
 * where in the file an error lies, and the format has not changed since 1996. Memory: 4 bytes for each byte of a block (at most 3.6 MB).
 */
export class Bzip2Decompressor implements Decompressor {
  readonly #options: Bzip2Options;
  readonly #bits = new MemoryBits();
  /** Position in the file of `#bits.bytes`. */
  #base = 0;
  #inputEnded = false;
  #column: Uint32Array | undefined;
  #streamCrc = 0;
  #text: { text: Bzip2Text; crc: number; position: number } | undefined;
  #closed = false;

  constructor(options: Bzip2Options) {
    this.#options = options;
  }

  async next(): Promise<Uint8Array | undefined> {
    while (!this.#closed) {
      if (this.#text === undefined && !await this.#nextBlock()) return undefined;
      const reading = this.#text;
      if (reading === undefined) continue;
      const target = new Uint8Array(outputBytes);
      const count = reading.text.read(target);
      if (count > 0) return target.subarray(0, count);
      if (reading.text.crc !== reading.crc) throw this.#invalid('the checksum of a block differs', reading.position);
      this.#streamCrc = ((this.#streamCrc << 1 | this.#streamCrc >>> 31) ^ reading.crc) >>> 0;
      this.#text = undefined;
      await this.#options.pause?.();
    }
    return undefined;
  }

  close(): void {
    this.#closed = true;
  }

  /** Goes on to the next block; false at the end of the file. */
  async #nextBlock(): Promise<boolean> {
    for (;;) {
      if (this.#column === undefined) {
        if (!await this.#readStreamHeader()) return false;
        continue;
      }
      const position = this.#position();
      const magic = await this.#attempt((bits) => bits.bits(24) * 2 ** 24 + bits.bits(24));
      if (magic === endMagic) {
        const crc = await this.#attempt((bits) => (bits.bits(16) * 65536 + bits.bits(16)) >>> 0);
        if (crc !== this.#streamCrc) throw this.#invalid('the checksum of its content differs', position);
        this.#bits.position = Math.ceil(this.#bits.position / 8) * 8;
        this.#column = undefined;
        continue;
      }
      if (magic !== blockMagic) throw this.#invalid('no block begins where one is expected', position);
      const column = this.#column;
      const block = await this.#attempt((bits) => readBlock(bits, column), blockBytesMax);
      this.#text = { text: new Bzip2Text(block), crc: block.crc, position };
      return true;
    }
  }

  async #readStreamHeader(): Promise<boolean> {
    const position = this.#position();
    await this.#fill(4);
    if (this.#remaining() === 0) return false;
    const [b, z, h] = [0, 1, 2].map((index) => this.#bits.bytes[this.#bits.position / 8 + index]);
    if (b !== 0x42 || (z ?? 0x5a) !== 0x5a || (h ?? 0x68) !== 0x68) {
      throw this.#invalid(position === 0 ? 'it does not begin like a bzip2 file' : 'what follows its data is not bzip2', position);
    }
    const level = await this.#attempt((bits) => {
      bits.bits(24);
      return bits.bits(8) - 0x30;
    });
    if (level < 1 || level > 9) throw this.#invalid('the size of its blocks is not known', position);
    this.#column = new Uint32Array(level * 100_000);
    this.#streamCrc = 0;
    return true;
  }

  /** Works on the bits at hand; when they end too early, gets more and begins again. */
  async #attempt<T>(work: (bits: BlockBits) => T, first = 64): Promise<T> {
    for (let wanted = first; ;) {
      await this.#fill(wanted);
      const start = this.#bits.position;
      try {
        return work(this.#bits);
      } catch (error) {
        const position = this.#position();
        if (error instanceof Bzip2Fault) throw this.#invalid(error.message, position);
        if (!(error instanceof EndOfBytes)) throw error;
        if (this.#inputEnded) throw this.#truncated();
        if (this.#remaining(start) > blockBytesMax) throw this.#invalid('a block does not end', position);
        this.#bits.position = start;
        wanted = Math.max(64 * 1024, this.#remaining(start) * 2);
      }
    }
  }

  /** Sees to it that so many bytes from the position on are in memory, or all that the file has. */
  async #fill(bytes: number): Promise<void> {
    const { input } = this.#options;
    if (this.#inputEnded || this.#remaining() >= bytes) return;
    const used = this.#bits.position >>> 3;
    const kept: Uint8Array[] = [this.#bits.bytes.slice(used)];
    let length = this.#bits.bytes.length - used;
    while (length < bytes && !this.#inputEnded) {
      const taken = await input.take(Math.min((await input.rest()).length, blockBytesMax));
      if (taken.length === 0) this.#inputEnded = true;
      kept.push(taken);
      length += taken.length;
    }
    this.#bits.bytes = Buffer.concat(kept);
    this.#base += used;
    this.#bits.position &= 7;
  }

  #remaining(fromBit: number = this.#bits.position): number {
    return this.#bits.bytes.length - (fromBit >>> 3);
  }

  #position(): number {
    return this.#base + (this.#bits.position >>> 3);
  }

  #invalid(reason: string, position: number): Error {
    return formatErrors.COMPRESSION_INVALID.create({ file: this.#options.fileName, compression: 'bzip2', position, reason });
  }

  #truncated(): Error {
    const position = this.#base + this.#bits.bytes.length;
    return formatErrors.COMPRESSION_TRUNCATED.create({ file: this.#options.fileName, compression: 'bzip2', position });
  }
}

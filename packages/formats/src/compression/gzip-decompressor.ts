import { crc32 } from 'node:zlib';
import { formatErrors } from '../errors.ts';
import type { Decompressor } from './decompressor-types.ts';
import { Inflater } from './inflater.ts';
import type { InputCursor } from './input-cursor.ts';

const flags = { headerCrc: 2, extra: 4, name: 8, comment: 16, reserved: 0xe0 };
/** Most that a member's header may hold: names and comments end with a zero byte, which may never come. */
const headerBytesMax = 1024 * 1024;

/** Reads gzip (RFC 1952): one member after the other, each with its checksum, and nothing behind the last. */
export class GzipDecompressor implements Decompressor {
  readonly #input: InputCursor;
  readonly #fileName: string;
  #member: { inflater: Inflater; crc: number; bytes: number } | undefined;

  constructor(options: { input: InputCursor; fileName: string }) {
    this.#input = options.input;
    this.#fileName = options.fileName;
  }

  async next(): Promise<Uint8Array | undefined> {
    for (;;) {
      if (this.#member === undefined) {
        if ((await this.#input.rest()).length === 0) return undefined;
        await this.#readHeader();
        const inflater = new Inflater({ input: this.#input, fileName: this.#fileName, compression: 'gzip' });
        this.#member = { inflater, crc: 0, bytes: 0 };
      }
      const member = this.#member;
      const block = await member.inflater.next();
      if (block !== undefined) {
        member.crc = crc32(block, member.crc);
        member.bytes += block.length;
        return block;
      }
      await this.#readTrailer(member);
      member.inflater.close();
      this.#member = undefined;
    }
  }

  close(): void {
    this.#member?.inflater.close();
  }

  async #readHeader(): Promise<void> {
    const { position } = this.#input;
    const fixed = await this.#input.take(10);
    const isMagic = fixed[0] === 0x1f && (fixed.length < 2 || fixed[1] === 0x8b);
    if (!isMagic) {
      throw this.#invalid(position, position === 0 ? 'it does not begin like a gzip file' : 'what follows its data is not gzip');
    }
    if (fixed.length < 10) throw this.#truncated();
    if (fixed[2] !== 8) throw this.#invalid(position, `the compression method ${fixed[2]} is not known`);
    const flag = fixed[3] ?? 0;
    if ((flag & flags.reserved) !== 0) throw this.#invalid(position, 'its header has flags that are not known');
    if ((flag & flags.extra) !== 0) {
      const length = await this.#take(2);
      await this.#take(length.readUInt16LE());
    }
    if ((flag & flags.name) !== 0) await this.#skipText(position);
    if ((flag & flags.comment) !== 0) await this.#skipText(position);
    if ((flag & flags.headerCrc) !== 0) await this.#take(2);
  }

  async #skipText(start: number): Promise<void> {
    for (;;) {
      const byte = await this.#input.byte();
      if (byte === undefined) throw this.#truncated();
      if (byte === 0) return;
      if (this.#input.position - start > headerBytesMax) throw this.#invalid(start, `its header is longer than ${headerBytesMax} bytes`);
    }
  }

  async #readTrailer(member: { crc: number; bytes: number }): Promise<void> {
    const { position } = this.#input;
    const trailer = await this.#take(8);
    if (trailer.readUInt32LE(0) !== member.crc) throw this.#invalid(position, 'the checksum of its content differs');
    if (trailer.readUInt32LE(4) !== member.bytes % 2 ** 32) throw this.#invalid(position + 4, 'the length of its content differs');
  }

  async #take(count: number): Promise<Buffer> {
    const taken = await this.#input.take(count);
    if (taken.length < count) throw this.#truncated();
    return taken;
  }

  #invalid(position: number, reason: string): Error {
    return formatErrors.COMPRESSION_INVALID.create({ file: this.#fileName, compression: 'gzip', position, reason });
  }

  #truncated(): Error {
    return formatErrors.COMPRESSION_TRUNCATED.create({ file: this.#fileName, compression: 'gzip', position: this.#input.position });
  }
}

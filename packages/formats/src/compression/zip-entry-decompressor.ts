import { crc32 } from 'node:zlib';
import { formatErrors } from '../errors.ts';
import type { Decompressor, SourceCodec } from './decompressor-types.ts';
import { Inflater } from './inflater.ts';
import type { InputCursor } from './input-cursor.ts';

/** Largest block of a stored entry that is given on. */
const storedBytesMax = 256 * 1024;

/** Reads one file of an archive, from the bytes behind its local header, and checks what the archive's directory says of it. */
export class ZipEntryDecompressor implements Decompressor {
  readonly #input: InputCursor;
  readonly #fileName: string;
  readonly #codec: SourceCodec & { type: 'zipEntry' };
  readonly #inflater: Inflater | undefined;
  #crc = 0;
  #bytes = 0;

  constructor(options: { input: InputCursor; fileName: string; codec: SourceCodec & { type: 'zipEntry' } }) {
    this.#input = options.input;
    this.#fileName = options.fileName;
    this.#codec = options.codec;
    if (!options.codec.stored) {
      this.#inflater = new Inflater({ input: options.input, fileName: options.fileName, compression: 'ZipDeflate' });
    }
  }

  async next(): Promise<Uint8Array | undefined> {
    const block = this.#inflater === undefined ? await this.#stored() : await this.#inflater.next();
    if (block !== undefined) {
      this.#crc = crc32(block, this.#crc);
      this.#bytes += block.length;
      if (this.#bytes > this.#codec.contentBytes) throw this.#invalid('it holds more bytes than the directory of its archive says');
      return block;
    }
    if ((await this.#input.rest()).length > 0) throw this.#invalid('bytes follow the end of its data');
    if (this.#bytes !== this.#codec.contentBytes) throw this.#invalid('it holds fewer bytes than the directory of its archive says');
    if (this.#crc !== this.#codec.crc) throw this.#invalid('its checksum is not that of the directory of its archive');
    return undefined;
  }

  close(): void {
    this.#inflater?.close();
  }

  async #stored(): Promise<Uint8Array | undefined> {
    const block = await this.#input.take(Math.min(storedBytesMax, (await this.#input.rest()).length));
    return block.length === 0 ? undefined : block;
  }

  #invalid(reason: string): Error {
    return formatErrors.COMPRESSION_INVALID.create({
      file: this.#fileName, compression: 'ZipDeflate', position: this.#input.position, reason,
    });
  }
}

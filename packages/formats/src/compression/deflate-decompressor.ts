import { formatErrors } from '../errors.ts';
import type { Decompressor } from './decompressor-types.ts';
import { Inflater } from './inflater.ts';
import type { InputCursor } from './input-cursor.ts';

/**
 * Reads deflate, bare (RFC 1951, what .NET's `DeflateStream` and Data Factory write) or as zlib (RFC 1950), whichever stands there. A
 * zlib header read as bare deflate would be a stored block with padding that is not zero, which nobody writes.
 */
export class DeflateDecompressor implements Decompressor {
  readonly #input: InputCursor;
  readonly #fileName: string;
  #inflater: Inflater | undefined;

  constructor(options: { input: InputCursor; fileName: string }) {
    this.#input = options.input;
    this.#fileName = options.fileName;
  }

  async next(): Promise<Uint8Array | undefined> {
    if (this.#inflater === undefined) {
      const begin = await this.#input.rest();
      if (begin.length === 0) return undefined;
      this.#inflater = new Inflater({
        input: this.#input, fileName: this.#fileName, compression: 'deflate', wrapped: isZlib(begin),
      });
    }
    const block = await this.#inflater.next();
    if (block !== undefined) return block;
    if ((await this.#input.rest()).length === 0) return undefined;
    throw formatErrors.COMPRESSION_INVALID.create({
      file: this.#fileName, compression: 'deflate', position: this.#input.position, reason: 'bytes follow the end of its data',
    });
  }

  close(): void {
    this.#inflater?.close();
  }
}

/** Blocks may be as short as a byte: the first one decides then, by the method and window that zlib's header names. */
function isZlib([first = 0, second]: Uint8Array): boolean {
  if ((first & 0x0f) !== 8 || first >> 4 > 7) return false;
  return second === undefined || (first * 256 + second) % 31 === 0;
}

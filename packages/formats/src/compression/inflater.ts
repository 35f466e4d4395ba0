import { createInflate, createInflateRaw, type Inflate, type InflateRaw } from 'node:zlib';
import { formatErrors } from '../errors.ts';
import type { InputCursor } from './input-cursor.ts';

/** Bytes that are handed to zlib at once: an error is known to lie within them. */
const sliceBytes = 64 * 1024;
/** Size of the blocks that come out: however much a slice becomes, no more is made before these are taken. */
const outputBytes = 128 * 1024;

export interface InflaterOptions {
  readonly input: InputCursor;
  readonly fileName: string;
  /** `zlib`: with header and checksum around it (RFC 1950); else bare deflate (RFC 1951). */
  readonly wrapped?: boolean;
  /** Name of the compression, for errors. */
  readonly compression: string;
}

/** Decompresses one deflate stream on zlib's own threads. What stands behind the stream is left in the input. */
export class Inflater {
  readonly #options: InflaterOptions;
  readonly #stream: Inflate | InflateRaw;
  #wake = Promise.withResolvers<undefined>();
  #failure: Error | undefined;
  #ended = false;
  #writing = false;
  #flushing = false;
  /** Bytes that the input has been moved over. */
  #counted = 0;

  constructor(options: InflaterOptions) {
    this.#options = options;
    const settings = { chunkSize: outputBytes };
    this.#stream = options.wrapped === true ? createInflate(settings) : createInflateRaw(settings);
    this.#stream.on('readable', () => this.#awake());
    this.#stream.on('end', () => {
      this.#ended = true;
      this.#awake();
    });
    this.#stream.on('error', (error) => {
      this.#failure ??= error;
      this.#awake();
    });
  }

  /** The next bytes; undefined at the end of the stream. */
  async next(): Promise<Uint8Array | undefined> {
    for (;;) {
      const { promise } = this.#wake;
      if (this.#failure !== undefined) throw this.#error(this.#failure);
      const output: unknown = this.#stream.read();
      if (output instanceof Uint8Array) return output;
      if (this.#ended) {
        this.#count();
        return undefined;
      }
      if (!this.#writing && !this.#flushing) await this.#feed();
      await promise;
    }
  }

  close(): void {
    this.#stream.destroy();
  }

  async #feed(): Promise<void> {
    const slice = (await this.#options.input.rest()).subarray(0, sliceBytes);
    if (slice.length === 0) {
      this.#flushing = true;
      this.#stream.end();
      return;
    }
    this.#writing = true;
    this.#stream.write(slice, () => {
      this.#writing = false;
      this.#count();
      this.#awake();
    });
  }

  /** Moves the input over what zlib has used up. */
  #count(): void {
    const used = this.#stream.bytesWritten - this.#counted;
    if (used === 0) return;
    this.#counted += used;
    this.#options.input.skip(used);
  }

  #awake(): void {
    this.#wake.resolve(undefined);
    this.#wake = Promise.withResolvers();
  }

  #error(failure: Error): Error {
    const { input, fileName: file, compression } = this.#options;
    const { position } = input;
    if (this.#flushing) return formatErrors.COMPRESSION_TRUNCATED.create({ file, compression, position }, { cause: failure });
    return formatErrors.COMPRESSION_INVALID.create(
      { file, compression, position, reason: `${failure.message}, noticed in the ${sliceBytes} bytes from there on` }, { cause: failure },
    );
  }
}

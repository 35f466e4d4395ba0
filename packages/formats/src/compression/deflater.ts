import { constants, createDeflateRaw, createGzip, type DeflateRaw, type Gzip } from 'node:zlib';

/** Takes compressed bytes, which are the receiver's own. */
export type Emit = (bytes: Uint8Array) => Promise<void>;

const outputBytes = 64 * 1024;
/** What .NET's `Optimal` and `Fastest` are in zlib. */
const levels = { Optimal: 6, Fastest: 1 };

/** Compresses on zlib's own threads, as one gzip member or as bare deflate. */
export class Deflater {
  readonly #stream: DeflateRaw | Gzip;
  #wake = Promise.withResolvers<undefined>();
  #failure: Error | undefined;
  #ended = false;

  constructor(kind: 'gzip' | 'raw', level: keyof typeof levels) {
    const options = { level: levels[level], chunkSize: outputBytes };
    this.#stream = kind === 'gzip' ? createGzip(options) : createDeflateRaw(options);
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

  /** `bytes` may be reused when the promise has resolved. */
  push(bytes: Uint8Array, emit: Emit): Promise<void> {
    return bytes.length === 0 ? Promise.resolve() : this.#until((done) => this.#stream.write(bytes, done), emit);
  }

  /** Ends at a byte with nothing left behind, so that another deflate stream can go on from there. */
  flush(emit: Emit): Promise<void> {
    return this.#until((done) => this.#stream.flush(constants.Z_SYNC_FLUSH, done), emit);
  }

  async finish(emit: Emit): Promise<void> {
    this.#stream.end();
    await this.#drain(() => this.#ended, emit);
  }

  close(): void {
    this.#stream.destroy();
  }

  async #until(start: (done: () => void) => void, emit: Emit): Promise<void> {
    let isDone = false;
    start(() => {
      isDone = true;
      this.#awake();
    });
    await this.#drain(() => isDone, emit);
  }

  async #drain(isDone: () => boolean, emit: Emit): Promise<void> {
    for (;;) {
      const { promise } = this.#wake;
      if (this.#failure !== undefined) throw this.#failure;
      const output: unknown = this.#stream.read();
      if (output instanceof Uint8Array) await emit(output);
      else if (isDone()) return;
      else await promise;
    }
  }

  #awake(): void {
    this.#wake.resolve(undefined);
    this.#wake = Promise.withResolvers();
  }
}

import type { Duplex } from 'node:stream';
import type { Connection, Submittable } from 'pg';

const copyData = 0x64;
const copyDone = Uint8Array.of(0x63, 0, 0, 0, 4);

/**
 * `COPY … FROM STDIN`: bytes in, number of rows out. In contrast to a stream of the driver's, a write is over only when the socket has
 * taken all of its bytes, so that they may be reused, and nothing is buffered here.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY
 */
export class CopyIn implements Submittable {
  readonly #text: string;
  readonly #started = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<number>();
  #socket: Duplex | undefined;
  #failure: { readonly error: unknown } | undefined;
  #rows = 0;

  constructor(text: string) {
    this.#text = text;
    // Whoever waits for one of them is told; the other one has nobody who does.
    this.#started.promise.catch(() => undefined);
    this.#ended.promise.catch(() => undefined);
  }

  /** Resolves when the server is ready for data. */
  get started(): Promise<void> {
    return this.#started.promise;
  }

  /** Resolves when the socket has taken the bytes; rejects with the server's error as soon as one is known. */
  async write(bytes: Uint8Array): Promise<void> {
    const socket = this.#open();
    if (bytes.length === 0) return;
    const header = Buffer.allocUnsafe(5);
    header[0] = copyData;
    header.writeUInt32BE(bytes.length + 4, 1);
    const taken = new Promise<void>((resolve, reject) => {
      socket.cork();
      socket.write(header);
      socket.write(bytes, (error) => (error === null || error === undefined ? resolve() : reject(error)));
      socket.uncork();
    });
    try {
      await taken;
    } catch (error) {
      // What the server said before it closed the connection tells more.
      throw this.#failure === undefined ? error : this.#failure.error;
    }
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Ends the data; the number of rows that the server has stored. */
  async end(): Promise<number> {
    this.#open().write(copyDone);
    return this.#ended.promise;
  }

  submit(connection: Connection): void {
    this.#socket = connection.stream;
    connection.query(this.#text);
  }

  handleCopyInResponse(): void {
    this.#started.resolve();
  }

  handleCommandComplete(message: { readonly text?: string }): void {
    this.#rows = Number(/^COPY (\d+)/.exec(message.text ?? '')?.[1] ?? Number.NaN);
  }

  handleReadyForQuery(): void {
    this.#started.resolve();
    this.#ended.resolve(this.#rows);
  }

  handleError(error: unknown): void {
    this.#failure ??= { error };
    this.#started.reject(error);
    this.#ended.reject(error);
  }

  #open(): Duplex {
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#socket === undefined) throw new Error('COPY was not sent');
    return this.#socket;
  }
}

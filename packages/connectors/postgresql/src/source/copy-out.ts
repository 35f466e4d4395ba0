import type { Duplex } from 'node:stream';
import type { Connection } from 'pg';
import { isReusing } from '../reusing-socket.ts';

/** Code of a CopyData message. https://www.postgresql.org/docs/current/protocol-message-formats.html */
const copyData = 0x64;
/** Code and length, which counts itself but not the code. */
const headerBytes = 5;
const carriageReturn = Buffer.from('\r');

/** Bytes of a block that is handed out. */
const blockBytes = 256 * 1024;
/** One that the consumer has, one that is full, one that fills. */
const blocksMax = 3;

/** How rows end in what is handed out. */
export type RowEnd = '\n' | '\r\n';

/**
 * One `COPY … TO STDOUT` as a query of the driver. It takes the payload of CopyData messages from the socket's bytes into blocks,
 * without an object for each row, and hands all other messages to the driver's parser. While all blocks are full the socket is
 * paused, so that memory is bounded and the server waits.
 *
 * The server sends one row a message and ends it with a line feed, whatever stands in its values
 * (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY): other row ends cost no look at the text.
 */
export class CopyOut {
  readonly #sql: string;
  readonly #carriageReturns: boolean;
  /** The carriage return of the row at hand stands in the block. */
  #returned = false;
  readonly #onReady: () => void;
  #stream: Duplex | undefined;
  #parse: (bytes: Buffer) => void = () => undefined;
  #attached = false;
  readonly #header = Buffer.alloc(headerBytes);
  /** Bytes of the header of the message at hand that have come. */
  #headerDone = 0;
  /** Payload of the message at hand that is still to come. */
  #left = 0;
  #isData = false;
  /** What there was no room for when the socket was paused. */
  #rest: Buffer | undefined;
  #filling: Buffer | undefined;
  #filled = 0;
  #made = 0;
  readonly #full: Buffer[] = [];
  readonly #free: Buffer[] = [];
  #lent: Buffer | undefined;
  #ended = false;
  #error: Error | undefined;
  #wake: () => void = () => undefined;
  #rows = 0;
  #received = 0;

  /** `onReady` is called once, when the server has ended the statement and the session is free again; not after an error. */
  constructor(sql: string, rowEnd: RowEnd, onReady: () => void) {
    this.#sql = sql;
    this.#carriageReturns = rowEnd === '\r\n';
    this.#onReady = onReady;
  }

  /** Rows that the server counted; known at the end. */
  get rows(): number {
    return this.#rows;
  }

  /** Bytes that have come from the server so far: a sign of life. */
  get received(): number {
    return this.#received;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /**
   * The next block, `wait` when there is none yet, undefined at the end. It takes back the block that it gave before. Throws the
   * error of the server or the driver.
   */
  take(): Uint8Array | 'wait' | undefined {
    if (this.#lent !== undefined) {
      this.#free.push(this.#lent);
      this.#lent = undefined;
    }
    if (this.#error !== undefined) throw this.#error;
    this.#resume();
    const block = this.#full.shift();
    if (block !== undefined) {
      this.#lent = block;
      return block;
    }
    if (!this.#ended) return 'wait';
    const last = this.#filling?.subarray(0, this.#filled);
    this.#filling = undefined;
    this.#filled = 0;
    return last === undefined || last.length === 0 ? undefined : last;
  }

  /** Resolves when `take` should be asked again. */
  changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Called by the driver when the session is free for this statement. */
  submit(connection: Pick<Connection, 'stream' | 'query'>): void {
    const { stream } = connection;
    const parse = stream.listeners('data')[0];
    if (parse === undefined) throw new Error('the driver does not listen to its socket');
    this.#stream = stream;
    this.#parse = parse as (bytes: Buffer) => void;
    this.#attached = true;
    // Bytes are taken at once; what is kept or handed on is copied.
    if (isReusing(stream)) stream.sharesBlock = true;
    stream.on('data', this.#onData);
    stream.off('data', this.#parse);
    connection.query(this.#sql);
  }

  handleError(error: Error): void {
    this.#error ??= error;
    this.#detach();
    this.#wake();
  }

  handleCommandComplete(message: { text?: string }): void {
    const count = /^COPY (\d+)/.exec(message.text ?? '')?.[1];
    if (count !== undefined) this.#rows = Number(count);
  }

  handleReadyForQuery(): void {
    this.#ended = true;
    this.#detach();
    this.#onReady();
    this.#wake();
  }

  #detach(): void {
    if (!this.#attached) return;
    this.#attached = false;
    const stream = this.#stream;
    if (stream === undefined) return;
    if (isReusing(stream)) stream.sharesBlock = false;
    stream.on('data', this.#parse);
    stream.off('data', this.#onData);
  }

  readonly #onData = (bytes: Buffer): void => {
    this.#received += bytes.length;
    if (this.#rest === undefined) {
      this.#feed(bytes);
    } else {
      this.#rest = Buffer.concat([this.#rest, bytes]);
    }
  };

  /** Goes on where there was no room. */
  #resume(): void {
    const rest = this.#rest;
    if (rest === undefined) return;
    this.#rest = undefined;
    this.#feed(rest);
    if (this.#rest === undefined) this.#stream?.resume();
  }

  #feed(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      if (!this.#attached) {
        this.#parse(Buffer.from(bytes.subarray(at)));
        return;
      }
      if (this.#headerDone < headerBytes) {
        at = this.#readHeader(bytes, at);
      } else {
        const end = Math.min(bytes.length, at + this.#left);
        const taken = this.#isData ? this.#fillRow(bytes, at, end) : this.#forward(bytes.subarray(at, end));
        at += taken;
        this.#left -= taken;
        if (at < end) {
          this.#rest = Buffer.from(bytes.subarray(at));
          this.#stream?.pause();
          return;
        }
      }
      if (this.#left === 0 && this.#headerDone === headerBytes) this.#headerDone = 0;
    }
  }

  /** Takes what there is of a header and returns the offset behind it. */
  #readHeader(bytes: Buffer, at: number): number {
    let header: Buffer = this.#header;
    let offset = 0;
    let next: number;
    if (this.#headerDone === 0 && bytes.length - at >= headerBytes) {
      header = bytes;
      offset = at;
      next = at + headerBytes;
      this.#headerDone = headerBytes;
    } else {
      const count = Math.min(headerBytes - this.#headerDone, bytes.length - at);
      bytes.copy(header, this.#headerDone, at, at + count);
      this.#headerDone += count;
      next = at + count;
      if (this.#headerDone < headerBytes) return next;
    }
    this.#left = header.readUInt32BE(offset + 1) - 4;
    this.#isData = header[offset] === copyData;
    if (!this.#isData) this.#parse(Buffer.from(header.subarray(offset, offset + headerBytes)));
    return next;
  }

  #forward(bytes: Buffer): number {
    this.#parse(Buffer.from(bytes));
    return bytes.length;
  }

  /** As `#fill`; before the last byte of a row, its line feed, comes a carriage return where rows end so. */
  #fillRow(bytes: Buffer, at: number, end: number): number {
    if (!this.#carriageReturns || end - at < this.#left) return this.#fill(bytes, at, end);
    const last = end - 1;
    const taken = this.#fill(bytes, at, last);
    if (at + taken < last) return taken;
    if (!this.#returned && this.#fill(carriageReturn, 0, 1) === 0) return taken;
    this.#returned = true;
    if (this.#fill(bytes, last, end) === 0) return taken;
    this.#returned = false;
    return taken + 1;
  }

  /** Copies `bytes[at, end)` into blocks, as far as there is room, and returns how many bytes it took. */
  #fill(bytes: Buffer, at: number, end: number): number {
    let from = at;
    while (from < end) {
      this.#filling ??= this.#emptyBlock();
      if (this.#filling === undefined) break;
      const until = Math.min(end, from + blockBytes - this.#filled);
      if (until - from === 1) this.#filling[this.#filled] = bytes[from] as number;
      else bytes.copy(this.#filling, this.#filled, from, until);
      this.#filled += until - from;
      from = until;
      if (this.#filled === blockBytes) this.#passOn(this.#filling);
    }
    return from - at;
  }

  #passOn(block: Buffer): void {
    this.#full.push(block);
    this.#filling = undefined;
    this.#filled = 0;
    this.#wake();
  }

  #emptyBlock(): Buffer | undefined {
    const free = this.#free.pop();
    if (free !== undefined || this.#made === blocksMax) return free;
    this.#made++;
    return Buffer.allocUnsafeSlow(blockBytes);
  }
}

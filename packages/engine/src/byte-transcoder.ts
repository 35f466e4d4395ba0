import { crc32 } from 'node:zlib';
import type { RecordBoundary, Transcoder } from '@dmg/formats';

/** Passes bytes on as they are, up to a limit: for files that are compressed or decompressed and not looked into. */
export class ByteTranscoder implements Transcoder {
  readonly #limitPosition: number;
  #position: number;
  #memory: Uint8Array = new Uint8Array(0);
  #waiting: Uint8Array = new Uint8Array(0);
  #crc = 0;
  #atEnd = false;

  constructor(options: { startPosition: number; limitPosition: number }) {
    this.#position = options.startPosition;
    this.#limitPosition = options.limitPosition;
  }

  get finished(): boolean {
    return this.#atEnd || this.#position >= this.#limitPosition;
  }

  get pendingBytes(): number {
    return this.#waiting.length;
  }

  /** The hash is the CRC-32 of the bytes. */
  get boundary(): RecordBoundary {
    return { sourcePosition: this.#position, rows: 0, hash: this.#crc.toString(16).padStart(16, '0') };
  }

  push(block: Uint8Array, atEnd: boolean): void {
    const taken = block.subarray(0, Math.max(0, this.#limitPosition - this.#position));
    if (this.#memory.length < taken.length) this.#memory = Buffer.allocUnsafeSlow(taken.length);
    this.#memory.set(taken);
    this.#waiting = this.#memory.subarray(0, taken.length);
    this.#position += taken.length;
    this.#crc = crc32(taken, this.#crc);
    this.#atEnd = atEnd && taken.length === block.length;
  }

  drainInto(target: Uint8Array, offset: number): number {
    const count = Math.min(this.#waiting.length, target.length - offset);
    target.set(this.#waiting.subarray(0, count), offset);
    this.#waiting = this.#waiting.subarray(count);
    return count;
  }
}

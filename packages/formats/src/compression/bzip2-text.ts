import type { RawBlock } from './bzip2-block.ts';

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 0x80000000) === 0 ? crc << 1 : (crc << 1) ^ 0x04c11db7;
  return crc >>> 0;
});

/** Undoes the block sort, and the run lengths that were there before it, piece by piece. */
export class Bzip2Text {
  readonly #column: Uint32Array;
  readonly #length: number;
  #row: number;
  #done = 0;
  #last = -1;
  /** How often the last byte stood in a row: the fifth place is the number of further ones. */
  #same = 0;
  #repeat = 0;
  #crc = 0xffffffff;

  constructor({ column, length, origin }: RawBlock) {
    const starts = new Uint32Array(257);
    for (let index = 0; index < length; index++) {
      const byte = (column[index] ?? 0) & 0xff;
      starts[byte + 1] = (starts[byte + 1] ?? 0) + 1;
    }
    for (let byte = 0; byte < 256; byte++) starts[byte + 1] = (starts[byte + 1] ?? 0) + (starts[byte] ?? 0);
    for (let index = 0; index < length; index++) {
      const byte = (column[index] ?? 0) & 0xff;
      const place = starts[byte] ?? 0;
      starts[byte] = place + 1;
      column[place] = ((column[place] ?? 0) | (index << 8)) >>> 0;
    }
    this.#column = column;
    this.#length = length;
    this.#row = (column[origin] ?? 0) >>> 8;
  }

  /** Fills as much of `target` as there is text for; 0 at the end. */
  read(target: Uint8Array): number {
    let filled = 0;
    let crc = this.#crc;
    for (;;) {
      while (this.#repeat > 0 && filled < target.length) {
        target[filled++] = this.#last;
        crc = (crc << 8) ^ (crcTable[(crc >>> 24) ^ this.#last] ?? 0);
        this.#repeat--;
      }
      if (filled === target.length || this.#done === this.#length) break;
      const entry = this.#column[this.#row] ?? 0;
      const byte = entry & 0xff;
      this.#row = entry >>> 8;
      this.#done++;
      if (this.#same === 4) {
        this.#repeat = byte;
        this.#same = 0;
        continue;
      }
      this.#same = byte === this.#last ? this.#same + 1 : 1;
      this.#last = byte;
      target[filled++] = byte;
      crc = (crc << 8) ^ (crcTable[(crc >>> 24) ^ byte] ?? 0);
    }
    this.#crc = crc;
    return filled;
  }

  /** Of all text that was read. */
  get crc(): number {
    return ~this.#crc >>> 0;
  }
}

/**
 * Order-independent hash of rows: each row gives 64 bits, and the rows' values are summed modulo 2^64 (summed, not XORed: XOR hides
 * pairs of doubles). It covers what the row says (values and nulls in order of the sink's columns), not how it is quoted.
 *
 * A row's hash runs over two 32-bit lanes without BigInt: for every byte `a = imul(a ^ byte, primeA)`, the same for `b`; a value ends
 * with `valueEnd`, a null is `nullMark`: both lie outside 0 to 255, so columns cannot run into each other.
 */
export const seedA = 0x811c9dc5 | 0;
export const seedB = 0x9747b28c | 0;
export const primeA = 0x01000193;
export const primeB = 0x85ebca6b | 0;
export const valueEnd = 0x100;
export const nullMark = 0x1ff;

function avalanche(value: number): number {
  let mixed = value ^ (value >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

/** The running sum of row hashes. */
export class RowHashSum {
  #low = 0;
  #high = 0;

  /** Adds a row by the two lanes that its bytes left. */
  add(a: number, b: number): void {
    const first = avalanche(a ^ ((b << 13) | (b >>> 19)));
    const second = avalanche((b + first) | 0);
    this.#addWords(first >>> 0, second >>> 0);
  }

  addHex(hash: string): void {
    this.#addWords(Number.parseInt(hash.slice(8, 16), 16), Number.parseInt(hash.slice(0, 8), 16));
  }

  /** 16 hex digits. */
  toHex(): string {
    return this.#high.toString(16).padStart(8, '0') + this.#low.toString(16).padStart(8, '0');
  }

  #addWords(low: number, high: number): void {
    const sum = this.#low + low;
    this.#low = sum >>> 0;
    this.#high = (this.#high + high + (sum > 0xffff_ffff ? 1 : 0)) >>> 0;
  }
}

/** Sum modulo 2^64 of hashes of 16 hex digits: the hash of all rows from the hashes of the chunks. */
export function sumHashes(hashes: Iterable<string>): string {
  const sum = new RowHashSum();
  for (const hash of hashes) {
    if (!/^[0-9a-f]{16}$/i.test(hash)) throw new TypeError('a hash must have 16 hex digits');
    sum.addHex(hash);
  }
  return sum.toHex();
}

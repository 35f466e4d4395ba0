/** Gives the next bytes of a compressed file, or undefined at its end. A block may be reused when the next one is asked for. */
export type ReadBlock = () => Promise<Uint8Array | undefined>;

const nothing = new Uint8Array(0);

/** A place in a compressed file that moves on, over blocks of any size. */
export class InputCursor {
  readonly #read: ReadBlock;
  #block: Uint8Array = nothing;
  #atEnd = false;
  #position = 0;

  constructor(read: ReadBlock) {
    this.#read = read;
  }

  /** Position in the file of the next byte. */
  get position(): number {
    return this.#position;
  }

  /** Bytes that are at hand from the position on; none at the end of the file. */
  async rest(): Promise<Uint8Array> {
    while (this.#block.length === 0 && !this.#atEnd) {
      const next = await this.#read();
      if (next === undefined) this.#atEnd = true;
      else this.#block = next;
    }
    return this.#block;
  }

  /** Moves over bytes of the block at hand. */
  skip(count: number): void {
    this.#block = this.#block.subarray(count);
    this.#position += count;
  }

  async byte(): Promise<number | undefined> {
    const [byte] = await this.rest();
    if (byte !== undefined) this.skip(1);
    return byte;
  }

  /** A copy of the next `count` bytes, or of as many as there are. */
  async take(count: number): Promise<Buffer> {
    const taken: Uint8Array[] = [];
    for (let missing = count; missing > 0;) {
      const piece = (await this.rest()).subarray(0, missing);
      if (piece.length === 0) break;
      taken.push(Uint8Array.from(piece));
      missing -= piece.length;
      this.skip(piece.length);
    }
    return Buffer.concat(taken);
  }
}

/** From this size on a buffer does not grow to twice its size any more: single records make it large. */
const largeBytes = 8 * 1024 * 1024;

/**
 * Bytes that grow at the end and are taken away at the front. `bytes` is replaced when it grows, and what it was before is empty then:
 * read it again after `reserve`.
 */
export class ByteBuffer {
  bytes: Uint8Array<ArrayBuffer>;
  /** First byte that counts. */
  start = 0;
  /** One after the last byte that counts. */
  end = 0;

  readonly #largestBytes: number;

  /** `largestBytes`: what it may have to hold; a buffer that becomes large grows to this at once, since every step needs both sizes. */
  constructor(capacityBytes = 4096, largestBytes = 0) {
    this.bytes = new Uint8Array(capacityBytes);
    this.#largestBytes = largestBytes;
  }

  get length(): number {
    return this.end - this.start;
  }

  clear(): void {
    this.start = 0;
    this.end = 0;
  }

  /** Makes room for `count` more bytes at the end. */
  reserve(count: number): void {
    if (this.end + count <= this.bytes.length) return;
    const length = this.length;
    const size = this.bytes.length;
    // Moving to the front is enough when most of the buffer has been taken away already.
    const isMovingEnough = length + count <= size && (this.start > length || size >= largeBytes);
    this.bytes.copyWithin(0, this.start, this.end);
    this.start = 0;
    this.end = length;
    if (isMovingEnough) return;
    // `transfer` frees the old memory at once, where a copy would leave it to the garbage collector.
    const grown = Math.max(length + count, size < largeBytes ? size * 2 : Math.max(size + (size >> 3), this.#largestBytes));
    this.bytes = new Uint8Array(this.bytes.buffer.transfer(grown));
  }

  append(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.bytes.set(bytes, this.end);
    this.end += bytes.length;
  }

  /** Moves bytes from the front into `target`; returns how many. */
  moveInto(target: Uint8Array, offset: number): number {
    const count = Math.min(this.length, target.length - offset);
    target.set(this.bytes.subarray(this.start, this.start + count), offset);
    this.start += count;
    if (this.start === this.end) this.clear();
    return count;
  }
}

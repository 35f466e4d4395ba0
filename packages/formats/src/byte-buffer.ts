/**
 * Bytes that grow at the end and are taken away at the front. `bytes` is replaced when it grows: read it again after `reserve`.
 */
export class ByteBuffer {
  bytes: Uint8Array;
  /** First byte that counts. */
  start = 0;
  /** One after the last byte that counts. */
  end = 0;

  constructor(capacityBytes = 4096) {
    this.bytes = new Uint8Array(capacityBytes);
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
    // Moving to the front is enough when most of the buffer has been taken away already.
    if (this.start > length && length + count <= this.bytes.length) {
      this.bytes.copyWithin(0, this.start, this.end);
    } else {
      const grown = new Uint8Array(Math.max(this.bytes.length * 2, length + count));
      grown.set(this.bytes.subarray(this.start, this.end));
      this.bytes = grown;
    }
    this.start = 0;
    this.end = length;
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

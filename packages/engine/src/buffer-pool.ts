import { ByteCredits } from '@dmg/base';

const smallestBytes = 64 * 1024;

/**
 * A buffer on loan. Whoever holds it may `pin` it for a call that might outlive the holder's interest: a call that was given up
 * at its deadline may still read or write the memory, so that the buffer returns to the pool only when the last pin is gone.
 */
export class PooledBuffer {
  readonly memory: Uint8Array;
  #pins = 1;
  readonly #release: () => void;

  constructor(memory: Uint8Array, release: () => void) {
    this.memory = memory;
    this.#release = release;
  }

  pin(): void {
    this.#pins++;
  }

  unpin(): void {
    this.#pins--;
    if (this.#pins === 0) this.#release();
  }
}

/**
 * Part buffers of one copy, in sizes that are powers of two, used again and again: in a steady state nothing is allocated. What is
 * lent out and what is kept for reuse together never exceed the capacity.
 */
export class BufferPool {
  readonly #credits: ByteCredits;
  readonly #largestBytes: number;
  readonly #kept = new Map<number, Uint8Array[]>();
  #keptBytes = 0;
  #peakBytes = 0;

  /** `largestBytes`: the size of the largest buffer; capacity is raised to it where it is smaller. */
  constructor(options: { capacityBytes: number; largestBytes: number }) {
    this.#largestBytes = options.largestBytes;
    this.#credits = new ByteCredits(Math.max(options.capacityBytes, options.largestBytes));
  }

  get capacityBytes(): number {
    return this.#credits.capacityBytes;
  }

  get usedBytes(): number {
    return this.#credits.usedBytes;
  }

  /** Most that was ever lent out and kept at the same moment. */
  get peakBytes(): number {
    return this.#peakBytes;
  }

  /** What a buffer for `bytes` bytes costs. */
  sizeFor(bytes: number): number {
    let size = smallestBytes;
    while (size < bytes) size *= 2;
    return Math.max(bytes, Math.min(size, this.#largestBytes));
  }

  /** Waits for a buffer of at least `bytes` bytes. */
  async lend(bytes: number, signal: AbortSignal): Promise<PooledBuffer> {
    const [buffer] = await this.lendAll([bytes], signal);
    if (buffer === undefined) throw new Error('the pool lent nothing');
    return buffer;
  }

  /** Waits until all buffers can be had at once: whoever needs several must not wait for one while it holds another. */
  async lendAll(sizes: readonly number[], signal: AbortSignal): Promise<PooledBuffer[]> {
    const rounded = sizes.map((bytes) => this.sizeFor(bytes));
    const total = rounded.reduce((sum, size) => sum + size, 0);
    await this.#credits.take(total, signal);
    const buffers = rounded.map((size) => this.#lendOne(size));
    this.#peakBytes = Math.max(this.#peakBytes, this.usedBytes + this.#keptBytes);
    return buffers;
  }

  #lendOne(size: number): PooledBuffer {
    let memory = this.#kept.get(size)?.pop();
    if (memory === undefined) {
      this.#makeRoom();
      memory = Buffer.allocUnsafeSlow(size);
    } else {
      this.#keptBytes -= size;
    }
    const lent = memory;
    return new PooledBuffer(lent, () => {
      const kept = this.#kept.get(size) ?? [];
      kept.push(lent);
      this.#kept.set(size, kept);
      this.#keptBytes += size;
      this.#credits.give(size);
    });
  }

  /** Lets go of kept buffers of other sizes until what is lent (including the one to be made) and kept fits. */
  #makeRoom(): void {
    for (const [size, kept] of this.#kept) {
      while (kept.length > 0 && this.usedBytes + this.#keptBytes > this.capacityBytes) {
        kept.pop();
        this.#keptBytes -= size;
      }
    }
  }
}

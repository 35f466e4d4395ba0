/**
 * A pool of byte credits: how a copy bounds its memory. A taker waits until its bytes are free; waiters are served in order,
 * so a large taker is not starved by small ones.
 */
export class ByteCredits {
  readonly capacityBytes: number;
  #freeBytes: number;
  #waiters: { bytes: number; grant: () => void }[] = [];

  constructor(capacityBytes: number) {
    if (!Number.isSafeInteger(capacityBytes) || capacityBytes <= 0) throw new RangeError(`a pool of ${capacityBytes} byte credits is none`);
    this.capacityBytes = capacityBytes;
    this.#freeBytes = capacityBytes;
  }

  get usedBytes(): number {
    return this.capacityBytes - this.#freeBytes;
  }

  /** Waits for `bytes` credits. More than the capacity is an error of the caller, not a wait without end. */
  take(bytes: number, signal?: AbortSignal): Promise<void> {
    if (!isAmount(bytes) || bytes > this.capacityBytes) {
      return Promise.reject(new RangeError(`cannot take ${bytes} of ${this.capacityBytes} byte credits`));
    }
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    if (this.#waiters.length === 0 && this.#freeBytes >= bytes) {
      this.#freeBytes -= bytes;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const waiter = {
        bytes,
        grant: () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      const onAbort = (): void => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        reject(signal?.reason as Error);
        this.#serve();
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiters.push(waiter);
    });
  }

  /** Gives back what was taken. More than is taken is an error of the caller, since it would raise the bound. */
  give(bytes: number): void {
    if (!isAmount(bytes) || bytes > this.usedBytes) {
      throw new RangeError(`cannot give back ${bytes} byte credits: ${this.usedBytes} are taken`);
    }
    this.#freeBytes += bytes;
    this.#serve();
  }

  #serve(): void {
    for (let next = this.#waiters[0]; next !== undefined && next.bytes <= this.#freeBytes; next = this.#waiters[0]) {
      this.#waiters.shift();
      this.#freeBytes -= next.bytes;
      next.grant();
    }
  }
}

function isAmount(bytes: number): boolean {
  return Number.isSafeInteger(bytes) && bytes >= 0;
}

import type { Clock, Timer } from '@dmg/base';

/**
 * A process that can be killed, frozen and thawed at any instant. Killed, it hears nothing any more and makes no calls. Frozen, all that
 * would reach it waits and comes in its order when it thaws; its timers as well, late.
 */
export class ProcessModel implements Clock {
  readonly #clock: Clock;
  #isDead = false;
  #held: (() => void)[] | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  get isFrozen(): boolean {
    return this.#held !== undefined;
  }

  wallMs(): number {
    return this.#clock.wallMs();
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs();
  }

  after(delayMs: number, fire: () => void): Timer {
    let isCancelled = false;
    const timer = this.#clock.after(delayMs, () => this.run(() => void (isCancelled || fire())));
    return {
      cancel: () => {
        isCancelled = true;
        timer.cancel();
      },
    };
  }

  kill(): void {
    this.#isDead = true;
    this.#held = undefined;
  }

  freeze(): void {
    this.#held ??= [];
  }

  thaw(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    // It may be frozen or killed again by what it does now.
    for (const work of held) this.run(work);
  }

  /** Something reaches the process. */
  run(work: () => void): void {
    if (this.#isDead) return;
    if (this.#held === undefined) work();
    else this.#held.push(work);
  }

  /** The process calls another one and hears the answer. */
  call<T>(work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.run(() => {
        work().then((value) => this.run(() => resolve(value)), (error: unknown) => this.run(() => reject(error as Error)));
      });
    });
  }
}

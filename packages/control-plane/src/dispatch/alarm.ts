import type { Clock } from '@dmg/base';

/** A loop's bell: `wait` returns when it is rung, when it was rung since the last wait, or after a time. */
export class Alarm {
  readonly #clock: Clock;
  #rung = false;
  #wakeUp: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  ring(): void {
    this.#rung = true;
    this.#wakeUp?.();
  }

  async wait(limitMs: number): Promise<void> {
    if (!this.#rung) {
      await new Promise<void>((resolve) => {
        const timer = this.#clock.after(limitMs, resolve);
        this.#wakeUp = () => {
          timer.cancel();
          resolve();
        };
      });
    }
    this.#wakeUp = undefined;
    this.#rung = false;
  }
}

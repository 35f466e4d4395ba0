import { inspect } from 'node:util';

const redacted = '***';

/**
 * A value that must not be printed. Every way JavaScript turns a value into text gives `***`; `reveal()` is the only way out
 * and is called where the secret meets a driver.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return redacted;
  }

  toJSON(): string {
    return redacted;
  }

  [inspect.custom](): string {
    return redacted;
  }
}

import type { JobSender } from '@dmg/core';

export type SentMessage = Parameters<JobSender['send']>[0];

/** A queue that remembers what it got; it can be told to fail, or to keep senders waiting. */
export class RecordingSender implements JobSender {
  readonly sent: SentMessage[] = [];
  readonly #arrivals: (() => void)[] = [];
  failure: Error | undefined;
  /** How often a send was tried while it failed. */
  refused = 0;

  async send(message: SentMessage): Promise<void> {
    if (this.failure !== undefined) {
      this.refused += 1;
      this.#tell();
      throw this.failure;
    }
    this.sent.push(message);
    this.#tell();
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** The message number `count` (from 1), as soon as it is there. */
  async message(count: number): Promise<SentMessage> {
    await this.until(() => this.sent.length >= count);
    const found = this.sent[count - 1];
    if (found === undefined) throw new Error(`there is no message ${count}`);
    return found;
  }

  async until(reached: () => boolean): Promise<void> {
    while (!reached()) await new Promise<void>((resolve) => this.#arrivals.push(resolve));
  }

  #tell(): void {
    for (const arrived of this.#arrivals.splice(0)) arrived();
  }
}

import { asDmgError, type Clock, type DmgError } from '@dmg/base';
import type { Ledger } from '@dmg/core';
import type { Epoch } from '@dmg/model';
import type { Grant } from './epoch-source.ts';
import { dispatcherErrors } from './errors.ts';
import type { JobEntry } from './job-table.ts';

/** How often a session that may not act for the moment looks whether it may again. */
const pollMs = 25;

export interface LedgerSessionOptions {
  readonly ledger: Ledger;
  readonly grant: Grant;
  readonly clock: Clock;
}

/**
 * What is done under one grant. It is over when the grant is lost or when the ledger does not take a write: then nothing is written,
 * completed or dispatched any more until a new grant begins the next one. While the grant is in doubt everything waits.
 */
export class LedgerSession {
  readonly epoch: Epoch;
  /** Resolves with the reason when the session is over. */
  readonly lost: Promise<DmgError>;
  readonly #options: LedgerSessionOptions;
  #lose: (reason: DmgError) => void;
  #alive = true;

  constructor(options: LedgerSessionOptions) {
    this.#options = options;
    this.epoch = options.grant.epoch;
    const { promise, resolve } = Promise.withResolvers<DmgError>();
    this.lost = promise;
    this.#lose = resolve;
    void options.grant.lost.then((reason) => this.end(reason));
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Whether an effect may be brought about at this instant. */
  mayAct(): boolean {
    return this.#alive && this.#options.grant.mayAct();
  }

  /**
   * Resolves true as soon as there may be effects; false when the session is over. Whoever waited asks `mayAct` again, since a moment
   * has passed: `while (!session.mayAct()) if (!(await session.ready())) return;` and then the effect, without waiting in between.
   */
  async ready(): Promise<boolean> {
    while (this.#alive && !this.#options.grant.mayAct()) await this.#moment();
    return this.#alive;
  }

  /**
   * Makes sure that the ledger holds the entry's record as it is now, or a later one. `again` writes also what it should hold
   * already: it may have lost it. Gives false when it could not; never rejects.
   */
  async write(entry: JobEntry, again: boolean): Promise<boolean> {
    while (!this.mayAct()) if (!(await this.ready())) return false;
    if (entry.removed) return false;
    const { record } = entry;
    if (!again && entry.written?.version === record.version && entry.written.epochN === record.epochN) return true;
    return await this.#guard(async () => {
      const answer = await this.#options.ledger.put(this.epoch, record);
      if (answer === 'ok') entry.written = { epochN: record.epochN, version: record.version };
      return answer;
    });
  }

  /** Takes a record out. Gives false when it could not; never rejects. */
  async remove(jobId: string): Promise<boolean> {
    while (!this.mayAct()) if (!(await this.ready())) return false;
    return await this.#guard(() => this.#options.ledger.remove(this.epoch, jobId));
  }

  /** Ends the session; later calls change nothing. */
  end(reason: DmgError): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.#lose(reason);
  }

  #moment(): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#options.clock.after(pollMs, resolve, { unref: true });
      void this.lost.then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  async #guard(work: () => Promise<'ok' | 'stale' | 'old'>): Promise<boolean> {
    try {
      const answer = await work();
      if (answer === 'ok') return true;
      const reason = answer === 'stale' ? 'it has another epoch installed, or none' : 'it holds a newer record';
      this.end(dispatcherErrors.LEDGER_TAKEN.create({ reason }));
    } catch (error) {
      this.end(asDmgError(error));
    }
    return false;
  }
}

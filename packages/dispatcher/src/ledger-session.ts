import { asDmgError, type DmgError } from '@dmg/base';
import type { Ledger } from '@dmg/core';
import type { Epoch } from '@dmg/model';
import { dispatcherErrors } from './errors.ts';
import type { JobEntry } from './job-table.ts';

/**
 * Writing to the ledger under one grant. The first write that is not taken ends the session: nothing is written, completed or
 * dispatched any more until a new grant begins the next one.
 */
export class LedgerSession {
  readonly epoch: Epoch;
  /** Resolves with the reason when the session is over. */
  readonly lost: Promise<DmgError>;
  readonly #ledger: Ledger;
  #lose: (reason: DmgError) => void;
  #alive = true;

  constructor(ledger: Ledger, epoch: Epoch) {
    this.#ledger = ledger;
    this.epoch = epoch;
    const { promise, resolve } = Promise.withResolvers<DmgError>();
    this.lost = promise;
    this.#lose = resolve;
  }

  get alive(): boolean {
    return this.#alive;
  }

  /**
   * Makes sure that the ledger holds the entry's record as it is now, or a later one. `again` writes also what it should hold
   * already: it may have lost it. Gives false when it could not; never rejects.
   */
  async write(entry: JobEntry, again: boolean): Promise<boolean> {
    const { record } = entry;
    if (!this.#alive || entry.removed) return false;
    if (!again && entry.written?.version === record.version && entry.written.epochN === record.epochN) return true;
    return await this.#guard(async () => {
      const answer = await this.#ledger.put(this.epoch, record);
      if (answer === 'ok') entry.written = { epochN: record.epochN, version: record.version };
      return answer;
    });
  }

  /** Takes a record out. Gives false when it could not; never rejects. */
  async remove(jobId: string): Promise<boolean> {
    if (!this.#alive) return false;
    return await this.#guard(() => this.#ledger.remove(this.epoch, jobId));
  }

  /** Ends the session; later calls change nothing. */
  end(reason: DmgError): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.#lose(reason);
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

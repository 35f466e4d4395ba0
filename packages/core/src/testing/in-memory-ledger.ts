import type { Epoch } from '@dmg/model';
import type { JobRecord } from '../job-record.ts';
import type { Ledger } from '../ports.ts';
import { type InMemoryMaster, isNewer } from './in-memory-master.ts';

/**
 * The ledger's twin: the same answers as the Redis adapter, checked by the same contract suite. With several masters a write is good
 * at a majority, and reading merges what a majority holds. A master without a `life` has lost its data and does not count.
 */
export class InMemoryLedger implements Ledger {
  readonly #masters: readonly InMemoryMaster[];
  #closed = false;

  constructor(masters: readonly InMemoryMaster[]) {
    this.#masters = masters;
  }

  async put(epoch: Epoch, record: JobRecord): Promise<'ok' | 'stale' | 'old'> {
    const text = JSON.stringify(record);
    const answers = await this.#ask((master) => master.put(epoch, record, text));
    // Whoever reads merges by the largest: a write beside a newer record would not be seen.
    if (answers.includes('old')) return 'old';
    return this.#majority(answers);
  }

  async readAll(): Promise<JobRecord[]> {
    const alive = await this.#ask((master) => master);
    const counting = alive.filter((master) => master.life !== '');
    if (counting.length > 0 && !this.#isMajority(counting.length)) throw new Error('too many masters have lost their data');
    const newest = new Map<string, JobRecord>();
    for (const master of counting) {
      for (const stored of master.jobs.values()) {
        const record = JSON.parse(stored.text) as JobRecord;
        const other = newest.get(record.jobId);
        if (other === undefined || isNewer(record, other)) newest.set(record.jobId, record);
      }
    }
    return [...newest.values()];
  }

  preread(): Promise<void> {
    return Promise.resolve();
  }

  async remove(epoch: Epoch, jobId: string): Promise<'ok' | 'stale'> {
    return this.#majority(await this.#ask((master) => master.remove(epoch, jobId)));
  }

  close(): Promise<void> {
    this.#closed = true;
    return Promise.resolve();
  }

  #majority<T extends 'ok' | 'stale' | 'old'>(answers: readonly T[]): T {
    const answer = answers.find((one) => this.#isMajority(answers.filter((other) => other === one).length));
    if (answer === undefined) throw new Error('no majority of the masters agrees');
    return answer;
  }

  #isMajority(count: number): boolean {
    return count > this.#masters.length / 2;
  }

  /** What the masters that answer say; rejects with the trouble of the first one that does not when they are no majority. */
  async #ask<T>(ask: (master: InMemoryMaster) => T): Promise<T[]> {
    if (this.#closed) throw new Error('the ledger is closed');
    await Promise.resolve();
    const troubles = this.#masters.flatMap(({ trouble }) => (trouble === undefined ? [] : [trouble]));
    const [trouble] = troubles;
    if (trouble !== undefined && !this.#isMajority(this.#masters.length - troubles.length)) throw trouble;
    return this.#masters.filter((master) => master.trouble === undefined).map(ask);
  }
}

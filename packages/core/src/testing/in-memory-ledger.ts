import { newId, type Random } from '@dmg/base';
import type { Epoch } from '@dmg/model';
import type { JobRecord } from '../job-record.ts';
import type { Ledger } from '../ports.ts';

interface Stored {
  readonly epochN: number;
  readonly version: number;
  readonly text: string;
}

/** What several `InMemoryLedger`s share, as several clients share one Redis; with switches for its faults. */
export class InMemoryLedgerData {
  lead: Epoch | undefined;
  life = '';
  readonly jobs = new Map<string, Stored>();
  readonly #random: Random;
  /** While set, every call rejects with it. */
  trouble: Error | undefined;

  constructor(random: Random) {
    this.#random = random;
  }

  /** As after FLUSHALL or a restart without a disk. */
  lose(): void {
    this.lead = undefined;
    this.life = '';
    this.jobs.clear();
  }

  newLife(): string {
    return newId(this.#random);
  }

  /** A copy of everything, for going back to an older state later. */
  snapshot(): () => void {
    const { lead, life } = this;
    const jobs = [...this.jobs];
    return () => {
      this.lead = lead;
      this.life = life;
      this.jobs.clear();
      for (const [jobId, stored] of jobs) this.jobs.set(jobId, stored);
    };
  }

  /** What the ledger holds of a job; for assertions. */
  record(jobId: string): JobRecord | undefined {
    const stored = this.jobs.get(jobId);
    return stored === undefined ? undefined : JSON.parse(stored.text) as JobRecord;
  }
}

/** The ledger's twin: the same answers as the Redis adapter, checked by the same contract suite. */
export class InMemoryLedger implements Ledger {
  readonly #data: InMemoryLedgerData;
  #closed = false;

  constructor(data: InMemoryLedgerData) {
    this.#data = data;
  }

  head(): Promise<{ n: number; life: string }> {
    return this.#call(() => ({ n: this.#data.lead?.n ?? 0, life: this.#data.life }));
  }

  install(epoch: Epoch): Promise<{ ok: true } | { ok: false; behind: number }> {
    return this.#call(() => {
      const { lead } = this.#data;
      if (lead !== undefined && lead.n >= epoch.n && lead.token !== epoch.token) return { ok: false, behind: lead.n };
      this.#data.lead = epoch;
      if (this.#data.life === '') this.#data.life = this.#data.newLife();
      return { ok: true };
    });
  }

  put(epoch: Epoch, record: JobRecord): Promise<'ok' | 'stale' | 'old'> {
    const text = JSON.stringify(record);
    return this.#call(() => {
      if (!this.#leads(epoch)) return 'stale';
      const stored = this.#data.jobs.get(record.jobId);
      const newer = stored !== undefined
        && (stored.epochN > record.epochN || (stored.epochN === record.epochN && stored.version > record.version));
      if (newer) return 'old';
      this.#data.jobs.set(record.jobId, { epochN: record.epochN, version: record.version, text });
      return 'ok';
    });
  }

  readAll(): Promise<JobRecord[]> {
    return this.#call(() => [...this.#data.jobs.values()].map((stored) => JSON.parse(stored.text) as JobRecord));
  }

  remove(epoch: Epoch, jobId: string): Promise<'ok' | 'stale'> {
    return this.#call(() => {
      if (!this.#leads(epoch)) return 'stale';
      this.#data.jobs.delete(jobId);
      return 'ok';
    });
  }

  close(): Promise<void> {
    this.#closed = true;
    return Promise.resolve();
  }

  #leads(epoch: Epoch): boolean {
    return this.#data.lead?.n === epoch.n && this.#data.lead.token === epoch.token;
  }

  async #call<T>(work: () => T): Promise<T> {
    if (this.#closed) throw new Error('the ledger is closed');
    await Promise.resolve();
    if (this.#data.trouble !== undefined) throw this.#data.trouble;
    return work();
  }
}

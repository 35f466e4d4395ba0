import { type Clock, firstLine, newId, type Random } from '@dmg/base';
import type { Epoch } from '@dmg/model';
import type { JobRecord } from '../job-record.ts';
import type { ClaimAnswer, InstallAnswer, MasterSight } from '../ports.ts';

interface StoredRecord {
  readonly epochN: number;
  readonly version: number;
  readonly text: string;
}

export interface InMemoryLead extends Epoch {
  readonly nodeId: string;
  readonly address: string;
  readonly beat: number;
}

/**
 * One master in memory, as one Redis holds one gateway's keys: lease, lead, life and records. Lease stores and ledgers share it, as
 * clients share a Redis. Each method is one script: it happens at once and whole. Faults are switched by whoever owns the test.
 */
export class InMemoryMaster {
  lease: { readonly token: string; readonly untilMs: number } | undefined;
  lead: InMemoryLead | undefined;
  life = '';
  readonly jobs = new Map<string, StoredRecord>();
  /** While set, nobody gets an answer: it is the reason. */
  trouble: Error | undefined;
  /** Set forward or back, it makes leases end earlier or later than promised: they end by the master's own clock. */
  clockOffsetMs = 0;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(options: { clock: Clock; random: Random }) {
    this.#clock = options.clock;
    this.#random = options.random;
  }

  /** As after FLUSHALL or a restart without a disk. */
  lose(): void {
    this.lease = undefined;
    this.lead = undefined;
    this.life = '';
    this.jobs.clear();
  }

  /** A copy of everything, for going back to an older state later. */
  snapshot(): () => void {
    const { lease, lead, life } = this;
    const jobs = [...this.jobs];
    return () => {
      this.lease = lease;
      this.lead = lead;
      this.life = life;
      this.jobs.clear();
      for (const [jobId, stored] of jobs) this.jobs.set(jobId, stored);
    };
  }

  /** What the master holds of a job; for assertions. */
  record(jobId: string): JobRecord | undefined {
    const stored = this.jobs.get(jobId);
    return stored === undefined ? undefined : JSON.parse(stored.text) as JobRecord;
  }

  peek(): MasterSight {
    if (this.trouble !== undefined) return { kind: 'silent', reason: firstLine(this.trouble) };
    return { kind: 'seen', leaseToken: this.#leaseToken(), lead: this.lead, life: this.life };
  }

  acquire(token: string, leaseMs: number): boolean {
    if (this.trouble !== undefined || this.#leaseToken() !== undefined) return false;
    this.lease = { token, untilMs: this.#nowMs() + leaseMs };
    return true;
  }

  claim(token: string): ClaimAnswer {
    if (this.trouble !== undefined) return { kind: 'silent' };
    return this.#leaseToken() === token ? { kind: 'claimed', n: this.lead?.n ?? 0, life: this.life } : { kind: 'lost' };
  }

  install({ n, token }: Epoch, node: { readonly nodeId: string; readonly address: string }): InstallAnswer {
    if (this.trouble !== undefined) return { kind: 'silent' };
    if (this.#leaseToken() !== token) return { kind: 'lost' };
    const { lead } = this;
    // A larger epoch stands even under the same token: a command that was delayed must not take back a grant that was raised since.
    if (lead !== undefined && (lead.n > n || (lead.n === n && lead.token !== token))) return { kind: 'behind', n: lead.n };
    this.lead = { n, token, nodeId: node.nodeId, address: node.address, beat: 0 };
    if (this.life === '') this.life = newId(this.#random);
    return { kind: 'installed', life: this.life };
  }

  renew(token: string, leaseMs: number): 'renewed' | 'lost' | 'silent' {
    if (this.trouble !== undefined) return 'silent';
    if (this.#leaseToken() !== token) return 'lost';
    this.lease = { token, untilMs: this.#nowMs() + leaseMs };
    if (this.lead?.token === token) this.lead = { ...this.lead, beat: this.lead.beat + 1 };
    return 'renewed';
  }

  /** `beat`: undefined when the holder has no lead here. `ended` also when there is no lease. */
  seize(token: string, beat: number | undefined): 'ended' | 'held' | 'silent' {
    if (this.trouble !== undefined) return 'silent';
    const held = this.#leaseToken();
    if (held === undefined) return 'ended';
    if (held !== token || (this.lead?.token === token ? this.lead.beat : undefined) !== beat) return 'held';
    this.lease = undefined;
    return 'ended';
  }

  release(token: string): void {
    if (this.trouble === undefined && this.#leaseToken() === token) this.lease = undefined;
  }

  put(epoch: Epoch, record: Pick<JobRecord, 'jobId' | 'epochN' | 'version'>, text: string): 'ok' | 'stale' | 'old' {
    if (!this.#leads(epoch)) return 'stale';
    const stored = this.jobs.get(record.jobId);
    if (stored !== undefined && isNewer(stored, record)) return 'old';
    this.jobs.set(record.jobId, { epochN: record.epochN, version: record.version, text });
    return 'ok';
  }

  remove(epoch: Epoch, jobId: string): 'ok' | 'stale' {
    if (!this.#leads(epoch)) return 'stale';
    this.jobs.delete(jobId);
    return 'ok';
  }

  #leads(epoch: Epoch): boolean {
    return this.lead?.n === epoch.n && this.lead.token === epoch.token;
  }

  #leaseToken(): string | undefined {
    return this.lease !== undefined && this.lease.untilMs > this.#nowMs() ? this.lease.token : undefined;
  }

  #nowMs(): number {
    return this.#clock.monotonicMs() + this.clockOffsetMs;
  }
}

/** Orders the copies of a record. */
export function isNewer(a: Pick<JobRecord, 'epochN' | 'version'>, b: Pick<JobRecord, 'epochN' | 'version'>): boolean {
  return a.epochN > b.epochN || (a.epochN === b.epochN && a.version > b.version);
}

import { asDmgError, backoffMs, type Clock, isDmgError, type Logger, newId, type Random, sleep } from '@dmg/base';
import type { ReportGateway } from '@dmg/core';
import type { DeadLetterReport, JobReport } from '@dmg/model';
import type { ControlPlaneClient } from './control-plane-client.ts';
import type { NodeState } from './node-state.ts';

/** Reports in one file and in one request: what is asked for while another file is written or a request is on its way goes together. */
const togetherMax = 100;

export interface ReportOutboxOptions {
  readonly client: Pick<ControlPlaneClient, 'report' | 'deadLettered' | 'signedJob'>;
  readonly state: Pick<NodeState, 'keepReport' | 'pendingReports' | 'dropReport'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

interface Waiting {
  readonly report: JobReport;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Reports that are on disk in one file, which goes when all of them are acknowledged. */
interface Kept {
  readonly name: string;
  readonly waiting: readonly Waiting[];
}

/**
 * Ends of jobs on their way to the control plane: kept on disk first, delivered until acknowledged, however long the control plane
 * is away and however often this process restarts. Delivering one twice is harmless: the control plane takes the first.
 */
export class ReportOutbox implements ReportGateway {
  readonly #options: ReportOutboxOptions;
  readonly #stopping = new AbortController();
  /** Wakes waiting deliveries when contact with the control plane is back. */
  #contact = new AbortController();
  /** Not on disk yet. */
  #incoming: Waiting[] = [];
  #isKeeping = false;
  /** On disk and not sent yet. */
  #kept: Kept[] = [];
  #isSending = false;

  constructor(options: ReportOutboxOptions) {
    this.#options = options;
  }

  /** Resolves when the control plane has acknowledged the report; rejects when it could not be kept, or when the node stops. */
  report(report: JobReport): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#incoming.push({ report, resolve, reject });
      if (!this.#isKeeping) void this.#keepAll();
    });
  }

  async deadLettered(report: DeadLetterReport): Promise<void> {
    await this.#options.client.deadLettered([report]);
  }

  fetchSignedJob(address: string): Promise<string> {
    return this.#options.client.signedJob(address);
  }

  /** Delivers what a former process left behind. Resolves at once; deliveries go on in the background. */
  async resume(): Promise<number> {
    const pending = await this.#options.state.pendingReports<JobReport | readonly JobReport[]>();
    let count = 0;
    for (const { name, report } of pending) {
      const reports = isList(report) ? report : [report];
      count += reports.length;
      const reject = (error: unknown): void => this.#options.logger.warn({ name, error }, 'kept report was not delivered');
      void this.#repeat({ name, waiting: reports.map((one) => ({ report: one, resolve: () => undefined, reject })) });
    }
    return count;
  }

  /** Tells waiting deliveries to try at once. */
  contactRestored(): void {
    this.#contact.abort();
    this.#contact = new AbortController();
  }

  stop(): void {
    this.#stopping.abort();
    this.#contact.abort();
  }

  /** Writes what has come, in as few files as the disk is slow. */
  async #keepAll(): Promise<void> {
    this.#isKeeping = true;
    for (let waiting = this.#take(); waiting.length > 0; waiting = this.#take()) {
      const name = `${newId(this.#options.random)}.json`;
      try {
        await this.#options.state.keepReport(name, waiting.map(({ report }) => report));
        this.#kept.push({ name, waiting });
        if (!this.#isSending) void this.#sendAll();
      } catch (error) {
        for (const { reject } of waiting) reject(error);
      }
    }
    this.#isKeeping = false;
  }

  #take(): Waiting[] {
    return this.#incoming.splice(0, togetherMax);
  }

  /** Sends what is on disk, one request after another. What a request does not deliver is repeated beside it and holds up nobody. */
  async #sendAll(): Promise<void> {
    this.#isSending = true;
    while (this.#kept.length > 0) {
      const batch = this.#kept.splice(0, togetherMax);
      try {
        this.#stopping.signal.throwIfAborted();
        await this.#options.client.report(batch.flatMap(({ waiting }) => waiting.map(({ report }) => report)));
        for (const kept of batch) this.#acknowledged(kept);
      } catch (error) {
        if (!this.#stopping.signal.aborted) {
          const reports = batch.reduce((sum, { waiting }) => sum + waiting.length, 0);
          this.#options.logger.warn({ reports, error: asDmgError(error) }, 'reports are kept and tried again');
        }
        for (const kept of batch) void this.#repeat(kept);
      }
    }
    this.#isSending = false;
  }

  #acknowledged({ name, waiting }: Kept): void {
    for (const { resolve } of waiting) resolve();
    this.#drop(name);
  }

  /** One that stays behind is delivered again by the next process, which changes nothing. */
  #drop(name: string): void {
    this.#options.state.dropReport(name).catch((error: unknown) => {
      this.#options.logger.warn({ name, error: asDmgError(error) }, 'acknowledged report cannot be removed');
    });
  }

  /** Delivers one by one, so that a report that the control plane does not take keeps no other one back. Never rejects. */
  async #repeat({ name, waiting }: Kept): Promise<void> {
    const left = new Set(waiting);
    try {
      for (let repetition = 0; ; repetition++) {
        await this.#tryEach(left);
        if (left.size === 0) return this.#drop(name);
        const delayMs = backoffMs(repetition, this.#options.random.unit());
        // Woken early when contact is back: that is an abort, and the reason to go on.
        await sleep(this.#options.clock, delayMs, this.#contact.signal).catch(() => undefined);
      }
    } catch (error) {
      for (const { reject } of left) reject(error);
    }
  }

  /** Takes out what was acknowledged. Throws only when the node stops. */
  async #tryEach(left: Set<Waiting>): Promise<void> {
    for (const waiting of [...left]) {
      this.#stopping.signal.throwIfAborted();
      try {
        await this.#options.client.report([waiting.report]);
        left.delete(waiting);
        waiting.resolve();
      } catch (error) {
        this.#stopping.signal.throwIfAborted();
        // Refused: the next one may be taken. Else nobody answers, and nobody would answer the next one either.
        if (!isDmgError(error) || error.retry !== 'never') return;
      }
    }
  }
}

function isList(value: JobReport | readonly JobReport[]): value is readonly JobReport[] {
  return Array.isArray(value);
}

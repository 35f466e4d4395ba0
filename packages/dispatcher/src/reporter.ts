import { backoffMs, type Clock, firstLine, type Logger, type Random, type Timer } from '@dmg/base';
import type { JobEnd, ReportGateway } from '@dmg/core';
import type { JobReport } from '@dmg/model';

interface Pending {
  readonly key: string;
  readonly jobId: string;
  readonly end: JobEnd;
  tries: number;
}

export interface ReporterOptions {
  readonly gateway: ReportGateway;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Reports on their way at the same time. */
  readonly atOnce: number;
  /** The control plane has acknowledged an end. */
  acknowledged(jobId: string, end: JobEnd): void;
}

/** Tells the control plane how jobs ended, beside the dispatcher's loop and whether or not the ledger answers. */
export class Reporter {
  readonly #options: ReporterOptions;
  readonly #queue: Pending[] = [];
  readonly #known = new Set<string>();
  readonly #timers = new Set<Timer>();
  #active = 0;
  #closed = false;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  /** Reports an end until it is acknowledged. One that is on its way already is not sent twice. */
  add(jobId: string, end: JobEnd): void {
    const key = keyOf(jobId, end);
    if (this.#closed || this.#known.has(key)) return;
    this.#known.add(key);
    this.#queue.push({ key, jobId, end, tries: 0 });
    this.#next();
  }

  get pending(): number {
    return this.#known.size;
  }

  /** Whether this end is still to be acknowledged. */
  isPending(jobId: string, end: JobEnd): boolean {
    return this.#known.has(keyOf(jobId, end));
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }

  #next(): void {
    while (this.#active < this.#options.atOnce) {
      const pending = this.#queue.shift();
      if (pending === undefined) return;
      this.#active += 1;
      void this.#send(pending);
    }
  }

  async #send(pending: Pending): Promise<void> {
    const { gateway, logger, acknowledged } = this.#options;
    try {
      await gateway.report(asReport(pending));
      if (this.#closed) return;
      this.#known.delete(pending.key);
      acknowledged(pending.jobId, pending.end);
    } catch (error) {
      if (this.#closed) return;
      if (pending.tries++ === 0) logger.warn({ jobId: pending.jobId, reason: firstLine(error) }, 'report not delivered, will be repeated');
      this.#repeat(pending);
    } finally {
      this.#active -= 1;
      if (!this.#closed) this.#next();
    }
  }

  #repeat(pending: Pending): void {
    const { clock, random } = this.#options;
    const timer = clock.after(backoffMs(pending.tries - 1, random.unit()), () => {
      this.#timers.delete(timer);
      this.#queue.push(pending);
      this.#next();
    }, { unref: true });
    this.#timers.add(timer);
  }
}

function keyOf(jobId: string, end: JobEnd): string {
  return `${jobId} ${end.tryNumber} ${end.attemptId} ${end.outcome.kind}`;
}

function asReport({ jobId, end }: Pending): JobReport {
  return {
    jobId, tryNumber: end.tryNumber, attemptId: end.attemptId, nodeName: end.nodeName, outcome: end.outcome,
    startedAt: new Date(end.startedAtWallMs).toISOString(), endedAt: new Date(end.endedAtWallMs).toISOString(),
  };
}

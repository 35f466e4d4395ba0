import { asDmgError, backoffMs, type Clock, type Logger, type Random, sleep } from '@dmg/base';
import type { ReportGateway } from '@dmg/core';
import type { DeadLetterReport, JobReport } from '@dmg/model';
import type { ControlPlaneClient } from './control-plane-client.ts';
import type { NodeState } from './node-state.ts';

/**
 * Ends of jobs on their way to the control plane: kept on disk first, delivered until acknowledged, however long the control plane
 * is away and however often this process restarts. Delivering one twice is harmless: the control plane takes the first.
 */
export class ReportOutbox implements ReportGateway {
  readonly #client: ControlPlaneClient;
  readonly #state: NodeState;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #stopping = new AbortController();
  /** Wakes waiting deliveries when contact with the control plane is back. */
  #contact = new AbortController();

  constructor(options: { client: ControlPlaneClient; state: NodeState; clock: Clock; random: Random; logger: Logger }) {
    this.#client = options.client;
    this.#state = options.state;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#logger = options.logger;
  }

  async report(report: JobReport): Promise<void> {
    const name = reportName(report);
    await this.#state.keepReport(name, report);
    await this.#deliver(name, () => this.#client.report([report]));
    await this.#state.dropReport(name);
  }

  async deadLettered(report: DeadLetterReport): Promise<void> {
    await this.#client.deadLettered([report]);
  }

  fetchSignedJob(address: string): Promise<string> {
    return this.#client.signedJob(address);
  }

  /** Delivers what a former process left behind. Resolves at once; deliveries go on in the background. */
  async resume(): Promise<number> {
    const pending = await this.#state.pendingReports<JobReport>();
    for (const { name, report } of pending) {
      void this.#deliver(name, () => this.#client.report([report]))
        .then(() => this.#state.dropReport(name))
        .catch((error: unknown) => this.#logger.warn({ name, error }, 'kept report was not delivered'));
    }
    return pending.length;
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

  async #deliver(name: string, send: () => Promise<void>): Promise<void> {
    for (let repetition = 0; ; repetition++) {
      this.#stopping.signal.throwIfAborted();
      try {
        await send();
        return;
      } catch (error) {
        this.#stopping.signal.throwIfAborted();
        if (repetition === 0) this.#logger.warn({ name, error: asDmgError(error) }, 'report is kept and tried again');
        const delayMs = backoffMs(repetition, this.#random.unit());
        // Woken early when contact is back: that is an abort, and the reason to go on.
        await sleep(this.#clock, delayMs, this.#contact.signal).catch(() => undefined);
      }
    }
  }
}

function reportName(report: JobReport): string {
  return `${report.jobId}.${report.tryNumber}.${report.outcome.kind}.json`;
}

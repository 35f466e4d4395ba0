import type { DeadLetterReport, JobReport } from '@dmg/model';
import type { ReportGateway } from '../ports.ts';

/** The control plane as the dispatcher sees it, with an off switch. */
export class InMemoryReportGateway implements ReportGateway {
  /** Reports in the order in which they were acknowledged; repeated ones included. */
  readonly reports: JobReport[] = [];
  readonly deadLetters: DeadLetterReport[] = [];
  /** What addresses lead to. */
  readonly jobs = new Map<string, string>();
  /** Called with each report as it is acknowledged. */
  onReport: (report: JobReport) => void = () => undefined;
  #away: { readonly back: Promise<void>; readonly release: () => void } | undefined;

  /** While away, nothing is acknowledged. */
  setAway(away: boolean): void {
    this.#away?.release();
    this.#away = undefined;
    if (!away) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#away = { back: promise, release: resolve };
  }

  async report(report: JobReport): Promise<void> {
    await this.#reach();
    this.reports.push(report);
    this.onReport(report);
  }

  async deadLettered(report: DeadLetterReport): Promise<void> {
    await this.#reach();
    this.deadLetters.push(report);
  }

  async fetchSignedJob(address: string): Promise<string> {
    await this.#reach();
    const text = this.jobs.get(address);
    if (text === undefined) throw new Error(`nothing at ${address}`);
    return text;
  }

  async #reach(): Promise<void> {
    await Promise.resolve();
    while (this.#away !== undefined) await this.#away.back;
  }
}

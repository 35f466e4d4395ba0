import type { JobReport } from '@dmg/model';
import { jobOf } from './test-jobs.ts';
import type { World } from './world.ts';

interface Run {
  readonly jobId: string;
  readonly tries: number;
  tryNumber: number;
  sends: number;
  sendNo: number;
  cancelWanted: boolean;
  quietMs: number;
  end: { readonly kind: string; readonly confirmed: boolean } | undefined;
}

const contactMs = 5_000;
const resendAfterMs = 60_000;

/**
 * The control plane as far as it matters to a dispatcher: sends, counts tries, sends again what nobody names, cancels, believes the
 * first end.
 */
export class ControlPlaneModel {
  readonly runs = new Map<string, Run>();
  readonly violations: string[] = [];
  readonly #world: World;
  #contactInMs = contactMs;

  constructor(world: World) {
    this.#world = world;
    world.reports.onReport = (report) => this.#onReport(report);
  }

  get open(): Run[] {
    return [...this.runs.values()].filter((run) => run.end === undefined);
  }

  async create(jobId: string, tries: number): Promise<void> {
    const run: Run = { jobId, tries, tryNumber: 1, sends: 0, sendNo: 0, cancelWanted: false, quietMs: 0, end: undefined };
    this.runs.set(jobId, run);
    await this.send(run);
  }

  async send(run: Run): Promise<void> {
    run.sends += 1;
    run.quietMs = 0;
    const job = jobOf(run.jobId, { tryNumber: run.tryNumber, finalTry: run.tryNumber >= run.tries });
    try {
      run.sendNo = await this.#world.send(job, { sends: run.sends });
    } catch {
      // The outbox tries again; here the rule for what nobody names does.
      run.sendNo = 0;
    }
  }

  /** The nodes' reports of every five seconds, and what follows from them. */
  async passed(ms: number): Promise<void> {
    this.#contactInMs -= ms;
    if (this.#contactInMs > 0) return;
    this.#contactInMs = contactMs;
    const reports = this.#world.dispatcherReports;
    const named = new Set(reports.flatMap(({ waiting }) => waiting));
    for (const { worker, isFrozen } of this.#world.nodes) {
      for (const attemptId of isFrozen ? [] : worker.running) named.add(worker.request(attemptId)?.job.jobId ?? '');
    }
    for (const run of this.open) {
      if (run.cancelWanted) this.#cancel(run.jobId);
      if (named.has(run.jobId)) run.quietMs = 0;
      else if (reports.some(({ queueEmpty, receivedUpTo }) => queueEmpty || receivedUpTo >= run.sendNo)) run.quietMs += contactMs;
      if (run.quietMs >= resendAfterMs) await this.send(run);
    }
  }

  #cancel(jobId: string): void {
    for (const { worker, life, isFrozen } of this.#world.nodes) {
      if (isFrozen) continue;
      if (life?.process.isFrozen === false) life.dispatcher.cancelJob(jobId);
      for (const attemptId of worker.running) if (worker.request(attemptId)?.job.jobId === jobId) void worker.cancel(attemptId);
    }
  }

  #onReport({ jobId, tryNumber, attemptId, outcome }: JobReport): void {
    const run = this.runs.get(jobId);
    if (run === undefined) return void this.violations.push(`${jobId} was never sent`);
    if (outcome.kind === 'failed' && outcome.sink === 'open') {
      if (run.end !== undefined || tryNumber !== run.tryNumber) return;
      if (run.tryNumber >= run.tries) return void this.violations.push(`${jobId} failed its last try with the sink open`);
      if (run.cancelWanted) return;
      run.tryNumber += 1;
      void this.send(run);
      return;
    }
    // A job cancelled before any attempt left nothing at the sink that says so. When the ledger then goes back to an older state or
    // is lost, and the dispatcher is restarted before it wrote its memory back, such a job can come to life again.
    const confirmed = outcome.kind === 'succeeded' || ('sink' in outcome && outcome.sink === 'aborted' && attemptId !== '');
    if (run.end === undefined) run.end = { kind: outcome.kind, confirmed };
    // A repeated attempt that finds the sink closed may call it otherwise; done and not done contradict each other.
    else if (run.end.confirmed && (run.end.kind === 'succeeded') !== (outcome.kind === 'succeeded')) {
      this.violations.push(`${jobId} ended ${run.end.kind}, then ${outcome.kind}`);
    }
  }
}

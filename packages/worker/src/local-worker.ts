import type { Clock, Logger, Timer } from '@dmg/base';
import type { DispatchAnswer, DispatchRequest, WorkerEvent, WorkerPort } from '@dmg/core';
import {
  type AttemptOutcome, type AttemptProgress, compareEpochs, type Epoch, formatEpoch, isAssistStep, type Job, type RefusalReason,
  type RunningAttempt,
} from '@dmg/model';
import { Attempt } from './attempt.ts';
import { readAvailableMemory } from './available-memory.ts';
import { createProcesses } from './create-pool.ts';
import { Drain } from './drain.ts';
import { whyIneligible } from './eligibility.ts';
import { workerErrors } from './errors.ts';
import type { ExecutorPool } from './executor-pool.ts';
import { rivalryOf } from './job-rivals.ts';
import type { Keepers } from './keepers.ts';
import type { LocalWorkerOptions } from './local-worker-options.ts';
import { MemoryGate } from './memory-gate.ts';
import { attemptDurationMetric, attemptsMetric, dispatchesMetric } from './metrics.ts';
import { ProcessGauges } from './process-gauges.ts';
import { defaultWorkerTimes, type WorkerTimes } from './worker-times.ts';

interface PendingDispatch {
  readonly request: DispatchRequest;
  readonly job: Job;
  cancelRequested: boolean;
  superseded: boolean;
}

/**
 * This node as a worker: decides which dispatches it takes, runs them in executor processes, and tells what becomes of them
 * (DESIGN §5.3, §6; DESIGN-RULES 20, 23). It needs neither a dispatcher nor Redis to go on with what it runs.
 */
export class LocalWorker implements WorkerPort {
  readonly nodeId: string;
  readonly nodeName: string;
  readonly #options: LocalWorkerOptions;
  readonly #times: WorkerTimes;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #pool: ExecutorPool;
  readonly #keepers: Keepers;
  readonly #memoryLimitBytes: number;
  readonly #memory: MemoryGate;
  readonly #drain: Drain;
  readonly #gauges: ProcessGauges;
  readonly #attempts = new Map<string, Attempt>();
  /** Verified dispatches that wait for an executor, by attempt. */
  readonly #pending = new Map<string, PendingDispatch>();
  readonly #listeners = new Set<(event: WorkerEvent) => void>();
  #promised: Epoch | undefined;
  #closed: Promise<void> | undefined;
  #watchTimer: Timer | undefined;
  #watchedAtMs = 0;
  #aliveAtMs = -Infinity;
  #quiet: (() => void)[] = [];

  constructor(options: LocalWorkerOptions) {
    const budgetBytes = options.memoryBudgetBytes ?? 150e6;
    this.nodeId = options.nodeId;
    this.nodeName = options.nodeName;
    this.#options = options;
    this.#times = { ...defaultWorkerTimes, ...options.times };
    this.#clock = options.clock;
    this.#logger = options.logger.child({ component: 'worker' });
    this.#memoryLimitBytes = budgetBytes * 1.5;
    this.#memory = new MemoryGate({
      clock: options.clock, cacheMs: this.#times.memoryCacheMs, budgetBytes: this.#memoryLimitBytes,
      reserveBytes: options.memoryReserveBytes ?? 128 * 1024 * 1024,
      availableBytes: options.availableMemoryBytes ?? (() => readAvailableMemory()),
    });
    this.#drain = new Drain({
      clock: options.clock,
      handOver: () => {
        for (const attempt of this.#attempts.values()) attempt.stop('draining');
      },
    });
    const { pool, keepers } = createProcesses(options, {
      budgetBytes, times: this.#times, logger: this.#logger, slotsChanged: (slots) => this.#emit({ type: 'slots', ...slots }),
    });
    this.#pool = pool;
    this.#keepers = keepers;
    this.#gauges = new ProcessGauges({
      clock: options.clock, meter: options.meter, intervalMs: this.#times.residentIntervalMs, executorPids: () => this.executorPids,
    });
  }

  /** Ends what a former host left behind and starts the first executors. Dispatches are taken from now on. */
  async start(): Promise<void> {
    if (this.#closed !== undefined) throw workerErrors.CLOSED.create();
    await this.#pool.start();
    this.#watchedAtMs = this.#clock.monotonicMs();
    this.#gauges.start();
    this.#watch();
  }

  /** The start of the host is over: how late its event loop is counts from now on. */
  measureFromNow(): void {
    this.#gauges.restart();
  }

  /** It takes no dispatches: the user drains it, or it shuts down. */
  get draining(): boolean {
    return this.#drain.active;
  }

  /** The largest epoch that it has promised to obey; undefined: none yet. */
  get promised(): Epoch | undefined {
    return this.#promised;
  }

  get slots(): { readonly limit: number; readonly used: number } {
    return this.#pool.slots;
  }

  /** Pids of the executors that are not gone. */
  get executorPids(): readonly number[] {
    return [...this.#pool.pids, ...this.#keepers.pids];
  }

  async hello(epoch: Epoch): ReturnType<WorkerPort['hello']> {
    if (this.#promised !== undefined && compareEpochs(epoch, this.#promised) < 0) return { accepted: false, known: this.#promised };
    // The promise and the list are one step: whatever waits for an executor under a smaller epoch is refused when it gets one. What waits
    // under this one is about to run: not to list it would be to say that it never will.
    this.#promised = epoch;
    const starting = [...this.#pending.values()].filter(({ request }) => compareEpochs(request.epoch, epoch) >= 0).map(startingAttempt);
    return { accepted: true, attempts: [...this.running(), ...starting], ...this.slots };
  }

  async dispatch(request: DispatchRequest): Promise<DispatchAnswer> {
    const answer = await this.#dispatch(request);
    this.#options.meter.add(dispatchesMetric, 1, { answer: answer.accepted ? 'accepted' : answer.reason });
    if (!answer.accepted) {
      const { job: { jobId }, attemptId, step, epoch } = request;
      const { reason, evidence } = answer;
      this.#logger.debug({ jobId, attemptId, step, epoch: formatEpoch(epoch), reason, evidence }, 'dispatch refused');
    }
    return answer;
  }

  async cancel(attemptId: string): Promise<void> {
    const pending = this.#pending.get(attemptId);
    if (pending !== undefined) cancelPending(pending);
    this.#attempts.get(attemptId)?.stop('cancelled');
  }

  async supersede(attemptId: string): Promise<void> {
    const pending = this.#pending.get(attemptId);
    if (pending !== undefined) pending.superseded = true;
    this.#attempts.get(attemptId)?.stop('superseded');
  }

  async tellAssistants(attemptId: string, assistants: number): Promise<void> {
    this.#attempts.get(attemptId)?.tellAssistants(assistants);
  }

  /** Cancels the job if it runs or is about to run here; false when it does not. Safe to repeat. */
  cancelJob(jobId: string): boolean {
    let found = false;
    for (const pending of this.#pending.values()) {
      if (pending.job.jobId !== jobId) continue;
      cancelPending(pending);
      found = true;
    }
    for (const attempt of this.#attempts.values()) {
      if (attempt.job.jobId !== jobId) continue;
      attempt.stop('cancelled');
      found = true;
    }
    return found;
  }

  subscribe(listen: (event: WorkerEvent) => void): () => void {
    this.#listeners.add(listen);
    return () => this.#listeners.delete(listen);
  }

  /** How many jobs may run at once from now on. A lower limit ends nothing and admits nothing until usage is below it. */
  setLimit(limit: number): void {
    this.#pool.setLimit(limit);
  }

  /** Everything that runs, completely. */
  running(): RunningAttempt[] {
    return [...this.#attempts.values()].map((attempt) => attempt.list());
  }

  /**
   * Takes no more dispatches; what runs may finish for `graceMs` from the first call, then it is stopped (`stopped`, the sink stays
   * open) or, if it does not stop within `times.handOverMs`, killed, so that the dispatcher places it elsewhere. With undefined the
   * worker takes dispatches again; what was stopped meanwhile stays stopped. Safe to repeat; without effect while it shuts down.
   */
  setDraining(wanted: { readonly graceMs: number } | undefined): void {
    const before = this.#drain.active;
    this.#drain.set(wanted);
    if (this.#drain.active === before) return;
    this.#logger.info({ graceMs: wanted?.graceMs, running: this.#attempts.size }, before ? 'drain taken back' : 'drain begins');
    if (!before) this.#endAssistants();
    // Whoever holds back because it was refused is told that there is room again.
    if (before) this.#emit({ type: 'slots', ...this.slots });
  }

  /** The last drain: as `setDraining`, but there is no way back. Resolves when nothing runs any more; then the worker is closed. */
  async drain(graceMs: number): Promise<void> {
    this.#drain.last(graceMs);
    this.#endAssistants();
    await this.#whenQuiet();
    this.#drain.end();
  }

  /** Stops what runs, kills what does not stop within `closeGraceMs`, and resolves when no process is left. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#drain.end();
    for (const attempt of this.#attempts.values()) attempt.stop('shutdown');
    this.#pool.beginClose();
    const late = new Promise<void>((resolve) => {
      const timer = this.#clock.after(this.#times.closeGraceMs, resolve);
      void this.#whenQuiet().then(() => {
        timer.cancel();
        resolve();
      });
    });
    await late;
    await Promise.all([this.#pool.finishClose(), this.#keepers.close()]);
    this.#watchTimer?.cancel();
    this.#watchTimer = undefined;
    this.#gauges.stop();
  }

  async #dispatch(request: DispatchRequest): Promise<DispatchAnswer> {
    const early = this.#refusalNow(request);
    if (early !== undefined) return early;
    const job = await this.#options.verify(request.signedJob);
    if (job === undefined) return refuse('BAD_SIGNATURE', 'The signed job was not signed by the control plane of this gateway.');
    const ineligible = await whyIneligible(job, this.#options, this.#times.eligibilityLimitMs);
    if (ineligible !== undefined) return refuse('NOT_ELIGIBLE', ineligible);
    // The world may have changed while the signature was checked; from here to the claim nothing waits.
    const late = this.#refusalNow(request) ?? this.#refusalOfJob(request, job);
    if (late !== undefined) return late === 'repeated' ? { accepted: true } : late;
    const short = this.#refusalForMemory(request);
    return short === undefined ? this.#claim(request, job) : refuse('NO_MEMORY', short);
  }

  /** A step that closes a sink takes next to nothing and is never kept waiting; where no slot is free, that is what is said. */
  #refusalForMemory(request: DispatchRequest): string | undefined {
    const { limit, used } = this.slots;
    if (request.step === 'abort' || request.step === 'keep' || used + this.#pending.size >= limit) return undefined;
    return this.#memory.refusal([...this.#attempts.values()], this.#pending.size);
  }

  #refusalNow(request: DispatchRequest): DispatchAnswer | undefined {
    if (this.#drain.active) return refuse('DRAINING', this.#drain.evidence);
    if (this.#promised !== undefined && compareEpochs(request.epoch, this.#promised) < 0) {
      return refuse('STALE_EPOCH', `This node obeys epoch ${formatEpoch(this.#promised)}.`);
    }
    return undefined;
  }

  /** A dispatch that is heard twice is one dispatch. */
  #refusalOfJob(request: DispatchRequest, job: Job): DispatchAnswer | 'repeated' | undefined {
    if (this.#attempts.has(request.attemptId)) return 'repeated';
    for (const attempt of this.#attempts.values()) {
      if (attempt.job.jobId !== job.jobId || rivalryOf(attempt.step, request.step) !== 'excludes') continue;
      const { attemptId, step } = attempt;
      return refuse('ALREADY_RUNNING', `Attempt ${attemptId} (${step}, try ${attempt.job.tryNumber}) of this job runs here.`);
    }
    for (const [attemptId, pending] of this.#pending) {
      if (pending.job.jobId !== job.jobId || rivalryOf(pending.request.step, request.step) !== 'excludes') continue;
      return refuse('ALREADY_RUNNING', `Attempt ${attemptId} of this job is about to run here.`);
    }
    return undefined;
  }

  #claim(request: DispatchRequest, job: Job): Promise<DispatchAnswer> {
    const { attemptId } = request;
    const pool = request.step === 'keep' ? this.#keepers : this.#pool;
    this.#makeWay(request, job);
    return new Promise((resolve) => {
      const pending: PendingDispatch = { request, job, cancelRequested: false, superseded: false };
      this.#pending.set(attemptId, pending);
      const settle = (answer: DispatchAnswer): void => {
        this.#pending.delete(attemptId);
        resolve(answer);
      };
      const claimed = pool.claim({
        attemptId,
        stillWanted: () => !pending.superseded && this.#refusalNow(request) === undefined,
        begin: (executor) => {
          if (this.#promised === undefined || compareEpochs(request.epoch, this.#promised) > 0) this.#promised = request.epoch;
          const attempt = new Attempt({
            request, job, executor,
            // Cancelled before it began: an earlier attempt may have left something at the sink, so it is closed.
            step: pending.cancelRequested ? 'abort' : request.step,
            nodeName: this.nodeName,
            pool,
            limits: { ...this.#times, memoryLimitBytes: this.#memoryLimitBytes },
            clock: this.#clock,
            logger: this.#logger,
            progressed: (one, progress) => this.#progressed(one, progress),
            ended: (one, outcome) => this.#ended(one, outcome),
          });
          this.#attempts.set(attemptId, attempt);
          // The slots as they are with this one, at the instant of its reservation: `used` is never above `limit` here.
          const fields = { jobId: job.jobId, attemptId, step: attempt.step, epoch: formatEpoch(request.epoch), ...this.slots };
          this.#logger.info(fields, 'attempt accepted');
          settle({ accepted: true });
          return attempt;
        },
        refused: (evidence) => settle(this.#refusalNow(request) ?? refuse('NO_FREE_SLOT', evidence)),
      });
      if (!claimed) settle(refuse('NO_FREE_SLOT', this.#pool.fullEvidence()));
    });
  }

  /** Assistants of the job that is about to lead here end. */
  #makeWay(request: DispatchRequest, job: Job): void {
    for (const pending of this.#pending.values()) {
      if (pending.job.jobId === job.jobId && rivalryOf(pending.request.step, request.step) === 'makesWay') pending.superseded = true;
    }
    for (const attempt of this.#attempts.values()) {
      if (attempt.job.jobId === job.jobId && rivalryOf(attempt.step, request.step) === 'makesWay') attempt.stop('superseded');
    }
  }

  /** Nothing is lost with those: they do not wait for the grace of a drain to be over. */
  #endAssistants(): void {
    for (const attempt of this.#attempts.values()) if (isAssistStep(attempt.step)) attempt.stop('draining');
  }

  #progressed(attempt: Attempt, progress: AttemptProgress): void {
    this.#emit({ type: 'progress', jobId: attempt.job.jobId, attemptId: attempt.attemptId, progress });
  }

  #ended(attempt: Attempt, outcome: AttemptOutcome): void {
    const { job, attemptId, startedAtMs, startedAtWallMs } = attempt;
    this.#attempts.delete(attemptId);
    const durationMs = this.#clock.monotonicMs() - startedAtMs;
    const labels = { outcome: outcome.kind, source: job.activity.source.connector, sink: job.activity.sink.connector };
    this.#options.meter.add(attemptsMetric, 1, labels);
    this.#options.meter.observe(attemptDurationMetric, durationMs / 1_000, labels);
    const fields = { jobId: job.jobId, attemptId, outcome: outcome.kind, durationMs: Math.round(durationMs) };
    if (outcome.kind === 'lost') this.#logger.warn({ ...fields, reason: outcome.reason }, 'attempt lost');
    else this.#logger.info(fields, 'attempt ended');
    this.#emit({
      type: 'ended', jobId: job.jobId, tryNumber: job.tryNumber, attemptId, outcome,
      startedAtMs: startedAtWallMs, endedAtMs: startedAtWallMs + durationMs,
    });
    if (this.#attempts.size > 0) return;
    for (const resolve of this.#quiet.splice(0)) resolve();
  }

  #whenQuiet(): Promise<void> {
    if (this.#attempts.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#quiet.push(resolve));
  }

  #emit(event: WorkerEvent): void {
    for (const listen of this.#listeners) listen(event);
  }

  /**
   * One look at everything. When this process itself stood still (stopped, suspended, starved) all executors seem silent: the time
   * it missed is not held against them.
   */
  #watch(): void {
    const nowMs = this.#clock.monotonicMs();
    const missedMs = nowMs - this.#watchedAtMs - this.#times.watchIntervalMs;
    this.#watchedAtMs = nowMs;
    const pausedMs = missedMs > this.#times.watchIntervalMs ? missedMs : 0;
    for (const attempt of this.#attempts.values()) attempt.watch(pausedMs);
    this.#pool.watch(pausedMs);
    this.#keepers.watch();
    this.#gauges.watch();
    // Looks come a little late each; half a step early keeps the signs from coming a whole step late.
    if (nowMs - this.#aliveAtMs >= this.#times.aliveIntervalMs - this.#times.watchIntervalMs / 2) {
      this.#aliveAtMs = nowMs;
      this.#emit({ type: 'alive' });
    }
    this.#watchTimer = this.#clock.after(this.#times.watchIntervalMs, () => this.#watch());
  }
}

/** An attempt that leads still closes the sink, where an earlier one may have left something; an assistant is not begun at all. */
function cancelPending(pending: PendingDispatch): void {
  if (isAssistStep(pending.request.step)) pending.superseded = true;
  else pending.cancelRequested = true;
}

function startingAttempt({ request, job }: PendingDispatch): RunningAttempt {
  const { attemptId, step, signedJob } = request;
  return { jobId: job.jobId, tryNumber: job.tryNumber, attemptId, step, progress: undefined, signedJob };
}

function refuse(reason: RefusalReason, evidence: string): DispatchAnswer {
  return { accepted: false, reason, evidence };
}

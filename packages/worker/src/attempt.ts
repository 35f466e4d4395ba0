import type { Clock, Logger, StopKind } from '@dmg/base';
import {
  type AttemptEffect, type AttemptEvent, type AttemptLimits, type AttemptState, type DispatchRequest, startAttempt, stepAttempt,
} from '@dmg/core';
import type { AttemptOutcome, AttemptProgress, AttemptStep, Job, RunningAttempt } from '@dmg/model';
import { workerErrors } from './errors.ts';
import type { Departure, Executor } from './executor.ts';
import type { ExecutorMessage } from './executor-messages.ts';
import type { AttemptHost, Occupant } from './occupant.ts';

export interface AttemptOptions {
  readonly request: DispatchRequest;
  /** As verified here; `request.job` is only what the dispatcher says. */
  readonly job: Job;
  readonly step: AttemptStep;
  readonly nodeName: string;
  readonly executor: Executor;
  readonly pool: AttemptHost;
  readonly limits: AttemptLimits;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly progressed: (attempt: Attempt, progress: AttemptProgress) => void;
  /** Called once, after the slot was given back. */
  readonly ended: (attempt: Attempt, outcome: AttemptOutcome) => void;
}

/** One attempt at work: carries out what core's attempt machine decides. */
export class Attempt implements Occupant {
  readonly job: Job;
  readonly attemptId: string;
  readonly startedAtMs: number;
  readonly startedAtWallMs: number;
  readonly #options: AttemptOptions;
  #state: AttemptState;
  #executor: Executor;
  /** An abort step waits for a fresh executor. */
  #carried = false;

  constructor(options: AttemptOptions) {
    const { request, job, step, limits, clock, executor } = options;
    this.#options = options;
    this.job = job;
    this.attemptId = request.attemptId;
    this.startedAtMs = clock.monotonicMs();
    this.startedAtWallMs = clock.wallMs();
    this.#executor = executor;
    const timeoutMs = job.policy.timeoutMs;
    // Made when one of them happens: an error costs more than all else that a short attempt takes here.
    const faults = {
      get memoryLimit() {
        return workerErrors.MEMORY_LIMIT.create({ limitMb: Math.round(limits.memoryLimitBytes / 1e6) }).toFault();
      },
      get timeout() {
        return workerErrors.TIMED_OUT.create({ timeoutSeconds: Math.round(timeoutMs / 1_000) }).toFault();
      },
      get noProgress() {
        return workerErrors.NO_PROGRESS.create({ silentSeconds: Math.round(limits.progressLimitMs / 1_000) }).toFault();
      },
    };
    this.#state = startAttempt({ step, finalTry: job.finalTry, timeoutMs, faults, limits }, this.startedAtMs);
    this.#run(executor, step);
  }

  get step(): AttemptStep {
    return this.#state.terms.step;
  }

  list(): RunningAttempt {
    const { request } = this.#options;
    return {
      jobId: this.job.jobId, tryNumber: this.job.tryNumber, attemptId: this.attemptId, step: this.step,
      progress: this.#state.progress, signedJob: request.signedJob,
    };
  }

  /** Resident memory above that of an idle executor. */
  memoryBytes(): number {
    return this.#carried ? 0 : this.#executor.overIdleBytes();
  }

  stop(kind: StopKind): void {
    this.#feed({ type: 'stop', kind });
  }

  /** How many assistants copy beside it now. */
  tellAssistants(assistants: number): void {
    if (this.#state.phase === 'running') this.#executor.tellAssistants(this.attemptId, assistants);
  }

  /** To be called often: memory, silences and limits. */
  watch(pausedMs: number): void {
    if (pausedMs > 0) this.#feed({ type: 'hostPaused', pausedMs });
    if (!this.#carried) {
      this.#feed({ type: 'memory', overIdleBytes: this.memoryBytes() });
      this.#feed({ type: 'starved', starvedMs: this.#executor.starvedMs() });
    }
    this.#feed({ type: 'time' });
  }

  message(message: ExecutorMessage): void {
    switch (message.type) {
      case 'tick':
        this.#feed({ type: 'tick' });
        break;
      case 'progress':
        if (!this.#isMine(message.attemptId)) return;
        this.#feed({ type: 'progress', progress: message.progress, waiting: message.waiting });
        if (this.#state.phase !== 'ended') this.#options.progressed(this, message.progress);
        break;
      case 'stopping':
        if (this.#isMine(message.attemptId)) this.#feed({ type: 'stopAcknowledged' });
        break;
      case 'ended':
        if (this.#isMine(message.attemptId)) this.#feed({ type: 'ended', outcome: message.outcome });
        break;
      case 'ready':
      case 'taken':
      case 'counted':
        break;
    }
  }

  garbled(): void {
    this.#feed({ type: 'protocolBroken', reason: 'The executor sent a message that is not known.' });
  }

  gone(departure: Departure): void {
    this.#feed({ type: 'gone', reason: departure.reason, outOfMemory: departure.outOfMemory });
  }

  #isMine(attemptId: string): boolean {
    if (attemptId === this.attemptId) return true;
    this.#feed({ type: 'protocolBroken', reason: 'The executor spoke of an attempt that it does not run.' });
    return false;
  }

  #run(executor: Executor, step: AttemptStep): void {
    const { request, job, nodeName, limits } = this.#options;
    const { signedJob, epoch, share } = request;
    const { attemptId } = this;
    const shared = share === undefined ? {} : { share };
    const task = { signedJob, jobId: job.jobId, attemptId, step, epoch, nodeName, ...shared };
    executor.start(task, step === 'abort' ? limits.abortLimitMs : job.policy.timeoutMs);
  }

  #feed(event: AttemptEvent): void {
    const { state, effects } = stepAttempt(this.#state, event, this.#options.clock.monotonicMs());
    this.#state = state;
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: AttemptEffect): void {
    const { pool, logger } = this.#options;
    switch (effect.type) {
      case 'sendStop':
        this.#executor.stop(this.attemptId, effect.kind);
        break;
      case 'kill':
        // While a fresh executor is still awaited there is none to kill; the machine's own limit ends the wait.
        if (!this.#carried) pool.kill(this.#executor, effect.reason);
        break;
      case 'close':
        logger.info({ jobId: this.job.jobId, attemptId: this.attemptId }, 'sink is being closed by an abort step');
        this.#close();
        break;
      case 'report':
        this.#report(effect.outcome);
        break;
    }
  }

  #close(): void {
    if (!this.#executor.leaving) {
      this.#run(this.#executor, 'abort');
      this.#feed({ type: 'closingStarted' });
      return;
    }
    this.#carried = true;
    this.#options.pool.carry(this.#executor.id, {
      attemptId: this.attemptId,
      stillWanted: () => true,
      begin: (executor) => {
        this.#carried = false;
        this.#executor = executor;
        this.#run(executor, 'abort');
        this.#feed({ type: 'closingStarted' });
        return this;
      },
      refused: () => this.#feed({ type: 'closingImpossible' }),
    });
  }

  #report(outcome: AttemptOutcome): void {
    const { pool, ended } = this.#options;
    if (this.#carried) pool.dropCarried(this.attemptId);
    else pool.release(this.#executor);
    ended(this, outcome);
  }
}

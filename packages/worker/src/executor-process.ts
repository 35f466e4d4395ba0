import { asDmgError, type Clock, firstLine, isStopReason, type Logger, type Meter, type StopKind, StopReason, type Timer } from '@dmg/base';
import type { AttemptOutcome, AttemptProgress } from '@dmg/model';
import { writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { CounterTally } from './counter-tally.ts';
import { workerErrors } from './errors.ts';
import { type ExecutorMessage, type ExecutorTask, type HostMessage, readHostMessage } from './executor-messages.ts';
import { bindSlotName } from './slot-names.ts';

export interface TaskContext {
  /** Aborted with a `StopReason`; `host-gone`: leave the sink open, another attempt goes on. */
  readonly signal: AbortSignal;
  /**
   * Says how far the work is; call as often as you like, two messages a second are sent. `waiting` declares that no byte will
   * move for a while for a known reason (a lock, a retry, a slow commit); it holds until the next call without it.
   */
  progress(progress: AttemptProgress, options?: { waiting?: boolean }): void;
  /** How many assistants copy beside this attempt now, on other nodes. */
  assistants(): number;
  /** Counts for the host, which knows of it half a second later and at the end of the attempt. Counters only. */
  readonly meter: Meter;
}

export interface ExecutorProcessOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /**
   * Does one step of one job and says how it ended. On `cancelled` it closes the sink itself and answers `cancelled`; on
   * `draining`, `shutdown` and `superseded` it leaves the sink open and answers `stopped`; on `timeout` it answers `failed`. What it
   * throws becomes `failed` with the sink open; the host closes the sink where that try was the last.
   */
  run(task: ExecutorTask, context: TaskContext): Promise<AttemptOutcome>;
  /** Niceness of the process, so that the host comes first. Default 10. */
  readonly niceness?: number;
  /** What the kernel adds when it looks for a process to end for want of memory. Default 500. */
  readonly oomScoreAdjust?: number;
  /** How long the work may take to stop once the host is gone. Default 900 ms: the process ends within a second. */
  readonly hostGoneLimitMs?: number;
}

/**
 * The life of an executor process: call it once, last, in the module that the host forks. It binds the slot that the host names,
 * says that it is ready, runs one task after another, ticks all the while, and ends when the channel to the host closes.
 */
export function runExecutorProcess(options: ExecutorProcessOptions): void {
  if (process.send === undefined) throw workerErrors.NO_HOST.create();
  new ExecutorProcess(options).listen();
}

interface CurrentTask {
  readonly attemptId: string;
  readonly controller: AbortController;
  assistants: number;
  latest: { progress: AttemptProgress; waiting: boolean } | undefined;
  sentAtMs: number;
  timer: Timer | undefined;
}

/** Increments in one message: each takes some hundred bytes, a message stays under 4 KB. */
const countsPerMessage = 20;
const countIntervalMs = 500;

class ExecutorProcess {
  readonly #options: ExecutorProcessOptions;
  readonly #clock: Clock;
  #tickIntervalMs = 1_000;
  #progressIntervalMs = 500;
  #task: CurrentTask | undefined;
  readonly #tally = new CounterTally(() => this.#countLater());
  #countTimer: Timer | undefined;
  #hostGone = false;

  constructor(options: ExecutorProcessOptions) {
    this.#options = options;
    this.#clock = options.clock;
  }

  listen(): void {
    // Ctrl-C and a service manager signal the whole group; only the host decides what becomes of running work.
    process.on('SIGINT', () => undefined);
    process.on('SIGTERM', () => undefined);
    process.on('disconnect', () => this.#endWithHost());
    process.on('message', (value) => {
      const message = readHostMessage(value);
      if (message === undefined) throw new Error('the host sent a message that is not known');
      this.#take(message);
    });
  }

  #take(message: HostMessage): void {
    switch (message.type) {
      case 'bind':
        this.#tickIntervalMs = message.tickIntervalMs;
        this.#progressIntervalMs = message.progressIntervalMs;
        void this.#bind(message.slot, message.name);
        break;
      case 'start':
        void this.#run(message.task, message.timeoutMs);
        break;
      case 'stop':
        this.#stop(message.attemptId, message.kind);
        break;
      case 'assistants':
        if (this.#task?.attemptId === message.attemptId) this.#task.assistants = message.assistants;
        break;
    }
  }

  async #bind(slot: number, name: string): Promise<void> {
    const troubles = this.#yieldToOthers();
    try {
      await bindSlotName(name);
    } catch (error) {
      this.#send({ type: 'taken', slot, reason: firstLine(error) });
      return;
    }
    this.#send({ type: 'ready', slot, troubles });
    this.#tick();
  }

  /** Lower priority, and first to go when memory ends. Both are refused in some containers; the work can be done without. */
  #yieldToOthers(): string[] {
    const troubles: string[] = [];
    try {
      setPriority(this.#options.niceness ?? 10);
    } catch (error) {
      troubles.push(`priority: ${firstLine(error)}`);
    }
    try {
      writeFileSync('/proc/self/oom_score_adj', String(this.#options.oomScoreAdjust ?? 500));
    } catch (error) {
      troubles.push(`oom_score_adj: ${firstLine(error)}`);
    }
    return troubles;
  }

  #tick(): void {
    this.#send({ type: 'tick' });
    this.#clock.after(this.#tickIntervalMs, () => this.#tick());
  }

  async #run(task: ExecutorTask, timeoutMs: number): Promise<void> {
    const { attemptId } = task;
    if (this.#task !== undefined) throw new Error('the host started a second task');
    const controller = new AbortController();
    const current: CurrentTask = { attemptId, controller, assistants: 0, latest: undefined, sentAtMs: -Infinity, timer: undefined };
    this.#task = current;
    let timedOut = false;
    const limit = timerOf(this.#clock, timeoutMs, () => {
      timedOut = !controller.signal.aborted;
      controller.abort(new StopReason('timeout'));
    });
    let outcome: AttemptOutcome;
    try {
      outcome = await this.#options.run(task, {
        signal: controller.signal,
        meter: this.#tally,
        assistants: () => current.assistants,
        progress: (progress, how) => this.#progress(current, progress, how?.waiting ?? false),
      });
    } catch (error) {
      outcome = this.#outcomeOf(error, attemptId);
    }
    // A limit that passed is a failure, also where the work calls it being stopped.
    if (timedOut && (outcome.kind === 'stopped' || outcome.kind === 'cancelled')) {
      const fault = workerErrors.TIMED_OUT.create({ timeoutSeconds: Math.round(timeoutMs / 1_000) }).toFault();
      outcome = { kind: 'failed', fault, sink: outcome.kind === 'stopped' ? 'open' : outcome.sink };
    }
    limit.cancel();
    current.timer?.cancel();
    this.#task = undefined;
    this.#sendCounts();
    this.#send({ type: 'ended', attemptId, outcome });
    if (this.#hostGone) process.exit(0);
  }

  /** The sink was not closed by what threw; the host closes it where it must be. */
  #outcomeOf(error: unknown, attemptId: string): AttemptOutcome {
    if (isStopReason(error)) return { kind: 'stopped' };
    const fault = asDmgError(error).toFault();
    this.#options.logger.error({ attemptId, code: fault.code, reason: fault.message, detail: fault.detail }, 'attempt threw');
    return { kind: 'failed', fault, sink: 'open' };
  }

  #stop(attemptId: string, kind: StopKind): void {
    // The work may have ended while the request was on its way: then its end was sent before.
    if (this.#task?.attemptId !== attemptId) return;
    this.#send({ type: 'stopping', attemptId });
    this.#task.controller.abort(new StopReason(kind));
  }

  #progress(task: CurrentTask, progress: AttemptProgress, waiting: boolean): void {
    if (this.#task !== task) return;
    task.latest = { progress, waiting };
    if (task.timer !== undefined) return;
    const dueInMs = task.sentAtMs + this.#progressIntervalMs - this.#clock.monotonicMs();
    if (dueInMs <= 0) this.#sendProgress(task);
    else task.timer = this.#clock.after(dueInMs, () => this.#sendProgress(task));
  }

  #sendProgress(task: CurrentTask): void {
    task.timer = undefined;
    if (task.latest === undefined || this.#task !== task) return;
    task.sentAtMs = this.#clock.monotonicMs();
    this.#send({ type: 'progress', attemptId: task.attemptId, ...task.latest });
  }

  /** What is counted in the last half second of a process that is killed is lost: counts are for watching, receipts tell the truth. */
  #countLater(): void {
    this.#countTimer ??= this.#clock.after(countIntervalMs, () => this.#sendCounts());
  }

  #sendCounts(): void {
    this.#countTimer?.cancel();
    this.#countTimer = undefined;
    const counts = this.#tally.take();
    for (let sent = 0; sent < counts.length; sent += countsPerMessage) {
      this.#send({ type: 'counted', counts: counts.slice(sent, sent + countsPerMessage) });
    }
  }

  #endWithHost(): void {
    if (this.#task === undefined) process.exit(0);
    this.#hostGone = true;
    this.#clock.after(this.#options.hostGoneLimitMs ?? 900, () => process.exit(1));
    this.#task.controller.abort(new StopReason('host-gone'));
  }

  #send(message: ExecutorMessage): void {
    // A closed channel is noticed by `disconnect`, which ends this process; what was to be said has no reader any more.
    if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
  }
}

/** A timer of any length: the platform's own fires at once when it is asked for more than 2^31 ms (25 days). */
function timerOf(clock: Clock, delayMs: number, fire: () => void): Timer {
  const stepMaxMs = 2 ** 30;
  let timer = arm(delayMs);
  function arm(leftMs: number): Timer {
    return clock.after(Math.min(leftMs, stepMaxMs), () => {
      if (leftMs <= stepMaxMs) fire();
      else timer = arm(leftMs - stepMaxMs);
    });
  }
  return { cancel: () => timer.cancel() };
}

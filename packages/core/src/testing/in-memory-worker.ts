import type { Clock, Fault } from '@dmg/base';
import {
  type AttemptOutcome, type AttemptProgress, compareEpochs, type Epoch, formatEpoch, isAssistStep, type Receipt, type RunningAttempt,
} from '@dmg/model';
import type { DispatchAnswer, DispatchRequest, WorkerEvent, WorkerPort } from '../ports.ts';

/** The phases of all sinks: they outlive workers, dispatchers and ledgers, and change once (DESIGN §7). */
export class InMemorySinks {
  readonly #phases = new Map<string, 'done' | 'aborted'>();

  phase(jobId: string): 'open' | 'done' | 'aborted' {
    return this.#phases.get(jobId) ?? 'open';
  }

  /** The first change wins; gives the phase that stands. */
  close(jobId: string, phase: 'done' | 'aborted'): 'done' | 'aborted' {
    const standing = this.#phases.get(jobId) ?? phase;
    this.#phases.set(jobId, standing);
    return standing;
  }
}

export interface InMemoryWorkerOptions {
  readonly nodeId: string;
  readonly nodeName: string;
  readonly limit: number;
  readonly clock: Clock;
  readonly sinks: InMemorySinks;
}

interface Held {
  readonly request: DispatchRequest;
  readonly startedAtMs: number;
  progress: AttemptProgress | undefined;
}

/** A worker without processes. Tests decide when and how attempts end; what they find at the sink follows the sink's rules. */
export class InMemoryWorker implements WorkerPort {
  readonly nodeId: string;
  readonly nodeName: string;
  /** Every attempt that was ever begun here, in order. */
  readonly begun: DispatchRequest[] = [];
  /** Attempts asked to stop. */
  readonly cancelled: string[] = [];
  /** Attempts asked to make way for another one of their job. */
  readonly superseded: string[] = [];
  /** How many assistants attempts were told of last. */
  readonly told = new Map<string, number>();
  /** A reason why a job cannot run here; undefined: it can. */
  notEligible: (request: DispatchRequest) => string | undefined = () => undefined;
  badSignature: (request: DispatchRequest) => boolean = () => false;
  draining = false;
  /** `before`: a dispatch fails without effect; `after`: it fails although the attempt was begun. */
  dispatchTrouble: 'before' | 'after' | undefined;
  helloTrouble: Error | undefined;
  /** While set, answers to Hello are on their way: made already, not heard yet. */
  helloDelay: Promise<void> | undefined;
  /** While set, dispatches are on their way: sent, not taken yet. */
  dispatchDelay: Promise<void> | undefined;
  /** False: a cancelled attempt goes on until the test ends it. */
  endsWhenCancelled = true;
  readonly #clock: Clock;
  readonly #sinks: InMemorySinks;
  readonly #held = new Map<string, Held>();
  readonly #listeners = new Set<(event: WorkerEvent) => void>();
  #limit: number;
  #epoch: Epoch | undefined;

  constructor(options: InMemoryWorkerOptions) {
    this.nodeId = options.nodeId;
    this.nodeName = options.nodeName;
    this.#limit = options.limit;
    this.#clock = options.clock;
    this.#sinks = options.sinks;
  }

  /** Ids of the attempts that run now. */
  get running(): string[] {
    return [...this.#held.keys()];
  }

  get limit(): number {
    return this.#limit;
  }

  /** Keepers of snapshots take no slot. */
  get used(): number {
    return [...this.#held.values()].filter(({ request }) => request.step !== 'keep').length;
  }

  request(attemptId: string): DispatchRequest | undefined {
    return this.#held.get(attemptId)?.request;
  }

  async hello(epoch: Epoch): ReturnType<WorkerPort['hello']> {
    if (this.helloTrouble !== undefined) throw this.helloTrouble;
    if (this.#epoch !== undefined && compareEpochs(epoch, this.#epoch) < 0) return { accepted: false, known: this.#epoch };
    this.#epoch = epoch;
    const answer = { accepted: true, attempts: this.#list(), limit: this.#limit, used: this.used } as const;
    await this.helloDelay;
    return answer;
  }

  async dispatch(request: DispatchRequest): Promise<DispatchAnswer> {
    await this.dispatchDelay;
    if (this.dispatchTrouble === 'before') throw new Error('the worker did not answer');
    const answer = this.#admit(request);
    if (this.dispatchTrouble === 'after') throw new Error('the worker did not answer');
    return answer;
  }

  async cancel(attemptId: string): Promise<void> {
    await Promise.resolve();
    this.cancelled.push(attemptId);
    const held = this.#held.get(attemptId);
    if (held === undefined || !this.endsWhenCancelled) return;
    this.#end(attemptId, isAssistStep(held.request.step) ? { kind: 'stopped' } : this.#closed(held.request));
  }

  async supersede(attemptId: string): Promise<void> {
    await Promise.resolve();
    this.superseded.push(attemptId);
    this.#end(attemptId, { kind: 'stopped' });
  }

  async tellAssistants(attemptId: string, assistants: number): Promise<void> {
    await Promise.resolve();
    this.told.set(attemptId, assistants);
  }

  subscribe(listen: (event: WorkerEvent) => void): () => void {
    this.#listeners.add(listen);
    return () => this.#listeners.delete(listen);
  }

  setLimit(limit: number): void {
    this.#limit = limit;
    this.#sendSlots();
  }

  /** The attempt finishes its step as the sink allows. */
  finish(attemptId: string): void {
    const held = this.#held.get(attemptId);
    if (held === undefined) return;
    const { request } = held;
    if (isAssistStep(request.step)) return this.#end(attemptId, { kind: 'stopped' });
    if (request.step === 'abort') return this.#end(attemptId, this.#closed(request));
    const phase = this.#sinks.close(request.job.jobId, 'done');
    this.#end(attemptId, phase === 'done' ? this.#done(request) : { kind: 'cancelled', sink: 'aborted' });
  }

  /** The attempt fails: with the sink open while tries are left, else it closes the sink first. */
  fail(attemptId: string, fault: Fault): void {
    const held = this.#held.get(attemptId);
    if (held === undefined) return;
    const { request } = held;
    const leavesOpen = isAssistStep(request.step) || (request.step === 'copy' && !request.job.finalTry);
    if (leavesOpen) return this.#end(attemptId, { kind: 'failed', fault, sink: 'open' });
    const phase = this.#sinks.close(request.job.jobId, 'aborted');
    this.#end(attemptId, phase === 'done' ? this.#done(request) : { kind: 'failed', fault, sink: 'aborted' });
  }

  /** The executor dies. */
  kill(attemptId: string): void {
    this.#end(attemptId, { kind: 'lost', reason: 'signal SIGKILL' });
  }

  /** The attempt is stopped without an end, as by a drain. */
  stop(attemptId: string): void {
    this.#end(attemptId, { kind: 'stopped' });
  }

  /** The whole host dies and comes back: attempts are gone without a word, promises forgotten. */
  restart(): void {
    this.#held.clear();
    this.#epoch = undefined;
    this.draining = false;
  }

  /** The epoch that it has promised to obey; undefined: it has met no dispatcher. */
  get epoch(): Epoch | undefined {
    return this.#epoch;
  }

  /** A sign of life, as it is given every 500 ms. */
  beat(): void {
    this.#send({ type: 'alive' });
  }

  progress(
    attemptId: string, bytesWritten = 0, wishes: Pick<AttemptProgress, 'assistantsWanted' | 'snapshotHeld'> = {},
  ): void {
    const held = this.#held.get(attemptId);
    if (held === undefined) return;
    const counts = { bytesTotal: 100, bytesRead: bytesWritten, bytesWritten, rowsWritten: 0, filesTotal: 1, filesWritten: 0 };
    held.progress = { step: 'copy', ...counts, ...wishes };
    this.#send({ type: 'progress', jobId: held.request.job.jobId, attemptId, progress: held.progress });
  }

  #admit(request: DispatchRequest): DispatchAnswer {
    if (this.#epoch === undefined || compareEpochs(request.epoch, this.#epoch) < 0) {
      return { accepted: false, reason: 'STALE_EPOCH', evidence: this.#epoch === undefined ? 'no hello yet' : formatEpoch(this.#epoch) };
    }
    if (this.draining) return { accepted: false, reason: 'DRAINING', evidence: 'asked to stop' };
    if (this.badSignature(request)) return { accepted: false, reason: 'BAD_SIGNATURE', evidence: 'unknown key' };
    const why = this.notEligible(request);
    if (why !== undefined) return { accepted: false, reason: 'NOT_ELIGIBLE', evidence: why };
    const ofJob = [...this.#held.values()].filter((held) => held.request.job.jobId === request.job.jobId);
    const same = ofJob.find((held) => !givesWay(held.request, request));
    if (same !== undefined) return { accepted: false, reason: 'ALREADY_RUNNING', evidence: same.request.attemptId };
    const { used } = this;
    if (request.step !== 'keep' && used >= this.#limit) {
      return { accepted: false, reason: 'NO_FREE_SLOT', evidence: `${used} of ${this.#limit} used` };
    }
    for (const [attemptId, held] of this.#held) {
      if (held.request.job.jobId === request.job.jobId && held.request.step === 'assist' && request.step !== 'keep') {
        this.#end(attemptId, { kind: 'stopped' });
      }
    }
    this.#held.set(request.attemptId, { request, startedAtMs: this.#clock.wallMs(), progress: undefined });
    this.begun.push(request);
    this.#sendSlots();
    return { accepted: true };
  }

  #list(): RunningAttempt[] {
    return [...this.#held.values()].map(({ request, progress }) => ({
      jobId: request.job.jobId, tryNumber: request.job.tryNumber, attemptId: request.attemptId, step: request.step, progress,
      signedJob: request.signedJob,
    }));
  }

  #closed(request: DispatchRequest): AttemptOutcome {
    return this.#sinks.close(request.job.jobId, 'aborted') === 'done' ? this.#done(request) : { kind: 'cancelled', sink: 'aborted' };
  }

  #done(request: DispatchRequest): AttemptOutcome {
    const { job, attemptId, epoch } = request;
    const receipt: Receipt = {
      formatVersion: 1, jobId: job.jobId, generation: 1, guarantee: 'exactlyOnce', verification: 'acknowledged', consistency: 'perChunk',
      filesRead: 1, filesWritten: 1, bytesRead: 1, bytesWritten: 1, rowsRead: 0, rowsWritten: 0, rowsSkipped: 0, chunks: 1,
      hash: '0'.repeat(16), attempts: [attemptId], finishedBy: { attemptId, nodeName: this.nodeName, epoch: formatEpoch(epoch) },
      finishedAt: new Date(this.#clock.wallMs()).toISOString(),
    };
    return { kind: 'succeeded', receipt, details: { planMs: 1, copyMs: 1, finishMs: 1, readMs: 1, writeMs: 1, parallelCopies: 1 } };
  }

  #end(attemptId: string, outcome: AttemptOutcome): void {
    const held = this.#held.get(attemptId);
    if (held === undefined) return;
    this.#held.delete(attemptId);
    const { jobId, tryNumber } = held.request.job;
    this.#send({ type: 'ended', jobId, tryNumber, attemptId, outcome, startedAtMs: held.startedAtMs, endedAtMs: this.#clock.wallMs() });
    this.#sendSlots();
  }

  #sendSlots(): void {
    this.#send({ type: 'slots', limit: this.#limit, used: this.used });
  }

  #send(event: WorkerEvent): void {
    const listeners = [...this.#listeners];
    queueMicrotask(() => {
      for (const listen of listeners) if (this.#listeners.has(listen)) listen(event);
    });
  }
}

/** Whether an attempt of the same job does not stand in the way of another one: keepers never do, assistants end for who leads. */
function givesWay(held: DispatchRequest, next: DispatchRequest): boolean {
  if (held.step === 'keep' || next.step === 'keep') return held.step !== next.step;
  return held.step === 'assist' && next.step !== 'assist';
}

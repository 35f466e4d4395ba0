import { firstLine, type Timer, withDeadline } from '@dmg/base';
import { compareEpochs, type DispatcherReport, type Epoch, formatEpoch } from '@dmg/model';
import { DispatchLoop } from './dispatch-loop.ts';
import { dispatcherErrors } from './errors.ts';
import { Leadership } from './leadership.ts';
import { dispatcherMetrics } from './metrics.ts';
import { defaultSettings, type DispatcherOptions, type DispatcherSettings } from './options.ts';
import { Reception } from './reception.ts';
import type { WorkerSight } from './roster.ts';

/** A tick that comes so much late means that this process did not run: what it did not hear, nobody failed to say. */
const pauseMs = 1_000;
/** So many jobs that no live node may run are reported with the reason. */
const strandedMax = 100;

export interface Dispatcher {
  /** Becomes a candidate: leads whenever it has the right to act and ledger and workers let it, and again after it had to step down. */
  start(): void;
  /**
   * Gives the right to act back, then stops receiving. Attempts go on; their ends are still taken and reported until `close`.
   * `successor`: the node that should take over.
   */
  stop(successor?: string): Promise<void>;
  /** After `stop`: takes no more ends. */
  close(): Promise<void>;
  /** The user wants this job cancelled; may be said again and again, also before the job has come. */
  cancelJob(jobId: string): void;
  /** For the node's alive report; undefined while this node has never led. */
  report(): DispatcherReport | undefined;
  status(): DispatcherStatus;
  /** Why this node does not lead; undefined when it does, when another node rightly does, or when it was not started. */
  readonly trouble: string | undefined;
}

export interface DispatcherStatus {
  /** `standby`: waits for the right to act; `opening`: has it and does not lead yet. */
  readonly state: 'stopped' | 'standby' | 'opening' | 'leading';
  /** Of the session that stands, or stood last. */
  readonly epoch: string | undefined;
  readonly waiting: number;
  readonly active: number;
  readonly ended: number;
  /** Ends that the control plane has not acknowledged. */
  readonly unreported: number;
  readonly workers: readonly WorkerSight[];
}

export function createDispatcher(options: DispatcherOptions): Dispatcher {
  return new DispatcherOfNode(options);
}

class DispatcherOfNode implements Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #settings: DispatcherSettings;
  readonly #loop: DispatchLoop;
  readonly #leadership: Leadership;
  readonly #reception: Reception;
  #isRunning = false;
  #tick: Timer | undefined;
  #draining = false;
  #auditedMs: number;
  #drainedMs = Number.NEGATIVE_INFINITY;
  /** Since when another dispatcher has led without a gap, as far as we know. */
  #othersLeadSinceMs: number | undefined;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#settings = { ...defaultSettings, ...options.settings };
    this.#auditedMs = options.clock.monotonicMs();
    this.#loop = new DispatchLoop(options, this.#settings, {
      onTick: () => this.#onTick(), onDeadLettered: () => this.#drainDeadLetters(),
    });
    this.#reception = new Reception({ ...options, receiver: this.#loop.receiver });
    this.#leadership = new Leadership(this.#loop, options, this.#settings, {
      onGrant: () => this.#reception.prepare(), onLead: (epoch) => this.#onLead(epoch), onStepDown: () => this.#onStepDown(),
    });
  }

  start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#reception.warm();
    this.#leadership.start();
    this.#armTick();
  }

  async stop(successor?: string): Promise<void> {
    if (!this.#isRunning) return;
    this.#isRunning = false;
    this.#tick?.cancel();
    const { clock } = this.#options;
    const wasActing = this.#loop.session?.mayAct() === true;
    this.#loop.leading = false;
    const stopped = this.#reception.end();
    if (wasActing) {
      // What is on its way to the ledger need not be found out by the next one. It is fenced when that takes longer.
      const limitMs = this.#settings.handOverMs;
      await withDeadline({ clock, limitMs, what: 'finish writing' }, () => this.#written()).catch(() => undefined);
    }
    await this.#leadership.stop(successor);
    await stopped;
    await this.#written();
  }

  async close(): Promise<void> {
    await this.stop();
    this.#loop.close();
  }

  cancelJob(jobId: string): void {
    this.#loop.cancelJob(jobId);
  }

  report(): DispatcherReport | undefined {
    const { session, table, leading, receiver } = this.#loop;
    if (session === undefined) return undefined;
    const waiting: string[] = [];
    const stranded: { jobId: string; reason: string }[] = [];
    // Those that run are named by their nodes. Those that ended are named until the control plane knows it.
    for (const { jobId, record, stranded: reason } of table.open()) {
      if (record.state !== 'Running') waiting.push(jobId);
      if (reason !== undefined && stranded.length < strandedMax) stranded.push({ jobId, reason });
    }
    const queue = this.#options.queue.state();
    return {
      epoch: formatEpoch(session.epoch), leading, waiting, stranded, receivedUpTo: receiver.receivedUpTo,
      queueEmpty: leading && this.#reception.isOn && queue.connected && queue.empty,
    };
  }

  status(): DispatcherStatus {
    const { session, table, roster } = this.#loop;
    const states = [...table.all()].map(({ record }) => record);
    const { phase } = this.#leadership;
    return {
      state: !this.#isRunning || phase === 'idle' ? 'stopped' : phase === 'waiting' ? 'standby' : phase,
      epoch: session === undefined ? undefined : formatEpoch(session.epoch),
      waiting: table.waitingCount,
      active: states.filter((record) => record.attempt !== undefined).length,
      ended: states.filter((record) => record.state === 'Ended').length,
      unreported: states.filter((record) => record.state === 'Ended' && !record.reported).length,
      workers: roster.sights(session?.epoch, (nodeId) => table.activeOn(nodeId)),
    };
  }

  get trouble(): string | undefined {
    return this.#leadership.trouble?.message;
  }

  #onLead(epoch: Epoch): void {
    const { table, effects } = this.#loop;
    this.#options.onLeading?.(epoch);
    for (const entry of [...table.open()]) {
      const { end } = entry.record;
      if (end !== undefined) effects.perform(entry, [{ type: 'report', end }]);
    }
    this.#reception.open();
    this.#loop.greet(false);
    this.#loop.place();
    // With the next tick: the jobs that wait for this node are more urgent.
    this.#drainedMs = Number.NEGATIVE_INFINITY;
  }

  #onStepDown(): void {
    this.#options.onLeading?.(undefined);
    if (this.#isRunning) this.#reception.close();
  }

  /** Resolves when every job's effects that wait for the ledger are through. */
  async #written(): Promise<void> {
    await Promise.all([...this.#loop.table.all()].map((entry) => entry.tail));
  }

  #armTick(): void {
    const { clock } = this.#options;
    const dueMs = clock.monotonicMs() + this.#settings.tickMs;
    this.#tick = clock.after(this.#settings.tickMs, () => {
      const lateMs = clock.monotonicMs() - dueMs;
      if (lateMs >= pauseMs) this.#loop.roster.listenAnew();
      if (lateMs >= this.#settings.forgetMs) this.#leadership.noteAbsence();
      this.#loop.post({ type: 'tick' });
      if (this.#isRunning) this.#armTick();
    }, { unref: true });
  }

  /** Everything that depends on time alone; part of the loop. */
  #onTick(): void {
    const loop = this.#loop;
    const nowMs = this.#options.clock.monotonicMs();
    this.#forgetEnded(nowMs);
    if (!loop.leading) return this.#forgetWhatOthersLead(nowMs);
    this.#othersLeadSinceMs = undefined;
    if (loop.session?.mayAct() !== true) return;
    const audit = nowMs - this.#auditedMs >= this.#settings.auditIntervalMs;
    if (audit) this.#auditedMs = nowMs;
    loop.greet(audit);
    loop.giveUpLost();
    if (nowMs - this.#drainedMs >= this.#settings.deadLetterIntervalMs) this.#drainDeadLetters();
    this.#reception.open();
  }

  #forgetEnded(nowMs: number): void {
    const { keepEndedMs, keepEndedMax } = this.#settings;
    const { table } = this.#loop;
    // Mostly there is nothing to forget, and thousands are remembered.
    let oldestMs = nowMs;
    for (const { reportedAtMs = nowMs } of table.all()) oldestMs = Math.min(oldestMs, reportedAtMs);
    if (nowMs - oldestMs < keepEndedMs && table.size - table.openCount <= keepEndedMax) return;
    const ended = [...table.all()].flatMap(({ jobId, reportedAtMs: atMs }) => (atMs === undefined ? [] : [{ jobId, atMs }]));
    ended.sort((a, b) => a.atMs - b.atMs);
    for (const [index, { jobId, atMs }] of ended.entries()) {
      if (index >= ended.length - keepEndedMax && nowMs - atMs < keepEndedMs) return;
      this.#loop.forget(jobId);
    }
  }

  /** While nobody can lead, memory is all that there is. Another dispatcher, once it leads, knows more than we do. */
  #forgetWhatOthersLead(nowMs: number): void {
    const { session } = this.#loop;
    const obeyed = this.#options.obeyed?.();
    const obeysOther = session !== undefined && obeyed !== undefined && compareEpochs(obeyed, session.epoch) > 0;
    const othersLead = this.#leadership.phase === 'waiting' && (obeysOther || this.#leadership.trouble === undefined);
    this.#othersLeadSinceMs = othersLead ? (this.#othersLeadSinceMs ?? nowMs) : undefined;
    if (nowMs - (this.#othersLeadSinceMs ?? nowMs) >= this.#settings.forgetMs) this.#loop.table.forgetAllButOwed();
  }

  #drainDeadLetters(): void {
    if (this.#draining || !this.#loop.leading) return;
    this.#draining = true;
    this.#drainedMs = this.#options.clock.monotonicMs();
    void this.#drain().finally(() => {
      this.#draining = false;
    });
  }

  async #drain(): Promise<void> {
    const { queue, reports, logger, meter } = this.#options;
    const { session } = this.#loop;
    try {
      const count = await queue.drainDeadLetters(async (report) => {
        await reports.deadLettered(report);
        // Taken out only by who may act; otherwise it is reported again.
        if (!(await (session?.ready() ?? false))) throw dispatcherErrors.STOPPED.create();
      });
      if (count > 0) meter.add(dispatcherMetrics.messages, count, { settlement: 'drained' });
    } catch (error) {
      // Those that were not taken stay in the dead-letter queue until the next time.
      logger.warn({ reason: firstLine(error) }, 'dead letters not drained');
    }
  }
}

import { firstLine, StopReason, type Timer, withDeadline } from '@dmg/base';
import { type DispatcherReport, formatEpoch } from '@dmg/model';
import { DispatchLoop } from './dispatch-loop.ts';
import { Leadership } from './leadership.ts';
import { dispatcherMetrics } from './metrics.ts';
import { defaultSettings, type DispatcherOptions, type DispatcherSettings } from './options.ts';

/** The queue stops within 500 ms; beyond this we go on without it. */
const queueStopLimitMs = 2_000;

export interface Dispatcher {
  /** Begins to lead as soon as ledger and workers let it, and again whenever it had to step down. */
  start(): void;
  /** Stops receiving and dispatching. Attempts go on; their ends are still taken, written and reported until `close`. */
  stop(): Promise<void>;
  /** After `stop`: takes no more ends. */
  close(): Promise<void>;
  /** The user wants this job cancelled; may be said again and again, also before the job has come. */
  cancelJob(jobId: string): void;
  /** For the node's alive report; undefined while this node has never led. */
  report(): DispatcherReport | undefined;
  status(): DispatcherStatus;
  /** Why this node does not lead; undefined when it does, or was not started. */
  readonly trouble: string | undefined;
}

export interface DispatcherStatus {
  readonly state: 'stopped' | 'opening' | 'leading';
  readonly epoch: string | undefined;
  readonly waiting: number;
  readonly active: number;
  readonly ended: number;
  /** Ends that the control plane has not acknowledged. */
  readonly unreported: number;
}

export function createDispatcher(options: DispatcherOptions): Dispatcher {
  return new DispatcherOfNode(options);
}

class DispatcherOfNode implements Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #settings: DispatcherSettings;
  readonly #loop: DispatchLoop;
  readonly #leadership: Leadership;
  readonly #unsubscribe: (() => void)[];
  #running: { readonly controller: AbortController; readonly done: Promise<void> } | undefined;
  #tick: Timer | undefined;
  #receiving = false;
  #draining = false;
  #auditedMs: number;
  #drainedMs = Number.NEGATIVE_INFINITY;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#settings = { ...defaultSettings, ...options.settings };
    this.#auditedMs = options.clock.monotonicMs();
    this.#loop = new DispatchLoop(options, this.#settings, {
      onTick: () => this.#onTick(), onDeadLettered: () => this.#drainDeadLetters(),
    });
    this.#leadership = new Leadership(this.#loop, options, this.#settings, {
      onLead: () => this.#onLead(), onStepDown: () => this.#stopReceiving(),
    });
    this.#unsubscribe = options.workers.map((worker) => {
      const { nodeId } = worker;
      return worker.subscribe((event) => this.#loop.post({ type: 'worker', nodeId, event }));
    });
  }

  start(): void {
    if (this.#running !== undefined) return;
    const controller = new AbortController();
    this.#running = { controller, done: this.#leadership.run(controller.signal) };
    this.#armTick();
  }

  async stop(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    this.#running = undefined;
    this.#loop.leading = false;
    this.#tick?.cancel();
    running.controller.abort(new StopReason('shutdown'));
    await running.done;
    await this.#stopReceiving();
    await Promise.all([...this.#loop.table.all()].map((entry) => entry.tail));
  }

  async close(): Promise<void> {
    await this.stop();
    for (const unsubscribe of this.#unsubscribe.splice(0)) unsubscribe();
    this.#loop.close();
  }

  cancelJob(jobId: string): void {
    this.#loop.cancelJob(jobId);
  }

  report(): DispatcherReport | undefined {
    const { session, table, leading, receiver } = this.#loop;
    if (session === undefined) return undefined;
    const waiting: string[] = [];
    // Those that run are named by their nodes. Those that ended are named until the control plane knows it.
    for (const { jobId, record } of table.all()) if (record.state !== 'Running' && !record.reported) waiting.push(jobId);
    const queue = this.#options.queue.state();
    return {
      epoch: formatEpoch(session.epoch), waiting, receivedUpTo: receiver.receivedUpTo,
      queueEmpty: leading && this.#receiving && queue.connected && queue.empty,
    };
  }

  status(): DispatcherStatus {
    const { session, table, leading } = this.#loop;
    const states = [...table.all()].map(({ record }) => record);
    return {
      state: this.#running === undefined ? 'stopped' : leading ? 'leading' : 'opening',
      epoch: session === undefined ? undefined : formatEpoch(session.epoch),
      waiting: table.waitingCount,
      active: states.filter((record) => record.attempt !== undefined).length,
      ended: states.filter((record) => record.state === 'Ended').length,
      unreported: states.filter((record) => record.state === 'Ended' && !record.reported).length,
    };
  }

  get trouble(): string | undefined {
    return this.#leadership.trouble?.message;
  }

  #onLead(): void {
    const { table, effects, receiver } = this.#loop;
    for (const entry of table.all()) {
      const { end, reported } = entry.record;
      if (end !== undefined && !reported) effects.perform(entry, [{ type: 'report', end }]);
    }
    receiver.open();
    this.#startReceiving();
    this.#loop.place();
    this.#drainDeadLetters();
  }

  #startReceiving(): void {
    const { queue, logger } = this.#options;
    this.#receiving = true;
    queue.start((delivery) => this.#loop.receiver.receive(delivery)).catch((error: unknown) => {
      // Repeated with the next tick.
      this.#receiving = false;
      logger.warn({ reason: firstLine(error) }, 'queue could not be started');
    });
  }

  async #stopReceiving(): Promise<void> {
    const { queue, clock, logger } = this.#options;
    this.#loop.receiver.close();
    if (!this.#receiving) return;
    this.#receiving = false;
    try {
      await withDeadline({ clock, limitMs: queueStopLimitMs, what: 'stop receiving' }, () => queue.stop());
    } catch (error) {
      // Whatever still comes is left to its lock.
      logger.warn({ reason: firstLine(error) }, 'queue did not stop in time');
    }
  }

  #armTick(): void {
    this.#tick = this.#options.clock.after(this.#settings.tickMs, () => {
      this.#loop.post({ type: 'tick' });
      if (this.#running !== undefined) this.#armTick();
    }, { unref: true });
  }

  /** Everything that depends on time alone; part of the loop. */
  #onTick(): void {
    const loop = this.#loop;
    const { session } = loop;
    if (!loop.leading || session === undefined) return;
    const nowMs = this.#options.clock.monotonicMs();
    const audit = nowMs - this.#auditedMs >= this.#settings.auditIntervalMs;
    if (audit) this.#auditedMs = nowMs;
    loop.greet(audit);
    const nodeIds = new Set([...loop.table.active()].flatMap(({ record }) => record.attempt?.nodeId ?? []));
    for (const nodeId of nodeIds) if (loop.roster.silentForMs(nodeId, session.epoch) >= this.#settings.silentLimitMs) loop.giveUp(nodeId);
    this.#forgetEnded(nowMs);
    if (nowMs - this.#drainedMs >= this.#settings.deadLetterIntervalMs) this.#drainDeadLetters();
    if (!this.#receiving) this.#startReceiving();
  }

  #forgetEnded(nowMs: number): void {
    const { keepEndedMs, keepEndedMax } = this.#settings;
    const ended = [...this.#loop.table.all()].flatMap(({ jobId, reportedAtMs: atMs }) => (atMs === undefined ? [] : [{ jobId, atMs }]));
    ended.sort((a, b) => a.atMs - b.atMs);
    for (const [index, { jobId, atMs }] of ended.entries()) {
      if (index >= ended.length - keepEndedMax && nowMs - atMs < keepEndedMs) return;
      this.#loop.forget(jobId);
    }
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
    try {
      const count = await queue.drainDeadLetters((report) => reports.deadLettered(report));
      if (count > 0) meter.add(dispatcherMetrics.messages, count, { settlement: 'drained' });
    } catch (error) {
      // Those that were not taken stay in the dead-letter queue until the next time.
      logger.warn({ reason: firstLine(error) }, 'dead letters not drained');
    }
  }
}

import { type Clock, firstLine, type Logger } from '@dmg/base';
import { type Departure, Executor, type ExecutorLaunch, type ExecutorListener } from './executor.ts';
import type { ExecutorMessage } from './executor-messages.ts';
import type { AttemptHost, Claimant, Occupant } from './occupant.ts';
import type { RunDirectory } from './run-directory.ts';
import { keeperName } from './slot-names.ts';
import type { WorkerTimes } from './worker-times.ts';

export interface KeepersOptions {
  readonly nodeId: string;
  readonly launch: ExecutorLaunch;
  readonly times: WorkerTimes;
  readonly runDirectory: RunDirectory;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Each is a process with an idle session of a database: more at once are of no use to anybody. */
const keepersMax = 16;
/** Has no place among the slots. */
const noSlot = -1;

/** The processes that hold snapshots open for copies on other nodes: one for each, started for it and ended with it. They take no slot. */
export class Keepers implements AttemptHost, ExecutorListener {
  readonly #options: KeepersOptions;
  readonly #executors = new Map<number, Executor>();
  readonly #claimants = new Map<number, Claimant>();
  readonly #occupants = new Map<number, Occupant>();
  #sequence = 0;
  #closed = false;

  constructor(options: KeepersOptions) {
    this.#options = options;
  }

  get pids(): number[] {
    return [...this.#executors.values()].flatMap((executor) => executor.pid ?? []);
  }

  /** Starts a process for the claimant; false when there are too many. */
  claim(claimant: Claimant): boolean {
    if (this.#closed || this.#executors.size >= keepersMax) return false;
    const { nodeId, launch, times, clock, runDirectory } = this.#options;
    const { tickIntervalMs, progressIntervalMs } = times;
    try {
      const executor = new Executor({ id: ++this.#sequence, slot: noSlot, nodeId, launch, clock, listener: this });
      this.#executors.set(executor.id, executor);
      this.#claimants.set(executor.id, claimant);
      if (executor.pid !== undefined) runDirectory.note(executor.pid);
      executor.bind({ name: keeperName(nodeId, claimant.attemptId), tickIntervalMs, progressIntervalMs });
      return true;
    } catch (error) {
      this.#options.logger.error({ reason: firstLine(error) }, 'keeper did not start');
      return false;
    }
  }

  kill(executor: Executor, reason: string): void {
    executor.kill(reason);
  }

  release(executor: Executor): void {
    this.#occupants.delete(executor.id);
    executor.retire(this.#options.times.retireLimitMs);
  }

  /** A keeper closes no sink, so that it never goes on in another process. */
  carry(_goneId: number, claimant: Claimant): void {
    claimant.refused('A keeper does not go on in another process.');
  }

  dropCarried(): void {
    // Nothing is ever carried.
  }

  /** To be called often: a process that does not get ready is ended. */
  watch(): void {
    const { clock, times } = this.#options;
    for (const executor of this.#executors.values()) {
      if (!executor.ready && clock.monotonicMs() - executor.startedAtMs >= times.spawnLimitMs) executor.kill('notReady');
    }
  }

  /** Ends all processes. Resolves when they are gone, or after the limit for those that even the kernel cannot end. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const executor of this.#executors.values()) executor.kill('shutdown');
    if (this.#executors.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#allGone = resolve;
    const timer = this.#options.clock.after(this.#options.times.killLimitMs, resolve);
    await promise;
    timer.cancel();
  }

  #allGone: (() => void) | undefined;

  message(executor: Executor, message: ExecutorMessage): void {
    const claimant = this.#claimants.get(executor.id);
    if (claimant === undefined) {
      this.#occupants.get(executor.id)?.message(message);
      return;
    }
    if (message.type === 'taken') executor.kill('slotTaken');
    if (message.type !== 'ready') return;
    this.#claimants.delete(executor.id);
    if (claimant.stillWanted()) {
      this.#occupants.set(executor.id, claimant.begin(executor));
    } else {
      claimant.refused('It is not wanted any more.');
      executor.retire(this.#options.times.retireLimitMs);
    }
  }

  garbled(executor: Executor): void {
    const occupant = this.#occupants.get(executor.id);
    if (occupant === undefined) executor.kill('protocol');
    else occupant.garbled();
  }

  gone(executor: Executor, departure: Departure): void {
    if (executor.pid !== undefined) this.#options.runDirectory.forget(executor.pid);
    this.#executors.delete(executor.id);
    const claimant = this.#claimants.get(executor.id);
    this.#claimants.delete(executor.id);
    claimant?.refused(departure.reason);
    const occupant = this.#occupants.get(executor.id);
    this.#occupants.delete(executor.id);
    occupant?.gone(departure);
    if (this.#executors.size === 0) this.#allGone?.();
  }
}

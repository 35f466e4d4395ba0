import { type Clock, firstLine, type Logger, type Meter, type Random, type Timer } from '@dmg/base';
import {
  bindableSlot, carrySlot, claimSlot, dropCarried, dropClaim, emptySlotTable, executorGone, executorsWanted, hopelessClaims, idleAboveLimit,
  rebindCarried, releaseSlot, reserveSlot, seeForeign, setSlotLimit, slotBound, slotLeaving, type SlotTable, slotTaken, startBinding,
  usedSlots,
} from '@dmg/core';
import { type Departure, Executor, type ExecutorLaunch, type ExecutorListener } from './executor.ts';
import type { ExecutorMessage } from './executor-messages.ts';
import { ForeignSlots } from './foreign-slots.ts';
import { executorDeathsMetric, slotsMetric, troublesMetric } from './metrics.ts';
import type { Claimant, Occupant } from './occupant.ts';
import type { RunDirectory } from './run-directory.ts';
import { slotName } from './slot-names.ts';
import { StartBackoff } from './start-backoff.ts';
import type { WorkerTimes } from './worker-times.ts';

export interface ExecutorPoolOptions {
  readonly nodeId: string;
  readonly limit: number;
  readonly launch: ExecutorLaunch;
  readonly warm: number;
  readonly jobsPerExecutorMax: number;
  /** An executor that keeps more than this above an idle one after its attempt is not used again. */
  readonly retainedBytesMax: number;
  readonly times: WorkerTimes;
  readonly runDirectory: RunDirectory;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
  /** Called whenever the limit or the number of used slots changed. */
  readonly slotsChanged: (slots: { limit: number; used: number }) => void;
}

/** Ends of executors that tell nothing about their health. */
const expectedEnds: ReadonlySet<string | undefined> = new Set(['retired', 'shutdown', 'slotTaken', 'notNeeded']);

/**
 * The executor processes of a node and the slots that they hold. Every decision about slots is core's slot machine's; this class
 * carries it out: it starts, hands over, retires and kills processes, and listens to the kernel about names held by others.
 */
export class ExecutorPool implements ExecutorListener {
  readonly #options: ExecutorPoolOptions;
  readonly #clock: Clock;
  #table: SlotTable;
  readonly #executors = new Map<number, Executor>();
  readonly #claimants = new Map<string, Claimant>();
  readonly #occupants = new Map<number, Occupant>();
  /** When each idle executor became idle, on the monotonic clock. */
  readonly #idleSinceMs = new Map<number, number>();
  #sequence = 0;
  readonly #backoff: StartBackoff;
  #startTimer: Timer | undefined;
  readonly #foreign: ForeignSlots;
  #lastSlots = { limit: -1, used: -1 };
  #closed = false;
  #settling = false;
  #unsettled = false;
  #allGone: (() => void) | undefined;
  readonly #troublesSeen = new Set<string>();

  constructor(options: ExecutorPoolOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#table = emptySlotTable(options.limit);
    this.#backoff = new StartBackoff(options);
    this.#foreign = new ForeignSlots({
      nodeId: options.nodeId, pollMs: options.times.foreignPollMs, clock: options.clock,
      table: () => this.#table,
      seen: (held) => {
        this.#table = seeForeign(this.#table, held);
        this.#settle();
      },
      unreadable: (reason) => this.#noteTrouble(`slot list: ${reason}`),
    });
  }

  get slots(): { limit: number; used: number } {
    return { limit: this.#table.limit, used: usedSlots(this.#table) };
  }

  /** Pids of all executors that are not gone. */
  get pids(): number[] {
    return [...this.#executors.values()].flatMap((executor) => executor.pid ?? []);
  }

  /** Ends what a former host left, learns which slots are held, warms up. */
  async start(): Promise<void> {
    this.#options.runDirectory.killLeftovers();
    await this.#foreign.look();
  }

  setLimit(limit: number): void {
    this.#table = setSlotLimit(this.#table, limit);
    this.#settle();
  }

  /** Asks for an executor; false when the limit is reached. An idle one is handed over before this returns. */
  claim(claimant: Claimant): boolean {
    const table = this.#closed ? undefined : claimSlot(this.#table, claimant.attemptId);
    if (table === undefined) return false;
    this.#table = table;
    this.#claimants.set(claimant.attemptId, claimant);
    this.#settle();
    return true;
  }

  /** The attempt is over and its executor is well. */
  release(executor: Executor): void {
    this.#occupants.delete(executor.id);
    if (executor.gone) return;
    if (executor.leaving) {
      this.#table = slotLeaving(this.#table, executor.id);
    } else {
      this.#table = releaseSlot(this.#table, executor.id);
      this.#idleSinceMs.set(executor.id, this.#clock.monotonicMs());
      if (this.#isWorn(executor)) this.#retire(executor);
    }
    this.#settle();
  }

  /**
   * The executor of an attempt is gone and the attempt is not over: its reservation goes on in another executor. To be called by
   * an occupant from `gone`.
   */
  carry(goneId: number, claimant: Claimant): void {
    if (this.#closed) {
      claimant.refused('The worker is shutting down.');
      return;
    }
    const carried = carrySlot(this.#table, goneId);
    this.#table = carried.table;
    const executor = carried.executorId === undefined ? undefined : this.#executors.get(carried.executorId);
    if (executor !== undefined) {
      this.#begin(claimant, executor);
      return;
    }
    this.#claimants.set(claimant.attemptId, claimant);
    const fresh = this.#spawn(carried.slot);
    if (fresh === undefined) this.#refuse(claimant, this.#backoff.trouble);
    else this.#table = rebindCarried(this.#table, carried.slot, fresh.id);
  }

  /** Gives up a carried reservation: the attempt is over without an executor. */
  dropCarried(attemptId: string): void {
    this.#claimants.delete(attemptId);
    const before = this.#table;
    this.#table = dropCarried(before, attemptId);
    for (const [slot, place] of this.#table.places) {
      if (place.state !== 'leaving' || before.places.get(slot)?.state !== 'carried') continue;
      this.#executors.get(place.executorId)?.kill('notNeeded');
    }
    this.#settle();
  }

  kill(executor: Executor, reason: string): void {
    const { pid, slot, leaving } = executor;
    if (!leaving) this.#options.logger.warn({ pid, slot, reason }, 'executor killed');
    executor.kill(reason);
  }

  /** To be called often: finds executors that are silent without an attempt, and idle ones that nobody needs. */
  watch(pausedMs: number): void {
    const { times } = this.#options;
    const nowMs = this.#clock.monotonicMs();
    for (const executor of this.#executors.values()) {
      executor.lastHeardAtMs += pausedMs + executor.starvedMs();
      if (executor.leaving || this.#occupants.has(executor.id)) continue;
      const limitMs = executor.ready ? times.tickLimitMs : times.spawnLimitMs;
      if (nowMs - executor.lastHeardAtMs >= limitMs) this.#discard(executor, executor.ready ? 'frozen' : 'notReady');
    }
    const idle = [...this.#idleSinceMs].toSorted((a, b) => a[1] - b[1]);
    for (const [id, sinceMs] of idle.slice(0, Math.max(0, idle.length - this.#options.warm))) {
      const executor = this.#executors.get(id);
      if (executor !== undefined && nowMs - sinceMs >= times.idleKeepMs) this.#retire(executor);
    }
    this.#settle();
  }

  /** Takes no more; refuses those who wait, and ends idle processes. Running attempts are the caller's. */
  beginClose(): void {
    this.#closed = true;
    this.#startTimer?.cancel();
    this.#foreign.stop();
    for (const claimant of this.#claimants.values()) this.#refuse(claimant, 'The worker is shutting down.');
    for (const executor of this.#executors.values()) if (!this.#occupants.has(executor.id)) executor.kill('shutdown');
  }

  /** Kills what is left; resolves when every process is gone, or after `killLimitMs` for those that even the kernel cannot end. */
  async finishClose(): Promise<void> {
    for (const executor of this.#executors.values()) executor.kill('shutdown');
    if (this.#executors.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = this.#clock.after(this.#options.times.killLimitMs, () => {
        this.#options.logger.error({ pids: this.pids }, 'executors cannot be killed');
        resolve();
      });
      this.#allGone = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  message(executor: Executor, message: ExecutorMessage): void {
    if (message.type === 'ready' || message.type === 'taken') {
      if (!executor.leaving) this.#bound(executor, message);
      return;
    }
    this.#occupants.get(executor.id)?.message(message);
  }

  garbled(executor: Executor): void {
    const occupant = this.#occupants.get(executor.id);
    if (occupant !== undefined) occupant.garbled();
    else if (!executor.leaving) this.#discard(executor, 'protocol');
  }

  gone(executor: Executor, departure: Departure): void {
    if (executor.pid !== undefined) this.#options.runDirectory.forget(executor.pid);
    this.#executors.delete(executor.id);
    this.#idleSinceMs.delete(executor.id);
    const expected = expectedEnds.has(departure.killedFor);
    if (!expected) {
      this.#options.meter.add(executorDeathsMetric, 1, { reason: departure.killedFor ?? (departure.outOfMemory ? 'memory' : 'crashed') });
    }
    if (!executor.ready && !expected && !this.#closed) this.#startFailed(departure.reason);
    const occupant = this.#occupants.get(executor.id);
    this.#occupants.delete(executor.id);
    // It may carry its reservation over to another executor; then this one holds nothing any more.
    occupant?.gone(departure);
    const after = executorGone(this.#table, executor.id);
    this.#table = after.table;
    this.#strand(after.strands, departure.reason);
    this.#settle();
    if (this.#executors.size === 0) this.#allGone?.();
  }

  #bound(executor: Executor, message: Extract<ExecutorMessage, { type: 'ready' | 'taken' }>): void {
    if (message.type === 'taken') {
      const taken = slotTaken(this.#table, executor.id);
      this.#table = taken.table;
      executor.kill('slotTaken');
      this.#startFailed(message.reason);
      this.#strand(taken.strands, message.reason);
      this.#foreign.watch();
    } else {
      this.#backoff.succeeded();
      for (const trouble of message.troubles) this.#noteTrouble(trouble);
      const bound = slotBound(this.#table, executor.id);
      this.#table = bound.table;
      const claimant = bound.resumes === undefined ? undefined : this.#claimants.get(bound.resumes);
      if (claimant !== undefined) this.#begin(claimant, executor);
      else this.#idleSinceMs.set(executor.id, this.#clock.monotonicMs());
    }
    this.#settle();
  }

  /** Brings claims, processes and limit together. What it calls may call back; then the outer call goes round again. */
  #settle(): void {
    this.#unsettled = true;
    if (this.#settling) return;
    this.#settling = true;
    try {
      while (this.#unsettled) {
        this.#unsettled = false;
        this.#serveClaims();
        for (const id of idleAboveLimit(this.#table)) {
          const executor = this.#executors.get(id);
          if (executor !== undefined) this.#retire(executor);
        }
        this.#startWanted();
      }
    } finally {
      this.#settling = false;
    }
    const { limit, used } = this.slots;
    if (limit === this.#lastSlots.limit && used === this.#lastSlots.used) return;
    this.#lastSlots = { limit, used };
    this.#options.meter.set(slotsMetric, used, { state: 'used' });
    this.#options.meter.set(slotsMetric, Math.max(0, limit - used), { state: 'free' });
    this.#options.slotsChanged({ limit, used });
  }

  #serveClaims(): void {
    for (const attemptId of hopelessClaims(this.#table)) this.#giveUp(attemptId, this.fullEvidence());
    for (const attemptId of this.#table.claims) {
      const claimant = this.#claimants.get(attemptId);
      if (claimant === undefined || !claimant.stillWanted()) {
        this.#giveUp(attemptId, 'It is not wanted any more.');
        continue;
      }
      const reserved = reserveSlot(this.#table, attemptId);
      const executor = reserved === undefined ? undefined : this.#executors.get(reserved.executorId);
      if (reserved === undefined || executor === undefined) return;
      this.#table = reserved.table;
      this.#begin(claimant, executor);
    }
  }

  /** Why there is no slot for another one. */
  fullEvidence(): string {
    const { limit, used } = this.slots;
    return `${used} of ${limit} slots are used, ${this.#table.claims.length} are promised.`;
  }

  #begin(claimant: Claimant, executor: Executor): void {
    this.#claimants.delete(claimant.attemptId);
    this.#idleSinceMs.delete(executor.id);
    this.#occupants.set(executor.id, claimant.begin(executor));
  }

  #giveUp(attemptId: string, evidence: string): void {
    this.#table = dropClaim(this.#table, attemptId);
    const claimant = this.#claimants.get(attemptId);
    if (claimant !== undefined) this.#refuse(claimant, evidence);
  }

  #refuse(claimant: Claimant, evidence: string): void {
    this.#table = dropClaim(this.#table, claimant.attemptId);
    this.#claimants.delete(claimant.attemptId);
    claimant.refused(evidence);
  }

  #strand(attemptId: string | undefined, reason: string): void {
    const claimant = attemptId === undefined ? undefined : this.#claimants.get(attemptId);
    if (claimant !== undefined) this.#refuse(claimant, reason);
  }

  #startWanted(): void {
    if (this.#closed) return;
    const { waitMs } = this.#backoff;
    if (waitMs > 0) {
      const ours = [...this.#table.places.values()].filter((place) => place.state === 'starting' || place.state === 'idle').length;
      for (const attemptId of this.#table.claims.slice(ours)) this.#giveUp(attemptId, this.#backoff.trouble);
      this.#startTimer ??= this.#clock.after(waitMs, () => {
        this.#startTimer = undefined;
        this.#settle();
      });
      return;
    }
    // Warm ones start one at a time, so that filling up does not take the processor from those that are waited for.
    const starting = [...this.#table.places.values()].some((place) => place.state === 'starting');
    const forClaims = executorsWanted(this.#table, 0);
    const forWarmth = !starting && executorsWanted(this.#table, this.#options.warm) > 0 ? 1 : 0;
    for (let wanted = Math.max(forClaims, forWarmth); wanted > 0; wanted--) {
      const slot = bindableSlot(this.#table);
      if (slot === undefined) return;
      const executor = this.#spawn(slot);
      if (executor === undefined) return;
      this.#table = startBinding(this.#table, slot, executor.id);
    }
  }

  #spawn(slot: number): Executor | undefined {
    const { nodeId, launch, times, runDirectory } = this.#options;
    const { tickIntervalMs, progressIntervalMs } = times;
    try {
      const executor = new Executor({ id: ++this.#sequence, slot, nodeId, launch, clock: this.#clock, listener: this });
      this.#executors.set(executor.id, executor);
      if (executor.pid !== undefined) runDirectory.note(executor.pid);
      executor.bind({ name: slotName(nodeId, slot), tickIntervalMs, progressIntervalMs });
      return executor;
    } catch (error) {
      this.#startFailed(firstLine(error));
      return undefined;
    }
  }

  #isWorn(executor: Executor): boolean {
    const { jobsPerExecutorMax, retainedBytesMax, times } = this.#options;
    if (executor.overIdleBytes() > retainedBytesMax) return true;
    return executor.jobs >= jobsPerExecutorMax && this.#clock.monotonicMs() - executor.startedAtMs >= times.replaceAgeMs;
  }

  #startFailed(reason: string): void {
    this.#options.logger.error({ reason, ...this.#backoff.failed(reason) }, 'executor did not start');
  }

  /** Kills a process that nobody works in. */
  #discard(executor: Executor, reason: string): void {
    const place = [...this.#table.places.values()].find((one) => one.state !== 'foreign' && one.executorId === executor.id);
    if (place?.state !== 'carried') this.#table = slotLeaving(this.#table, executor.id);
    this.#idleSinceMs.delete(executor.id);
    this.kill(executor, reason);
  }

  #retire(executor: Executor): void {
    this.#table = slotLeaving(this.#table, executor.id);
    this.#idleSinceMs.delete(executor.id);
    executor.retire(this.#options.times.retireLimitMs);
  }

  #noteTrouble(trouble: string): void {
    this.#options.meter.add(troublesMetric, 1, { what: trouble.split(':', 1)[0] ?? '' });
    if (this.#troublesSeen.has(trouble)) return;
    this.#troublesSeen.add(trouble);
    this.#options.logger.warn({ trouble }, 'executors go on without something they could not set up');
  }
}

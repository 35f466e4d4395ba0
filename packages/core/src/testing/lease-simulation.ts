import { type Clock, ManualClock, newId, type Random } from '@dmg/base';
import type { Epoch } from '@dmg/model';
import { stepLease } from '../lease-machine.ts';
import { leaseSettings } from '../lease-settings.ts';
import { leaseDueMs, type LeaseEffect, type LeaseEvent, type LeaseState, mayAct, type Moment, startLease } from '../lease-state.ts';
import { InMemoryMaster } from './in-memory-master.ts';

const settings = leaseSettings();
const commandLimitMs = settings.leaseMs / 4;

/** What may go wrong in a run. */
export interface SimulatedFaults {
  /** Masters that forget everything. */
  readonly losses: boolean;
  /** Masters whose clock is set forward: leases end before their time. */
  readonly clocksForward: boolean;
  /** Masters that go back to an older state, as when an old replica is promoted: nothing in them shows it. */
  readonly olderStates: boolean;
  /** Nodes that are told that the leader is gone when it is not. */
  readonly falseAlarms: boolean;
}

/** The parts of a node that a mutant replaces. */
export interface NodeParts {
  readonly step: typeof stepLease;
  readonly mayAct: typeof mayAct;
  readonly master: new (options: { clock: Clock; random: Random }) => InMemoryMaster;
}

export const soundParts: NodeParts = { step: stepLease, mayAct, master: InMemoryMaster };

export interface SimulationOptions {
  readonly nodes: number;
  readonly masters: number;
  readonly random: Random;
  readonly faults: SimulatedFaults;
  readonly parts?: NodeParts;
}

interface Master {
  readonly data: InMemoryMaster;
  /** How often it lost its data, and when it was given a life last. */
  losses: number;
  bornMs: number;
}

interface Grant extends Epoch {
  readonly nodeId: string;
  /** The masters that took it, each with how often it had lost its data until then. */
  readonly at: ReadonlyMap<number, number>;
}

/**
 * Several candidates and their masters under one true time. Each command travels to each master by itself: it may be late, be lost, or
 * come after its sender has given up. Nodes freeze, die and start anew; their clocks run at different rates and are set. Broken
 * promises are collected in `violations`.
 */
export class LeaseSimulation {
  readonly violations: string[] = [];
  readonly grants: Grant[] = [];
  readonly nodes: SimulatedNode[];
  readonly masters: Master[];
  readonly clock = new ManualClock();
  readonly options: SimulationOptions;
  readonly parts: NodeParts;
  /** No more faults: commands arrive soon. */
  calm = false;
  /** Until then two may act: leases ended before their time, unnoticed, or a living leader was called dead. */
  excusedUntilMs = -Infinity;

  constructor(options: SimulationOptions) {
    this.options = options;
    this.parts = options.parts ?? soundParts;
    const { clock } = this;
    const { random } = options;
    const Data = this.parts.master;
    this.masters = Array.from({ length: options.masters }, () => ({ data: new Data({ clock, random }), losses: 0, bornMs: 0 }));
    this.nodes = Array.from({ length: options.nodes }, (_, index) => new SimulatedNode(this, `n${index}`));
    for (const node of this.nodes) node.boot();
  }

  get nowMs(): number {
    return this.clock.monotonicMs();
  }

  chance(probability: number): boolean {
    return this.options.random.unit() < probability;
  }

  between(low: number, high: number): number {
    return low + this.options.random.unit() * (high - low);
  }

  pick<T>(from: readonly T[]): T {
    const one = from[Math.floor(this.options.random.unit() * from.length)];
    if (one === undefined) throw new Error('nothing to pick from');
    return one;
  }

  after(delayMs: number, work: () => void): void {
    this.clock.after(delayMs, () => {
      work();
      this.#checkActing();
    });
  }

  run(ms: number): void {
    this.clock.advance(ms);
    this.#checkActing();
  }

  get acting(): SimulatedNode[] {
    return this.nodes.filter((node) => node.acts);
  }

  granted(nodeId: string, epoch: Epoch, at: ReadonlyMap<number, number>): void {
    for (const earlier of this.grants) {
      if (earlier.n === epoch.n && earlier.token === epoch.token) this.violations.push(`two grants are ${epoch.n}.${epoch.token}`);
      const kept = [...earlier.at].some(([master, losses]) => at.get(master) === losses);
      if (kept && earlier.n >= epoch.n) this.violations.push(`${epoch.n} was granted after ${earlier.n}`);
    }
    this.grants.push({ ...epoch, nodeId, at });
  }

  #checkActing(): void {
    const acting = this.acting;
    if (acting.length > 1 && this.nowMs > this.excusedUntilMs) {
      this.violations.push(`at ${this.nowMs} ${acting.map(({ nodeId }) => nodeId).join(' and ')} act`);
    }
  }
}

/** A node: the machine under test in a shell that loses, delays and freezes. */
export class SimulatedNode {
  readonly nodeId: string;
  state: LeaseState;
  alive = true;
  /** Links that are cut. */
  readonly cut = new Set<number>();
  readonly #world: LeaseSimulation;
  /** Its monotonic clock against true time. */
  readonly #rate: number;
  readonly #offsetMs: number;
  #wallOffsetMs: number;
  #frozen: { readonly sinceMs: number; readonly inbox: (() => void)[] } | undefined;
  #boot = 0;
  #dueMs = Infinity;

  constructor(world: LeaseSimulation, nodeId: string) {
    this.#world = world;
    this.nodeId = nodeId;
    this.#rate = world.between(0.97, 1.03);
    this.#offsetMs = world.between(-1e6, 1e6);
    this.#wallOffsetMs = world.between(-1e6, 1e6);
    this.state = startLease(world.options.masters, this.moment, { rank: 0 });
  }

  get moment(): Moment {
    const { nowMs } = this.#world;
    return { monotonicMs: nowMs * this.#rate + this.#offsetMs, wallMs: nowMs * this.#rate + this.#wallOffsetMs };
  }

  /** Would act now if it were asked; also when frozen, since it may wake up at any moment. */
  get acts(): boolean {
    return this.alive && this.#world.parts.mayAct(this.state, this.moment, settings);
  }

  get frozen(): boolean {
    return this.#frozen !== undefined;
  }

  boot(): void {
    this.alive = true;
    this.#frozen = undefined;
    this.#boot++;
    this.#dueMs = Infinity;
    this.state = startLease(this.#world.options.masters, this.moment, this.state.standing);
    this.tell({ type: 'wanted', above: 0 });
  }

  die(): void {
    this.alive = false;
    this.#boot++;
  }

  freeze(): void {
    this.#frozen ??= { sinceMs: this.#world.nowMs, inbox: [] };
  }

  thaw(): void {
    const frozen = this.#frozen;
    if (frozen === undefined) return;
    this.#frozen = undefined;
    const pausedMs = this.#world.nowMs - frozen.sinceMs;
    const wasLong = pausedMs * this.#rate > settings.leaseMs;
    if (wasLong && this.acts) this.#world.violations.push(`${this.nodeId} acts after ${pausedMs} ms of frost`);
    for (const work of frozen.inbox) work();
    this.#arm();
  }

  /** Sets the wall clock. */
  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  tell(event: LeaseEvent): void {
    if (!this.alive) return;
    if (this.#frozen !== undefined) return void this.#frozen.inbox.push(() => this.tell(event));
    const { state, effects } = this.#world.parts.step(this.state, { ...event, ...this.moment }, settings);
    this.state = state;
    for (const effect of effects) this.#perform(effect, event);
    this.#arm();
  }

  #arm(): void {
    const dueMs = leaseDueMs(this.state, settings);
    if (dueMs === this.#dueMs || !Number.isFinite(dueMs)) return;
    this.#dueMs = dueMs;
    const boot = this.#boot;
    // A busy event loop is late now and then.
    const lateMs = this.#world.calm || this.#world.chance(0.9) ? 0.1 : this.#world.between(0, 300);
    this.#world.after(Math.max(0, (dueMs - this.moment.monotonicMs) / this.#rate) + lateMs, () => {
      if (boot !== this.#boot || dueMs !== this.#dueMs) return;
      this.#dueMs = Infinity;
      this.tell({ type: 'tick' });
    });
  }

  #perform(effect: LeaseEffect, event: LeaseEvent): void {
    const { nodeId } = this;
    switch (effect.type) {
      case 'peek':
        return this.#ask((master) => master.peek(), { kind: 'silent', reason: 'late' } as const, (sights) => ({ type: 'peeked', sights }));
      case 'acquire':
        return this.#acquire(newId(this.#world.options.random));
      case 'claim':
        return this.#ask((master) => master.claim(effect.token), { kind: 'silent' } as const, (answers) =>
          ({ type: 'claimed', token: effect.token, answers }));
      case 'install':
        return this.#ask((master) => master.install(effect.epoch, { nodeId, address: '' }), { kind: 'silent' } as const, (answers) =>
          ({ type: 'installed', epoch: effect.epoch, answers }));
      case 'renew':
        return this.#ask((master) => master.renew(effect.token, settings.leaseMs), 'silent' as const, (answers) => {
          const isMajority = (outcome: string): boolean => 2 * answers.filter((it) => it === outcome).length > answers.length;
          const majority = (['renewed', 'lost'] as const).find(isMajority);
          return { type: 'renewed', token: effect.token, outcome: majority ?? 'silent' };
        });
      case 'seize':
        return this.#ask((master, index) => master.seize(effect.token, effect.beats[index]), 'silent' as const, (answers) =>
          ({ type: 'seized', token: effect.token, ended: 2 * answers.filter((it) => it === 'ended').length > answers.length }));
      case 'release':
        return this.#ask((master) => master.release(effect.token), undefined, () => undefined);
      case 'grant':
        return this.#onGrant(effect.epoch, event);
      case 'ended':
        // The dispatcher steps down and asks again.
        return this.#later(this.#world.between(0, 100), () => this.tell({ type: 'wanted', above: 0 }));
    }
  }

  #onGrant(epoch: Epoch, event: LeaseEvent): void {
    const at = new Map<number, number>();
    if (event.type === 'installed') {
      for (const [index, answer] of event.answers.entries()) {
        if (answer.kind === 'installed') at.set(index, this.#lossesAtInstall.get(index) ?? -1);
      }
    }
    this.#world.granted(this.nodeId, epoch, at);
  }

  /** How often each master had lost its data when it took this node's last epoch. */
  readonly #lossesAtInstall = new Map<number, number>();

  #acquire(token: string): void {
    this.#ask((master) => master.acquire(token, settings.leaseMs), undefined, (answers) => {
      const acquired = 2 * answers.filter(Boolean).length > answers.length;
      if (!acquired) this.#ask((master) => master.release(token), undefined, () => undefined);
      return { type: 'acquired', token, outcome: acquired ? 'acquired' : 'refused', unit: this.#world.options.random.unit() };
    });
  }

  /** One command to every master; the event comes when all have answered, or at the deadline with what there is. */
  #ask<T>(
    command: (master: InMemoryMaster, index: number) => T, silent: T, event: (answers: readonly T[]) => LeaseEvent | undefined,
  ): void {
    const world = this.#world;
    const boot = this.#boot;
    const answers: T[] = world.masters.map(() => silent);
    let missing = world.masters.length;
    let done = false;
    const finish = (): void => {
      if (done || boot !== this.#boot) return;
      done = true;
      const result = event(answers);
      if (result !== undefined) this.tell(result);
    };
    const received = (): void => {
      if (--missing === 0) finish();
    };
    for (const [index, master] of world.masters.entries()) {
      this.#travel(index, () => {
        const lifeBefore = master.data.life;
        const answer = command(master.data, index);
        if (lifeBefore === '' && master.data.life !== '') master.bornMs = world.nowMs;
        const { losses } = master;
        this.#travel(index, () => {
          if (done) return;
          answers[index] = answer;
          if (typeof answer === 'object' && answer !== null && 'kind' in answer && answer.kind === 'installed') {
            this.#lossesAtInstall.set(index, losses);
          }
          received();
        });
      });
    }
    this.#later(commandLimitMs, finish);
  }

  #travel(master: number, arrive: () => void): void {
    const world = this.#world;
    if (this.cut.has(master) || (!world.calm && world.chance(0.01))) return;
    let delayMs = world.between(0.1, 3);
    if (!world.calm && world.chance(0.05)) delayMs = world.chance(0.3) ? world.between(200, 2_000) : world.between(3, 200);
    world.after(delayMs, arrive);
  }

  #later(delayMs: number, work: () => void): void {
    const boot = this.#boot;
    this.#world.after(delayMs, () => {
      if (boot !== this.#boot) return;
      if (this.#frozen === undefined) work();
      else this.#frozen.inbox.push(work);
    });
  }
}

import assert from 'node:assert/strict';
import { stepLease } from '../lease-machine.ts';
import { leaseSettings } from '../lease-settings.ts';
import { leaseDueMs, type LeaseEffect, type LeaseEvent, type LeaseState, mayAct, type Standing, startLease } from '../lease-state.ts';
import type { ClaimAnswer, InstallAnswer, MasterSight } from '../ports.ts';

const settings = leaseSettings();

/** A master that answers; by default there is no lease and its data is `life`. */
export function sight(more: Partial<Extract<MasterSight, { kind: 'seen' }>> = {}): MasterSight {
  return { kind: 'seen', leaseToken: undefined, lead: undefined, life: 'life', ...more };
}

export const silentSight: MasterSight = { kind: 'silent', reason: 'no answer' };

/** The lease of another node. */
export function heldSight(token: string, beat: number | undefined, nodeId = 'other'): MasterSight {
  const lead = beat === undefined ? undefined : { n: 5, token, nodeId, address: `${nodeId}:1`, beat };
  return sight({ leaseToken: token, lead });
}

/** Steps a lease machine by hand: what it wants is asserted, what comes of it is told. */
export class LeaseDriver {
  state: LeaseState;
  nowMs = 1_000_000;
  wallOffsetMs = 0;
  readonly masters: number;

  constructor(masters = 1, standing: Standing = { rank: 0 }) {
    this.masters = masters;
    this.state = startLease(masters, this.moment, standing);
  }

  get moment(): { monotonicMs: number; wallMs: number } {
    return { monotonicMs: this.nowMs, wallMs: this.nowMs + this.wallOffsetMs };
  }

  get mayAct(): boolean {
    return mayAct(this.state, this.moment, settings);
  }

  /** Time until the machine wants its next tick. */
  get dueInMs(): number {
    return leaseDueMs(this.state, settings) - this.nowMs;
  }

  tell(event: LeaseEvent): readonly LeaseEffect[] {
    const { state, effects } = stepLease(this.state, { ...event, ...this.moment }, settings);
    this.state = state;
    return effects;
  }

  /** Lets time pass until the next tick is due, and ticks. */
  tick(): readonly LeaseEffect[] {
    assert.ok(Number.isFinite(this.dueInMs), 'a tick is due some time');
    this.nowMs += Math.max(0, this.dueInMs);
    return this.tell({ type: 'tick' });
  }

  /** The next peek, answered. */
  peek(...sights: readonly MasterSight[]): readonly LeaseEffect[] {
    assert.deepEqual(this.tick(), [{ type: 'peek' }]);
    const [first] = sights;
    assert.ok(first !== undefined);
    return this.tell({ type: 'peeked', sights: sights.length === 1 ? this.all(first) : sights });
  }

  /** Peeks, all with the same answer, for so long or until it wants something; gives what. */
  watch(ms: number, ...sights: readonly MasterSight[]): readonly LeaseEffect[] {
    const endMs = this.nowMs + ms;
    while (this.nowMs + this.dueInMs <= endMs) {
      const effects = this.peek(...sights);
      if (effects.length > 0) return effects;
    }
    this.nowMs = endMs;
    return [];
  }

  all<T>(one: T): T[] {
    return Array.from({ length: this.masters }, () => one);
  }

  acquired(token: string): readonly LeaseEffect[] {
    return this.tell({ type: 'acquired', token, outcome: 'acquired', unit: 0 });
  }

  claimed(token: string, ...answers: readonly ClaimAnswer[]): readonly LeaseEffect[] {
    return this.tell({ type: 'claimed', token, answers });
  }

  installed(n: number, token: string, ...answers: readonly InstallAnswer[]): readonly LeaseEffect[] {
    return this.tell({ type: 'installed', epoch: { n, token }, answers });
  }

  /** From nothing to leading under (1, token). */
  lead(token = 'mine'): this {
    this.tell({ type: 'wanted', above: 0 });
    assert.deepEqual(this.peek(sight()), [{ type: 'acquire' }]);
    this.acquired(token);
    this.claimed(token, ...this.all<ClaimAnswer>({ kind: 'claimed', n: 0, life: 'life' }));
    const effects = this.installed(1, token, ...this.all<InstallAnswer>({ kind: 'installed', life: 'life' }));
    assert.deepEqual(effects, [{ type: 'grant', epoch: { n: 1, token }, life: this.all('life').join() }]);
    return this;
  }
}

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type DmgError, hasCode, isStopReason, ManualClock, type MetricDefinition, seededRandom, silentLogger, StopReason,
} from '@dmg/base';
import { leaseSettings, type LeaseStore, type SeenLeader, type Standing } from '@dmg/core';
import { InMemoryLeaseStore, InMemoryMaster } from '@dmg/core/testing';
import { formatEpoch } from '@dmg/model';
import type { Grant } from '../epoch-source.ts';
import { LeaseKeeper } from './lease-keeper.ts';

const settings = leaseSettings();
const { leaseMs, peekMs, renewMs, marginMs } = settings;
const never = new AbortController().signal;

async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => void setImmediate(resolve));
}

/** A gateway's masters and clock. */
class Gateway {
  readonly clock = new ManualClock();
  readonly masters: readonly InMemoryMaster[];

  constructor(masters = 1) {
    this.masters = Array.from({ length: masters }, (_, index) => new InMemoryMaster({ clock: this.clock, random: seededRandom(index) }));
  }

  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 10) {
      this.clock.advance(Math.min(10, left));
      await settle();
    }
  }

  /** For how long until it is so, at most `limitMs`. */
  async until(isSo: () => boolean, limitMs: number): Promise<number> {
    const startMs = this.clock.monotonicMs();
    while (!isSo() && this.clock.monotonicMs() - startMs < limitMs) await this.pass(10);
    assert.ok(isSo(), `not within ${limitMs} ms`);
    return this.clock.monotonicMs() - startMs;
  }

  get holder(): string | undefined {
    const sight = this.masters[0]?.peek();
    return sight?.kind === 'seen' ? sight.leaseToken : undefined;
  }
}

/** A node of it: a keeper and a dispatcher that only waits for grants. */
class Node {
  readonly keeper: LeaseKeeper;
  readonly store: InMemoryLeaseStore;
  readonly clock: ManualClock;
  standing: Standing = { rank: 0 };
  readonly seen: (SeenLeader | undefined)[] = [];
  readonly goodbyes: (string | undefined)[] = [];
  readonly metrics = new Map<string, number>();
  readonly observed: { readonly name: string; readonly value: number }[] = [];
  grant: Grant | undefined;
  reason: DmgError | undefined;

  constructor(gateway: Gateway, nodeId: string, store?: LeaseStore) {
    this.clock = gateway.clock;
    this.store = new InMemoryLeaseStore(gateway.masters);
    this.keeper = new LeaseKeeper({
      store: store ?? this.store, clock: this.clock, random: seededRandom(nodeId.charCodeAt(1)), logger: silentLogger,
      meter: {
        add: ({ name }: MetricDefinition, value) => void this.metrics.set(name, (this.metrics.get(name) ?? 0) + value),
        set: ({ name }, value) => void this.metrics.set(name, value),
        observe: ({ name }, value) => void this.observed.push({ name, value }),
      },
      settings, nodeId, address: () => `${nodeId}:8060`, standing: () => this.standing,
      onLeader: (leader) => void this.seen.push(leader), onRelease: (successor) => void this.goodbyes.push(successor),
    });
  }

  get leads(): boolean {
    return this.grant?.mayAct() ?? false;
  }

  start(): this {
    this.keeper.start();
    void this.want();
    return this;
  }

  async want(above = 0): Promise<void> {
    const grant = await this.keeper.grant(above, never);
    this.grant = grant;
    const reason = await grant.lost;
    if (this.grant === grant) [this.grant, this.reason] = [undefined, reason];
  }

  /** As when its process is frozen: nothing of it reaches the masters any more. */
  vanish(): void {
    for (let index = 0; index < this.store.masters; index++) this.store.cut.add(index);
  }
}

describe('LeaseKeeper', () => {
  test('a young gateway: nobody leads before a lease has passed, then one does and keeps it', async () => {
    const gateway = new Gateway();
    const node = new Node(gateway, 'n1').start();
    const tookMs = await gateway.until(() => node.leads, 3 * leaseMs);
    assert.ok(tookMs >= leaseMs && tookMs <= leaseMs + 2 * peekMs, `${tookMs} ms`);
    const { grant } = node;
    assert.equal(grant?.epoch.n, 1);
    assert.equal(grant.epoch.token, gateway.holder);
    assert.equal(grant.life, gateway.masters[0]?.life);
    assert.deepEqual(node.keeper.leader, { nodeId: 'n1', address: 'n1:8060', epoch: formatEpoch(grant.epoch) });
    assert.equal(node.metrics.get('dmg_lease_is_leader'), 1);
    assert.equal(node.observed.length, 0, 'nothing was renewed yet');
    await gateway.pass(3 * renewMs);
    const gaps = node.observed.map(({ name, value }) => `${name} ${value.toFixed(2)}`);
    assert.deepEqual(gaps, Array(3).fill('dmg_lease_renewal_gap_seconds 0.25'));
    const beat = gateway.masters[0]?.lead?.beat ?? 0;
    for (let elapsed = 0; elapsed < 10 * leaseMs; elapsed += 50) {
      await gateway.pass(50);
      assert.ok(node.leads);
    }
    const renewals = (gateway.masters[0]?.lead?.beat ?? 0) - beat;
    assert.ok(renewals >= 38 && renewals <= 41, `${renewals} renewals in ten leases`);
    await node.keeper.stop();
    assert.deepEqual([gateway.holder, node.metrics.get('dmg_lease_is_leader'), node.metrics.get('dmg_lease_transitions_total')],
      [undefined, 0, 2]);
  });

  test('a clean stop names the successor, which leads at once; the third waits', async () => {
    const gateway = new Gateway();
    const first = new Node(gateway, 'n1').start();
    await gateway.until(() => first.leads, 3 * leaseMs);
    const [second, third] = [new Node(gateway, 'n2').start(), new Node(gateway, 'n3').start()];
    await gateway.pass(5 * peekMs);
    assert.equal(second.keeper.leader?.nodeId, 'n1');
    await first.keeper.stop('n2');
    assert.deepEqual(first.goodbyes, ['n2']);
    assert.equal(first.leads, false);
    assert.ok(hasCode(first.reason, 'DMG_LEASE_GIVEN_BACK'));
    third.keeper.othersInvited();
    second.keeper.invited();
    await settle();
    assert.ok(second.leads, 'without any time passing');
    await gateway.pass(peekMs + 10);
    assert.deepEqual([third.leads, third.keeper.leader?.nodeId, second.grant?.epoch.n], [false, 'n2', 2]);
    await Promise.all([second.keeper.stop(), third.keeper.stop()]);
  });

  test('an invitation that comes before the lease is free is kept up', async () => {
    const gateway = new Gateway();
    const first = new Node(gateway, 'n1').start();
    await gateway.until(() => first.leads, 3 * leaseMs);
    const second = new Node(gateway, 'n2').start();
    await gateway.pass(3 * peekMs);
    second.keeper.invited();
    await gateway.pass(40);
    assert.ok(first.leads && !second.leads);
    await first.grant?.release('n2');
    assert.ok(await gateway.until(() => second.leads, leaseMs) <= 50);
    await Promise.all([first.keeper.stop(), second.keeper.stop()]);
  });

  test('cut off from Redis: it stops acting in time, and another leads a moment later', async () => {
    const gateway = new Gateway();
    const first = new Node(gateway, 'n1').start();
    await gateway.until(() => first.leads, 3 * leaseMs);
    const second = new Node(gateway, 'n2').start();
    await gateway.pass(3 * peekMs);
    first.vanish();
    const stoppedMs = await gateway.until(() => !first.leads, 2 * leaseMs);
    assert.ok(stoppedMs <= leaseMs - marginMs, `${stoppedMs} ms`);
    assert.equal(second.leads, false);
    const tookMs = stoppedMs + await gateway.until(() => second.leads, 2 * leaseMs);
    assert.ok(tookMs <= leaseMs + peekMs + 20, `${tookMs} ms`);
    assert.ok(hasCode(first.reason, 'DMG_LEASE_EXPIRED'), first.reason?.message);
    assert.equal(first.keeper.trouble, undefined, 'not yet');
    await gateway.pass(leaseMs);
    assert.ok(hasCode(first.keeper.trouble, 'DMG_LEASE_UNREACHABLE'));
    assert.deepEqual(first.keeper.redisTrouble, { part: 'redis', reason: 'no way to it' });
    assert.ok((first.metrics.get('dmg_lease_renew_failures_total') ?? 0) >= 3);
    first.store.cut.clear();
    await gateway.pass(2 * peekMs);
    assert.deepEqual([first.keeper.trouble, first.keeper.redisTrouble, first.keeper.leader?.nodeId], [undefined, undefined, 'n2']);
    await Promise.all([first.keeper.stop(), second.keeper.stop()]);
  });

  test('its machine refuses: the lease is ended early, long before it would end', async () => {
    const gateway = new Gateway();
    const first = new Node(gateway, 'n1').start();
    await gateway.until(() => first.leads, 3 * leaseMs);
    const second = new Node(gateway, 'n2').start();
    await gateway.pass(5 * peekMs);
    first.vanish();
    second.keeper.leaderGone('n1');
    const tookMs = await gateway.until(() => second.leads, leaseMs);
    assert.ok(tookMs <= renewMs + 100 + peekMs + 20, `${tookMs} ms`);
    await Promise.all([first.keeper.stop(), second.keeper.stop()]);
  });

  test('an alarm about a leader that renews changes nothing', async () => {
    const gateway = new Gateway();
    const first = new Node(gateway, 'n1').start();
    await gateway.until(() => first.leads, 3 * leaseMs);
    const second = new Node(gateway, 'n2').start();
    await gateway.pass(5 * peekMs);
    second.keeper.leaderGone('n1');
    await gateway.pass(3 * leaseMs);
    assert.ok(first.leads && !second.leads);
    await Promise.all([first.keeper.stop(), second.keeper.stop()]);
  });

  test('a node obeys a larger epoch: the grant is raised under the same lease', async () => {
    const gateway = new Gateway();
    const node = new Node(gateway, 'n1').start();
    await gateway.until(() => node.leads, 3 * leaseMs);
    const before = node.grant;
    void node.want(41);
    assert.equal(before?.mayAct(), false, 'not any more under the smaller one');
    await settle();
    const after = node.grant;
    assert.ok(node.leads && after !== undefined);
    assert.deepEqual([after.epoch.n, after.epoch.token, after.life], [42, before.epoch.token, before.life]);
    assert.equal(before.mayAct(), false);
    await before.release();
    assert.ok(node.leads, 'a grant that was raised is not the one to give back');
    assert.deepEqual(node.keeper.leader?.epoch, formatEpoch(after.epoch));
    await gateway.pass(2 * leaseMs);
    assert.ok(node.leads);
    await after.release();
    assert.deepEqual([node.leads, gateway.holder, node.goodbyes], [false, undefined, [undefined]]);
    await node.keeper.stop();
  });

  test('the wall clock jumps: no effect until a renewal has succeeded', async () => {
    const gateway = new Gateway();
    const node = new Node(gateway, 'n1').start();
    await gateway.until(() => node.leads, 3 * leaseMs);
    for (const byMs of [200, -3_600_000]) {
      gateway.clock.jumpWall(byMs);
      assert.equal(node.leads, false);
      assert.ok(await gateway.until(() => node.leads, leaseMs) <= renewMs + 10);
    }
    gateway.clock.jumpWall(60);
    assert.ok(node.leads, 'a small correction is none');
    await node.keeper.stop();
  });

  test('nobody waits any more: it gives back what it gets, and tries no more', async () => {
    const gateway = new Gateway();
    const node = new Node(gateway, 'n1');
    node.keeper.start();
    const controller = new AbortController();
    const waits = node.keeper.grant(0, controller.signal);
    await gateway.pass(leaseMs / 2);
    controller.abort(new StopReason('shutdown'));
    await assert.rejects(waits, (error) => isStopReason(error, 'shutdown'));
    await gateway.pass(3 * leaseMs);
    assert.deepEqual([gateway.holder, gateway.masters[0]?.lead], [undefined, undefined]);
    await assert.rejects(node.keeper.grant(0, controller.signal), (error) => isStopReason(error));
    void node.want();
    await gateway.until(() => node.leads, 2 * peekMs);
    await node.keeper.stop();
  });

  test('stopped on the way to a grant: nothing is left behind', async () => {
    for (let steps = 0; steps < 12; steps++) {
      const gateway = new Gateway(3);
      const node = new Node(gateway, 'n1').start();
      // The next look at the masters is followed by the acquisition, the claim and the installation, each some microtasks later.
      await gateway.pass(leaseMs);
      gateway.clock.advance(2 * peekMs);
      for (let step = 0; step < steps; step++) await Promise.resolve();
      await node.keeper.stop();
      assert.equal(node.leads, false);
      assert.equal(gateway.holder, undefined, `${steps} steps`);
    }
  });

  test('status decides: a leader that may not lead goes, a better node gets it after ten seconds', async () => {
    const gateway = new Gateway();
    const first = new Node(gateway, 'n1').start();
    first.standing = { rank: 1, better: 'n2' };
    await gateway.until(() => first.leads, 4 * leaseMs);
    const second = new Node(gateway, 'n2').start();
    await gateway.pass(8_500);
    assert.ok(first.leads);
    await gateway.until(() => !first.leads, 2_000);
    await settle();
    assert.deepEqual(first.goodbyes, ['n2']);
    assert.match(first.reason?.message ?? '', /n2 is better placed/);
    void first.want();
    first.keeper.othersInvited();
    second.keeper.invited();
    await settle();
    assert.ok(second.leads);
    second.standing = { rank: undefined };
    await gateway.until(() => !second.leads, 2 * renewMs);
    void second.want();
    first.standing = { rank: undefined };
    await gateway.pass(3 * leaseMs);
    assert.deepEqual([first.leads, second.leads, gateway.holder], [false, false, undefined]);
    assert.ok(hasCode(first.keeper.trouble, 'DMG_LEASE_NOT_ELIGIBLE'));
    first.standing = { rank: 1 };
    const tookMs = await gateway.until(() => first.leads, 2 * leaseMs);
    assert.ok(tookMs <= leaseMs + 3 * peekMs, `${tookMs} ms`);
    await Promise.all([first.keeper.stop(), second.keeper.stop()]);
  });

  test('a store that neither answers nor fails: counted as silent, and stop comes back', async () => {
    const gateway = new Gateway();
    const hangs = <T>(): Promise<T> => new Promise(() => undefined);
    const store: LeaseStore = {
      masters: 1, peek: hangs, acquire: hangs, claim: hangs, install: hangs, renew: hangs, seize: hangs, release: hangs, close: hangs,
    };
    const node = new Node(gateway, 'n1', store).start();
    await gateway.pass(2 * leaseMs);
    assert.ok(hasCode(node.keeper.trouble, 'DMG_LEASE_UNREACHABLE'));
    assert.match(node.keeper.redisTrouble?.reason ?? '', /500 ms/);
    let stopped = false;
    void node.keeper.stop().then(() => void (stopped = true));
    await gateway.until(() => stopped, leaseMs);
  });

  test('three masters: one that is silent is survived, a majority without our lease is not', async () => {
    const gateway = new Gateway(3);
    const [a, b] = gateway.masters;
    assert.ok(a !== undefined && b !== undefined);
    const node = new Node(gateway, 'n1').start();
    await gateway.until(() => node.leads, 3 * leaseMs);
    const life = node.grant?.life;
    a.trouble = new Error('frozen');
    await gateway.pass(5 * leaseMs);
    assert.ok(node.leads);
    a.trouble = undefined;
    b.lose();
    // The first one has no lease of ours since it was silent: with the second one gone as well it is lost, and taken anew.
    await gateway.until(() => node.reason !== undefined, leaseMs);
    assert.ok(hasCode(node.reason, 'DMG_LEASE_LOST'));
    void node.want();
    await gateway.until(() => node.leads, 3 * leaseMs);
    assert.ok((node.grant?.epoch.n ?? 0) > 1);
    assert.notEqual(node.grant?.life, life, 'the ledger lost something');
    await node.keeper.stop();
  });
});

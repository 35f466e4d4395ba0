import assert from 'node:assert/strict';
import { describe } from 'node:test';
import type { LeaseStore, MasterSight } from '../ports.ts';
import {
  contractNode as node, epochOf, type MakeMasters, type MastersContract, onMasters,
} from './masters-fixture.ts';

/** Long enough not to end during a test, and short enough to wait for. */
const longMs = 60_000;
const shortMs = 400;
const a = epochOf(1, 'a').token;
const b = epochOf(1, 'b').token;

type Seen = Extract<MasterSight, { kind: 'seen' }>;

/**
 * What every lease store answers, whatever holds the lease, with one master and with three. The store may need some milliseconds for a
 * command; a silent master may take its whole deadline.
 */
export function leaseStoreContract(name: string, make: MakeMasters): void {
  describe(`lease store contract: ${name}`, () => {
    for (const masters of [1, 3]) {
      const contract = onMasters(make, masters);
      leases(contract);
      installs(contract);
      seizures(contract);
      losses(contract);
    }
    silence(onMasters(make, 3));
    silentAll(onMasters(make, 1));
  });
}

async function seen(store: LeaseStore): Promise<Seen[]> {
  const sights = await store.peek();
  assert.equal(sights.length, store.masters);
  return sights.map((sight) => {
    assert.equal(sight.kind, 'seen', JSON.stringify(sight));
    return sight as Seen;
  });
}

async function tokens(store: LeaseStore): Promise<(string | undefined)[]> {
  return (await seen(store)).map((sight) => sight.leaseToken);
}

async function beats(store: LeaseStore): Promise<(number | undefined)[]> {
  return (await store.peek()).map((sight) => (sight.kind === 'seen' ? sight.lead?.beat : undefined));
}

function every<T>(store: LeaseStore, value: T): T[] {
  return Array.from({ length: store.masters }, () => value);
}

/** Acquires and installs. */
async function lead(store: LeaseStore, n: number, token: string, leaseMs = longMs): Promise<void> {
  assert.equal(await store.acquire(token, leaseMs), true);
  const answers = await store.install({ n, token }, node);
  assert.deepEqual(answers.map(({ kind }) => kind), every(store, 'installed'));
}

function leases(contract: MastersContract): void {
  contract('nothing is there at first', async ({ leaseStore, masters }) => {
    const store = leaseStore();
    assert.equal(store.masters, masters);
    assert.deepEqual(await store.peek(), every(store, { kind: 'seen', leaseToken: undefined, lead: undefined, life: '' }));
    assert.deepEqual(await store.claim(a), every(store, { kind: 'lost' }));
    assert.equal(await store.renew(a, longMs), 'lost');
    await store.release(a);
  });
  contract('one holds it, everybody sees whom, and nobody else gets it', async ({ leaseStore }) => {
    const [one, two] = [leaseStore(), leaseStore()];
    assert.equal(await one.acquire(a, longMs), true);
    assert.equal(await two.acquire(b, longMs), false);
    assert.deepEqual(await tokens(two), every(two, a));
  });
  contract('it ends by itself, and then another gets it', async (fixture) => {
    const [one, two] = [fixture.leaseStore(), fixture.leaseStore()];
    assert.equal(await one.acquire(a, shortMs), true);
    await fixture.advance(shortMs + 50);
    assert.deepEqual(await tokens(two), every(two, undefined));
    assert.equal(await one.renew(a, shortMs), 'lost', 'what has ended is not extended');
    assert.equal(await two.acquire(b, longMs), true);
    assert.deepEqual(await one.claim(a), every(one, { kind: 'lost' }));
  });
  contract('renewed, it goes on; a stranger cannot renew it', async (fixture) => {
    const [one, two] = [fixture.leaseStore(), fixture.leaseStore()];
    await lead(one, 1, a, shortMs);
    assert.equal(await one.renew(a, longMs), 'renewed');
    assert.equal(await two.renew(b, longMs), 'lost');
    await fixture.advance(shortMs + 50);
    assert.deepEqual(await tokens(two), every(two, a));
    assert.equal(await two.acquire(b, longMs), false);
  });
  contract('only its holder gives it back', async ({ leaseStore }) => {
    const [one, two] = [leaseStore(), leaseStore()];
    await one.acquire(a, longMs);
    await two.release(b);
    assert.deepEqual(await tokens(one), every(one, a));
    await one.release(a);
    assert.deepEqual(await tokens(one), every(one, undefined));
    assert.equal(await two.acquire(b, longMs), true);
  });
  contract('of many who want it at once one gets it, or nobody, and then nothing is left of them', async ({ leaseStore }) => {
    const stores = Array.from({ length: 4 }, () => leaseStore());
    const won = await Promise.all(stores.map((store, index) => store.acquire(epochOf(1, String(index)).token, longMs)));
    const winners = won.flatMap((yes, index) => (yes ? [epochOf(1, String(index)).token] : []));
    assert.ok(winners.length <= 1, `${winners.length} hold it`);
    for (const store of stores) for (const token of await tokens(store)) assert.ok(token === undefined || token === winners[0]);
  });
  contract('after it was closed it answers as if nobody were there', async ({ leaseStore }) => {
    const [one, two] = [leaseStore(), leaseStore()];
    await one.acquire(a, longMs);
    await one.close();
    assert.deepEqual((await one.peek()).map(({ kind }) => kind), every(one, 'silent'));
    assert.equal(await one.renew(a, longMs), 'silent');
    assert.equal(await one.acquire(b, longMs), false);
    await one.release(a);
    assert.deepEqual(await tokens(two), every(two, a));
  });
}

function installs(contract: MastersContract): void {
  contract('the holder claims and installs; everybody sees the lead', async ({ leaseStore }) => {
    const [one, two] = [leaseStore(), leaseStore()];
    await one.acquire(a, longMs);
    assert.deepEqual(await one.claim(a), every(one, { kind: 'claimed', n: 0, life: '' }));
    assert.deepEqual(await two.claim(b), every(two, { kind: 'lost' }));
    const lives = (await one.install(epochOf(7, 'a'), node)).map((answer) => (answer.kind === 'installed' ? answer.life : ''));
    assert.ok(lives.every((life) => life !== ''));
    const sights = await seen(two);
    assert.deepEqual(sights.map(({ lead: it }) => it), every(two, { n: 7, token: a, ...node, beat: 0 }));
    assert.deepEqual(sights.map(({ life }) => life), lives);
    assert.deepEqual(await one.claim(a), lives.map((life) => ({ kind: 'claimed', n: 7, life })));
  });
  contract('nobody installs without the lease', async ({ leaseStore }) => {
    const store = leaseStore();
    assert.deepEqual(await store.install(epochOf(1, 'a'), node), every(store, { kind: 'lost' }));
    await lead(store, 1, a);
    await store.release(a);
    assert.deepEqual(await store.install(epochOf(2, 'a'), node), every(store, { kind: 'lost' }));
    assert.deepEqual((await seen(store)).map(({ lead: it }) => it?.n), every(store, 1));
  });
  contract('a later grant must be larger; the same one may be installed again, and raised', async ({ leaseStore }) => {
    const store = leaseStore();
    await lead(store, 7, a);
    await store.release(a);
    await store.acquire(b, longMs);
    for (const n of [1, 6, 7]) assert.deepEqual(await store.install({ n, token: b }, node), every(store, { kind: 'behind', n: 7 }));
    for (const n of [8, 8, 10]) {
      assert.deepEqual((await store.install({ n, token: b }, node)).map(({ kind }) => kind), every(store, 'installed'));
    }
    // A command that was held up on its way must not take back what came after it.
    assert.deepEqual(await store.install({ n: 9, token: b }, node), every(store, { kind: 'behind', n: 10 }));
    assert.deepEqual((await seen(store)).map(({ lead: it }) => it?.n), every(store, 10));
  });
  contract('numbers are compared as numbers, also very large ones', async ({ leaseStore }) => {
    const store = leaseStore();
    await lead(store, 9, a);
    assert.deepEqual((await store.install(epochOf(10, 'a'), node)).map(({ kind }) => kind), every(store, 'installed'));
    const large = 2 ** 52;
    assert.deepEqual((await store.install(epochOf(large, 'a'), node)).map(({ kind }) => kind), every(store, 'installed'));
    assert.deepEqual(await store.install(epochOf(large - 1, 'a'), node), every(store, { kind: 'behind', n: large }));
    assert.deepEqual((await seen(store)).map(({ lead: it }) => it?.n), every(store, large));
  });
  contract('each renewal moves the beat; a new grant begins at 0; the life stays', async ({ leaseStore }) => {
    const store = leaseStore();
    await lead(store, 1, a);
    const lives = (await seen(store)).map(({ life }) => life);
    for (let beat = 1; beat <= 3; beat++) {
      assert.equal(await store.renew(a, longMs), 'renewed');
      assert.deepEqual(await beats(store), every(store, beat));
    }
    await store.release(a);
    assert.deepEqual(await beats(store), every(store, 3));
    await lead(store, 2, b);
    assert.deepEqual(await beats(store), every(store, 0));
    assert.deepEqual((await seen(store)).map(({ life }) => life), lives);
  });
}

function seizures(contract: MastersContract): void {
  contract('seized when the beat stands still; its holder is told', async ({ leaseStore }) => {
    const [one, two] = [leaseStore(), leaseStore()];
    await lead(one, 1, a);
    await one.renew(a, longMs);
    assert.equal(await two.seize({ token: a, beats: every(two, 1) }), true);
    assert.deepEqual(await tokens(two), every(two, undefined));
    assert.equal(await one.renew(a, longMs), 'lost');
    assert.deepEqual(await one.install(epochOf(2, 'a'), node), every(one, { kind: 'lost' }));
    assert.equal(await two.acquire(b, longMs), true);
  });
  contract('not seized when the beat has moved, or another holds it', async ({ leaseStore }) => {
    const [one, two] = [leaseStore(), leaseStore()];
    await lead(one, 1, a);
    await one.renew(a, longMs);
    assert.equal(await two.seize({ token: a, beats: every(two, 0) }), false);
    assert.equal(await two.seize({ token: a, beats: every(two, undefined) }), false);
    assert.equal(await two.seize({ token: b, beats: every(two, 1) }), false);
    assert.equal(await one.renew(a, longMs), 'renewed');
  });
  contract('a holder that never installed has no beat, whatever an earlier one left', async ({ leaseStore }) => {
    const [one, two] = [leaseStore(), leaseStore()];
    await one.acquire(a, longMs);
    assert.equal(await two.seize({ token: a, beats: every(two, undefined) }), true);
    await lead(one, 1, a);
    await one.release(a);
    await one.acquire(b, longMs);
    assert.equal(await two.seize({ token: b, beats: every(two, 0) }), false);
    assert.equal(await two.seize({ token: b, beats: every(two, undefined) }), true);
    assert.deepEqual(await tokens(two), every(two, undefined));
  });
}

function losses(contract: MastersContract): void {
  contract('masters that lost everything: the lease is lost, and the next grant begins another life', async (fixture) => {
    const store = fixture.leaseStore();
    await lead(store, 5, a);
    const before = (await seen(store)).map(({ life }) => life);
    for (let master = 0; master < fixture.masters; master++) await fixture.empty(master);
    assert.deepEqual(await store.peek(), every(store, { kind: 'seen', leaseToken: undefined, lead: undefined, life: '' }));
    assert.equal(await store.renew(a, longMs), 'lost');
    assert.deepEqual(await store.claim(a), every(store, { kind: 'lost' }));
    assert.deepEqual(await store.peek(), every(store, { kind: 'seen', leaseToken: undefined, lead: undefined, life: '' }));
    await lead(store, 1, b);
    const after = (await seen(store)).map(({ life }) => life);
    for (const [index, life] of after.entries()) assert.notEqual(life, before[index]);
  });
}

function silence(contract: MastersContract): void {
  contract('one is silent: the other two are enough for everything', async (fixture) => {
    const [one, two] = [fixture.leaseStore(), fixture.leaseStore()];
    await lead(one, 1, a);
    await fixture.silence(1);
    assert.equal(await one.renew(a, longMs), 'renewed');
    const sights = await two.peek();
    assert.deepEqual(sights.map(({ kind }) => kind), ['seen', 'silent', 'seen']);
    assert.ok(sights[1]?.kind === 'silent' && sights[1].reason !== '');
    assert.equal(await two.acquire(b, longMs), false);
    assert.equal(await two.seize({ token: a, beats: await beats(two) }), true);
    assert.equal(await two.acquire(b, longMs), true);
    assert.deepEqual((await two.claim(b)).map(({ kind }) => kind), ['claimed', 'silent', 'claimed']);
    assert.deepEqual((await two.install(epochOf(2, 'b'), node)).map(({ kind }) => kind), ['installed', 'silent', 'installed']);
    await two.release(b);
    const left = (await one.peek()).map((sight) => (sight.kind === 'seen' ? sight.leaseToken : 'silent'));
    assert.deepEqual(left, [undefined, 'silent', undefined]);
  });
  contract('what one missed shows when it speaks again', async (fixture) => {
    const [one, two] = [fixture.leaseStore(), fixture.leaseStore()];
    await lead(one, 1, a);
    await one.release(a);
    await fixture.silence(0);
    assert.equal(await two.acquire(b, longMs), true);
    await two.install(epochOf(2, 'b'), node);
    await two.release(b);
    await fixture.speak(0);
    // What was sent to it meanwhile may have arrived late, or not at all.
    assert.deepEqual((await seen(two)).slice(1).map(({ lead: it }) => it?.n), [2, 2]);
  });
  contract('two are silent: nobody gets it, nothing is left behind, and nothing hangs', async (fixture) => {
    const store = fixture.leaseStore();
    await fixture.silence(0);
    await fixture.silence(2);
    assert.equal(await store.acquire(a, longMs), false);
    const [, only] = await store.peek();
    assert.ok(only?.kind === 'seen' && only.leaseToken === undefined);
    await fixture.speak(0);
    await fixture.speak(2);
  });
  contract('two become silent: a renewal is undecided, and good again when they speak', async (fixture) => {
    const store = fixture.leaseStore();
    await lead(store, 1, a);
    await fixture.silence(0);
    await fixture.silence(1);
    assert.equal(await store.renew(a, longMs), 'silent');
    assert.equal(await store.seize({ token: a, beats: await beats(store) }), false);
    await fixture.speak(0);
    await fixture.speak(1);
    assert.equal(await store.renew(a, longMs), 'renewed');
  });
  contract('one loses its data: the lease goes on; with two it is lost', async (fixture) => {
    const store = fixture.leaseStore();
    await lead(store, 1, a);
    await fixture.empty(2);
    assert.equal(await store.renew(a, longMs), 'renewed');
    assert.deepEqual((await store.claim(a)).map(({ kind }) => kind), ['claimed', 'claimed', 'lost']);
    assert.deepEqual((await store.install(epochOf(2, 'a'), node)).map(({ kind }) => kind), ['installed', 'installed', 'lost']);
    await fixture.empty(0);
    assert.equal(await store.renew(a, longMs), 'lost');
  });
}

function silentAll(contract: MastersContract): void {
  contract('the only one is silent: every call comes back and says so', async (fixture) => {
    const store = fixture.leaseStore();
    await lead(store, 1, a);
    await fixture.silence(0);
    const [sight] = await store.peek();
    assert.ok(sight?.kind === 'silent' && sight.reason !== '');
    assert.equal(await store.renew(a, longMs), 'silent');
    assert.deepEqual(await store.claim(a), [{ kind: 'silent' }]);
    assert.deepEqual(await store.install(epochOf(2, 'a'), node), [{ kind: 'silent' }]);
    assert.equal(await store.acquire(b, longMs), false);
    assert.equal(await store.seize({ token: a, beats: [0] }), false);
    await store.release(a);
    await fixture.speak(0);
  });
}

import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import { systemClock } from '@dmg/base';
import { epochOf } from '@dmg/core/testing';
import type { Epoch } from '@dmg/model';
import { Redis } from 'ioredis';
import type { RedisLeaseStore } from './redis-lease-store.ts';
import { newGatewayId, openStore, startRedis, startThree, untilDone } from './testing/redis-clients.ts';
import { administer } from './testing/redis-masters-fixture.ts';
import { RedisProcess } from './testing/redis-process.ts';

const node = { nodeId: 'node-1', address: '127.0.0.1:8060' };
const longMs = 60_000;
const [a, b] = [epochOf(1, 'a'), epochOf(2, 'b')];

async function lead(store: RedisLeaseStore, epoch: Epoch): Promise<void> {
  assert.equal(await store.acquire(epoch.token, longMs), true);
  assert.ok((await store.claim(epoch.token)).some(({ kind }) => kind === 'claimed'));
  assert.ok((await store.install(epoch, node)).some(({ kind }) => kind === 'installed'));
}

async function tokensOf(store: RedisLeaseStore): Promise<(string | undefined)[]> {
  return (await store.peek()).map((sight) => (sight.kind === 'seen' ? sight.leaseToken : 'silent'));
}

/** A client of the test's own on each master. */
function clientsOf(context: TestContext, masters: readonly RedisProcess[]): Redis[] {
  const clients = masters.map(({ url }) => new Redis(url));
  context.after(() => clients.forEach((client) => client.disconnect()));
  return clients;
}

async function tookMs(work: () => Promise<unknown>): Promise<number> {
  const startMs = systemClock.monotonicMs();
  await work();
  return systemClock.monotonicMs() - startMs;
}

describe('RedisLeaseStore on three masters', () => {
  let masters: readonly RedisProcess[] = [];
  before(async () => {
    masters = await Promise.all([RedisProcess.start(), RedisProcess.start(), RedisProcess.start()]);
  });
  after(() => Promise.all(masters.map((redis) => redis.stop())));

  test('the value of the lease is the token, and it expires after what was asked for', async (context) => {
    const gatewayId = newGatewayId();
    const store = openStore(context, masters, { gatewayId });
    assert.equal(await store.acquire(a.token, 5_000), true);
    for (const client of clientsOf(context, masters)) {
      assert.equal(await client.get(`dmg:{${gatewayId}}:lease`), a.token);
      const leftMs = await client.pttl(`dmg:{${gatewayId}}:lease`);
      assert.ok(leftMs > 2_000 && leftMs <= 5_000, `${leftMs} ms left`);
    }
    assert.equal(await store.renew(a.token, 20_000), 'renewed');
    for (const client of clientsOf(context, masters)) assert.ok(await client.pttl(`dmg:{${gatewayId}}:lease`) > 10_000);
  });

  test('two race: never both, each with its own token', async (context) => {
    const gatewayId = newGatewayId();
    const stores = [openStore(context, masters, { gatewayId }), openStore(context, masters, { gatewayId })] as const;
    let wins = 0;
    for (let round = 0; round < 40; round++) {
      const tokens = [epochOf(round, `x${round}`).token, epochOf(round, `y${round}`).token] as const;
      const won = await Promise.all([stores[0].acquire(tokens[0], longMs), stores[1].acquire(tokens[1], longMs)]);
      assert.ok(!(won[0] && won[1]), 'both hold it');
      const winner = won[0] ? tokens[0] : won[1] ? tokens[1] : undefined;
      for (const token of await tokensOf(stores[0])) assert.ok(token === undefined || token === winner);
      if (winner === undefined) continue;
      wins++;
      await stores[won[0] ? 0 : 1].release(winner);
      assert.deepEqual(await tokensOf(stores[1]), [undefined, undefined, undefined]);
    }
    assert.ok(wins > 0);
  });

  test('an overlapping acquire of one store takes its own token', async (context) => {
    const store = openStore(context, masters);
    const won = await Promise.all([a, b].map(({ token }) => store.acquire(token, longMs)));
    const winner = won[0] ? a.token : won[1] ? b.token : undefined;
    for (const token of await tokensOf(store)) assert.ok(token === undefined || token === winner, String(token));
  });

  test('a take-over sends no script as text, and again after the servers forgot them', async (context) => {
    const clients = clientsOf(context, masters);
    for (const client of clients) await client.script('FLUSH');
    const store = openStore(context, masters);
    await store.check();
    const evals = async (): Promise<string[]> =>
      await Promise.all(clients.map(async (client) => /cmdstat_eval:calls=(\d+)/.exec(await client.info('commandstats'))?.[1] ?? '0'));
    const before = await evals();
    await lead(store, a);
    await store.renew(a.token, longMs);
    await store.seize({ token: a.token, beats: [1, 1, 1] });
    await store.release(a.token);
    assert.deepEqual(await evals(), before);
    for (const client of clients) await client.script('FLUSH');
    await lead(store, b);
    assert.equal(await store.renew(b.token, longMs), 'renewed');
    await store.release(b.token);
    assert.deepEqual(await tokensOf(store), [undefined, undefined, undefined]);
  });

  test('one frozen: everything goes on, well within the deadline of a command', async (context) => {
    const gatewayId = newGatewayId();
    const limitMs = 500;
    const open = (): RedisLeaseStore => openStore(context, masters, { gatewayId, commandTimeoutMs: limitMs });
    const [store, other] = [open(), open()];
    await store.check();
    await other.check();
    masters[1]?.pause();
    context.after(() => masters[1]?.resume());
    assert.ok(await tookMs(() => lead(store, a)) < 3 * limitMs, 'acquire, claim and install');
    assert.ok(await tookMs(() => store.renew(a.token, longMs)) < limitMs, 'renew');
    assert.ok(await tookMs(() => other.acquire(b.token, longMs)) < limitMs, 'acquire of another');
    assert.ok(await tookMs(() => other.seize({ token: a.token, beats: [1, undefined, 1] })) < limitMs, 'seize');
    assert.ok(await tookMs(() => lead(other, b)) < 3 * limitMs, 'acquire, claim and install of another');
    assert.equal(await store.renew(a.token, longMs), 'lost');
    assert.ok(await tookMs(() => other.release(b.token)) < limitMs, 'release');
    assert.deepEqual(await tokensOf(other), [undefined, 'silent', undefined]);
  });

  test('what was sent to frozen masters leaves nothing behind when they wake up', async (context) => {
    const store = openStore(context, masters, { commandTimeoutMs: 300 });
    await store.check();
    const frozen = masters.slice(0, 2);
    for (const redis of frozen) redis.pause();
    assert.equal(await store.acquire(a.token, longMs), false);
    for (const redis of frozen) redis.resume();
    await untilDone(async () => assert.deepEqual(await tokensOf(store), [undefined, undefined, undefined]));
    assert.equal(await store.acquire(b.token, longMs), true);
  });

  test('majority frozen: silent, each within the deadline', async (context) => {
    const store = openStore(context, masters, { commandTimeoutMs: 250 });
    await store.check();
    await lead(store, a);
    for (const redis of masters.slice(1)) redis.pause();
    context.after(() => masters.forEach((redis) => redis.resume()));
    const limitMs = 600;
    assert.ok(await tookMs(async () => assert.equal(await store.renew(a.token, longMs), 'silent')) < limitMs, 'renew');
    assert.ok(await tookMs(async () => assert.equal(await store.acquire(b.token, longMs), false)) < limitMs, 'acquire');
    assert.ok(await tookMs(async () => assert.deepEqual(await tokensOf(store), [a.token, 'silent', 'silent'])) < limitMs, 'peek');
    const seized = store.seize({ token: a.token, beats: [0, 0, 0] });
    assert.ok(await tookMs(async () => assert.equal(await seized, false)) < limitMs, 'seize');
    assert.ok(await tookMs(() => store.release(a.token)) < limitMs, 'release');
  });
});

describe('RedisLeaseStore and the deaths of masters', () => {
  test('one of three killed: the lease goes on; two: nobody can say; back and empty: lost', async (context) => {
    const masters = await startThree(context);
    const store = openStore(context, masters, { commandTimeoutMs: 300 });
    await store.check();
    await lead(store, a);
    await masters[2].kill();
    assert.equal(await store.renew(a.token, longMs), 'renewed');
    assert.deepEqual((await store.peek()).map(({ kind }) => kind), ['seen', 'seen', 'silent']);
    assert.deepEqual((await store.install(epochOf(3, 'a'), node)).map(({ kind }) => kind), ['installed', 'installed', 'silent']);
    await store.release(a.token);
    assert.equal(await store.acquire(b.token, longMs), true);
    await masters[1].kill();
    assert.equal(await store.renew(b.token, longMs), 'silent');
    await masters[1].restart();
    await masters[2].restart();
    await untilDone(async () => assert.equal(await store.renew(b.token, longMs), 'lost'));
    const lives = (await store.peek()).map((sight) => (sight.kind === 'seen' ? sight.life : 'silent'));
    assert.deepEqual(lives.slice(1), ['', '']);
  });

  test('an old snapshot shows the old grant, under the old life', async (context) => {
    const redis = await startRedis(context);
    const store = openStore(context, redis);
    await lead(store, a);
    await store.release(a.token);
    const [then] = await store.peek();
    await administer(redis, 'SAVE');
    await lead(store, b);
    await redis.restart();
    const now = await untilDone(async () => {
      const [sight] = await store.peek();
      assert.equal(sight?.kind, 'seen');
      return sight;
    });
    assert.deepEqual(now, then);
    assert.equal(await store.renew(b.token, longMs), 'lost');
  });

  test('no Redis at all: silence with a reason, and no rejection', async (context) => {
    const redis = await startRedis(context);
    await redis.kill();
    const store = openStore(context, redis, { commandTimeoutMs: 250 });
    const [sight] = await store.peek();
    assert.ok(sight?.kind === 'silent' && sight.reason.includes(`127.0.0.1:${redis.port}`), JSON.stringify(sight));
    assert.equal(await store.acquire(a.token, longMs), false);
    assert.equal(await store.renew(a.token, longMs), 'silent');
    await store.release(a.token);
  });
});

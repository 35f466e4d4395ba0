import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { DmgError, hasCode, systemClock } from '@dmg/base';
import { epochOf, grantEpoch, recordOf } from '@dmg/core/testing';
import { Redis } from 'ioredis';
import type { RedisLedger } from './redis-ledger.ts';
import { newGatewayId, openLedger, openStore, startRedis, untilDone } from './testing/redis-clients.ts';
import { administer } from './testing/redis-masters-fixture.ts';
import { RedisProcess } from './testing/redis-process.ts';

const ids = async (ledger: RedisLedger): Promise<string[]> => (await ledger.readAll()).map(({ jobId }) => jobId).sort();

describe('RedisLedger', () => {
  let redis: RedisProcess;
  before(async () => {
    redis = await RedisProcess.start();
  });
  after(() => redis.stop());

  test('gateways on one Redis do not see each other', async (context) => {
    const gatewayId = newGatewayId();
    const [one, two] = [openLedger(context, redis, { gatewayId }), openLedger(context, redis)];
    await grantEpoch(openStore(context, redis, { gatewayId }), epochOf(5));
    await one.put(epochOf(5), recordOf('j'));
    assert.deepEqual(await ids(two), []);
    assert.equal(await two.put(epochOf(5), recordOf('j')), 'stale');
  });

  test('every key carries the hash tag of its gateway, and none but the lease expires', async (context) => {
    const options = { gatewayId: 'tagged' };
    const [ledger, store] = [openLedger(context, redis, options), openStore(context, redis, options)];
    await store.acquire(epochOf(1).token, 60_000);
    await store.install(epochOf(1), { nodeId: 'n', address: 'a' });
    await ledger.put(epochOf(1), recordOf('j'));
    const client = new Redis(redis.url);
    context.after(() => client.disconnect());
    const keys = (await client.keys('dmg:{tagged}:*')).sort();
    assert.deepEqual(keys, ['index', 'job:j', 'lead', 'lease', 'life'].map((name) => `dmg:{tagged}:${name}`));
    for (const key of keys) assert.equal(await client.pttl(key) === -1, !key.endsWith('lease'), key);
  });

  test('data lost in the middle of writing: stale from there on', async (context) => {
    const gatewayId = newGatewayId();
    const ledger = openLedger(context, redis, { gatewayId });
    await grantEpoch(openStore(context, redis, { gatewayId }), epochOf(1));
    const writes = Array.from({ length: 50 }, (_, index) => ledger.put(epochOf(1), recordOf(`a${index}`)));
    const flushed = administer(redis, 'FLUSHALL');
    await Promise.all(writes);
    await flushed;
    assert.equal(await ledger.put(epochOf(1), recordOf('b')), 'stale');
  });

  test('a spoilt record is left out of the reading', async (context) => {
    const options = { gatewayId: 'spoilt' };
    const ledger = openLedger(context, redis, options);
    await grantEpoch(openStore(context, redis, options), epochOf(1));
    for (const id of ['a', 'b', 'c']) await ledger.put(epochOf(1), recordOf(id));
    await administer(redis, 'HSET', 'dmg:{spoilt}:job:b', 'data', '{"half');
    await administer(redis, 'DEL', 'dmg:{spoilt}:job:c');
    assert.deepEqual(await ids(ledger), ['a']);
  });

  test('what was read ahead is not read again, what has changed since is', async (context) => {
    const gatewayId = newGatewayId();
    const [ledger, other] = [openLedger(context, redis, { gatewayId }), openLedger(context, redis, { gatewayId })];
    await grantEpoch(openStore(context, redis, { gatewayId }), epochOf(1));
    for (const id of ['a', 'b', 'c', 'd']) await other.put(epochOf(1), recordOf(id));
    await ledger.preread();
    await other.put(epochOf(1), recordOf('b', { version: 2 }));
    await other.remove(epochOf(1), 'c');
    await other.put(epochOf(1), recordOf('e'));
    // Nobody but a test writes past the index: so it is seen that these are not fetched.
    for (const id of ['a', 'b']) {
      const written = JSON.stringify(recordOf(id, { version: 9 }));
      await administer(redis, 'HSET', `dmg:{${gatewayId}}:job:${id}`, 'data', written);
    }
    const read = (await ledger.readAll()).map(({ jobId, version }) => `${jobId} ${version}`).sort();
    assert.deepEqual(read, ['a 1', 'b 9', 'd 1', 'e 1']);
  });

  test('another data set under the same orders is read anew', async (context) => {
    const gatewayId = newGatewayId();
    const [ledger, other] = [openLedger(context, redis, { gatewayId }), openLedger(context, redis, { gatewayId })];
    const store = openStore(context, redis, { gatewayId });
    await grantEpoch(store, epochOf(1));
    await other.put(epochOf(1), recordOf('j'));
    await ledger.preread();
    await administer(redis, 'FLUSHALL');
    await grantEpoch(store, epochOf(1));
    await other.put(epochOf(1), recordOf('j', { sendNo: 2 }));
    assert.deepEqual((await ledger.readAll()).map(({ sendNo }) => sendNo), [2]);
  });

  test('after a new connection all is read anew: its server may have lost its last second', async (context) => {
    const gatewayId = newGatewayId();
    const ledger = openLedger(context, redis, { gatewayId });
    await grantEpoch(openStore(context, redis, { gatewayId }), epochOf(1));
    await ledger.put(epochOf(1), recordOf('j'));
    await ledger.preread();
    await administer(redis, 'HSET', `dmg:{${gatewayId}}:job:j`, 'data', JSON.stringify(recordOf('j', { sendNo: 2 })));
    assert.deepEqual((await ledger.readAll()).map(({ sendNo }) => sendNo), [1]);
    await administer(redis, 'CLIENT', 'KILL', 'TYPE', 'normal');
    await untilDone(async () => assert.deepEqual((await ledger.readAll()).map(({ sendNo }) => sendNo), [2]));
  });

  test('scripts that the server forgot are sent again', async (context) => {
    const gatewayId = newGatewayId();
    const ledger = openLedger(context, redis, { gatewayId });
    await grantEpoch(openStore(context, redis, { gatewayId }), epochOf(1));
    await administer(redis, 'SCRIPT', 'FLUSH');
    assert.equal(await ledger.put(epochOf(1), recordOf('j')), 'ok');
  });
});

describe('RedisLedger in trouble', () => {
  test('frozen: an error within the deadline, not a hang; it works again when Redis does', async (context) => {
    const redis = await startRedis(context);
    const gatewayId = newGatewayId();
    const ledger = openLedger(context, redis, { gatewayId, commandTimeoutMs: 250 });
    await grantEpoch(openStore(context, redis, { gatewayId }), epochOf(1));
    await untilDone(() => ledger.readAll());
    redis.pause();
    const startMs = systemClock.monotonicMs();
    await assert.rejects(ledger.put(epochOf(1), recordOf('j')), (error) => hasCode(error, 'DMG_REDIS_TIMEOUT'));
    const tookMs = systemClock.monotonicMs() - startMs;
    assert.ok(tookMs < 1_000, `took ${tookMs} ms`);
    redis.resume();
    assert.equal(await untilDone(() => ledger.put(epochOf(1), recordOf('j', { version: 2 }))), 'ok');
  });

  test('frozen for long: the connection is given up and made anew', async (context) => {
    const redis = await startRedis(context);
    const ledger = openLedger(context, redis, { commandTimeoutMs: 50 });
    await untilDone(() => ledger.readAll());
    redis.pause();
    const codes = new Set<string>();
    for (let tries = 0; tries < 12; tries++) {
      await assert.rejects(ledger.readAll(), (error) => error instanceof DmgError && codes.add(error.code).size > 0);
    }
    assert.ok(codes.has('DMG_REDIS_UNREACHABLE'), [...codes].join());
    redis.resume();
    assert.deepEqual(await untilDone(() => ids(ledger)), []);
  });

  test('killed and started empty: unreachable at once, then stale, then as new', async (context) => {
    const redis = await startRedis(context);
    const gatewayId = newGatewayId();
    const store = openStore(context, redis, { gatewayId });
    const ledger = openLedger(context, redis, { gatewayId, commandTimeoutMs: 250 });
    await grantEpoch(store, epochOf(1));
    await untilDone(() => ledger.put(epochOf(1), recordOf('j')));
    await redis.kill();
    await assert.rejects(ledger.put(epochOf(1), recordOf('j')), (error) => {
      assert.ok(error instanceof DmgError && error.retry === 'reconnect');
      return hasCode(error, 'DMG_REDIS_UNREACHABLE');
    });
    await redis.restart();
    assert.equal(await untilDone(() => ledger.put(epochOf(1), recordOf('j'))), 'stale');
    await untilDone(() => grantEpoch(store, epochOf(2)));
    assert.equal(await untilDone(() => ledger.put(epochOf(2), recordOf('j'))), 'ok');
  });

  test('nobody there: unreachable within the deadline, naming address and reason', async (context) => {
    const redis = await startRedis(context);
    await redis.kill();
    const ledger = openLedger(context, redis, { commandTimeoutMs: 250 });
    const address = `127.0.0.1:${redis.port}`;
    await assert.rejects(ledger.readAll(), (error) => hasCode(error, 'DMG_REDIS_UNREACHABLE') && String(error).includes(address));
  });

  test('a peer that takes the connection and says nothing is no hang', async (context) => {
    const sockets = new Set<{ destroy(): void }>();
    const silent = createServer((socket) => void sockets.add(socket)).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const address = silent.address();
    assert.ok(typeof address === 'object' && address !== null);
    const ledger = openLedger(context, `redis://127.0.0.1:${address.port}`, { commandTimeoutMs: 200 });
    await assert.rejects(ledger.readAll(), (error) => error instanceof DmgError && error.category === 'transient');
    await ledger.close();
    for (const socket of sockets) socket.destroy();
    silent.close();
    await once(silent, 'close');
  });

  test('the deadline is for connecting, checking and the command together', async (context) => {
    const timers: { cancel(): void }[] = [];
    const sockets = new Set<Socket>();
    const slow = createServer((socket) => {
      sockets.add(socket);
      // An empty answer to HELLO, late, and none to the question after it.
      socket.once('data', () => timers.push(systemClock.after(300, () => socket.write('%0\r\n'))));
    }).listen(0, '127.0.0.1');
    context.after(() => {
      for (const timer of timers) timer.cancel();
      for (const socket of sockets) socket.destroy();
      slow.close();
    });
    await once(slow, 'listening');
    const address = slow.address();
    assert.ok(typeof address === 'object' && address !== null);
    const ledger = openLedger(context, `redis://127.0.0.1:${address.port}`, { commandTimeoutMs: 350 });
    const startMs = systemClock.monotonicMs();
    await assert.rejects(ledger.readAll(), (error) => hasCode(error, 'DMG_REDIS_UNREACHABLE'));
    const tookMs = systemClock.monotonicMs() - startMs;
    assert.ok(tookMs < 600, `took ${tookMs} ms`);
  });

  test('an old snapshot is restored: what it holds stands until a new grant, and its records lose against newer ones', async (context) => {
    const redis = await startRedis(context);
    const gatewayId = newGatewayId();
    const [ledger, store] = [openLedger(context, redis, { gatewayId }), openStore(context, redis, { gatewayId })];
    await grantEpoch(store, epochOf(1));
    await ledger.put(epochOf(1), recordOf('j'));
    await administer(redis, 'SAVE');
    await grantEpoch(store, epochOf(2, 'b'));
    await ledger.put(epochOf(2, 'b'), recordOf('j', { epochN: 2 }));
    await ledger.put(epochOf(2, 'b'), recordOf('k', { epochN: 2 }));
    await redis.restart();
    assert.equal(await untilDone(() => ledger.put(epochOf(2, 'b'), recordOf('k', { epochN: 2, version: 2 }))), 'stale');
    assert.deepEqual((await ledger.readAll()).map(({ jobId, epochN }) => [jobId, epochN]), [['j', 1]]);
    await untilDone(() => grantEpoch(store, epochOf(3, 'c')));
    assert.equal(await ledger.put(epochOf(3, 'c'), recordOf('j', { epochN: 2, version: 5 })), 'ok');
  });
});

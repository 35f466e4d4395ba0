import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { after, before, describe, test, type TestContext } from 'node:test';
import { DmgError, hasCode, Secret, seededRandom, silentLogger, systemClock } from '@dmg/base';
import { epochOf, ledgerContract, recordOf } from '@dmg/core/testing';
import { Redis } from 'ioredis';
import { RedisLedger } from './redis-ledger.ts';
import { RedisProcess } from './testing/redis-process.ts';

const node = { nodeId: 'node-1', address: '127.0.0.1:8060' };
let gateways = 0;
const nextTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** A Redis that goes with its test, however that ends. */
async function start(context: TestContext, settings: readonly string[] = []): Promise<RedisProcess> {
  const redis = await RedisProcess.start(settings);
  context.after(() => redis.stop());
  return redis;
}

interface OpenOptions {
  readonly url?: string;
  readonly gatewayId?: string;
  readonly commandTimeoutMs?: number;
}

function open(redis: RedisProcess, options: OpenOptions = {}, context?: TestContext): RedisLedger {
  const { url = redis.url, gatewayId = `g${++gateways}` } = options;
  const ledger = new RedisLedger({
    url: new Secret(url), gatewayId, clock: systemClock, random: seededRandom(gateways), logger: silentLogger,
    // Longer than in production: two busy cores must not decide a test.
    commandTimeoutMs: options.commandTimeoutMs ?? 2_000,
  });
  context?.after(() => ledger.close());
  return ledger;
}

async function admin(redis: RedisProcess, ...command: [string, ...string[]]): Promise<void> {
  const client = new Redis(redis.url);
  const [name, ...args] = command;
  await client.call(name, ...args);
  client.disconnect();
}

/** Tries until the ledger answers again; each try is bounded by the ledger's own deadline. */
async function untilAnswers<T>(work: () => Promise<T>, tries = 100): Promise<T> {
  for (let left = tries; ; left--) {
    try {
      return await work();
    } catch (error) {
      if (left === 0) throw error;
      await nextTurn();
    }
  }
}

describe('RedisLedger', () => {
  let redis: RedisProcess;
  before(async () => {
    redis = await RedisProcess.start();
  });
  after(() => redis.stop());

  ledgerContract('redis', () => {
    const gatewayId = `contract-${++gateways}`;
    const ledger = open(redis, { gatewayId });
    const other = open(redis, { gatewayId });
    return Promise.resolve({
      ledger, other,
      loseData: () => admin(redis, 'FLUSHALL'),
      close: async () => void await Promise.all([ledger.close(), other.close()]),
    });
  });

  test('gateways on one Redis do not see each other', async () => {
    const [one, two] = [open(redis), open(redis)];
    await one.install(epochOf(5), node);
    await one.put(epochOf(5), recordOf('j'));
    assert.deepEqual(await two.head(), { n: 0, life: '' });
    assert.deepEqual(await two.readAll(), []);
    await Promise.all([one.close(), two.close()]);
  });

  test('every key carries the hash tag of its gateway and none expires', async () => {
    const ledger = open(redis, { gatewayId: 'tagged' });
    await ledger.install(epochOf(1), node);
    await ledger.put(epochOf(1), recordOf('j'));
    const client = new Redis(redis.url);
    const keys = await client.keys('dmg:{tagged}:*');
    assert.deepEqual(keys.sort(), ['dmg:{tagged}:job:j', 'dmg:{tagged}:jobs', 'dmg:{tagged}:lead', 'dmg:{tagged}:life']);
    for (const key of keys) assert.equal(await client.pttl(key), -1);
    client.disconnect();
    await ledger.close();
  });

  test('data lost in the middle: stale; another life after the next grant', async () => {
    const ledger = open(redis);
    await ledger.install(epochOf(1), node);
    const { life } = await ledger.head();
    const writes = Array.from({ length: 50 }, (_, index) => ledger.put(epochOf(1), recordOf(`a${index}`)));
    const flushed = admin(redis, 'FLUSHALL');
    await Promise.all(writes);
    await flushed;
    assert.equal(await ledger.put(epochOf(1), recordOf('b')), 'stale');
    await ledger.install(epochOf(2, 'b'), node);
    assert.notEqual((await ledger.head()).life, life);
    await ledger.close();
  });

  test('a spoilt record is left out of the reading', async () => {
    const ledger = open(redis, { gatewayId: 'spoilt' });
    await ledger.install(epochOf(1), node);
    for (const id of ['a', 'b', 'c']) await ledger.put(epochOf(1), recordOf(id));
    await admin(redis, 'HSET', 'dmg:{spoilt}:job:b', 'data', '{"half');
    await admin(redis, 'DEL', 'dmg:{spoilt}:job:c');
    assert.deepEqual((await ledger.readAll()).map((record) => record.jobId), ['a']);
    await ledger.close();
  });

  test('scripts that the server forgot are sent again', async () => {
    const ledger = open(redis);
    await ledger.install(epochOf(1), node);
    await admin(redis, 'SCRIPT', 'FLUSH');
    assert.equal(await ledger.put(epochOf(1), recordOf('j')), 'ok');
    await ledger.close();
  });
});

describe('RedisLedger in trouble', () => {
  test('frozen: an error within the deadline, not a hang; it works again when Redis does', async (context) => {
    const redis = await start(context);
    const ledger = open(redis, { commandTimeoutMs: 250 }, context);
    await untilAnswers(() => ledger.install(epochOf(1), node));
    redis.pause();
    const startMs = systemClock.monotonicMs();
    await assert.rejects(ledger.put(epochOf(1), recordOf('j')), (error) => hasCode(error, 'DMG_REDIS_TIMEOUT'));
    const tookMs = systemClock.monotonicMs() - startMs;
    assert.ok(tookMs < 1_500, `took ${tookMs} ms`);
    redis.resume();
    assert.equal(await untilAnswers(() => ledger.put(epochOf(1), recordOf('j', { version: 2 }))), 'ok');
  });

  test('frozen for long: the connection is given up and made anew', async (context) => {
    const redis = await start(context);
    const ledger = open(redis, { commandTimeoutMs: 50 }, context);
    await untilAnswers(() => ledger.install(epochOf(1), node));
    redis.pause();
    const codes = new Set<string>();
    for (let tries = 0; tries < 12; tries++) {
      await assert.rejects(ledger.head(), (error) => error instanceof DmgError && codes.add(error.code).size > 0);
    }
    assert.ok(codes.has('DMG_REDIS_UNREACHABLE'), [...codes].join());
    redis.resume();
    assert.equal((await untilAnswers(() => ledger.head())).n, 1);
  });

  test('killed and started empty: unreachable at once, then stale, then as new', async (context) => {
    const redis = await start(context);
    const ledger = open(redis, { commandTimeoutMs: 250 }, context);
    await untilAnswers(() => ledger.install(epochOf(1), node));
    await untilAnswers(() => ledger.put(epochOf(1), recordOf('j')));
    await redis.kill();
    await assert.rejects(ledger.put(epochOf(1), recordOf('j')), (error) => {
      assert.ok(error instanceof DmgError && error.retry === 'reconnect');
      return hasCode(error, 'DMG_REDIS_UNREACHABLE');
    });
    await redis.restart();
    assert.equal(await untilAnswers(() => ledger.put(epochOf(1), recordOf('j'))), 'stale');
    assert.deepEqual(await untilAnswers(() => ledger.head()), { n: 0, life: '' });
    await untilAnswers(() => ledger.install(epochOf(2), node));
    assert.equal(await untilAnswers(() => ledger.put(epochOf(2), recordOf('j'))), 'ok');
  });

  test('nobody there: unreachable within the deadline, naming address and reason', async (context) => {
    const redis = await start(context);
    await redis.kill();
    const ledger = open(redis, { commandTimeoutMs: 250 }, context);
    const address = `127.0.0.1:${redis.port}`;
    await assert.rejects(ledger.check(), (error) => hasCode(error, 'DMG_REDIS_UNREACHABLE') && String(error).includes(address));
  });

  test('a peer that takes the connection and says nothing is no hang', async () => {
    const sockets = new Set<{ destroy(): void }>();
    const silent = createServer((socket) => void sockets.add(socket)).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const address = silent.address();
    assert.ok(typeof address === 'object' && address !== null);
    const ledger = new RedisLedger({
      url: new Secret(`redis://127.0.0.1:${address.port}`), gatewayId: 'g', clock: systemClock, random: seededRandom(1),
      logger: silentLogger, commandTimeoutMs: 200,
    });
    await assert.rejects(ledger.head(), (error) => error instanceof DmgError && error.category === 'transient');
    await ledger.close();
    for (const socket of sockets) socket.destroy();
    silent.close();
    await once(silent, 'close');
  });
});

describe('what is checked at start', () => {
  test('a Redis that may evict is refused with the remedy, and taken once it is mended', async (context) => {
    const redis = await start(context, ['--maxmemory-policy', 'allkeys-lru']);
    const ledger = open(redis, {}, context);
    await assert.rejects(ledger.check(), (error) => {
      assert.ok(error instanceof DmgError);
      assert.match(error.fix, /noeviction/);
      return error.code === 'DMG_REDIS_EVICTION_POLICY';
    });
    await assert.rejects(ledger.install(epochOf(1), node), (error) => hasCode(error, 'DMG_REDIS_EVICTION_POLICY'));
    await admin(redis, 'CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    await ledger.check();
  });

  test('a managed Redis that forbids CONFIG and INFO is taken as it is', async (context) => {
    const redis = await start(context);
    await admin(redis, 'ACL', 'SETUSER', 'managed', 'on', '>secret', '~dmg:*', '+@all', '-config', '-info', '-@dangerous', '+info');
    const ledger = open(redis, { url: `redis://managed:secret@127.0.0.1:${redis.port}` }, context);
    await ledger.check();
    await ledger.install(epochOf(1), node);
    assert.equal(await ledger.put(epochOf(1), recordOf('j')), 'ok');
  });

  test('scripts forbidden, wrong password: refused, and no secret is shown', async (context) => {
    const redis = await start(context);
    await admin(redis, 'ACL', 'SETUSER', 'plain', 'on', '>hunter2', '~*', '+@all', '-@scripting');
    const noScripts = open(redis, { url: `redis://plain:hunter2@127.0.0.1:${redis.port}` }, context);
    await assert.rejects(noScripts.check(), (error) => hasCode(error, 'DMG_REDIS_EVAL_FORBIDDEN'));
    const wrong = open(redis, { url: `redis://plain:hunter3@127.0.0.1:${redis.port}` }, context);
    await assert.rejects(wrong.check(), (error) => {
      assert.ok(error instanceof DmgError);
      assert.doesNotMatch(`${JSON.stringify(error.toFault())} ${String(error)}`, /hunter/);
      return error.code === 'DMG_REDIS_ACCESS_DENIED';
    });
  });
});

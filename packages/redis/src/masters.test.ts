import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, test } from 'node:test';
import { DmgError, hasCode, type LogFields, type Logger, Secret, silentLogger, systemClock, systemRandom } from '@dmg/base';
import { epochOf, grantEpoch, recordOf } from '@dmg/core/testing';
import { RedisLeaseStore } from './redis-lease-store.ts';
import { newGatewayId, openLedger, openStore, startRedis, startThree, untilDone } from './testing/redis-clients.ts';
import { administer } from './testing/redis-masters-fixture.ts';
import type { RedisProcess } from './testing/redis-process.ts';

async function codesOf(check: Promise<readonly DmgError[]>): Promise<string[]> {
  return (await check).map(({ code }) => code);
}

async function startClusterNode(context: Parameters<typeof startRedis>[0]): Promise<RedisProcess> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  server.close();
  await once(server, 'close');
  return await startRedis(context, ['--cluster-enabled', 'yes', '--cluster-port', String(address.port)]);
}

// Each has servers of its own and mostly waits for them.
describe('the masters at start', { concurrency: true }, () => {
  test('no masters, an even number of them, one named twice: refused', () => {
    const options = { gatewayId: 'g', leaseMs: 1_000, clock: systemClock, random: systemRandom, logger: silentLogger };
    const open = (...urls: string[]): RedisLeaseStore => new RedisLeaseStore({ ...options, masters: urls.map((url) => new Secret(url)) });
    const [one, sameOne, two] = ['redis://127.0.0.1:1', 'redis://u:p@127.0.0.1:1', 'redis://127.0.0.1:2'] as const;
    for (const urls of [[], [one, two], [one, sameOne, two]]) {
      assert.throws(() => open(...urls), (error) => {
        assert.doesNotMatch(String(error), /u:p/);
        return hasCode(error, 'DMG_REDIS_MASTERS');
      });
    }
  });

  test('a Redis that may evict is refused with the remedy, and taken once it is mended', async (context) => {
    const redis = await startRedis(context, ['--maxmemory-policy', 'allkeys-lru']);
    const [ledger, store] = [openLedger(context, redis), openStore(context, redis)];
    await assert.rejects(ledger.check(), (error) => {
      assert.ok(error instanceof DmgError);
      assert.match(error.fix, /noeviction/);
      return error.code === 'DMG_REDIS_EVICTION_POLICY';
    });
    await assert.rejects(ledger.put(epochOf(1), recordOf('j')), (error) => hasCode(error, 'DMG_REDIS_EVICTION_POLICY'));
    const [sight] = await store.peek();
    assert.ok(sight?.kind === 'silent' && /maxmemory-policy/.test(sight.reason));
    assert.equal(await store.acquire(epochOf(1).token, 1_000), false);
    await administer(redis, 'CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    assert.deepEqual(await codesOf(ledger.check()), []);
    assert.equal(await store.acquire(epochOf(1).token, 1_000), true);
  });

  test('a managed Redis that forbids CONFIG and INFO is taken as it is', async (context) => {
    const redis = await startRedis(context);
    await administer(redis, 'ACL', 'SETUSER', 'managed', 'on', '>secret', '~dmg:*', '+@all', '-config', '-info', '-@dangerous', '+info');
    const [url, gatewayId] = [`redis://managed:secret@127.0.0.1:${redis.port}`, newGatewayId()];
    const ledger = openLedger(context, url, { gatewayId });
    assert.deepEqual(await codesOf(ledger.check()), []);
    await grantEpoch(openStore(context, url, { gatewayId }), epochOf(1));
    assert.equal(await ledger.put(epochOf(1), recordOf('j')), 'ok');
  });

  test('scripts forbidden, wrong password: refused, and no secret is shown', async (context) => {
    const redis = await startRedis(context);
    await administer(redis, 'ACL', 'SETUSER', 'plain', 'on', '>hunter2', '~*', '+@all', '-@scripting');
    const noScripts = openStore(context, `redis://plain:hunter2@127.0.0.1:${redis.port}`);
    await assert.rejects(noScripts.check(), (error) => hasCode(error, 'DMG_REDIS_EVAL_FORBIDDEN'));
    const wrong = openStore(context, `redis://plain:hunter3@127.0.0.1:${redis.port}`);
    await assert.rejects(wrong.check(), (error) => {
      assert.ok(error instanceof DmgError);
      assert.doesNotMatch(`${JSON.stringify(error.toFault())} ${String(error)}`, /hunter/);
      return error.code === 'DMG_REDIS_ACCESS_DENIED';
    });
  });

  test('warned of once: every write synced, a replica that is not there yet; the replica itself is refused', async (context) => {
    const redis = await startRedis(context, ['--appendonly', 'yes', '--appendfsync', 'always']);
    const replica = await startRedis(context, ['--replicaof', `127.0.0.1 ${redis.port}`]);
    const warnings: LogFields[] = [];
    const logger: Logger = { ...silentLogger, warn: (fields) => void warnings.push(fields) };
    await untilDone(async () => {
      // The master waits some seconds for further replicas before it sends its data.
      assert.match(String(await administer(redis, 'INFO', 'replication')), /state=wait_bgsave/);
    });
    const store = openStore(context, redis, { logger });
    const codes = ['DMG_REDIS_REPLICA_LAGS', 'DMG_REDIS_FSYNC_ALWAYS'];
    assert.deepEqual(await codesOf(store.check()), codes);
    assert.deepEqual(await codesOf(store.check()), codes);
    assert.deepEqual(warnings.map(({ code }) => code), codes, 'each is logged once');
    await assert.rejects(openStore(context, replica).check(), (error) => hasCode(error, 'DMG_REDIS_READ_ONLY'));
  });

  test('in Cluster mode all keys of a gateway have one slot', async (context) => {
    const redis = await startClusterNode(context);
    await administer(redis, 'CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    const gatewayId = newGatewayId();
    const [ledger, store] = [openLedger(context, redis, { gatewayId }), openStore(context, redis, { gatewayId })];
    // A cluster that has just been started takes no writes for two seconds.
    await untilDone(async () => assert.match(String(await administer(redis, 'CLUSTER', 'INFO')), /cluster_state:ok/), 10_000);
    await grantEpoch(store, epochOf(1));
    assert.equal(await ledger.put(epochOf(1), recordOf('j')), 'ok');
    assert.equal(await ledger.remove(epochOf(1), 'j'), 'ok');
    await store.acquire(epochOf(2).token, 10_000);
    assert.equal(await store.seize({ token: epochOf(2).token, beats: [0] }), true);
  });

  test('a minority that cannot be used is a warning, a majority an error; so is the time of a round trip', async (context) => {
    const masters = await startThree(context);
    const store = openStore(context, masters, { commandTimeoutMs: 250 });
    await untilDone(async () => assert.deepEqual(await codesOf(store.check()), []));
    const roundTripMs = await store.measureRoundTripMs();
    assert.ok(roundTripMs > 0 && roundTripMs < 250, `${roundTripMs} ms`);
    await masters[0].kill();
    assert.deepEqual(await codesOf(store.check()), ['DMG_REDIS_UNREACHABLE']);
    assert.ok(await store.measureRoundTripMs() > 0);
    await masters[1].kill();
    await assert.rejects(store.check(), (error) => hasCode(error, 'DMG_REDIS_UNREACHABLE'));
    await assert.rejects(store.measureRoundTripMs(), (error) => hasCode(error, 'DMG_REDIS_UNREACHABLE'));
  });
});

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { hasCode } from '@dmg/base';
import { tempDir } from '../../../test/harness/temp-dir.ts';
import { executorEnvironment, readConfig, readExecutorConfig } from './config.ts';

test('flags go before the environment, and the environment before defaults', async (t) => {
  const keyFile = join(await tempDir(t), 'key');
  await writeFile(keyFile, 'KEY\n');
  const environment = { DMG_STATE: '/env', DMG_NODE_NAME: 'env-name', DMG_METRICS_PORT: '7', DMG_REDIS: 'redis://x' };
  const config = await readConfig(['start', '--state', '/flag', '--key-file', keyFile], environment);
  assert.equal(config.stateFolder, '/flag');
  assert.equal(config.nodeName, 'env-name');
  assert.equal(config.metricsPort, 7);
  assert.equal(config.gatewayKey?.reveal(), 'KEY');
  assert.deepEqual(config.redis.map((url) => url.reveal()), ['redis://x']);
  assert.equal(config.serviceBus, undefined);
  assert.equal(config.logLevel, 'info');
});

test('several masters stand with commas between; what concerns the cluster has defaults', async () => {
  const config = await readConfig(['start', '--drain-grace', '0.5', '--share-machine'], { DMG_REDIS: 'redis://a, redis://b,redis://c' });
  assert.deepEqual(config.redis.map((url) => url.reveal()), ['redis://a', 'redis://b', 'redis://c']);
  const { encryption, grpcHost, grpcPort, sharesMachine, drainGraceMs, leaseMs, renewMs } = config;
  assert.deepEqual(
    { encryption, grpcHost, grpcPort, sharesMachine, drainGraceMs, leaseMs, renewMs },
    { encryption: 'mtls', grpcHost: '0.0.0.0', grpcPort: 8060, sharesMachine: true, drainGraceMs: 500, leaseMs: 1000, renewMs: 250 },
  );
});

test('what cannot be used is refused with the setting and what is allowed', async () => {
  const cases: [string[], Record<string, string>][] = [
    [['fly'], {}], [['start', '--no-such'], {}], [['--name', '../x'], {}], [['--metrics-port', 'many'], {}],
    [['--metrics-port', '70000'], {}], [['--key-file', '/does/not/exist'], {}], [[], { DMG_LOG_LEVEL: 'loud' }],
    [['--encryption', 'rot13'], {}], [['--drain-grace', 'soon'], {}], [['--grpc-port', ''], {}], [[], { DMG_LEASE_MS: '-1' }],
  ];
  for (const [args, environment] of cases) {
    await assert.rejects(readConfig(args, environment), (error) => hasCode(error, 'DMG_LIFECYCLE_BAD_SETTING'), args.join(' '));
  }
});

test('executors get the state folder, the level and what Node needs, and no secret of the host', () => {
  const environment = {
    PATH: '/bin', TZ: 'UTC', DMG_TEST_MARK: 'm', DMG_REDIS: 'redis://secret', DMG_SERVICE_BUS: 'Endpoint=secret', DMG_GATEWAY_KEY: 'secret',
    DMG_STATE: '/not/this', NODE_OPTIONS: '--inspect',
  };
  const given = executorEnvironment({ stateFolder: '/state', logLevel: 'debug' }, environment);
  assert.deepEqual(given, {
    PATH: '/bin', TZ: 'UTC', DMG_TEST_MARK: 'm', DMG_STATE: '/state', DMG_LOG_LEVEL: 'debug', NODE_COMPILE_CACHE: '/state/compile-cache',
  });
  assert.deepEqual(readExecutorConfig(given), { stateFolder: '/state', logLevel: 'debug' });
  assert.throws(() => readExecutorConfig({}), { code: 'DMG_LIFECYCLE_BAD_SETTING' });
});

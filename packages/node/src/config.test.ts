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
  assert.equal(config.redis?.reveal(), 'redis://x');
  assert.equal(config.serviceBus, undefined);
  assert.equal(config.logLevel, 'info');
});

test('what cannot be used is refused with the setting and what is allowed', async () => {
  const cases: [string[], Record<string, string>][] = [
    [['fly'], {}], [['start', '--no-such'], {}], [['--name', '../x'], {}], [['--metrics-port', 'many'], {}],
    [['--metrics-port', '70000'], {}], [['--key-file', '/does/not/exist'], {}], [[], { DMG_LOG_LEVEL: 'loud' }],
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
  assert.deepEqual(given, { PATH: '/bin', TZ: 'UTC', DMG_TEST_MARK: 'm', DMG_STATE: '/state', DMG_LOG_LEVEL: 'debug' });
  assert.deepEqual(readExecutorConfig(given), { stateFolder: '/state', logLevel: 'debug' });
  assert.throws(() => readExecutorConfig({}), { code: 'DMG_LIFECYCLE_BAD_SETTING' });
});

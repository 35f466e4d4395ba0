import assert from 'node:assert/strict';
import test from 'node:test';
import { hasCode } from '@dmg/base';
import { exitsWithParent, readConfig } from './config.ts';

const environment = {
  DMG_SERVICE_BUS: 'Endpoint=sb://x;SharedAccessKeyName=k;SharedAccessKey=s', DMG_STATE: '/env', DMG_CONTROL_PLANE_PORT: '9000',
};

test('flags go before the environment, the environment before defaults', () => {
  const config = readConfig(['--state', '/flag', '--name', 'a', '--name', 'b', '--resend-after-ms', '5000'], environment);
  assert.deepEqual(
    [config.stateFolder, config.port, config.host, config.names, config.resendAfterMs], ['/flag', 9000, '127.0.0.1', ['a', 'b'], 5000],
  );
  assert.equal(readConfig(['--port', '0'], environment).port, 0);
  assert.equal(readConfig([], environment).stateFolder, '/env');
  assert.ok(!JSON.stringify(readConfig([], environment)).includes('SharedAccessKey'));
  assert.ok(exitsWithParent({ DMG_EXIT_WITH_PARENT: '1' }) && !exitsWithParent({}));
});

test('what cannot be used is refused by its name', () => {
  const refused = (args: string[], change: Record<string, string> = {}): void =>
    assert.throws(() => readConfig(args, { ...environment, ...change }), (error) => hasCode(error, 'DMG_LIFECYCLE_BAD_SETTING'));
  refused(['--port', '70000']);
  refused(['--port', '']);
  refused(['--nonsense']);
  refused([], { DMG_SERVICE_BUS: ' ' });
  refused([], { DMG_LOG_LEVEL: 'loud' });
  refused([], { DMG_RESEND_AFTER_MS: '1' });
  assert.equal(readConfig(['--help'], {}).help, true);
});

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { hasCode } from '@dmg/base';
import { tempDir } from '../../../test/harness/temp-dir.ts';
import { withSettingsFile } from './index.ts';

test('a settings file stands below the environment', async (t) => {
  const file = join(await tempDir(t), 'dmg.json');
  await writeFile(file, '{ "redis": "redis://file", "metricsPort": 7, "gatewayKey": "k", "exitWithParent": true }');
  const merged = withSettingsFile({ DMG_CONFIG: file, DMG_REDIS: 'redis://environment' });
  assert.equal(merged['DMG_REDIS'], 'redis://environment');
  assert.equal(merged['DMG_METRICS_PORT'], '7');
  assert.equal(merged['DMG_GATEWAY_KEY'], 'k');
  assert.equal(merged['DMG_EXIT_WITH_PARENT'], '1');
});

test('without a file the environment is as it was; a file that is named must be there', () => {
  assert.deepEqual(withSettingsFile({ A: 'b' }), { A: 'b' });
  assert.throws(() => withSettingsFile({ DMG_CONFIG: '/does/not/exist.json' }), (error) => hasCode(error, 'DMG_LIFECYCLE_BAD_SETTING'));
});

test('what is wrong with a file is said without its content', async (t) => {
  const file = join(await tempDir(t), 'dmg.json');
  for (const text of ['{ "redis": "canary-4471"', '["canary-4471"]', '{ "bad key": "canary-4471" }', '{ "redis": ["canary-4471"] }']) {
    await writeFile(file, text);
    assert.throws(
      () => withSettingsFile({ DMG_CONFIG: file }),
      (error) => hasCode(error, 'DMG_LIFECYCLE_BAD_SETTING') && !(error as Error).message.includes('canary-4471'),
    );
  }
});

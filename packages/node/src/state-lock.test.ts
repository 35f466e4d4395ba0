import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '@dmg/base';
import { tempDir } from '../../../test/harness/temp-dir.ts';
import { isStateFolderLocked, lockStateFolder } from './state-lock.ts';

test('a state folder belongs to one process, and is free again when it is let go', async (t) => {
  const folder = await tempDir(t);
  assert.equal(await isStateFolderLocked(folder), false);
  const lock = await lockStateFolder(folder);
  assert.equal(await isStateFolderLocked(folder), true);
  await assert.rejects(lockStateFolder(folder), (error) => hasCode(error, 'DMG_NODE_STATE_LOCKED'));
  await lock.release();
  assert.equal(await isStateFolderLocked(folder), false);
});

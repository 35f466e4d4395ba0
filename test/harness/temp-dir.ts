import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CleanupContext, onCleanup } from './cleanup.ts';

/** Makes an empty folder that is removed when `context` ends. Returns its real path. */
export async function tempDir(context: CleanupContext, prefix: string = 'dmg-test-'): Promise<string> {
  const path = await realpath(await mkdtemp(join(tmpdir(), prefix)));
  onCleanup(context, () => rm(path, { recursive: true, force: true, maxRetries: 3, retryDelay: 50 }));
  return path;
}

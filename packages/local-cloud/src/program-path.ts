import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import type { Environment } from './config.ts';

/** Where a program is: by its own path, or in PATH and the folders where Debian keeps system programs; undefined: nowhere. */
export async function findProgram(name: string, environment: Environment): Promise<string | undefined> {
  const folders = [...(environment['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  const candidates = name.includes('/') ? [name] : folders.filter((folder) => folder !== '').map((folder) => join(folder, name));
  for (const candidate of candidates) {
    try {
      await access(candidate, constants.X_OK);
      return candidate;
    } catch {
      // Not here, or not ours to run: the next folder.
    }
  }
  return undefined;
}

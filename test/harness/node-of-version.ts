import { cp, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CleanupContext } from './cleanup.ts';
import { tempDir } from './temp-dir.ts';

/**
 * Path of the node's program as a release with another version would have it: a copy of the node package whose `package.json` says so, with
 * everything else as it is here. Gone when `context` ends.
 */
export async function nodeOfVersion(context: CleanupContext, version: string): Promise<string> {
  const source = fileURLToPath(new URL('../../packages/node', import.meta.url));
  const folder = await tempDir(context, 'dmg-node-');
  await cp(join(source, 'src'), join(folder, 'src'), { recursive: true });
  const manifest = JSON.parse(await readFile(join(source, 'package.json'), 'utf8')) as object;
  await writeFile(join(folder, 'package.json'), JSON.stringify({ ...manifest, version }));
  await symlink(fileURLToPath(new URL('../../node_modules', import.meta.url)), join(folder, 'node_modules'));
  return join(folder, 'src', 'main.ts');
}

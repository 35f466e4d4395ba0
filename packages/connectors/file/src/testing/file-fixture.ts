import { mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { connectorErrors } from '@dmg/connector-api';
import { type ConnectorFixture, testContext } from '@dmg/connector-testkit';
import type { CopyEnd, JsonObject } from '@dmg/model';
import { fileErrors } from '../errors.ts';
import { fileConnector } from '../file-connector.ts';

export function fileEnd(host: string, location: JsonObject = {}, settings: JsonObject = {}): CopyEnd {
  return { connector: 'file', connection: { host }, location, settings, format: { type: 'Binary' } };
}

/** A store in a new folder; the stranger's way to it is `node:fs` itself. */
export async function fileFixture(): Promise<ConnectorFixture & { root: string }> {
  const root = await mkdtemp(join(tmpdir(), 'dmg-file-'));
  const at = (path: string): string => join(root, path);
  await writeFile(`${root}.plain`, 'a file');
  let tick = Math.floor(Date.UTC(2024, 0, 1) / 1000);
  const read = async (path: string): Promise<Uint8Array | undefined> => {
    try {
      return await readFile(at(path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  };
  const bad = (name: string, host: string, code: string) => ({ name, end: fileEnd(host), context: testContext(), code });
  return {
    root,
    connector: fileConnector,
    context: testContext(),
    sourceEnd: (location, settings) => fileEnd(root, location, settings),
    sinkEnd: (location) => fileEnd(root, location),
    partBytes: 1024,
    hasFolders: true,
    badEnds: [
      bad('missing folder', `${root}/nowhere`, fileErrors.ROOT_UNUSABLE.code),
      bad('a file', `${root}.plain`, fileErrors.ROOT_UNUSABLE.code),
      bad('below a file', `${root}.plain/x`, fileErrors.ROOT_UNUSABLE.code),
      bad('relative path', 'data', fileErrors.ROOT_UNUSABLE.code),
      bad('Windows share', '\\\\server\\share', fileErrors.ROOT_UNUSABLE.code),
      bad('name too long', `/${'x'.repeat(300)}`, connectorErrors.BAD_PATH.code),
    ],
    secrets: [],
    async put(path, bytes) {
      await mkdir(dirname(at(path)), { recursive: true });
      await writeFile(at(path), bytes);
      // Two writes within one tick of the kernel's clock would have the same time.
      await utimes(at(path), ++tick, tick);
    },
    get: read,
    async take(path) {
      const bytes = await read(path);
      await rm(at(path), { force: true });
      return bytes;
    },
    paths: () => userPaths(root, ''),
    async stagedBytes() {
      let bytes = 0;
      for (const entry of await readdir(at('.dmg'), { recursive: true, withFileTypes: true })) {
        if (entry.isFile() && entry.parentPath.endsWith('/parts')) bytes += (await stat(join(entry.parentPath, entry.name))).size;
      }
      return bytes;
    },
    openHandles: () => openFilesBelow(root),
    async close() {
      await rm(root, { recursive: true, force: true });
      await rm(`${root}.plain`, { force: true });
    },
  };
}

/** The files that a user sees; folders of ours come and go while we look, and are left out. */
async function userPaths(root: string, folder: string): Promise<string[]> {
  const paths: string[] = [];
  for (const entry of await readdir(join(root, folder), { withFileTypes: true })) {
    if (entry.name.startsWith('.dmg')) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) paths.push(...(await userPaths(root, path)));
    else paths.push(path);
  }
  return paths.toSorted();
}

/** How many descriptors of this process lead below a folder. */
export async function openFilesBelow(root: string): Promise<number> {
  let count = 0;
  for (const descriptor of await readdir('/proc/self/fd')) {
    try {
      if ((await readlink(`/proc/self/fd/${descriptor}`)).startsWith(root)) count++;
    } catch {
      // Closed since the folder was read: it is not open.
    }
  }
  return count;
}

import { randomBytes } from 'node:crypto';
import { link, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { firstLine } from '@dmg/base';
import { securityErrors } from './errors.ts';

/** The text of a file, or undefined where there is none. A file that others may read is refused when `secret` is set. */
export async function readKeptFile(path: string, options: { secret: boolean }): Promise<string | undefined> {
  let file;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unusable(path, firstLine(error), error);
  }
  try {
    const { mode } = await file.stat();
    if (options.secret && (mode & 0o077) !== 0) {
      throw securityErrors.FILE_UNUSABLE.create({
        path,
        reason: `it holds a secret and others may read it (mode ${(mode & 0o777).toString(8)})`,
        remedy: `Take the rights away (chmod 600 ${path}), and change the secret if others may have read it.`,
      });
    }
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

/** Writes the file whole or not at all: after a crash the old or the new text is there, never half of one. */
export async function writeKeptFile(path: string, text: string, mode: number): Promise<void> {
  const beside = `${path}.${randomBytes(6).toString('hex')}.new`;
  try {
    await writeSynced(beside, text, mode);
    await rename(beside, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(beside, { force: true });
    throw unusable(path, firstLine(error), error);
  }
}

/**
 * Makes a file that must be made once. Where two processes try at the same moment, or one died half-way, all get the same whole
 * text: the name comes to be by `link`, which fails when it exists.
 */
export async function createKeptFileOnce(path: string, text: string, mode: number): Promise<string> {
  const beside = `${path}.${randomBytes(6).toString('hex')}.new`;
  try {
    await writeSynced(beside, text, mode);
    await link(beside, path);
    await syncFolder(dirname(path));
    return text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw unusable(path, firstLine(error), error);
    const existing = await readKeptFile(path, { secret: (mode & 0o077) === 0 });
    if (existing === undefined) throw unusable(path, 'it vanished while it was read', error);
    return existing;
  } finally {
    await rm(beside, { force: true });
  }
}

async function writeSynced(path: string, text: string, mode: number): Promise<void> {
  const file = await open(path, 'wx', mode);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function unusable(path: string, reason: string, cause: unknown): Error {
  return securityErrors.FILE_UNUSABLE.create(
    { path, reason, remedy: 'Choose a state folder that this user may read and write, on a disk with free space.' },
    { cause },
  );
}

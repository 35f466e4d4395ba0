import { constants } from 'node:fs';
import { type FileHandle, link, lstat, mkdir, open, readdir, readFile, rename, rm, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorCode, fileErrors, fromFileError, isMissing } from './errors.ts';
import type { FileFacts, WorkFiles } from './work-files.ts';

const copyBufferBytes = 4 * 1024 * 1024;

/**
 * `WorkFiles` on the operating system. Syncs of one folder that are asked for at the same moment share one call to the disk.
 * There is no deadline here: a call into the kernel cannot be taken back, and what it still does after a deadline would meet
 * reused buffers; the host ends an executor whose file system hangs.
 */
export class PosixFiles implements WorkFiles {
  readonly #store: string;
  readonly #syncs = new Map<string, { running: Promise<void>; next: Promise<void> | undefined }>();

  /** `store` is the root folder, for messages. */
  constructor(store: string) {
    this.#store = store;
  }

  async makeFolder(path: string, options: { parents: boolean }): Promise<boolean> {
    try {
      if (!options.parents) {
        await mkdir(path);
        return true;
      }
      const first = await mkdir(path, { recursive: true });
      if (first !== undefined) {
        for (let made = path; made.length >= first.length; made = dirname(made)) await this.syncFolder(dirname(made));
      }
      return true;
    } catch (error) {
      if (errorCode(error) === 'EEXIST' && !options.parents) return true;
      if (errorCode(error) === 'ENOENT') return false;
      throw fromFileError(error, path, this.#store);
    }
  }

  async writeNew(path: string, bytes: Uint8Array): Promise<boolean> {
    let handle: FileHandle | undefined;
    try {
      handle = await open(path, 'wx');
      await handle.writeFile(bytes);
      await handle.sync();
      return true;
    } catch (error) {
      if (handle !== undefined) await rm(path, { force: true });
      if (errorCode(error) === 'ENOENT') return false;
      throw fromFileError(error, path, this.#store);
    } finally {
      await handle?.close();
    }
  }

  async link(from: string, to: string): Promise<'linked' | 'exists' | 'gone'> {
    try {
      await link(from, to);
      return 'linked';
    } catch (error) {
      const code = errorCode(error);
      if (code === 'EEXIST') return 'exists';
      if (code === 'ENOENT') return 'gone';
      if (['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(code)) throw fileErrors.NO_LINKS.create({ path: to }, { cause: error });
      throw fromFileError(error, to, this.#store);
    }
  }

  async rename(from: string, to: string): Promise<'renamed' | 'gone' | 'occupied'> {
    try {
      await rename(from, to);
      return 'renamed';
    } catch (error) {
      const code = errorCode(error);
      if (code === 'ENOENT') return 'gone';
      // ENOTDIR: `from` is a folder and `to` a file (or a part of its path is one, which the next look at it will say).
      if (['EEXIST', 'ENOTEMPTY', 'ENOTDIR'].includes(code)) return 'occupied';
      throw fromFileError(error, to, this.#store);
    }
  }

  async read(path: string): Promise<Uint8Array | undefined> {
    try {
      return await readFile(path);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw fromFileError(error, path, this.#store);
    }
  }

  async stat(path: string): Promise<FileFacts | undefined> {
    try {
      const facts = await lstat(path, { bigint: true });
      const kind = facts.isDirectory() ? 'folder' : facts.isFile() || facts.isSymbolicLink() ? 'file' : 'other';
      return { kind, sizeBytes: Number(facts.size), mtimeNs: facts.mtimeNs, inode: facts.ino };
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw fromFileError(error, path, this.#store);
    }
  }

  async list(path: string): Promise<string[] | undefined> {
    try {
      return await readdir(path);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw fromFileError(error, path, this.#store);
    }
  }

  async remove(path: string): Promise<void> {
    try {
      await unlink(path);
      return;
    } catch (error) {
      const code = errorCode(error);
      if (code === 'ENOENT') return;
      // It is a folder: Linux says EISDIR, POSIX says EPERM.
      if (code !== 'EISDIR' && code !== 'EPERM') throw fromFileError(error, path, this.#store);
    }
    try {
      await rm(path, { recursive: true, force: true });
    } catch (error) {
      // Somebody else removes or fills the same folder; whoever comes last removes the rest.
      if (['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes(errorCode(error))) return;
      throw fromFileError(error, path, this.#store);
    }
  }

  syncFolder(path: string): Promise<void> {
    const current = this.#syncs.get(path);
    if (current === undefined) return this.#startSync(path);
    // The one that runs may have begun before the caller's change: wait for the next, which all who wait now share.
    current.next ??= current.running.then(
      () => this.#startSync(path),
      () => this.#startSync(path),
    );
    return current.next;
  }

  async concat(from: readonly string[], to: string): Promise<number | undefined> {
    let target: FileHandle | undefined;
    let complete = false;
    try {
      target = await open(to, 'wx');
      const buffer = Buffer.allocUnsafe(copyBufferBytes);
      let sizeBytes = 0;
      for (const path of from) sizeBytes += await appendFile(path, target, sizeBytes, buffer);
      await target.sync();
      complete = true;
      return sizeBytes;
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw fromFileError(error, to, this.#store);
    } finally {
      await target?.close();
      if (target !== undefined && !complete) await rm(to, { force: true });
    }
  }

  #startSync(path: string): Promise<void> {
    const entry: { running: Promise<void>; next: Promise<void> | undefined } = { running: Promise.resolve(), next: undefined };
    entry.running = syncOnce(path, this.#store).finally(() => {
      if (entry.next === undefined) this.#syncs.delete(path);
    });
    this.#syncs.set(path, entry);
    return entry.running;
  }
}

async function appendFile(path: string, target: FileHandle, position: number, buffer: Buffer): Promise<number> {
  const source = await open(path, constants.O_RDONLY);
  try {
    let copied = 0;
    for (;;) {
      const { bytesRead } = await source.read(buffer, 0, buffer.length, copied);
      if (bytesRead === 0) return copied;
      await writeWhole(target, buffer.subarray(0, bytesRead), position + copied);
      copied += bytesRead;
    }
  } finally {
    await source.close();
  }
}

/** Writes all of `bytes` at `position`; the kernel may take them in several goes. */
export async function writeWhole(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, written, bytes.length - written, position + written);
    written += bytesWritten;
  }
}

async function syncOnce(path: string, store: string): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
    await handle.sync();
  } catch (error) {
    // EINVAL: this file system keeps folders durable by itself and knows no sync for them.
    if (!isMissing(error) && errorCode(error) !== 'EINVAL') throw fromFileError(error, path, store);
  } finally {
    await handle?.close();
  }
}

import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { newId, type Random } from '@dmg/base';
import { checkedObjectPath, connectorErrors, joinPath, type SideFile, type SideFiles } from '@dmg/connector-api';
import { fromFileError } from './errors.ts';
import { writeWhole } from './posix-files.ts';
import type { StoreRoot } from './store-root.ts';
import type { WorkFiles } from './work-files.ts';

export interface FileSideFilesOptions {
  readonly root: StoreRoot;
  /** Folder of the files, relative to the root. */
  readonly folder: string;
  readonly files: WorkFiles;
  readonly random: Random;
  /** Absolute path of the folder in which they wait, on the same file system. */
  readonly work: string;
}

/** Side files in a hidden folder of the job until they are published by a rename. */
export class FileSideFiles implements SideFiles {
  readonly #options: FileSideFilesOptions;
  readonly #begun = new Set<WaitingFile>();

  constructor(options: FileSideFilesOptions) {
    this.#options = options;
  }

  async create(path: string, signal: AbortSignal): Promise<SideFile> {
    signal.throwIfAborted();
    const { files, work, root } = this.#options;
    this.#target(path);
    await files.makeFolder(work, { parents: true });
    const ended = this.#waiting(path);
    const begun = `${ended}.part`;
    try {
      const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC;
      const file = new WaitingFile({ files, handle: await open(begun, flags, 0o666), begun, ended, store: root.host }, this.#begun);
      this.#begun.add(file);
      return file;
    } catch (error) {
      throw fromFileError(error, path, root.host);
    }
  }

  async publish(path: string, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted();
    const { files, root } = this.#options;
    const target = this.#target(path);
    await root.nearestFolder(dirname(target));
    await files.makeFolder(dirname(target), { parents: true });
    const renamed = await files.rename(this.#waiting(path), target);
    if (renamed === 'occupied') {
      const remedy = 'Rename it or choose another folder.';
      throw connectorErrors.TARGET_BLOCKED.create({ path, reason: 'a folder has this name', remedy });
    }
    await files.syncFolder(dirname(target));
    return renamed === 'renamed' || (await files.stat(target)) !== undefined;
  }

  async keep(name: string, text: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { files, work } = this.#options;
    await files.makeFolder(work, { parents: true });
    // Whole or not there, also when somebody keeps the same text at the same moment.
    const prepared = `${this.#kept(name)}.${newId(this.#options.random)}`;
    if (!(await files.writeNew(prepared, Buffer.from(text)))) {
      throw connectorErrors.UNREACHABLE.create({ store: work, reason: 'it was removed' });
    }
    await files.link(prepared, this.#kept(name));
    await files.remove(prepared);
    await files.syncFolder(work);
  }

  async kept(name: string, signal: AbortSignal): Promise<string | undefined> {
    signal.throwIfAborted();
    const bytes = await this.#options.files.read(this.#kept(name));
    return bytes === undefined ? undefined : Buffer.from(bytes).toString();
  }

  async clear(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await this.#options.files.remove(this.#options.work);
  }

  async close(): Promise<void> {
    for (const file of [...this.#begun]) await file.discard();
  }

  #target(path: string): string {
    return this.#options.root.absolute(joinPath(this.#options.folder, checkedObjectPath(path)));
  }

  #waiting(path: string): string {
    return `${this.#options.work}/${createHash('sha256').update(path).digest('hex').slice(0, 40)}`;
  }

  #kept(name: string): string {
    return `${this.#waiting(name)}.kept`;
  }
}

class WaitingFile implements SideFile {
  readonly #options: { files: WorkFiles; handle: FileHandle; begun: string; ended: string; store: string };
  readonly #begun: Set<WaitingFile>;
  #position = 0;
  #open = true;

  constructor(options: { files: WorkFiles; handle: FileHandle; begun: string; ended: string; store: string }, begun: Set<WaitingFile>) {
    this.#options = options;
    this.#begun = begun;
  }

  async append(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { handle, begun, store } = this.#options;
    try {
      await writeWhole(handle, bytes, this.#position);
      this.#position += bytes.length;
    } catch (error) {
      throw fromFileError(error, begun, store);
    }
  }

  async end(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { files, handle, begun, ended, store } = this.#options;
    try {
      await handle.sync();
    } catch (error) {
      throw fromFileError(error, begun, store);
    }
    await this.#close();
    if ((await files.rename(begun, ended)) !== 'renamed') {
      throw connectorErrors.UNREACHABLE.create({ store, reason: 'a file of the copy was removed before it was complete' });
    }
    await files.syncFolder(dirname(ended));
  }

  async discard(): Promise<void> {
    if (!this.#open) return;
    try {
      await this.#close();
      await rm(this.#options.begun, { force: true });
    } catch {
      // What is left is removed with the job's folder.
    }
  }

  async #close(): Promise<void> {
    this.#begun.delete(this);
    if (!this.#open) return;
    this.#open = false;
    await this.#options.handle.close();
  }
}

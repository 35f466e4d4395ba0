import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { opendir, realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute } from 'node:path';
import { connectorErrors, textOf } from '@dmg/connector-api';
import type { CopyEnd } from '@dmg/model';
import { fileErrors, errorCode, fromFileError, isMissing } from './errors.ts';

/** The root folder of a store: everything stays below it, whatever paths and symbolic links say. */
export class StoreRoot {
  /** As the user wrote it, without a slash at its end. */
  readonly host: string;
  readonly #real: string;
  readonly #device: bigint;

  private constructor(host: string, real: string, device: bigint) {
    this.host = host;
    this.#real = real;
    this.#device = device;
  }

  /** Throws `ROOT_UNUSABLE` when the linked service's `host` is not a folder of this node. */
  static async open(end: CopyEnd): Promise<StoreRoot> {
    const host = textOf(end.connection, 'host') ?? '';
    const unusable = (reason: string, cause?: unknown): Error => fileErrors.ROOT_UNUSABLE.create({ host, reason }, { cause });
    if (host.startsWith('\\\\')) throw unusable('it is a Windows share; mount it on this node and give the path of the mount');
    if (!isAbsolute(host) || host.includes('\0')) throw unusable('it is not an absolute path');
    try {
      const real = await realpath(host);
      const facts = await stat(real, { bigint: true });
      if (!facts.isDirectory()) throw unusable('it is not a folder');
      await (await opendir(real)).close();
      return new StoreRoot(host.replace(/(?<=.)\/+$/, ''), real, facts.dev);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') throw unusable('it does not exist', error);
      if (errorCode(error) === 'ENOTDIR') throw unusable('a part of its path is a file', error);
      throw fromFileError(error, host, host);
    }
  }

  /** The absolute path of a checked relative path. */
  absolute(path: string): string {
    const host = this.host === '/' ? '' : this.host;
    return path === '' ? this.host : `${host}/${path}`;
  }

  /** Is an existing path, with all links resolved, inside the root? */
  async holds(path: string): Promise<boolean> {
    const real = await realpath(path);
    return real === this.#real || real.startsWith(this.#real === '/' ? '/' : `${this.#real}/`);
  }

  /**
   * The nearest existing folder at or above an absolute path below the root, and its device. Refuses a path whose folder lies
   * outside the root by a symbolic link, or is a file.
   */
  async nearestFolder(path: string): Promise<{ folder: string; device: bigint }> {
    for (let folder = path; folder.length >= this.host.length; folder = dirname(folder)) {
      const facts = await this.#folderFacts(folder);
      if (facts === undefined) continue;
      if (!facts.isDirectory()) {
        throw connectorErrors.TARGET_BLOCKED.create({
          path, reason: `${folder} is a file`, remedy: 'Rename that file or choose another folder.',
        });
      }
      if (!(await this.holds(folder))) {
        throw connectorErrors.BAD_PATH.create({ path, reason: 'a symbolic link in it leads out of the folder of the linked service' });
      }
      return { folder, device: facts.dev };
    }
    throw fileErrors.ROOT_UNUSABLE.create({ host: this.host, reason: 'it does not exist' });
  }

  /**
   * Where the work of a job stands whose targets are below a folder of which `nearest` is the nearest one that exists: `.dmg` of the
   * root; or, when that is another file system mounted below the root, `.dmg` at the top of that, since a rename cannot cross file
   * systems. Every attempt comes to the same answer whether or not the folder exists yet.
   */
  async workPlace(nearest: { folder: string; device: bigint }): Promise<{ path: string; device: bigint }> {
    if (nearest.device === this.#device) return { path: `${this.absolute('')}/.dmg`.replace('//', '/'), device: nearest.device };
    let top = nearest.folder;
    while ((await this.#folderFacts(dirname(top)))?.dev === nearest.device) top = dirname(top);
    return { path: `${top}/.dmg`, device: nearest.device };
  }

  async #folderFacts(path: string): Promise<BigIntStats | undefined> {
    try {
      return await stat(path, { bigint: true });
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw fromFileError(error, path, this.host);
    }
  }
}

/** The folder of one job. Jobs are spread over 256 folders, so that sweeping one of them is little work. */
export function jobFolderPath(place: string, jobId: string): string {
  const digest = createHash('sha256').update(jobId).digest('hex');
  return `${jobsPath(place)}/${digest.slice(0, 2)}/${folderName(jobId)}`;
}

/** The folder in which a job's side files wait to be published. It is gone when the job has ended. */
export function sideFolderPath(place: string, jobId: string): string {
  return `${place}/side/${folderName(jobId)}`;
}

function folderName(jobId: string): string {
  return /^[\w-]{1,128}$/.test(jobId) ? jobId : createHash('sha256').update(jobId).digest('hex');
}

export function jobsPath(place: string): string {
  return `${place}/jobs`;
}

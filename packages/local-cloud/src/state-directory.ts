import { createHash } from 'node:crypto';
import { mkdir, open, readFile, realpath, rename, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { firstLine } from '@dmg/base';
import { localCloudErrors } from './errors.ts';

/** A directory that one process at a time works in. Files in it are readable by their owner only. */
export class StateDirectory {
  readonly path: string;
  readonly #lock: Server;

  private constructor(path: string, lock: Server) {
    this.path = path;
    this.#lock = lock;
  }

  /**
   * Makes the directory if need be and locks it: by a name in the kernel that is free again when this process is gone, however it
   * went. Throws `STATE_NOT_WRITABLE` or `STATE_IN_USE`.
   */
  static async open(path: string): Promise<StateDirectory> {
    try {
      await mkdir(path, { recursive: true, mode: 0o700 });
      const probe = join(path, '.writable');
      await writePrivate(probe, '');
      await rm(probe);
    } catch (error) {
      throw localCloudErrors.STATE_NOT_WRITABLE.create({ directory: path, reason: firstLine(error) }, { cause: error });
    }
    const real = await realpath(path);
    const name = createHash('sha256').update(real).digest('hex').slice(0, 32);
    const lock = createServer();
    try {
      await new Promise<void>((resolve, reject) => lock.once('error', reject).listen(`\0dmg-local-cloud-${name}`, resolve));
    } catch (error) {
      throw localCloudErrors.STATE_IN_USE.create({ directory: path }, { cause: error });
    }
    lock.unref();
    return new StateDirectory(real, lock);
  }

  file(name: string): string {
    return join(this.path, name);
  }

  /** The file's text; undefined when there is none. */
  async read(name: string): Promise<string | undefined> {
    try {
      return await readFile(this.file(name), 'utf8');
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw localCloudErrors.STATE_NOT_WRITABLE.create({ directory: this.path, reason: firstLine(error) }, { cause: error });
    }
  }

  /** Replaces the file in one step. */
  async write(name: string, text: string): Promise<void> {
    try {
      await writePrivate(`${this.file(name)}.tmp`, text);
      await rename(`${this.file(name)}.tmp`, this.file(name));
    } catch (error) {
      throw localCloudErrors.STATE_NOT_WRITABLE.create({ directory: this.path, reason: firstLine(error) }, { cause: error });
    }
  }

  async remove(name: string): Promise<void> {
    await rm(this.file(name), { force: true });
  }

  async close(): Promise<void> {
    await new Promise((resolve) => this.#lock.close(resolve));
  }
}

async function writePrivate(path: string, text: string): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.datasync();
  } finally {
    await file.close();
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

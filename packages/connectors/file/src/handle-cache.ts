import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

interface Entry {
  readonly opening: Promise<FileHandle>;
  users: number;
}

/** Open files under way, so that each range does not open its file again. At most `idleMax` that nobody uses stay open. */
export class HandleCache {
  readonly #idleMax: number;
  /** In order of last use. */
  readonly #entries = new Map<string, Entry>();

  constructor(idleMax: number) {
    this.#idleMax = idleMax;
  }

  /** `admit` looks at a file that was just opened, and throws when it is not the right one. */
  async use<T>(
    key: string, path: string, admit: (handle: FileHandle) => Promise<void>, work: (handle: FileHandle) => Promise<T>,
  ): Promise<T> {
    const entry = this.#entries.get(key) ?? { opening: openAdmitted(path, admit), users: 0 };
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    entry.users++;
    try {
      return await work(await entry.opening);
    } catch (error) {
      // Whatever went wrong, the next reader looks at the file afresh.
      if (this.#entries.get(key) === entry) this.#entries.delete(key);
      throw error;
    } finally {
      entry.users--;
      await this.#closeUnused(key, entry);
    }
  }

  /** Closes all; reads under way must have ended. */
  async close(): Promise<void> {
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    for (const entry of entries) await closeQuietly(entry);
  }

  async #closeUnused(key: string, entry: Entry): Promise<void> {
    if (entry.users === 0 && this.#entries.get(key) !== entry) await closeQuietly(entry);
    const idle = [...this.#entries].filter(([, other]) => other.users === 0);
    for (const [other, unused] of idle.slice(0, Math.max(0, idle.length - this.#idleMax))) {
      this.#entries.delete(other);
      await closeQuietly(unused);
    }
  }
}

async function openAdmitted(path: string, admit: (handle: FileHandle) => Promise<void>): Promise<FileHandle> {
  // Non-blocking, so that a pipe put in the file's place cannot hold us.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    await admit(handle);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function closeQuietly(entry: Entry): Promise<void> {
  try {
    await (await entry.opening).close();
  } catch {
    // It never opened, which its reader has been told, or a file open for reading would not close: nothing is lost by that.
  }
}

import { joinPath, type SideFile, type SideFiles } from '@dmg/connector-api';
import type { MemoryStore } from './memory-store.ts';

/** Side files of the reference connector: in a map of the store until they are published. */
export class MemorySideFiles implements SideFiles {
  readonly #store: MemoryStore;
  readonly #folder: string;
  readonly #job: string;
  #closed = false;

  constructor(store: MemoryStore, folder: string, jobId: string) {
    this.#store = store;
    this.#folder = folder;
    this.#job = `${jobId}/`;
    store.openHandles++;
  }

  async create(path: string, signal: AbortSignal): Promise<SideFile> {
    signal.throwIfAborted();
    await this.#store.intercept?.('sideFile', path);
    const pieces: Uint8Array[] = [];
    return {
      append: (bytes) => Promise.resolve(void pieces.push(Uint8Array.from(bytes))),
      end: () => Promise.resolve(void this.#store.sideFiles.set(`${this.#job}${path}`, Buffer.concat(pieces))),
      discard: () => Promise.resolve(),
    };
  }

  async publish(path: string, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted();
    await this.#store.intercept?.('sideFile', path);
    const name = `${this.#job}${path}`;
    const bytes = this.#store.sideFiles.get(name);
    if (bytes !== undefined) this.#store.put(joinPath(this.#folder, path), bytes);
    this.#store.sideFiles.delete(name);
    return this.#store.objects.has(joinPath(this.#folder, path));
  }

  keep(name: string, text: string): Promise<void> {
    const key = `${this.#job}.dmg/${name}`;
    if (!this.#store.sideFiles.has(key)) this.#store.sideFiles.set(key, Buffer.from(text));
    return Promise.resolve();
  }

  kept(name: string): Promise<string | undefined> {
    const bytes = this.#store.sideFiles.get(`${this.#job}.dmg/${name}`);
    return Promise.resolve(bytes === undefined ? undefined : Buffer.from(bytes).toString());
  }

  clear(): Promise<void> {
    for (const name of [...this.#store.sideFiles.keys()]) if (name.startsWith(this.#job)) this.#store.sideFiles.delete(name);
    return Promise.resolve();
  }

  close(): Promise<void> {
    if (!this.#closed) this.#store.openHandles--;
    this.#closed = true;
    return Promise.resolve();
  }
}

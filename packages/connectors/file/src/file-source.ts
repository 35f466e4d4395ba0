import type { FileHandle } from 'node:fs/promises';
import type { Logger } from '@dmg/base';
import { checkedObjectPath, connectorErrors, joinPath, type ObjectSelection, type Source } from '@dmg/connector-api';
import type { SourceObject } from '@dmg/model';
import { fromFileError, isMissing } from './errors.ts';
import { identityOf, walkFiles } from './file-walk.ts';
import { HandleCache } from './handle-cache.ts';
import type { StoreRoot } from './store-root.ts';

const idleHandlesMax = 16;

/**
 * Files below a root. A file is looked at when it is opened and again after each read: what was read before the look at the end was
 * still the pinned content. (A writer that changes a file twice within one tick of the kernel's clock, some milliseconds, and keeps
 * its size is not noticed.)
 */
export class FileSource implements Source {
  readonly kind = 'addressable';
  readonly #root: StoreRoot;
  readonly #selection: ObjectSelection;
  readonly #logger: Logger;
  readonly #handles = new HandleCache(idleHandlesMax);

  constructor(options: { root: StoreRoot; selection: ObjectSelection; logger: Logger }) {
    this.#root = options.root;
    this.#selection = options.selection;
    this.#logger = options.logger;
  }

  list(signal: AbortSignal): AsyncIterable<SourceObject> {
    return walkFiles({ root: this.#root, selection: this.#selection, logger: this.#logger }, signal);
  }

  async read(object: SourceObject, position: number, into: Uint8Array, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    const shown = joinPath(this.#selection.folder, checkedObjectPath(object.path));
    const path = this.#root.absolute(shown);
    const check = async (handle: FileHandle): Promise<void> => {
      if (identityOf(await handle.stat({ bigint: true })) !== object.identity) throw connectorErrors.SOURCE_CHANGED.create({ path: shown });
    };
    const admit = async (handle: FileHandle): Promise<void> => {
      await check(handle);
      if (!(await this.#root.holds(path))) {
        throw connectorErrors.BAD_PATH.create({
          path: shown, reason: 'a symbolic link in it leads out of the folder of the linked service',
        });
      }
    };
    try {
      const bytesRead = await this.#handles.use(`${object.identity} ${path}`, path, admit, async (handle) => {
        const count = await readWhole(handle, into, position, signal);
        await check(handle);
        return count;
      });
      signal.throwIfAborted();
      return bytesRead;
    } catch (error) {
      if (isMissing(error)) throw connectorErrors.SOURCE_CHANGED.create({ path: shown, missing: true }, { cause: error });
      if (signal.aborted) throw error;
      throw fromFileError(error, shown, this.#root.host);
    }
  }

  close(): Promise<void> {
    return this.#handles.close();
  }
}

/** Fills `into`; fewer bytes only at the end of the file. */
async function readWhole(handle: FileHandle, into: Uint8Array, position: number, signal: AbortSignal): Promise<number> {
  let filled = 0;
  while (filled < into.length) {
    signal.throwIfAborted();
    const { bytesRead } = await handle.read(into, filled, into.length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}

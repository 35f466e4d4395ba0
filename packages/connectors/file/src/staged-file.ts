import { open } from 'node:fs/promises';
import type { StagedTarget } from '@dmg/connector-api';
import { fromFileError, isMissing } from './errors.ts';

/** Opens a part that waits to be renamed, by a handle of its own. Undefined: it is gone, published by somebody or with its job. */
export async function openStagedFile(path: string, shown: string, store: string): Promise<StagedTarget | undefined> {
  try {
    const handle = await open(path, 'r');
    return {
      async read(position, into, signal) {
        signal.throwIfAborted();
        try {
          return (await handle.read(into, 0, into.length, position)).bytesRead;
        } catch (error) {
          throw fromFileError(error, shown, store);
        }
      },
      close: () => handle.close(),
    };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw fromFileError(error, shown, store);
  }
}

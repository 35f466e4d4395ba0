import type { BlobItem } from '@azure/storage-blob';
import { checkedPath, connectorErrors, joinPath, type ObjectSelection, type Source } from '@dmg/connector-api';
import type { SourceObject } from '@dmg/model';
import type { BlobStore } from './blob-store.ts';
import { isAbsent, storageFault } from './errors.ts';

/** ETags come with quotes in headers and without them in lists. */
export function bareEtag(etag: string | undefined): string {
  return (etag ?? '').replaceAll('"', '');
}

const foldersOfHns = 'hdi_isfolder';

/** Blobs of a container, pinned by their ETag. */
export class BlobSource implements Source {
  readonly kind = 'addressable';
  readonly #store: BlobStore;
  readonly #selection: ObjectSelection;

  constructor(options: { store: BlobStore; selection: ObjectSelection }) {
    this.#store = options.store;
    this.#selection = options.selection;
  }

  async *list(signal: AbortSignal): AsyncIterable<SourceObject> {
    const selection = this.#selection;
    signal.throwIfAborted();
    if (selection.named !== undefined) {
      yield await this.#named(selection.named, signal);
      return;
    }
    const folder = selection.folder === '' ? '' : `${selection.folder}/`;
    for await (const item of this.#items(folder + selection.pathPrefix, signal)) {
      signal.throwIfAborted();
      const path = item.name.slice(folder.length);
      const lastModifiedMs = item.properties.lastModified.getTime();
      if (!selection.matches(path) || !selection.inTime(lastModifiedMs) || item.metadata?.[foldersOfHns] === 'true') continue;
      if (checkedPath(path) !== path) {
        throw connectorErrors.BAD_PATH.create({ path: item.name, reason: 'it begins or ends with a slash' });
      }
      yield { path, sizeBytes: item.properties.contentLength ?? 0, identity: bareEtag(item.properties.etag), lastModifiedMs };
    }
  }

  async read(object: SourceObject, position: number, into: Uint8Array, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    const path = joinPath(this.#selection.folder, object.path);
    const count = Math.min(into.length, object.sizeBytes - position);
    if (count <= 0) return 0;
    const keep = (error: unknown): boolean => storageFault(error).status === 412 || isAbsent(error);
    try {
      return await this.#store.call({ what: 'read from', path, signal, keep }, async (abortSignal) => {
        const conditions = { ifMatch: `"${object.identity}"` };
        const client = this.#store.container.getBlobClient(path);
        const response = await client.download(position, count, { abortSignal, conditions, maxRetryRequests: 2 });
        return fill(into.subarray(0, count), response.readableStreamBody, abortSignal);
      });
    } catch (error) {
      if (keep(error)) throw connectorErrors.SOURCE_CHANGED.create({ path, ...(isAbsent(error) ? { missing: true } : {}) });
      throw error;
    }
  }

  close(): Promise<void> {
    this.#store.close();
    return Promise.resolve();
  }

  async #named(name: string, signal: AbortSignal): Promise<SourceObject> {
    const path = joinPath(this.#selection.folder, name);
    try {
      const facts = await this.#store.call({ what: 'look into', path, signal, keep: isAbsent }, (abortSignal) =>
        this.#store.container.getBlobClient(path).getProperties({ abortSignal }),
      );
      const lastModifiedMs = facts.lastModified?.getTime() ?? 0;
      return { path: name, sizeBytes: facts.contentLength ?? 0, identity: bareEtag(facts.etag), lastModifiedMs };
    } catch (error) {
      if (isAbsent(error)) throw connectorErrors.SOURCE_NOT_FOUND.create({ path, store: this.#store.name });
      throw error;
    }
  }

  /** Page by page, each with its own deadline. */
  async *#items(prefix: string, signal: AbortSignal): AsyncIterable<BlobItem> {
    const options = { prefix, includeMetadata: true };
    const flat = this.#selection.deep;
    const { container } = this.#store;
    let continuationToken: string | undefined;
    do {
      const page = await this.#store.call({ what: 'list', path: prefix === '' ? '/' : prefix, signal }, async (abortSignal) => {
        const settings = { maxPageSize: 1000, ...(continuationToken === undefined ? {} : { continuationToken }) };
        const pages = flat
          ? container.listBlobsFlat({ ...options, abortSignal }).byPage(settings)
          : container.listBlobsByHierarchy('/', { ...options, abortSignal }).byPage(settings);
        for await (const response of pages) return { items: response.segment.blobItems, next: response.continuationToken };
        return { items: [], next: undefined };
      });
      yield* page.items;
      continuationToken = page.next === '' ? undefined : page.next;
    } while (continuationToken !== undefined);
  }
}

/** Copies a stream into a buffer of exactly its length; stops writing at once when the call is over. */
async function fill(into: Uint8Array, stream: NodeJS.ReadableStream | undefined, signal: AbortSignal): Promise<number> {
  let filled = 0;
  for await (const piece of stream ?? []) {
    signal.throwIfAborted();
    const bytes = piece as Uint8Array;
    if (filled + bytes.length > into.length) throw new RangeError('the store sent more bytes than were asked for');
    into.set(bytes, filled);
    filled += bytes.length;
  }
  if (filled < into.length) throw Object.assign(new Error('the answer ended early'), { code: 'ECONNRESET' });
  return filled;
}

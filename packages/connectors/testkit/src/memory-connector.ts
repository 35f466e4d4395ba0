import { connectorErrors, comparePaths, joinPath, selectObjects, textOf, checkedPath } from '@dmg/connector-api';
import type { Connector, ConnectorContext, SinkJob, SinkLimits, Source } from '@dmg/connector-api';
import type { ConnectorSpec, CopyEnd, SourceObject } from '@dmg/model';
import { MemorySideFiles } from './memory-side-files.ts';
import { MemorySink } from './memory-sink.ts';
import type { MemoryStore, MemoryStores } from './memory-store.ts';

export const memorySpec: ConnectorSpec = {
  name: 'memory',
  source: true,
  sink: true,
  atomicPublish: 'yes',
  linkedServices: [
    {
      type: 'Memory', description: 'A store in memory, for tests.',
      properties: [{ name: 'store', type: 'string', required: true, description: 'Id of the store.' }],
    },
  ],
  locations: [
    {
      type: 'MemoryLocation',
      description: 'Folder and object.',
      properties: [
        { name: 'folderPath', type: 'string', description: 'Folder.' },
        { name: 'fileName', type: 'string', description: 'Object in the folder.' },
      ],
    },
  ],
  readSettings: [{ type: 'MemoryReadSettings', description: 'Which objects are read.', properties: [] }],
  writeSettings: [{ type: 'MemoryWriteSettings', description: 'How objects are written.', properties: [] }],
};

const defaultLimits: SinkLimits = {
  partBytes: 1024, partBytesMax: 1_048_576, partsPerTargetMax: 50_000, chunksPerTargetMax: 5000, parallelParts: 4,
};

/**
 * The reference connector: the contract in its simplest form. The state lives in `stores`, so that connectors, sources and sinks
 * made later (by another "attempt") find what earlier ones left. A connection is `{ store: <id> }`; the secret `key`, when given,
 * must be `open sesame`.
 */
export function memoryConnector(options: { stores: MemoryStores; limits?: Partial<SinkLimits> }): Connector {
  const limits = { ...defaultLimits, ...options.limits };
  const storeOf = async (end: CopyEnd, context: ConnectorContext): Promise<MemoryStore> => {
    const id = textOf(end.connection, 'store');
    if (id === undefined) throw connectorErrors.BAD_SETTING.create({ name: 'store', reason: 'it is missing', remedy: 'Name a store.' });
    const store = options.stores.store(id);
    await store.intercept?.('check', id);
    const key = context.secrets.get('key');
    if (key !== undefined && key !== 'open sesame') {
      throw connectorErrors.ACCESS_DENIED.create({ path: '/', store: `memory store ${id}`, reason: 'wrong key' });
    }
    return store;
  };
  return {
    spec: memorySpec,
    async check(end, context) {
      await storeOf(end, context);
    },
    async openSource(end, context) {
      return new MemorySource(await storeOf(end, context), end);
    },
    async openSink(end: CopyEnd, job: SinkJob, context) {
      return new MemorySink({
        store: await storeOf(end, context), folder: checkedPath(textOf(end.location, 'folderPath') ?? ''), job, limits,
      });
    },
    async openSideFiles(end, job, context) {
      return new MemorySideFiles(await storeOf(end, context), checkedPath(textOf(end.location, 'folderPath') ?? ''), job.jobId);
    },
  };
}

class MemorySource implements Source {
  readonly kind = 'addressable';
  readonly #store: MemoryStore;
  readonly #selection: ReturnType<typeof selectObjects>;
  #closed = false;

  constructor(store: MemoryStore, end: CopyEnd) {
    this.#store = store;
    this.#selection = selectObjects(end, { recursive: true });
    store.openHandles++;
  }

  async *list(signal: AbortSignal): AsyncIterable<SourceObject> {
    const selection = this.#selection;
    await this.#store.intercept?.('list', selection.folder);
    const folder = selection.folder === '' ? '' : `${selection.folder}/`;
    if (selection.named !== undefined && !this.#store.objects.has(folder + selection.named)) {
      throw connectorErrors.SOURCE_NOT_FOUND.create({ path: folder + selection.named, store: 'the memory store' });
    }
    for (const key of [...this.#store.objects.keys()].toSorted(comparePaths)) {
      signal.throwIfAborted();
      const object = this.#store.objects.get(key);
      if (object === undefined || !key.startsWith(folder)) continue;
      const path = key.slice(folder.length);
      if (!selection.matches(path) || !selection.inTime(object.lastModifiedMs)) continue;
      yield { path, sizeBytes: object.bytes.length, identity: object.etag, lastModifiedMs: object.lastModifiedMs };
    }
  }

  async read(object: SourceObject, position: number, into: Uint8Array, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    const key = joinPath(this.#selection.folder, object.path);
    await this.#store.intercept?.('read', key);
    signal.throwIfAborted();
    const found = this.#store.objects.get(key);
    if (found === undefined) throw connectorErrors.SOURCE_CHANGED.create({ path: key, missing: true });
    if (found.etag !== object.identity) throw connectorErrors.SOURCE_CHANGED.create({ path: key });
    const bytes = found.bytes.subarray(position, position + into.length);
    into.set(bytes);
    return bytes.length;
  }

  close(): Promise<void> {
    if (!this.#closed) this.#store.openHandles--;
    this.#closed = true;
    return Promise.resolve();
  }
}

import { checkedFolder, type Connector, selectObjects, type SinkLimits, textOf } from '@dmg/connector-api';
import type { CopyEnd } from '@dmg/model';
import { BlobSideFiles } from './blob-side-files.ts';
import { BlobSink } from './blob-sink.ts';
import { BlobSource } from './blob-source.ts';
import { BlobStore } from './blob-store.ts';
import { storageFault } from './errors.ts';
import { SdkBlobCalls } from './sdk-blob-calls.ts';
import { azureBlobSpec } from './spec.ts';

const megabyte = 1024 * 1024;

/** The service takes 50,000 blocks a blob and 4,000 MiB a block; 100 MiB bounds the memory. */
const limits: SinkLimits = {
  partBytes: 8 * megabyte, partBytesMax: 100 * megabyte, partsPerTargetMax: 50_000, chunksPerTargetMax: 5000, parallelParts: 4,
};

/** `AzureBlobStorage`: containers and block blobs. */
export const azureBlobConnector: Connector = {
  spec: azureBlobSpec,

  async check(end, context) {
    const store = BlobStore.open(end, context);
    const keep = (error: unknown): boolean => storageFault(error).code === 'ContainerNotFound';
    try {
      await store.call({ what: 'list', path: '/', signal: new AbortController().signal, keep }, async (abortSignal) => {
        for await (const page of store.container.listBlobsFlat({ abortSignal }).byPage({ maxPageSize: 1 })) if (page !== undefined) break;
      });
    } catch (error) {
      // The account answered and took the credential; a sink makes the container, and a source will say that it is missing.
      if (!keep(error)) throw error;
    } finally {
      store.close();
    }
  },

  async openSource(end, context) {
    const selection = selectObjects(end, { recursive: true });
    return new BlobSource({ store: BlobStore.open(end, context), selection });
  },

  async openSink(end, job, context) {
    const folder = checkedFolder(textOf(end.location, 'folderPath') ?? '');
    const store = BlobStore.open(end, context);
    const { clock, random, logger } = context;
    const calls = new SdkBlobCalls(store, clock);
    return new BlobSink({
      calls, close: () => store.close(), settled: () => calls.settled(), folder, job, limits: limitsOf(end), clock, random, logger,
    });
  },

  openSideFiles(end, job, context) {
    const folder = checkedFolder(textOf(end.location, 'folderPath') ?? '');
    const store = BlobStore.open(end, context);
    const calls = new SdkBlobCalls(store, context.clock);
    return Promise.resolve(new BlobSideFiles({ store, calls, folder, jobId: job.jobId, random: context.random }));
  },
};

function limitsOf(end: CopyEnd): SinkLimits {
  const blockSize = end.settings.blockSizeInMB;
  const connections = end.settings.maxConcurrentConnections;
  return {
    ...limits,
    ...(typeof blockSize === 'number' ? { partBytes: blockSize * megabyte } : {}),
    ...(typeof connections === 'number' ? { parallelParts: Math.min(limits.parallelParts, connections) } : {}),
  };
}

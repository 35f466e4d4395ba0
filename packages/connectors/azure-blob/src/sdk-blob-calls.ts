import { hash } from 'node:crypto';
import type { Clock } from '@dmg/base';
import type { BlobGetPropertiesResponse, BlockBlobClient } from '@azure/storage-blob';
import type { BlobCalls, BlobCondition, BlobFacts } from './blob-calls.ts';
import { bareEtag } from './blob-source.ts';
import type { BlobStore } from './blob-store.ts';
import type { ListedBlock } from './block-list.ts';
import { RequestsUnderWay } from './requests-under-way.ts';
import { fromStorageError, isAbsent, isIdLengthConflict, isLostRace, storageFault } from './errors.ts';

/** How long a block whose writer has given up may be on its way still: a busy service stages what was cut sooner after all is discarded. */
const stageGraceMs = 5000;

/** `BlobCalls` by the SDK. Every block goes with its MD5, which the service checks. */
export class SdkBlobCalls implements BlobCalls {
  readonly #store: BlobStore;
  readonly #staging: RequestsUnderWay;

  constructor(store: BlobStore, clock: Clock) {
    this.#store = store;
    this.#staging = new RequestsUnderWay({ clock, graceMs: stageGraceMs });
  }

  /** Resolves when no block is on its way any more. */
  settled(): Promise<void> {
    return this.#staging.ended();
  }

  get store(): string {
    return this.#store.name;
  }

  async facts(path: string, signal: AbortSignal): Promise<BlobFacts | undefined> {
    const properties = await this.#unless(
      isAbsent, 'look into', path, signal, (abortSignal) => this.#blob(path).getProperties({ abortSignal }),
    );
    if (properties === undefined) return undefined;
    const { blobType, leaseState, contentLength } = properties;
    return {
      etag: bareEtag(properties.etag),
      kind: blobType === 'BlockBlob' ? 'block' : 'other',
      leased: leaseState === 'leased',
      sizeBytes: contentLength ?? 0,
      metadata: properties.metadata ?? {},
    };
  }

  async blocks(path: string, type: 'committed' | 'uncommitted', signal: AbortSignal): Promise<ListedBlock[]> {
    const list = await this.#unless(
      isAbsent, 'list the blocks of', path, signal, (abortSignal) => this.#blob(path).getBlockList(type, { abortSignal }),
    );
    const blocks = type === 'committed' ? list?.committedBlocks : list?.uncommittedBlocks;
    return (blocks ?? []).map(({ name, size }) => ({ name, sizeBytes: size }));
  }

  async stage(path: string, block: { id: string; bytes: Uint8Array }, signal: AbortSignal): Promise<'staged' | 'conflict'> {
    const { bytes } = block;
    const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const transactionalContentMD5 = hash('md5', bytes, 'buffer');
    const client = this.#store.onceContainer.getBlockBlobClient(path);
    const response = await this.#unless(isIdLengthConflict, 'write a block to', path, signal, (callSignal) =>
      this.#staging.run(callSignal, (abortSignal) =>
        client.stageBlock(block.id, body, body.length, { abortSignal, transactionalContentMD5 })),
    );
    return response === undefined ? 'conflict' : 'staged';
  }

  async commit(
    path: string,
    commit: { ids: readonly string[]; condition: BlobCondition; metadata: Readonly<Record<string, string>> },
    signal: AbortSignal,
  ): Promise<boolean> {
    const options = { conditions: conditionsOf(commit.condition), metadata: { ...commit.metadata } };
    const response = await this.#unless(isLostRace, 'publish in', path, signal, (abortSignal) =>
      this.#blob(path).commitBlockList([...commit.ids], { abortSignal, ...options }),
    );
    return response !== undefined;
  }

  async recommit(path: string, facts: BlobFacts, signal: AbortSignal): Promise<boolean> {
    const own = await this.blocks(path, 'committed', signal);
    const uncommitted = new Set((await this.blocks(path, 'uncommitted', signal)).map(({ name }) => name));
    // The SDK commits the latest block of a name: one of the same name that was never committed would slip in.
    if (own.length === 0 || own.some(({ name }) => uncommitted.has(name))) return false;
    const properties = await this.#unless(
      isAbsent, 'look into', path, signal, (abortSignal) => this.#blob(path).getProperties({ abortSignal }),
    );
    if (properties === undefined || bareEtag(properties.etag) !== facts.etag) return false;
    const { tagCount, metadata, accessTier, accessTierInferred, encryptionScope } = properties;
    const call = { what: 'read the tags of', path, signal };
    const tags = (tagCount ?? 0) === 0 ? undefined : (
      await this.#store.call(call, (abortSignal) => this.#blob(path).getTags({ abortSignal }))
    ).tags;
    const options = {
      conditions: conditionsOf(facts.etag),
      blobHTTPHeaders: headersOf(properties),
      ...(metadata === undefined ? {} : { metadata }),
      ...(tags === undefined ? {} : { tags }),
      ...(accessTier === undefined || accessTierInferred ? {} : { tier: accessTier }),
      ...(encryptionScope === undefined ? {} : { encryptionScope }),
    };
    const response = await this.#unless(isLostRace, 'discard blocks of', path, signal, (abortSignal) =>
      this.#blob(path).commitBlockList(own.map(({ name }) => name), { abortSignal, ...options }),
    );
    return response !== undefined;
  }

  async renewEtag(path: string, facts: BlobFacts, signal: AbortSignal): Promise<boolean> {
    const response = await this.#unless(isLostRace, 'renew the ETag of', path, signal, (abortSignal) =>
      this.#blob(path).setMetadata({ ...facts.metadata }, { abortSignal, conditions: conditionsOf(facts.etag) }),
    );
    return response !== undefined;
  }

  async remove(path: string, etag: string, signal: AbortSignal): Promise<void> {
    const gone = (error: unknown): boolean => isAbsent(error) || isLostRace(error);
    await this.#unless(
      gone, 'remove', path, signal, (abortSignal) => this.#blob(path).delete({ abortSignal, conditions: conditionsOf(etag) }),
    );
  }

  readText(path: string, signal: AbortSignal): Promise<{ text: string; etag: string; ageMs: number } | undefined> {
    return this.#unless(isAbsent, 'read', path, signal, async (abortSignal) => {
      const response = await this.#blob(path).download(0, undefined, { abortSignal });
      const pieces: Uint8Array[] = [];
      for await (const piece of response.readableStreamBody ?? []) pieces.push(piece as Uint8Array);
      const ageMs = (response.date?.getTime() ?? 0) - (response.lastModified?.getTime() ?? 0);
      return { text: Buffer.concat(pieces).toString(), etag: bareEtag(response.etag), ageMs };
    });
  }

  async writeText(
    path: string, write: { text: string; condition: BlobCondition; metadata: Readonly<Record<string, string>> }, signal: AbortSignal,
  ): Promise<string | undefined> {
    const bytes = Buffer.from(write.text);
    const options = {
      conditions: conditionsOf(write.condition), metadata: { ...write.metadata }, blobHTTPHeaders: { blobContentType: 'application/json' },
    };
    for (let round = 0; ; round++) {
      try {
        const keep = (error: unknown): boolean => isLostRace(error) || isAbsent(error);
        const response = await this.#store.call({ what: 'write', path, signal, keep }, (abortSignal) =>
          this.#blob(path).upload(bytes, bytes.length, { abortSignal, ...options }),
        );
        return bareEtag(response.etag);
      } catch (error) {
        if (isLostRace(error)) return undefined;
        const noContainer = storageFault(error).code === 'ContainerNotFound';
        // A record that was there and is not any more was removed by hand; the next read says what stands.
        if (isAbsent(error) && !noContainer && write.condition !== 'absent') return undefined;
        if (!noContainer || round > 0) throw fromStorageError(error, { path, store: this.#store.name });
        await this.#store.call(
          { what: 'make', path: '/', signal }, (abortSignal) => this.#store.container.createIfNotExists({ abortSignal }),
        );
      }
    }
  }

  #blob(path: string): BlockBlobClient {
    return this.#store.container.getBlockBlobClient(path);
  }

  /** Runs a call; undefined when it fails in the way that is expected. */
  async #unless<T>(
    expected: (error: unknown) => boolean, what: string, path: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T | undefined> {
    try {
      return await this.#store.call({ what, path, signal, keep: expected }, work);
    } catch (error) {
      if (expected(error)) return undefined;
      throw error;
    }
  }
}

function conditionsOf(condition: BlobCondition): { ifNoneMatch?: string; ifMatch?: string } {
  return condition === 'absent' ? { ifNoneMatch: '*' } : { ifMatch: `"${condition}"` };
}

function headersOf(properties: BlobGetPropertiesResponse): Record<string, string | Uint8Array> {
  const { contentType, contentEncoding, contentLanguage, contentDisposition, cacheControl, contentMD5 } = properties;
  return {
    ...(contentType === undefined ? {} : { blobContentType: contentType }),
    ...(contentEncoding === undefined ? {} : { blobContentEncoding: contentEncoding }),
    ...(contentLanguage === undefined ? {} : { blobContentLanguage: contentLanguage }),
    ...(contentDisposition === undefined ? {} : { blobContentDisposition: contentDisposition }),
    ...(cacheControl === undefined ? {} : { blobCacheControl: cacheControl }),
    ...(contentMD5 === undefined ? {} : { blobContentMD5: contentMD5 }),
  };
}

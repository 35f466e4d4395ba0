import type { BlobGetPropertiesResponse } from '@azure/storage-blob';
import { connectorErrors } from '@dmg/connector-api';
import { isOwnLength } from './block-id.ts';
import type { ListedBlock } from './block-list.ts';
import { bareEtag } from './blob-source.ts';
import type { BlobStore } from './blob-store.ts';
import { azureBlobErrors, fromStorageError, isAbsent, isLostRace } from './errors.ts';

/** Metadata of what we publish: how a lost race is told from a stranger. */
export const jobKey = 'dmgjob';
/** Metadata of the empty blob that stands for a moment while leftover blocks are discarded. */
const burnKey = 'dmgburn';

export interface BlobFacts {
  readonly etag: string;
  readonly properties: BlobGetPropertiesResponse;
}

/** The base state in which a target is published: its ETag, or `absent`. */
export function baseOf(facts: BlobFacts | undefined): string {
  return facts === undefined ? 'absent' : facts.etag;
}

/** A metadata value that identifies a job; metadata are ASCII. */
export function jobTag(jobId: string): string {
  return encodeURIComponent(jobId);
}

/** One blob that a job writes: its facts, its blocks, and the ways to get rid of blocks that are in the way. */
export class TargetBlob {
  readonly path: string;
  readonly #store: BlobStore;

  constructor(store: BlobStore, path: string) {
    this.#store = store;
    this.path = path;
  }

  async facts(signal: AbortSignal): Promise<BlobFacts | undefined> {
    try {
      const properties = await this.#store.call({ what: 'look into', path: this.path, signal, keep: isAbsent }, (abortSignal) =>
        this.#blob.getProperties({ abortSignal }),
      );
      return { etag: bareEtag(properties.etag), properties };
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  }

  uncommitted(signal: AbortSignal): Promise<ListedBlock[]> {
    return this.#blocks('uncommitted', signal);
  }

  async stage(id: string, bytes: Uint8Array, md5: Uint8Array, signal: AbortSignal, keep: (error: unknown) => boolean): Promise<void> {
    const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    await this.#store.call({ what: 'write a block to', path: this.path, signal, keep }, (abortSignal) =>
      this.#blob.stageBlock(id, body, body.length, { abortSignal, transactionalContentMD5: md5 }),
    );
  }

  /** Commits under the condition that the base state still holds. False: it does not, or blocks are missing. */
  async commit(ids: readonly string[], base: string, metadata: Record<string, string>, signal: AbortSignal): Promise<boolean> {
    const conditions = base === 'absent' ? { ifNoneMatch: '*' } : { ifMatch: `"${base}"` };
    return this.#conditional('publish in', signal, (abortSignal) => this.#blob.commitBlockList([...ids], { abortSignal, conditions, metadata }));
  }

  /**
   * The base state for a plan. Refuses what cannot be published over later. Blocks of another id length, left by an upload of
   * another program that was never ended, would make every block of ours fail, so they are discarded now.
   */
  async base(signal: AbortSignal, warn: (path: string) => void): Promise<string> {
    const facts = await this.facts(signal);
    if (facts !== undefined) this.#refuseUnlessBlock(facts);
    const foreign = (await this.uncommitted(signal)).some(({ name }) => !isOwnLength(name));
    if (!foreign) return baseOf(facts);
    warn(this.path);
    if (facts === undefined) await this.#burnAbsent('', signal);
    else if (!(await this.#recommit(facts, signal))) throw azureBlobErrors.FOREIGN_BLOCKS.create({ path: this.path });
    return baseOf(await this.facts(signal));
  }

  /** Foreign blocks turned up after the plan was made: only where no blob stands can they be discarded without changing the base. */
  async clearForeign(base: string, signal: AbortSignal): Promise<void> {
    if (base !== 'absent' || (await this.facts(signal)) !== undefined) throw azureBlobErrors.FOREIGN_BLOCKS.create({ path: this.path });
    if ((await this.uncommitted(signal)).some(({ name }) => !isOwnLength(name))) await this.#burnAbsent('', signal);
  }

  /**
   * Discards what an aborted job staged here, so that no commit of it can succeed. `mine` tells its blocks; `closing`: commits may be
   * under way, so the base state itself must not hold any longer either.
   */
  async burn(options: { jobId: string; base: string; mine: (block: ListedBlock) => boolean; closing: boolean; signal: AbortSignal }): Promise<void> {
    const { jobId, base, mine, closing, signal } = options;
    for (let round = 0; round < 5; round++) {
      const facts = await this.facts(signal);
      if (facts?.properties.metadata?.[burnKey] === jobTag(jobId)) {
        // The empty blob of a burner that died between its two steps.
        await this.#deleteIf(facts.etag, signal);
        continue;
      }
      if (facts !== undefined && facts.etag !== base) return;
      const staged = (await this.uncommitted(signal)).some(mine);
      if (facts === undefined) {
        if (!staged) return;
        if (await this.#burnAbsent(jobTag(jobId), signal)) return;
      } else {
        if (!staged && !closing) return;
        if (staged && (await this.#recommit(facts, signal))) return;
        // A blob that was written in one piece has no list to commit again: its blocks expire, its ETag is made another one.
        if (!closing || (await this.#renewEtag(facts, signal))) return;
      }
    }
  }

  get #blob() {
    return this.#store.container.getBlockBlobClient(this.path);
  }

  async #blocks(type: 'committed' | 'uncommitted', signal: AbortSignal): Promise<ListedBlock[]> {
    try {
      const list = await this.#store.call({ what: 'list the blocks of', path: this.path, signal, keep: isAbsent }, (abortSignal) =>
        this.#blob.getBlockList(type, { abortSignal }),
      );
      const blocks = type === 'committed' ? list.committedBlocks : list.uncommittedBlocks;
      return (blocks ?? []).map(({ name, size }) => ({ name, sizeBytes: size }));
    } catch (error) {
      if (isAbsent(error)) return [];
      throw error;
    }
  }

  #refuseUnlessBlock(facts: BlobFacts): void {
    const { blobType, metadata, leaseState } = facts.properties;
    const refuse = (reason: string, remedy: string): Error => connectorErrors.TARGET_BLOCKED.create({ path: this.path, reason, remedy });
    if (metadata?.hdi_isfolder === 'true') throw refuse('a folder has this name', 'Rename the folder or the target.');
    if (blobType !== 'BlockBlob') throw refuse('an append or page blob has this name', 'Delete that blob or choose another target.');
    if (leaseState === 'leased') throw refuse('another program holds a lease on it', 'End the lease, then run the pipeline again.');
  }

  /** Discards all uncommitted blocks of a blob that does not exist, by an empty blob that is gone again at once. */
  async #burnAbsent(tag: string, signal: AbortSignal): Promise<boolean> {
    const metadata: Record<string, string> = tag === '' ? {} : { [burnKey]: tag };
    const done = await this.#conditional('discard blocks in', signal, (abortSignal) =>
      this.#blob.commitBlockList([], { abortSignal, conditions: { ifNoneMatch: '*' }, metadata }),
    );
    if (!done) return false;
    const facts = await this.facts(signal);
    if (facts !== undefined && facts.properties.contentLength === 0) await this.#deleteIf(facts.etag, signal);
    return true;
  }

  /** Commits a blob's own blocks again, which discards the uncommitted ones. False: it has none (or is another one by now). */
  async #recommit(facts: BlobFacts, signal: AbortSignal): Promise<boolean> {
    const own = await this.#blocks('committed', signal);
    if (own.length === 0) return false;
    const { properties } = facts;
    const tags = (properties.tagCount ?? 0) > 0 ? (await this.#store.call({ what: 'read tags in', path: this.path, signal }, (abortSignal) => this.#blob.getTags({ abortSignal }))).tags : undefined;
    return this.#conditional('discard blocks in', signal, (abortSignal) =>
      this.#blob.commitBlockList(own.map(({ name }) => name), {
        abortSignal,
        conditions: { ifMatch: `"${facts.etag}"` },
        ...(properties.metadata === undefined ? {} : { metadata: properties.metadata }),
        ...(tags === undefined ? {} : { tags }),
        ...(properties.accessTier === undefined || properties.accessTierInferred ? {} : { tier: properties.accessTier }),
        ...(properties.encryptionScope === undefined ? {} : { encryptionScope: properties.encryptionScope }),
        blobHTTPHeaders: headersOf(properties),
      }),
    );
  }

  #renewEtag(facts: BlobFacts, signal: AbortSignal): Promise<boolean> {
    return this.#conditional('renew the ETag in', signal, (abortSignal) =>
      this.#blob.setMetadata(facts.properties.metadata, { abortSignal, conditions: { ifMatch: `"${facts.etag}"` } }),
    );
  }

  async #deleteIf(etag: string, signal: AbortSignal): Promise<void> {
    const keep = (error: unknown): boolean => isAbsent(error) || isLostRace(error);
    try {
      await this.#store.call({ what: 'remove from', path: this.path, signal, keep }, (abortSignal) =>
        this.#blob.delete({ abortSignal, conditions: { ifMatch: `"${etag}"` } }),
      );
    } catch (error) {
      // Gone, or somebody wrote it meanwhile: then it is theirs.
      if (!keep(error)) throw error;
    }
  }

  /** False: the condition did not hold. */
  async #conditional(what: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<unknown>): Promise<boolean> {
    try {
      await this.#store.call({ what, path: this.path, signal, keep: isLostRace }, work);
      return true;
    } catch (error) {
      if (isLostRace(error)) return false;
      throw fromStorageError(error, { path: this.path, store: this.#store.name });
    }
  }
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

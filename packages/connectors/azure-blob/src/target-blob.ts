import { connectorErrors } from '@dmg/connector-api';
import type { BlobCalls, BlobFacts } from './blob-calls.ts';
import { isOwnLength } from './block-id.ts';
import type { ListedBlock } from './block-list.ts';
import { azureBlobErrors } from './errors.ts';

/** Metadata of what we publish: how a lost race is told from a stranger. */
export const jobKey = 'dmgjob';
/** Metadata of the empty blob that stands for a moment while leftover blocks are discarded. */
const burnKey = 'dmgburn';
const roundsMax = 10;

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
  readonly #calls: BlobCalls;

  constructor(calls: BlobCalls, path: string) {
    this.#calls = calls;
    this.path = path;
  }

  facts(signal: AbortSignal): Promise<BlobFacts | undefined> {
    return this.#calls.facts(this.path, signal);
  }

  uncommitted(signal: AbortSignal): Promise<ListedBlock[]> {
    return this.#calls.blocks(this.path, 'uncommitted', signal);
  }

  commit(ids: readonly string[], base: string, metadata: Readonly<Record<string, string>>, signal: AbortSignal): Promise<boolean> {
    return this.#calls.commit(this.path, { ids, condition: base, metadata }, signal);
  }

  /** `base` is that of the plan. */
  async stage(id: string, bytes: Uint8Array, base: string, signal: AbortSignal): Promise<void> {
    for (let round = 0; round < roundsMax; round++) {
      if ((await this.#calls.stage(this.path, { id, bytes }, signal)) === 'staged') return;
      // Foreign blocks turned up after the plan was made: only where no blob stands can they be discarded without changing the base.
      if (base !== 'absent' || (await this.facts(signal)) !== undefined) break;
      if (await this.#foreign(signal)) await this.#burnAbsent('', signal);
    }
    throw azureBlobErrors.FOREIGN_BLOCKS.create({ path: this.path });
  }

  /**
   * The base state for a plan. Refuses what cannot be published over later. Blocks of another id length, left by an upload of
   * another program that was never ended, would make every block of ours fail, so they are discarded now.
   */
  async base(signal: AbortSignal, warn: (path: string) => void): Promise<string> {
    let facts = await this.facts(signal);
    if (facts !== undefined && facts.sizeBytes === 0 && facts.metadata[burnKey] !== undefined) {
      // The empty blob of a burner that died between its two steps.
      await this.#calls.remove(this.path, facts.etag, signal);
      facts = await this.facts(signal);
    }
    if (facts !== undefined) this.#refuseUnlessBlock(facts);
    if (!(await this.#foreign(signal))) return baseOf(facts);
    warn(this.path);
    // A blob written in one piece has no list to commit again; committing an empty one would erase it.
    const cleared = facts === undefined ? await this.#burnAbsent('', signal) : await this.#calls.recommit(this.path, facts, signal);
    if (!cleared) throw azureBlobErrors.FOREIGN_BLOCKS.create({ path: this.path });
    return baseOf(await this.facts(signal));
  }

  /**
   * Discards what an aborted job staged here, so that no commit of it can succeed. `mine` tells its blocks; `closing`: commits may be
   * under way, so where blocks cannot be discarded the base state must not hold any longer.
   */
  async burn(
    options: { jobId: string; base: string; mine: (block: ListedBlock) => boolean; closing: boolean; signal: AbortSignal },
  ): Promise<void> {
    const { jobId, base, mine, closing, signal } = options;
    for (let round = 0; round < roundsMax; round++) {
      const facts = await this.facts(signal);
      if (facts?.metadata[burnKey] === jobTag(jobId)) {
        // The empty blob of a burner that died between its two steps.
        await this.#calls.remove(this.path, facts.etag, signal);
        continue;
      }
      // Published by a finisher before the abort, or a stranger's: no commit of ours meets its condition.
      if (facts !== undefined && facts.etag !== base) return;
      const staged = (await this.uncommitted(signal)).some(mine);
      if (facts === undefined) {
        if (!staged || (await this.#burnAbsent(jobTag(jobId), signal))) return;
        continue;
      }
      // Without our blocks no commit of ours succeeds.
      if (!staged || (await this.#calls.recommit(this.path, facts, signal))) return;
      // A blob that was written in one piece: our blocks expire, its ETag is made another one.
      if (!closing || (await this.#calls.renewEtag(this.path, facts, signal))) return;
    }
    throw connectorErrors.UNREACHABLE.create({ store: this.#calls.store, reason: `${this.path} changes all the time` });
  }

  async #foreign(signal: AbortSignal): Promise<boolean> {
    return (await this.uncommitted(signal)).some(({ name }) => !isOwnLength(name));
  }

  #refuseUnlessBlock({ kind, leased, metadata }: BlobFacts): void {
    const refuse = (reason: string, remedy: string): Error => connectorErrors.TARGET_BLOCKED.create({ path: this.path, reason, remedy });
    if (metadata.hdi_isfolder === 'true') throw refuse('a folder has this name', 'Rename the folder or the target.');
    if (kind !== 'block') throw refuse('an append or page blob has this name', 'Delete that blob or choose another target.');
    if (leased) throw refuse('another program holds a lease on it', 'End the lease, then run the pipeline again.');
  }

  /**
   * Discards all uncommitted blocks of a blob that does not exist, by an empty blob that is gone again at once: visible for
   * milliseconds, there is no other way. False: a blob exists by now.
   */
  async #burnAbsent(tag: string, signal: AbortSignal): Promise<boolean> {
    const burn = tag === '' ? 'leftover' : tag;
    const metadata = { [burnKey]: burn };
    if (!(await this.#calls.commit(this.path, { ids: [], condition: 'absent', metadata }, signal))) return false;
    const facts = await this.facts(signal);
    if (facts?.metadata[burnKey] === burn) await this.#calls.remove(this.path, facts.etag, signal);
    return true;
  }
}

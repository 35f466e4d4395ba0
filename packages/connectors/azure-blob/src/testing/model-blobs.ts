import { connectorErrors } from '@dmg/connector-api';
import type { BlobCalls, BlobFacts } from '../blob-calls.ts';
import type { ListedBlock } from '../block-list.ts';

interface ModelBlob {
  etag: string;
  bytes: string;
  metadata: Readonly<Record<string, string>>;
  /** Empty for a blob that was written in one piece. */
  blocks: readonly { name: string; bytes: string }[];
}

/**
 * Blobs in memory, stricter than Azurite where the real service is: a stranger's write discards uncommitted blocks, ids of a blob
 * have one length. Whether deleting a blob discards them too is not documented: `deleteDiscards` says which.
 */
export class ModelBlobs {
  readonly #blobs = new Map<string, ModelBlob>();
  readonly #uncommitted = new Map<string, Map<string, string>>();
  readonly #deleteDiscards: boolean;
  #etags = 0;
  /** Called when a blob has come to be by a commit. */
  onCommit: (path: string, bytes: string, metadata: Readonly<Record<string, string>>) => void = () => undefined;

  constructor(options: { deleteDiscards: boolean }) {
    this.#deleteDiscards = options.deleteDiscards;
  }

  get(path: string): string | undefined {
    return this.#blobs.get(path)?.bytes;
  }

  facts(path: string): BlobFacts | undefined {
    const blob = this.#blobs.get(path);
    if (blob === undefined) return undefined;
    return { etag: blob.etag, kind: 'block', leased: false, sizeBytes: blob.bytes.length, metadata: blob.metadata };
  }

  blocks(path: string, type: 'committed' | 'uncommitted'): ListedBlock[] {
    const committed = this.#blobs.get(path)?.blocks ?? [];
    const blocks = type === 'committed' ? committed : [...this.#staged(path)].map(([name, bytes]) => ({ name, bytes }));
    return blocks.map(({ name, bytes }) => ({ name, sizeBytes: bytes.length }));
  }

  stage(path: string, id: string, bytes: string): 'staged' | 'conflict' {
    const staged = this.#staged(path);
    for (const other of staged.keys()) if (other.length !== id.length) return 'conflict';
    staged.set(id, bytes);
    return 'staged';
  }

  commit(path: string, ids: readonly string[], condition: string, metadata: Readonly<Record<string, string>>): boolean {
    if (!this.#holds(path, condition)) return false;
    const own = new Map((this.#blobs.get(path)?.blocks ?? []).map(({ name, bytes }) => [name, bytes]));
    const blocks: { name: string; bytes: string }[] = [];
    for (const name of ids) {
      const bytes = this.#staged(path).get(name) ?? own.get(name);
      if (bytes === undefined) return false;
      blocks.push({ name, bytes });
    }
    this.#uncommitted.delete(path);
    const bytes = blocks.map((block) => block.bytes).join('');
    this.#blobs.set(path, { etag: this.#etag(), bytes, metadata, blocks });
    this.onCommit(path, bytes, metadata);
    return true;
  }

  /** Put Blob. */
  put(path: string, bytes: string, condition?: string, metadata: Readonly<Record<string, string>> = {}): string | undefined {
    if (condition !== undefined && !this.#holds(path, condition)) return undefined;
    this.#uncommitted.delete(path);
    const etag = this.#etag();
    this.#blobs.set(path, { etag, bytes, metadata, blocks: [] });
    return etag;
  }

  renewEtag(path: string, etag: string): boolean {
    const blob = this.#blobs.get(path);
    if (blob?.etag !== etag) return false;
    blob.etag = this.#etag();
    return true;
  }

  delete(path: string, etag?: string): void {
    if (etag !== undefined && this.#blobs.get(path)?.etag !== etag) return;
    this.#blobs.delete(path);
    if (this.#deleteDiscards) this.#uncommitted.delete(path);
  }

  #holds(path: string, condition: string): boolean {
    return (this.#blobs.get(path)?.etag ?? 'absent') === condition;
  }

  #staged(path: string): Map<string, string> {
    let staged = this.#uncommitted.get(path);
    if (staged === undefined) {
      staged = new Map();
      this.#uncommitted.set(path, staged);
    }
    return staged;
  }

  #etag(): string {
    return `e${++this.#etags}`;
  }
}

/**
 * One process's way to the model. `gate` is awaited before each call; `repeats` says whether the client, having lost the answer,
 * sends the same request again and sees only the second answer.
 */
export class GatedBlobCalls implements BlobCalls {
  readonly store = 'model';
  readonly #blobs: ModelBlobs;
  readonly #gate: () => Promise<void>;
  readonly #repeats: () => boolean;

  constructor(options: { blobs: ModelBlobs; gate: () => Promise<void>; repeats: () => boolean }) {
    this.#blobs = options.blobs;
    this.#gate = options.gate;
    this.#repeats = options.repeats;
  }

  facts(path: string): Promise<BlobFacts | undefined> {
    return this.#step(() => this.#blobs.facts(path));
  }

  blocks(path: string, type: 'committed' | 'uncommitted'): Promise<ListedBlock[]> {
    return this.#step(() => this.#blobs.blocks(path, type));
  }

  async stage(path: string, block: { id: string; bytes: Uint8Array }): Promise<'staged' | 'conflict'> {
    const bytes = Buffer.from(block.bytes).toString();
    await this.#gate();
    const answer = this.#blobs.stage(path, block.id, bytes);
    if (!this.#repeats()) return answer;
    await this.#gate();
    throw connectorErrors.UNREACHABLE.create({ store: this.store, reason: 'the answer was lost' });
  }

  commit(
    path: string, commit: { ids: readonly string[]; condition: string; metadata: Readonly<Record<string, string>> },
  ): Promise<boolean> {
    return this.#step(() => this.#blobs.commit(path, commit.ids, commit.condition, commit.metadata));
  }

  async recommit(path: string, facts: BlobFacts): Promise<boolean> {
    const own = await this.#step(() => this.#blobs.blocks(path, 'committed'));
    const uncommitted = new Set(this.#blobs.blocks(path, 'uncommitted').map(({ name }) => name));
    if (own.length === 0 || own.some(({ name }) => uncommitted.has(name))) return false;
    return this.#step(() => this.#blobs.commit(path, own.map(({ name }) => name), facts.etag, facts.metadata));
  }

  renewEtag(path: string, facts: BlobFacts): Promise<boolean> {
    return this.#step(() => this.#blobs.renewEtag(path, facts.etag));
  }

  remove(path: string, etag: string): Promise<void> {
    return this.#step(() => this.#blobs.delete(path, etag));
  }

  readText(path: string): Promise<{ text: string; etag: string; ageMs: number } | undefined> {
    return this.#step(() => {
      const text = this.#blobs.get(path);
      const facts = this.#blobs.facts(path);
      return text === undefined || facts === undefined ? undefined : { text, etag: facts.etag, ageMs: 0 };
    });
  }

  writeText(
    path: string, write: { text: string; condition: string; metadata: Readonly<Record<string, string>> },
  ): Promise<string | undefined> {
    return this.#step(() => this.#blobs.put(path, write.text, write.condition, write.metadata));
  }

  async #step<T>(call: () => T): Promise<T> {
    await this.#gate();
    const answer = call();
    if (!this.#repeats()) return answer;
    await this.#gate();
    return call();
  }
}

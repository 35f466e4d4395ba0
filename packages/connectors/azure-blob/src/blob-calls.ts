import type { ListedBlock } from './block-list.ts';

export interface BlobFacts {
  /** Without quotes. */
  readonly etag: string;
  readonly kind: 'block' | 'other';
  readonly leased: boolean;
  readonly sizeBytes: number;
  /** Keys in lower case. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** `absent`, or an ETag without quotes that must still be the blob's. */
export type BlobCondition = string;

/**
 * The calls to the service that the publishing protocol is made of. A port so that the protocol can be run on a model, step by step,
 * in any order. Errors come out mapped; what the protocol decides by comes out as a value.
 */
export interface BlobCalls {
  /** Host and container, for messages. */
  readonly store: string;
  /** Undefined: no such blob (uncommitted blocks alone are none). */
  facts(path: string, signal: AbortSignal): Promise<BlobFacts | undefined>;
  blocks(path: string, type: 'committed' | 'uncommitted', signal: AbortSignal): Promise<ListedBlock[]>;
  /** Sends the request once. `conflict`: uncommitted blocks with ids of another length stand in the way. */
  stage(path: string, block: { id: string; bytes: Uint8Array }, signal: AbortSignal): Promise<'staged' | 'conflict'>;
  /** False: the condition does not hold, or a block is not there. All uncommitted blocks are discarded when it succeeds. */
  commit(
    path: string, commit: { ids: readonly string[]; condition: BlobCondition; metadata: Readonly<Record<string, string>> },
    signal: AbortSignal,
  ): Promise<boolean>;
  /**
   * Commits a blob's own blocks again with all its properties, on condition of its ETag. False: it has no blocks, or has changed,
   * or uncommitted blocks have the names of its own.
   */
  recommit(path: string, facts: BlobFacts, signal: AbortSignal): Promise<boolean>;
  /** Gives a blob another ETag and changes nothing else. False: it has changed. */
  renewEtag(path: string, facts: BlobFacts, signal: AbortSignal): Promise<boolean>;
  /** Deletes on condition of the ETag; what is gone or changed is left. */
  remove(path: string, etag: string, signal: AbortSignal): Promise<void>;
  /** `ageMs`: since it was written, by the service's clock. */
  readText(path: string, signal: AbortSignal): Promise<{ text: string; etag: string; ageMs: number } | undefined>;
  /** The new ETag; undefined when the condition does not hold. Makes the container when it is missing. */
  writeText(
    path: string, write: { text: string; condition: BlobCondition; metadata: Readonly<Record<string, string>> }, signal: AbortSignal,
  ): Promise<string | undefined>;
}

import { baseErrors, isDmgError } from '@dmg/base';
import { type ChunkFacts, type ChunkWriter, connectorErrors } from '@dmg/connector-api';
import type { ChunkRef } from '@dmg/model';
import { type BlockFacts, encodeBlockId, partsPerChunkMax, triesMax } from './block-id.ts';
import type { TargetBlob } from './target-blob.ts';

export interface BlockChunkOptions {
  readonly blob: TargetBlob;
  readonly scope: Buffer;
  readonly ref: ChunkRef;
  readonly attemptId: string;
  /** Random, 8 hex digits. */
  readonly writer: string;
  readonly base: string;
  readonly partBytes: number;
  readonly limitBytes: number;
  readonly store: string;
  /** Nobody else will have written this chunk, and if so, then the same bytes. */
  readonly isLikelyFirst: boolean;
  /** The attempt whose complete version of this chunk stands, if one does. */
  readonly standing: (signal: AbortSignal) => Promise<string | undefined>;
  /** Waits before a request is sent again. */
  readonly pause: (repetition: number, signal: AbortSignal) => Promise<void>;
  /** Throws `JOB_CLOSED` unless the job is open. */
  readonly checkOpen: (signal: AbortSignal) => Promise<void>;
}

/**
 * One chunk as blocks. The last block's id holds the mark, so the block and the mark are one. The service checks the MD5 of each
 * block. Blocks of a chunk that is given up are discarded by the commit, by the abort, or expire.
 */
export class BlockChunk implements ChunkWriter {
  readonly #options: BlockChunkOptions;
  readonly #sizes = new Map<number, number>();
  #givenUp = false;
  #marked = false;

  constructor(options: BlockChunkOptions) {
    this.#options = options;
  }

  async writePart(part: number, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (bytes.length !== this.#options.partBytes) {
      throw baseErrors.UNEXPECTED.create({ reason: `part ${part} has ${bytes.length} bytes instead of ${this.#options.partBytes}` });
    }
    await this.#stage(() => ({ ...this.#identity, part }), bytes, signal);
    this.#sizes.set(part, bytes.length);
  }

  async mark(facts: ChunkFacts, last: { part: number; bytes: Uint8Array }, signal: AbortSignal): Promise<'marked' | 'already'> {
    const { attemptId, standing, checkOpen, isLikelyFirst } = this.#options;
    signal.throwIfAborted();
    this.#checkWhole(facts, last);
    // A second call would repeat ids; who wants to try again opens the chunk again.
    if (this.#marked) throw baseErrors.UNEXPECTED.create({ reason: 'a chunk is marked twice by one writer' });
    this.#marked = true;
    // To write a chunk of one part for a second time costs no more than to ask who has written it.
    const first = isLikelyFirst && last.part === 0 ? undefined : await standing(signal);
    if (first === undefined) {
      const { bytes: _bytes, ...kept } = facts;
      const filler = last.bytes.length === 0;
      const idOf = (tryNumber: number): BlockFacts => ({
        ...this.#identity, part: last.part, last: { ...kept, filler, tryNumber },
      });
      await this.#stage(idOf, filler ? new Uint8Array(1) : last.bytes, signal);
    }
    // After the block, so that nobody believes in a mark of a job that had ended.
    await checkOpen(signal);
    return first === undefined || first === attemptId ? 'marked' : 'already';
  }

  discard(): Promise<void> {
    this.#givenUp = true;
    return Promise.resolve();
  }

  get #identity(): Pick<BlockFacts, 'chunk' | 'attemptId' | 'writer'> {
    const { ref, attemptId, writer } = this.#options;
    return { chunk: ref.chunk, attemptId, writer };
  }

  /** Stages one part; a request whose outcome is unknown is sent again, a last part under another id. */
  async #stage(idOf: (tryNumber: number) => BlockFacts, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    const { blob, scope, base, store, limitBytes, partBytes, pause } = this.#options;
    if (this.#givenUp) throw baseErrors.UNEXPECTED.create({ reason: 'a chunk that was given up is written' });
    const { part } = idOf(0);
    if (part >= partsPerChunkMax) throw connectorErrors.TOO_LARGE.create({
      path: blob.path, sizeBytes: part * partBytes, store, limitBytes,
    });
    for (let tryNumber = 0; ; tryNumber++) {
      try {
        await blob.stage(encodeBlockId(scope, idOf(tryNumber)), bytes, base, signal);
        return;
      } catch (error) {
        if (signal.aborted || !isDmgError(error) || error.retry !== 'backoff' || tryNumber + 1 >= triesMax) throw error;
        await pause(tryNumber, signal);
      }
    }
  }

  #checkWhole(facts: ChunkFacts, last: { part: number; bytes: Uint8Array }): void {
    let bytes = last.bytes.length;
    for (let part = 0; part < last.part; part++) {
      const size = this.#sizes.get(part);
      if (size === undefined) throw baseErrors.UNEXPECTED.create({ reason: `part ${part} of a chunk was never written` });
      bytes += size;
    }
    if (bytes !== facts.bytes) throw baseErrors.UNEXPECTED.create({ reason: `a chunk of ${facts.bytes} bytes has ${bytes} at the sink` });
  }
}

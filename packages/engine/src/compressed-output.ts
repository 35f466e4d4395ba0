import type { ChunkFacts } from '@dmg/connector-api';
import { type Compressor, createCompressor } from '@dmg/formats';
import type { Compression, PlanTarget } from '@dmg/model';
import { archivedName } from './content-names.ts';
import type { ChunkOutput, Drain, PartOutput } from './part-output.ts';

const stagingBytes = 128 * 1024;
/** What may become longer than 4 GiB, when text grows as it is written in another form. */
const largeBytes = 1024 * 1024 * 1024;

export interface CompressedOutputOptions {
  readonly output: PartOutput;
  readonly compression: Compression;
  readonly target: PlanTarget;
  readonly chunk: number;
}

/** The output of a chunk, compressed where the sink's files are. */
export function chunkOutput(
  output: PartOutput, options: Omit<CompressedOutputOptions, 'output' | 'compression'> & { compression: Compression | undefined },
): ChunkOutput {
  const { compression } = options;
  return compression === undefined ? output : new CompressedOutput({ ...options, compression, output });
}

/** Compresses a chunk's output on its way into the parts: the next bytes are taken when the last ones have become parts. */
export class CompressedOutput implements ChunkOutput {
  readonly #output: PartOutput;
  readonly #compressor: Compressor;
  readonly #staging = Buffer.allocUnsafeSlow(stagingBytes);
  #filled = 0;
  #contentBytes = 0;
  #isLast = false;

  constructor({ output, compression, target, chunk }: CompressedOutputOptions) {
    this.#output = output;
    const { cutting, sources } = target;
    const isUnknown = cutting.kind === 'streams' || (cutting.kind === 'sequential' && cutting.extentBytes !== undefined);
    this.#compressor = createCompressor({
      compression, chunk, isLast: () => this.#isLast,
      entry: {
        name: archivedName(target.path),
        modifiedMs: Math.max(0, ...sources.map((source) => source.lastModifiedMs ?? 0)),
        isLarge: isUnknown || sources.reduce((sum, source) => sum + source.sizeBytes, 0) >= largeBytes,
      },
    });
  }

  get bytes(): number {
    return this.#output.bytes;
  }

  get contentBytes(): number {
    return this.#contentBytes;
  }

  async take(drain: Drain): Promise<void> {
    while (drain.pendingBytes > 0) {
      const moved = drain.drainInto(this.#staging, this.#filled);
      if (moved === 0) throw new Error('the transcoder has output and gives none');
      this.#filled += moved;
      this.#contentBytes += moved;
      if (this.#filled === stagingBytes) await this.#compress();
    }
  }

  async mark(facts: Omit<ChunkFacts, 'bytes'>, isLast: boolean): Promise<'marked' | 'already'> {
    this.#isLast = isLast;
    await this.#compress();
    await this.#compressor.finish((bytes) => this.#emit(bytes));
    this.#compressor.close();
    return this.#output.mark(facts);
  }

  async settle(): Promise<void> {
    this.#compressor.close();
    await this.#output.settle();
  }

  async #compress(): Promise<void> {
    const bytes = this.#staging.subarray(0, this.#filled);
    await this.#compressor.push(bytes, (compressed) => this.#emit(compressed));
    this.#filled = 0;
  }

  #emit(bytes: Uint8Array): Promise<void> {
    let moved = 0;
    return this.#output.take({
      get pendingBytes() {
        return bytes.length - moved;
      },
      drainInto(target, offset) {
        const piece = bytes.subarray(moved, moved + target.length - offset);
        target.set(piece, offset);
        moved += piece.length;
        return piece.length;
      },
    });
  }
}

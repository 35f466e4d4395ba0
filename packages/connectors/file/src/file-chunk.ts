import { constants } from 'node:fs';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { baseErrors, type Logger } from '@dmg/base';
import { type ChunkFacts, type ChunkWriter, connectorErrors } from '@dmg/connector-api';
import { errorCode, fromFileError, isMissing } from './errors.ts';
import type { JobFolder, MarkEntry } from './job-folder.ts';
import { writeWhole } from './posix-files.ts';

export interface FileChunkOptions {
  readonly job: JobFolder;
  readonly jobId: string;
  readonly attemptId: string;
  readonly work: string;
  /** Name of the mark: `<target>.<chunk>`. */
  readonly mark: string;
  /** Name of the part, used by nobody else ever. */
  readonly part: string;
  readonly partBytes: number;
  readonly store: string;
  readonly logger: Logger;
  /** Throws the error that fits a work folder that is gone. */
  readonly ended: () => Promise<never>;
  /** Called once when the writer holds nothing any more. */
  readonly closed: (chunk: FileChunk) => void;
}

/** One chunk as a file in the work folder, written at any position in any order. */
export class FileChunk implements ChunkWriter {
  readonly #options: FileChunkOptions;
  readonly #path: string;
  #handle: FileHandle | undefined;
  #kept = false;
  #marking = false;

  private constructor(options: FileChunkOptions, path: string, handle: FileHandle) {
    this.#options = options;
    this.#path = path;
    this.#handle = handle;
  }

  static async open(options: FileChunkOptions): Promise<FileChunk> {
    const path = `${options.work}/parts/${options.part}`;
    try {
      const handle = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o666);
      return new FileChunk(options, path, handle);
    } catch (error) {
      if (isMissing(error)) return options.ended();
      throw fromFileError(error, path, options.store);
    }
  }

  async writePart(part: number, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (bytes.length !== this.#options.partBytes) {
      throw baseErrors.UNEXPECTED.create({ reason: `part ${part} has ${bytes.length} bytes instead of ${this.#options.partBytes}` });
    }
    await this.#write(bytes, part * this.#options.partBytes);
    signal.throwIfAborted();
  }

  async mark(facts: ChunkFacts, last: { part: number; bytes: Uint8Array }, signal: AbortSignal): Promise<'marked' | 'already'> {
    const { job, attemptId, part, partBytes, work } = this.#options;
    signal.throwIfAborted();
    await this.#write(last.bytes, last.part * partBytes);
    const entry: MarkEntry = { part, attemptId, ...facts };
    const standing = await job.mark(work, this.#options.mark, entry, async () => {
      await this.#settle(facts, last);
      signal.throwIfAborted();
      this.#marking = true;
    });
    this.#marking = false;
    if (standing === undefined) return this.#options.ended();
    this.#kept = standing.part === part;
    if (!this.#kept) await this.discard();
    return standing.attemptId === attemptId ? 'marked' : 'already';
  }

  async discard(): Promise<void> {
    const { logger } = this.#options;
    try {
      await this.#close();
      // While a mark is under way, or its outcome is unknown, the part may be the one that counts, and its link may still land after
      // anything we could look at: it stays, and the end of the job removes it with the work folder.
      if (this.#marking || this.#kept) return;
      this.#kept = true;
      await unlink(this.#path);
    } catch (error) {
      if (isMissing(error)) return;
      logger.warn({ path: this.#path, code: errorCode(error) }, 'part could not be removed, the end of the job will');
    }
  }

  async #write(bytes: Uint8Array, position: number): Promise<void> {
    const handle = this.#handle;
    if (handle === undefined) throw connectorErrors.JOB_CLOSED.create({ jobId: this.#options.jobId, phase: 'given up' });
    try {
      await writeWhole(handle, bytes, position);
    } catch (error) {
      throw fromFileError(error, this.#path, this.#options.store);
    }
  }

  /** Syncs and closes the part, and sees that all of it is there. */
  async #settle(facts: ChunkFacts, last: { part: number; bytes: Uint8Array }): Promise<void> {
    try {
      await this.#handle?.sync();
      const sizeBytes = (await this.#handle?.stat())?.size;
      await this.#close();
      if (sizeBytes !== facts.bytes || sizeBytes !== last.part * this.#options.partBytes + last.bytes.length) {
        throw baseErrors.UNEXPECTED.create({ reason: `a chunk of ${facts.bytes} bytes has ${sizeBytes} at the sink` });
      }
    } catch (error) {
      throw fromFileError(error, this.#path, this.#options.store);
    }
  }

  async #close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
    this.#options.closed(this);
  }
}

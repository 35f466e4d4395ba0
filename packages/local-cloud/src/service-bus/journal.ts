import { constants } from 'node:fs';
import { type FileHandle, open, readdir, readFile, rename, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { Logger } from '@dmg/base';
import { localCloudErrors } from '../errors.ts';

/** One record: a JSON head and, where there is one, a body of bytes. */
export interface JournalEntry {
  readonly head: unknown;
  readonly body?: Uint8Array | undefined;
}

export interface JournalOptions {
  readonly directory: string;
  readonly logger: Logger;
  /** Gives each stored entry, in order, before `open` resolves. */
  readonly replay: (entry: JournalEntry) => void;
  /** The entries that build the present state anew; used when the file has grown much longer than what lives in it. */
  readonly snapshot: () => Iterable<JournalEntry>;
  /** The disk refused: nothing that was promised since can be kept. The owner must stop the process. */
  readonly onFailure: (error: unknown) => void;
  /** A file shorter than this is never rewritten. */
  readonly compactionBytesMin?: number;
}

/**
 * An append-only file with group commit: entries written while a sync is under way share the next one. Each entry is
 * `length u32 | crc32 u32 | headLength u32 | head | body`, big-endian; length counts from headLength on. What follows the first
 * entry that does not check out is the torn end of a crash and is cut off. A rewrite goes to the next file number and counts once
 * it was renamed from `.tmp`; the highest number is the journal.
 */
export class Journal {
  readonly #options: JournalOptions;
  #file: FileHandle;
  #number: number;
  #fileBytes: number;
  #snapshotBytes: number;
  #pending: Buffer[] = [];
  #waiters: (() => void)[] = [];
  #isWriting = false;
  #hasFailed = false;
  readonly #failed = Promise.withResolvers<void>();
  #idle: Promise<void> = Promise.resolve();

  private constructor(options: JournalOptions, file: FileHandle, number: number, fileBytes: number) {
    this.#options = options;
    this.#file = file;
    this.#number = number;
    this.#fileBytes = fileBytes;
    this.#snapshotBytes = fileBytes;
  }

  /** Opens the journal of a directory, replaying what it holds. */
  static async open(options: JournalOptions): Promise<Journal> {
    const { directory, logger, replay } = options;
    try {
      const names = await readdir(directory);
      const numbers = names.map((name) => /^journal-(\d+)$/.exec(name)?.[1]).filter((text) => text !== undefined).map(Number);
      const number = numbers.length === 0 ? 1 : Math.max(...numbers);
      const stale = names.filter((name) => name.startsWith('journal-') && name !== `journal-${number}`);
      await Promise.all(stale.map((name) => rm(join(directory, name), { force: true })));
      const path = join(directory, `journal-${number}`);
      const content = numbers.length === 0 ? Buffer.alloc(0) : await readFile(path);
      const goodBytes = readEntries(content, replay);
      if (goodBytes < content.length) {
        logger.warn({ path, droppedBytes: content.length - goodBytes }, 'torn end of journal cut off');
        await truncate(path, goodBytes);
      }
      const file = await open(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT, 0o600);
      await file.datasync();
      await syncDirectory(directory);
      return new Journal(options, file, number, goodBytes);
    } catch (error) {
      throw localCloudErrors.JOURNAL_UNREADABLE.create({ directory, reason: reasonOf(error) }, { cause: error });
    }
  }

  /** Adds an entry. It is in the kernel's hands soon, and on disk once a `flushed` called after it resolves. */
  append(entry: JournalEntry): void {
    this.#pending.push(encodeEntry(entry));
    this.#wake();
  }

  /** Resolves when everything appended so far is on disk. Never resolves after a failure: `onFailure` was told. */
  flushed(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
      this.#wake();
    });
  }

  async close(): Promise<void> {
    if (!this.#hasFailed) await Promise.race([this.flushed(), this.#failed.promise]);
    await this.#idle;
    await this.#file.close();
  }

  #wake(): void {
    if (this.#isWriting || this.#hasFailed) return;
    this.#isWriting = true;
    this.#idle = this.#drain().catch((error: unknown) => {
      this.#hasFailed = true;
      this.#failed.resolve();
      this.#options.onFailure(error);
    });
  }

  async #drain(): Promise<void> {
    // One turn of the microtask queue: what the same batch of frames brings is written together.
    await Promise.resolve();
    while (this.#pending.length > 0 || this.#waiters.length > 0) {
      const waiters = this.#waiters;
      this.#waiters = [];
      if (this.#fileBytes > Math.max(this.#options.compactionBytesMin ?? 16_777_216, 2 * this.#snapshotBytes)) {
        await this.#rewrite();
      } else {
        const batch = this.#pending.length === 1 ? this.#pending[0] : Buffer.concat(this.#pending);
        this.#pending = [];
        if (batch !== undefined) await this.#write(batch);
        if (waiters.length > 0) await this.#file.datasync();
      }
      for (const resolve of waiters) resolve();
    }
    this.#isWriting = false;
  }

  async #write(bytes: Buffer): Promise<void> {
    await this.#file.writeFile(bytes);
    this.#fileBytes += bytes.length;
  }

  /** The state already contains what is pending, so the snapshot replaces it. */
  async #rewrite(): Promise<void> {
    const { directory, snapshot } = this.#options;
    const bytes = Buffer.concat([...snapshot()].map(encodeEntry));
    this.#pending = [];
    const number = this.#number + 1;
    const path = join(directory, `journal-${number}`);
    const file = await open(`${path}.tmp`, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_TRUNC, 0o600);
    await file.writeFile(bytes);
    await file.datasync();
    await rename(`${path}.tmp`, path);
    await syncDirectory(directory);
    const old = { file: this.#file, path: join(directory, `journal-${this.#number}`), bytes: this.#fileBytes };
    this.#file = file;
    this.#number = number;
    this.#fileBytes = bytes.length;
    this.#snapshotBytes = bytes.length;
    await old.file.close();
    await rm(old.path, { force: true });
    this.#options.logger.info({ fromBytes: old.bytes, toBytes: bytes.length }, 'journal rewritten');
  }
}

function encodeEntry(entry: JournalEntry): Buffer {
  const head = Buffer.from(JSON.stringify(entry.head), 'utf8');
  const body = entry.body ?? new Uint8Array();
  const bytes = Buffer.allocUnsafe(12 + head.length + body.length);
  bytes.writeUInt32BE(4 + head.length + body.length, 0);
  bytes.writeUInt32BE(head.length, 8);
  head.copy(bytes, 12);
  bytes.set(body, 12 + head.length);
  bytes.writeUInt32BE(crc32(bytes.subarray(8)), 4);
  return bytes;
}

/** Calls `replay` for each whole entry; returns where the whole ones end. */
function readEntries(content: Buffer, replay: (entry: JournalEntry) => void): number {
  let at = 0;
  while (at + 12 <= content.length) {
    const end = at + 8 + content.readUInt32BE(at);
    if (end > content.length || end < at + 12 || crc32(content.subarray(at + 8, end)) !== content.readUInt32BE(at + 4)) break;
    const headEnd = at + 12 + content.readUInt32BE(at + 8);
    if (headEnd > end) break;
    const head: unknown = JSON.parse(content.toString('utf8', at + 12, headEnd));
    // A copy, so that one message does not keep the whole file in memory.
    replay({ head, body: headEnd === end ? undefined : Buffer.from(content.subarray(headEnd, end)) });
    at = end;
  }
  return at;
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

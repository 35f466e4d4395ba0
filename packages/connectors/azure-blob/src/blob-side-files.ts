/**
 * Side files as blobs. A file waits as uncommitted blocks under its own name, which nobody sees, and is published by the commit of
 * these blocks; what is never published expires by itself within seven days. The id of a block says which writer it is from, which
 * part of its file it is, and whether it is the last: only a writer whose parts are all there counts.
 */
import { createHash } from 'node:crypto';
import type { Random } from '@dmg/base';
import { connectorErrors, type SideFile, type SideFiles } from '@dmg/connector-api';
import type { BlobCalls } from './blob-calls.ts';
import { checkedBlobName } from './blob-name.ts';
import type { BlobStore } from './blob-store.ts';

const blockBytes = 4 * 1024 * 1024;
const partsMax = 50_000;

export interface BlobSideFilesOptions {
  readonly store: Pick<BlobStore, 'container' | 'call' | 'close'>;
  readonly calls: BlobCalls;
  readonly folder: string;
  readonly jobId: string;
  readonly random: Random;
}

export class BlobSideFiles implements SideFiles {
  readonly #options: BlobSideFilesOptions;
  readonly #prefix: string;
  #hasContainer = false;

  constructor(options: BlobSideFilesOptions) {
    this.#options = options;
    const { jobId } = options;
    this.#prefix = `.dmg/side/${/^[\w-]{1,128}$/.test(jobId) ? jobId : createHash('sha256').update(jobId).digest('hex')}`;
  }

  async create(path: string, signal: AbortSignal): Promise<SideFile> {
    signal.throwIfAborted();
    // Makes the container where it is missing, as no block could.
    if (!this.#hasContainer) await this.keep('begun', '', signal);
    this.#hasContainer = true;
    const writer = Buffer.from(this.#options.random.bytes(4)).toString('hex');
    return new BlockFile(this.#options.calls, this.#name(path), writer);
  }

  async publish(path: string, signal: AbortSignal): Promise<boolean> {
    const { calls } = this.#options;
    const name = this.#name(path);
    const standing = await calls.facts(name, signal);
    const ids = completeFile((await calls.blocks(name, 'uncommitted', signal)).map((block) => block.name));
    if (ids !== undefined && await calls.commit(name, { ids, condition: standing?.etag ?? 'absent', metadata: {} }, signal)) return true;
    return (await calls.facts(name, signal)) !== undefined;
  }

  async keep(name: string, text: string, signal: AbortSignal): Promise<void> {
    await this.#options.calls.writeText(this.#kept(name), { text, condition: 'absent', metadata: {} }, signal);
  }

  async kept(name: string, signal: AbortSignal): Promise<string | undefined> {
    return (await this.#options.calls.readText(this.#kept(name), signal))?.text;
  }

  async clear(signal: AbortSignal): Promise<void> {
    const { store, calls } = this.#options;
    const prefix = `${this.#prefix}/`;
    const names = await store.call({ what: 'list', path: prefix, signal }, async (abortSignal) => {
      const found: string[] = [];
      for await (const item of store.container.listBlobsFlat({ prefix, abortSignal })) found.push(item.name);
      return found;
    });
    for (const name of names) {
      const facts = await calls.facts(name, signal);
      if (facts !== undefined) await calls.remove(name, facts.etag, signal);
    }
  }

  close(): Promise<void> {
    this.#options.store.close();
    return Promise.resolve();
  }

  #name(path: string): string {
    return checkedBlobName(this.#options.folder, path);
  }

  #kept(name: string): string {
    return `${this.#prefix}/${name}`;
  }
}

/** `dmgs`, writer, number, and `+` or `.` for the last one: always 20 characters, as all ids of a blob must be. */
function blockId(writer: string, part: number, last: boolean): string {
  return Buffer.from(`dmgs${writer}${String(part).padStart(7, '0')}${last ? '.' : '+'}`).toString('base64');
}

/** The blocks of a writer whose file has ended, in order. The files of two writers of one path say the same. */
function completeFile(names: readonly string[]): string[] | undefined {
  const writers = new Map<string, { ids: string[]; last: number }>();
  for (const name of names) {
    const match = /^dmgs([0-9a-f]{8})(\d{7})([+.])$/.exec(Buffer.from(name, 'base64').toString('latin1'));
    if (match === null) continue;
    const writer = writers.get(match[1] ?? '') ?? { ids: [], last: -1 };
    writer.ids[Number(match[2])] = name;
    if (match[3] === '.') writer.last = Number(match[2]);
    writers.set(match[1] ?? '', writer);
  }
  const whole = [...writers.values()].find(({ ids, last }) => last >= 0 && Object.keys(ids).length === last + 1);
  return whole?.ids;
}

class BlockFile implements SideFile {
  readonly #calls: BlobCalls;
  readonly #name: string;
  readonly #writer: string;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #part = 0;

  constructor(calls: BlobCalls, name: string, writer: string) {
    this.#calls = calls;
    this.#name = name;
    this.#writer = writer;
  }

  async append(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    this.#waiting.push(Uint8Array.from(bytes));
    this.#waitingBytes += bytes.length;
    if (this.#waitingBytes >= blockBytes) await this.#stage(false, signal);
  }

  async end(signal: AbortSignal): Promise<void> {
    // The service takes no empty block; an empty side file is one line end.
    if (this.#waitingBytes === 0) await this.append(Buffer.from('\n'), signal);
    await this.#stage(true, signal);
  }

  discard(): Promise<void> {
    this.#waiting = [];
    this.#waitingBytes = 0;
    return Promise.resolve();
  }

  async #stage(last: boolean, signal: AbortSignal): Promise<void> {
    const bytes = Buffer.concat(this.#waiting);
    if (this.#part >= partsMax) {
      throw connectorErrors.TOO_LARGE.create({
        path: this.#name, sizeBytes: partsMax * blockBytes, store: this.#calls.store, limitBytes: partsMax * blockBytes,
      });
    }
    const staged = await this.#calls.stage(this.#name, { id: blockId(this.#writer, this.#part, last), bytes }, signal);
    if (staged === 'conflict') {
      throw connectorErrors.TARGET_BLOCKED.create({
        path: this.#name, reason: 'blocks of another program stand under this name', remedy: 'Choose another folder for the log.',
      });
    }
    this.#part++;
    this.#waiting = [];
    this.#waitingBytes = 0;
  }
}

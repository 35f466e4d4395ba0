/**
 * The side blob of a job, `.dmg/jobs/<jobId>`: plan, intent and end, changed by compare-and-set on its ETag.
 *
 *   (absent) → open(plan) → closing(plan, intent) → done(receipt)
 *   (absent), open, closing → aborted(plan, not clean) → aborted(clean)
 *
 * It is not deleted at the end (DESIGN-RULES 5.6 would): small, without its plan, it is the end that a late or repeated attempt
 * finds, and so a blob that a consumer took away never comes back.
 */
import { createHash } from 'node:crypto';
import type { Plan, Receipt } from '@dmg/model';
import type { BlobStore } from './blob-store.ts';
import type { CommitIntent } from './block-list.ts';
import { fromStorageError, isAbsent, isLostRace, storageFault } from './errors.ts';

export type JobBody =
  | { readonly phase: 'open'; readonly plan: Plan }
  /** `refused`: path of a target that a stranger has changed; the job can only be aborted. */
  | { readonly phase: 'closing'; readonly plan: Plan; readonly intent: CommitIntent; readonly refused?: string }
  | { readonly phase: 'done'; readonly receipt: Receipt }
  /** With its plan until everything staged is discarded. `closing`: commits may have been under way. */
  | { readonly phase: 'aborted'; readonly plan?: Plan; readonly closing?: boolean };

export interface JobRecord {
  readonly body: JobBody;
  readonly etag: string;
  /** How long ago it was written, by the store's own clock. */
  readonly ageMs: number;
}

export class JobBlob {
  readonly #store: BlobStore;
  readonly path: string;

  constructor(store: BlobStore, jobId: string) {
    this.#store = store;
    this.path = `.dmg/jobs/${/^[\w-]{1,128}$/.test(jobId) ? jobId : createHash('sha256').update(jobId).digest('hex')}`;
  }

  async read(signal: AbortSignal): Promise<JobRecord | undefined> {
    try {
      return await this.#store.call({ what: 'read the job at', path: this.path, signal, keep: isAbsent }, async (abortSignal) => {
        const response = await this.#store.container.getBlobClient(this.path).download(0, undefined, { abortSignal });
        const pieces: Uint8Array[] = [];
        for await (const piece of response.readableStreamBody ?? []) pieces.push(piece as Uint8Array);
        const body = JSON.parse(Buffer.concat(pieces).toString()) as JobBody;
        const ageMs = (response.date?.getTime() ?? 0) - (response.lastModified?.getTime() ?? 0);
        return { body, etag: response.etag ?? '', ageMs };
      });
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  }

  /** The phase alone, which is cheap however large the plan is. */
  async phase(signal: AbortSignal): Promise<JobBody['phase'] | undefined> {
    try {
      const facts = await this.#store.call({ what: 'look at the job at', path: this.path, signal, keep: isAbsent }, (abortSignal) =>
        this.#store.container.getBlobClient(this.path).getProperties({ abortSignal }),
      );
      return facts.metadata?.dmgphase as JobBody['phase'] | undefined;
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  }

  /** Writes the side blob if there is none. Makes the container when it is missing. False: there is one. */
  insert(body: JobBody, signal: AbortSignal): Promise<string | undefined> {
    return this.#write(body, { ifNoneMatch: '*' }, signal);
  }

  /** Replaces what was read under `etag`. Undefined: somebody else was first. */
  replace(etag: string, body: JobBody, signal: AbortSignal): Promise<string | undefined> {
    return this.#write(body, { ifMatch: etag }, signal);
  }

  /** Returns the new ETag; undefined when the condition did not hold (or a repeated request met its own first success: read again). */
  async #write(body: JobBody, conditions: { ifNoneMatch?: string; ifMatch?: string }, signal: AbortSignal): Promise<string | undefined> {
    const bytes = Buffer.from(JSON.stringify(body));
    const blob = this.#store.container.getBlockBlobClient(this.path);
    const metadata = { dmgphase: body.phase };
    for (let round = 0; ; round++) {
      try {
        const keep = (error: unknown): boolean => isLostRace(error) || isAbsent(error);
        const response = await this.#store.call({ what: 'write the job at', path: this.path, signal, keep }, (abortSignal) =>
          blob.upload(bytes, bytes.length, { abortSignal, conditions, metadata, blobHTTPHeaders: { blobContentType: 'application/json' } }),
        );
        return response.etag ?? '';
      } catch (error) {
        if (isLostRace(error)) return undefined;
        if (storageFault(error).code !== 'ContainerNotFound' || round > 0) {
          // A record that was there and is not any more has been removed by hand; the next read says what stands.
          if (isAbsent(error) && conditions.ifMatch !== undefined) return undefined;
          throw fromStorageError(error, { path: this.path, store: this.#store.name });
        }
        await this.#store.call({ what: 'make the container', path: '/', signal }, (abortSignal) => this.#store.container.createIfNotExists({ abortSignal }));
      }
    }
  }
}

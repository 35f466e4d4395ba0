/**
 * The side blob of a job, `.dmg/jobs/<jobId>`: plan, intent and end, changed by compare-and-set on its ETag.
 *
 *   (absent) → open(plan) → closing(plan, intent) → done(receipt)
 *   (absent), open → aborted(plan) → aborted
 *   closing → aborted(plan), only when what was begun cannot be completed
 *
 * It is not deleted at the end (DESIGN-RULES 5.6 would): small, without its plan, it is the end that a late or repeated attempt
 * finds, and so a blob that a consumer took away never comes back.
 */
import { createHash } from 'node:crypto';
import type { Plan, Receipt } from '@dmg/model';
import type { BlobCalls } from './blob-calls.ts';
import type { CommitIntent } from './block-list.ts';

export type JobBody =
  | { readonly phase: 'open'; readonly plan: Plan }
  /** `receipt`: that of `done`. `refused`: path of a target that a stranger has changed; the job can only be aborted. */
  | { readonly phase: 'closing'; readonly plan: Plan; readonly intent: CommitIntent; readonly receipt: Receipt; readonly refused?: string }
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
  readonly path: string;
  readonly #calls: BlobCalls;

  constructor(calls: BlobCalls, jobId: string) {
    this.#calls = calls;
    this.path = `.dmg/jobs/${/^[\w-]{1,128}$/.test(jobId) ? jobId : createHash('sha256').update(jobId).digest('hex')}`;
  }

  async read(signal: AbortSignal): Promise<JobRecord | undefined> {
    const found = await this.#calls.readText(this.path, signal);
    return found === undefined ? undefined : { body: JSON.parse(found.text) as JobBody, etag: found.etag, ageMs: found.ageMs };
  }

  /** The phase alone, which is cheap however large the plan is. */
  async phase(signal: AbortSignal): Promise<JobBody['phase'] | undefined> {
    return (await this.#calls.facts(this.path, signal))?.metadata.dmgphase as JobBody['phase'] | undefined;
  }

  /**
   * Writes the record if the one read under `etag` (or none: `absent`) still stands, and returns its new ETag. Undefined: somebody
   * else was first, or a repeated request met its own success; reading again tells.
   */
  write(etag: string, body: JobBody, signal: AbortSignal): Promise<string | undefined> {
    return this.#calls.writeText(this.path, { text: JSON.stringify(body), condition: etag, metadata: { dmgphase: body.phase } }, signal);
  }
}

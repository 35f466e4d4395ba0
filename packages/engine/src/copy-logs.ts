import type { Clock, Logger, Random } from '@dmg/base';
import { firstLine } from '@dmg/base';
import { type Connector, isSkippedFile, type SideFiles } from '@dmg/connector-api';
import { copyLogFolder, type CopyLog, type Job, type Mark, type Plan, type Receipt, receiptDigest } from '@dmg/model';
import type { EngineLimits } from './engine-limits.ts';
import { engineErrors } from './errors.ts';
import type { CopySecrets } from './overlap.ts';
import { sessionLines } from './session-log.ts';
import { SkippedRows, type SkippedRowsKey, skippedRowsName } from './skipped-rows.ts';
import type { StoreCalls } from './store-calls.ts';

export interface CopyLogsOptions {
  readonly job: Job;
  readonly attemptId: string;
  readonly connectors: ReadonlyMap<string, Connector>;
  readonly secrets: CopySecrets;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly limits: EngineLimits;
  readonly calls: StoreCalls;
}

export interface FinishedCopy {
  readonly plan: Plan;
  /** Those that count, by target. */
  readonly marks: readonly (readonly Mark[])[];
  /** As it will be handed to the sink. */
  readonly receipt: Receipt;
}

/**
 * Skipped rows and session log of one attempt. Every file waits unseen; which of them count is known only when the job is done:
 * a finisher leaves the list of its receipt's files under the receipt's digest before it finishes, and whoever then reads the receipt
 * that stands publishes the files of that list, and no others. So neither two finishers nor one that dies in between show a file of an
 * attempt that lost, or none at all.
 */
export class CopyLogs {
  readonly #options: CopyLogsOptions;
  readonly #log: CopyLog | undefined;
  #files: Promise<SideFiles> | undefined;

  constructor(options: CopyLogsOptions) {
    this.#options = options;
    this.#log = options.job.activity.log;
  }

  /** Opens the store of the log, so that one which cannot be used is told before anything is written. */
  async ready(signal: AbortSignal): Promise<void> {
    if (this.#log === undefined) return;
    await this.#options.calls.repeating('call', { what: 'open the store of the log', signal }, () => this.#open(signal));
  }

  /** For one try of one chunk; undefined where the first bad row is to fail the copy. */
  skippedRows(key: SkippedRowsKey): SkippedRows | undefined {
    const { job, attemptId, calls, clock } = this.#options;
    if (job.activity.skipIncompatibleRows !== true) return undefined;
    const log = this.#log === undefined ? undefined : {
      path: this.#path(skippedRowsName({ ...key, attemptId })), form: this.#log.form, open: (signal: AbortSignal) => this.#open(signal),
    };
    return new SkippedRows({ log, calls, clock });
  }

  /** Before the job is finished: writes the session log, and which files this receipt stands for. */
  async prepare({ plan, marks, receipt }: FinishedCopy, signal: AbortSignal): Promise<void> {
    if (this.#log === undefined) return;
    const { attemptId, clock, calls, job } = this.#options;
    // Of a file that was left out no row was copied, nor skipped.
    const names = marks.filter((own) => !isSkippedFile(own)).flat().filter((mark) => (mark.rowsSkipped ?? 0) > 0).map(skippedRowsName);
    const lines = this.#log.form === 'session' ? sessionLines({ plan, marks, activity: job.activity, level: this.#log.level, clock }) : [];
    if (lines.length === 0 && names.length === 0) return;
    const what = { what: 'write the log of the copy', signal };
    await calls.repeating('call', what, async () => {
      const files = await this.#open(signal);
      if (lines.length > 0) {
        const name = `session-${attemptId}.csv`;
        await this.#write(files, name, lines, signal);
        names.push(name);
      }
      const list = JSON.stringify([...new Set(names)]);
      await calls.once(what, (callSignal) => files.keep(listName(receipt), list, callSignal));
    });
  }

  /** When the job is done: makes the files visible that belong to the receipt that stands, and removes what does not count. */
  async publish(receipt: Receipt, signal: AbortSignal): Promise<void> {
    if (this.#log === undefined) return;
    const { calls, limits, logger } = this.#options;
    const what = { what: 'publish the log of the copy', signal };
    const files = await calls.repeating('call', what, () => this.#open(signal));
    const list = await calls.repeated(what, (callSignal) => files.kept(listName(receipt), callSignal));
    if (list === undefined) return;
    const names = JSON.parse(list) as readonly string[];
    for (const name of names) {
      const published = await calls.repeated({ ...what, limitMs: limits.finishLimitMs }, (callSignal) =>
        files.publish(this.#path(name), callSignal));
      if (!published) logger.warn({ name }, 'a file of the log is not there any more');
    }
    await this.clear(signal);
  }

  /** Removes what was not published, as far as that is possible now. */
  async clear(signal: AbortSignal): Promise<void> {
    if (this.#log === undefined) return;
    const { calls, logger } = this.#options;
    try {
      const files = await this.#open(signal);
      await calls.once({ what: 'clean up the log of the copy', signal }, (callSignal) => files.clear(callSignal));
    } catch (error) {
      logger.warn({ reason: firstLine(error) }, 'unpublished files of the log are left over');
    }
  }

  async close(): Promise<void> {
    try {
      await (await this.#files)?.close();
    } catch {
      // It was never opened; whoever tried has been told.
    }
  }

  async #write(files: SideFiles, name: string, lines: readonly Buffer[], signal: AbortSignal): Promise<void> {
    const { calls } = this.#options;
    const call = { what: 'write the log of the copy', signal };
    const file = await calls.once(call, (callSignal) => files.create(this.#path(name), callSignal));
    try {
      const bytes = Buffer.concat(lines);
      await calls.once({ ...call, bytes: bytes.length }, (callSignal) => file.append(bytes, callSignal));
      await calls.once(call, (callSignal) => file.end(callSignal));
    } catch (error) {
      await file.discard();
      throw error;
    }
  }

  #open(signal: AbortSignal): Promise<SideFiles> {
    this.#files ??= this.#opened(signal).catch((error: unknown) => {
      this.#files = undefined;
      throw error;
    });
    return this.#files;
  }

  async #opened(signal: AbortSignal): Promise<SideFiles> {
    const { connectors, job, attemptId, clock, random, logger, limits, secrets, calls } = this.#options;
    const end = job.activity.log?.store;
    const connector = connectors.get(end?.connector ?? '');
    if (end === undefined || connector?.openSideFiles === undefined) {
      throw engineErrors.NO_SIDE_FILES.create({ connector: end?.connector ?? 'nowhere' });
    }
    const context = {
      clock, random, logger: logger.child({ side: 'log' }), secrets: secrets.log ?? new Map<string, string>(),
      callLimitMs: limits.callLimitMs,
    };
    const { jobId } = job;
    return calls.once({ what: 'open the store of the log', signal }, async (callSignal) => {
      const files = await connector.openSideFiles?.(end, { jobId, attemptId }, context);
      if (files === undefined) throw engineErrors.NO_SIDE_FILES.create({ connector: end.connector });
      if (callSignal.aborted) await files.close();
      return files;
    });
  }

  #path(name: string): string {
    const { job } = this.#options;
    return `${copyLogFolder(job.activity.log ?? { form: 'rows' }, job.origin)}/${name}`;
  }
}

/** Receipts of other finishers have other digests. */
function listName(receipt: Receipt): string {
  return `files-${receiptDigest(receipt)}`;
}

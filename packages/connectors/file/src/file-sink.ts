import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { dirname } from 'node:path';
import { baseErrors, type DmgError, type Logger, newId, type Random } from '@dmg/base';
import {
  checkedObjectPath, type ChunkWriter, connectorErrors, joinPath, mapParallel, missingChunks, type Sink, type SinkJob, type SinkLimits,
  type SinkState, type StagedTarget,
} from '@dmg/connector-api';
import type { ChunkRef, Mark, Plan, PlanTarget, Receipt } from '@dmg/model';
import { errorCode, fromFileError } from './errors.ts';
import { FileChunk } from './file-chunk.ts';
import { abortJob, callsAtOnce, finishJob, type PublishOptions, readMarks, stagedPath } from './job-finish.ts';
import type { JobFolder, JobRecord, OpenRecord } from './job-folder.ts';
import { openStagedFile } from './staged-file.ts';
import type { StoreRoot } from './store-root.ts';
import { checkTargetNames } from './target-names.ts';
import { baseOf, TargetPublisher } from './target-publisher.ts';
import type { WorkFiles } from './work-files.ts';

export interface FileSinkOptions {
  readonly root: StoreRoot;
  /** Folder of the targets, relative to the root. */
  readonly folder: string;
  readonly files: WorkFiles;
  readonly jobFolder: JobFolder;
  readonly job: SinkJob;
  /** Device of the work folder: targets on another one cannot be renamed to. */
  readonly device: bigint;
  readonly limits: SinkLimits;
  readonly atomicPublish: 'yes' | 'renameOnly';
  readonly random: Random;
  readonly logger: Logger;
}

/** Files of a folder as a sink. The protocol is in `job-folder.ts` and `target-publisher.ts`. */
export class FileSink implements Sink {
  readonly limits: SinkLimits;
  readonly atomicPublish: 'yes' | 'renameOnly';
  readonly #options: FileSinkOptions;
  readonly #job: JobFolder;
  readonly #publisher: TargetPublisher;
  readonly #chunks = new Set<FileChunk>();
  /** What was seen when the job was open: its plan and its work folder cannot become others, only the job can end. */
  #open: OpenRecord | undefined;

  constructor(options: FileSinkOptions) {
    this.limits = options.limits;
    this.atomicPublish = options.atomicPublish;
    this.#options = options;
    this.#job = options.jobFolder;
    this.#publisher = new TargetPublisher({
      files: options.files, random: options.random, job: options.jobFolder, attemptId: options.job.attemptId, root: options.root.host,
    });
  }

  async state(signal: AbortSignal): Promise<SinkState> {
    signal.throwIfAborted();
    return stateOf(await this.#read());
  }

  async bases(paths: readonly string[], signal: AbortSignal): Promise<string[]> {
    const checkFolder = this.#folderCheck();
    const { root, folder } = this.#options;
    checkTargetNames(root.host, folder, paths.map(checkedObjectPath));
    return mapParallel(paths, callsAtOnce, async (path) => {
      signal.throwIfAborted();
      const absolute = this.#absolute(path);
      await checkFolder(dirname(absolute));
      const facts = await this.#options.files.stat(absolute);
      if (facts !== undefined && facts.kind !== 'file') {
        const reason = facts.kind === 'folder' ? 'a folder has this name' : 'a device, pipe or socket has this name';
        throw connectorErrors.TARGET_BLOCKED.create({ path, reason, remedy: 'Rename it or choose another target.' });
      }
      return baseOf(facts);
    });
  }

  async insertPlan(plan: Plan, signal: AbortSignal): Promise<Plan> {
    signal.throwIfAborted();
    const record = await this.#job.begin(plan);
    if (record.phase !== 'open') throw this.#closed(record);
    this.#open = record;
    return record.plan;
  }

  async marks(_plan: Plan, target: PlanTarget, signal: AbortSignal): Promise<Mark[]> {
    signal.throwIfAborted();
    const work = await this.#openWork();
    const marks = (await readMarks(this.#job, work, target, signal)).map(({ mark }) => mark);
    if (missingChunks(target, marks) > 0) await this.#checkWork(work);
    return marks;
  }

  async openChunk(plan: Plan, ref: ChunkRef, signal: AbortSignal): Promise<ChunkWriter> {
    signal.throwIfAborted();
    const work = await this.#openWork();
    const { job, random, root, logger } = this.#options;
    const mark = `${ref.target}.${ref.chunk}`;
    const chunk = await FileChunk.open({
      job: this.#job, jobId: job.jobId, attemptId: job.attemptId, work, mark, partBytes: plan.partBytes, store: root.host, logger,
      part: `${mark}.${job.attemptId}.${newId(random).slice(0, 8)}`,
      ended: () => this.#ended(),
      closed: (closed) => this.#chunks.delete(closed),
    });
    this.#chunks.add(chunk);
    return chunk;
  }

  async openStaged(_plan: Plan, target: PlanTarget, signal: AbortSignal): Promise<StagedTarget | undefined> {
    signal.throwIfAborted();
    const record = this.#open ?? (await this.#read());
    if (record.phase !== 'open') return undefined;
    const path = await stagedPath(this.#publishing(signal), record, target);
    return path === undefined ? undefined : openStagedFile(path, target.path, this.#options.root.host);
  }

  async finish(_plan: Plan, receipt: Receipt, signal: AbortSignal): Promise<Receipt> {
    signal.throwIfAborted();
    // Whether it has ended meanwhile is found out on the way: what was to be published is gone, or the link to the end fails.
    const record = this.#open ?? (await this.#read());
    if (record.phase === 'done') return record.receipt;
    if (record.phase === 'aborted') throw this.#closed(record);
    if (record.phase === 'none') throw connectorErrors.MARKS_MISSING.create({ jobId: this.#options.job.jobId, missing: 1 });
    const end = await finishJob(this.#publishing(signal), record, receipt);
    if (end.phase === 'aborted') throw this.#closed(end);
    return end.receipt;
  }

  async abort(signal: AbortSignal): Promise<SinkState> {
    signal.throwIfAborted();
    const { logger, job } = this.#options;
    const undone = (error: DmgError): void => {
      logger.warn({ jobId: job.jobId, code: error.code }, 'publishing had begun and cannot be completed, aborted');
    };
    return stateOf(await abortJob(this.#publishing(signal), undone));
  }

  async close(): Promise<void> {
    for (const chunk of [...this.#chunks]) await chunk.discard();
  }

  #publishing(signal: AbortSignal): PublishOptions {
    const checkFolder = this.#folderCheck();
    return {
      files: this.#options.files, job: this.#job, publisher: this.#publisher, signal,
      locate: async (target) => {
        const path = this.#absolute(target.path);
        await checkFolder(dirname(path));
        return path;
      },
    };
  }

  async #read(): Promise<JobRecord> {
    const record = await this.#job.read();
    if (record.phase === 'open') this.#open = record;
    return record;
  }

  async #openWork(): Promise<string> {
    if (this.#open !== undefined) return this.#open.work;
    const record = await this.#read();
    if (record.phase !== 'open') throw this.#closed(record);
    return record.work;
  }

  /** Marks are missing: because they are not there yet, or because the job has ended? */
  async #checkWork(work: string): Promise<void> {
    if ((await this.#options.files.stat(work)) === undefined) await this.#ended();
  }

  /** For a work folder that is gone: says how the job has ended. */
  async #ended(): Promise<never> {
    const record = await this.#job.read();
    if (record.phase !== 'open') throw this.#closed(record);
    throw baseErrors.UNEXPECTED.create({ reason: `somebody removed work files of job ${this.#options.job.jobId}` });
  }

  #closed(record: JobRecord): Error {
    const phase = record.phase === 'none' ? 'not begun' : record.phase;
    return connectorErrors.JOB_CLOSED.create({ jobId: this.#options.job.jobId, phase });
  }

  #absolute(path: string): string {
    return this.#options.root.absolute(joinPath(this.#options.folder, checkedObjectPath(path)));
  }

  /** `#checkFolder`, once for each folder. */
  #folderCheck(): (path: string) => Promise<void> {
    const checks = new Map<string, Promise<void>>();
    return (path) => {
      const check = checks.get(path) ?? this.#checkFolder(path);
      checks.set(path, check);
      return check;
    };
  }

  /** Sees that targets in this folder can be published: inside the root, on the device of the work folder, writable. */
  async #checkFolder(path: string): Promise<void> {
    const { root, device } = this.#options;
    const nearest = await root.nearestFolder(path);
    if (nearest.device !== device) {
      const remedy = 'Use one copy for each file system, with its folder as the folder of the sink.';
      throw connectorErrors.TARGET_BLOCKED.create({
        path, reason: `${nearest.folder} is on another file system than the folder of the sink`, remedy,
      });
    }
    try {
      await access(nearest.folder, constants.W_OK | constants.X_OK);
    } catch (error) {
      // Gone since: it will be made again.
      if (errorCode(error) !== 'ENOENT') throw fromFileError(error, path, root.host);
    }
  }
}

function stateOf(record: JobRecord): SinkState {
  return {
    phase: record.phase,
    plan: record.phase === 'open' ? record.plan : undefined,
    receipt: record.phase === 'done' ? record.receipt : undefined,
  };
}

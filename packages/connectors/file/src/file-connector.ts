import { statfs } from 'node:fs/promises';
import { checkedFolder, type Connector, type ConnectorContext, selectObjects, type SinkLimits, textOf } from '@dmg/connector-api';
import { fromFileError } from './errors.ts';
import { FileSink } from './file-sink.ts';
import { FileSideFiles } from './file-side-files.ts';
import { FileSource } from './file-source.ts';
import { JobFolder } from './job-folder.ts';
import { sweepEndedJobs } from './job-sweep.ts';
import { PosixFiles } from './posix-files.ts';
import { fileSpec } from './spec.ts';
import { jobFolderPath, jobsPath, sideFolderPath, StoreRoot } from './store-root.ts';

const megabyte = 1024 * 1024;

/** Parts are positioned writes into one file: their number is bounded only by the size of a file (16 TB of ext4). */
const limits: SinkLimits = {
  partBytes: 4 * megabyte, partBytesMax: 64 * megabyte, partsPerTargetMax: 4_000_000, chunksPerTargetMax: 5000, parallelParts: 4,
};

/** Network file systems by `statfs` type: a repeated request can make link or rename answer wrongly there. (linux/magic.h) */
const networkTypes = new Set([0x6969, 0x517b, 0xff534d42, 0xfe534d42, 0x65735546, 0x01021997, 0x00c36400]);

/** `FileServer`: folders of a POSIX file system that the node can reach. */
export const fileConnector: Connector = {
  spec: fileSpec,

  async check(end) {
    await StoreRoot.open(end);
  },

  async openSource(end, context) {
    const selection = selectObjects(end, { recursive: false });
    return new FileSource({ root: await StoreRoot.open(end), selection, logger: context.logger });
  },

  async openSink(end, job, context) {
    const root = await StoreRoot.open(end);
    const folder = checkedFolder(textOf(end.location, 'folderPath') ?? '');
    const nearest = await root.nearestFolder(root.absolute(folder));
    const place = await root.workPlace(nearest);
    const files = new PosixFiles(root.host);
    await sweep(files, jobsPath(place.path), context);
    return new FileSink({
      root, folder, files, job, device: place.device, limits,
      jobFolder: new JobFolder({ files, random: context.random, path: jobFolderPath(place.path, job.jobId) }),
      atomicPublish: await atomicPublishOf(root, nearest.folder),
      random: context.random,
      logger: context.logger,
    });
  },

  async openSideFiles(end, job, context) {
    const root = await StoreRoot.open(end);
    const folder = checkedFolder(textOf(end.location, 'folderPath') ?? '');
    const place = await root.workPlace(await root.nearestFolder(root.absolute(folder)));
    const work = sideFolderPath(place.path, job.jobId);
    return new FileSideFiles({ root, folder, files: new PosixFiles(root.host), random: context.random, work });
  },
};

async function atomicPublishOf(root: StoreRoot, folder: string): Promise<'yes' | 'renameOnly'> {
  try {
    return networkTypes.has((await statfs(folder)).type) ? 'renameOnly' : 'yes';
  } catch (error) {
    throw fromFileError(error, folder, root.host);
  }
}

/** A sweep looks at each job that ended in the last month in one of 256 folders: not with every copy, where there are many. */
const sweepEveryMs = 10_000;
const placesMax = 1000;
/** When this process swept a place last, on the monotonic clock. */
const sweptAtMs = new Map<string, number>();

/** Old ends are removed on the way; that this fails is no reason to fail a copy. */
async function sweep(files: PosixFiles, jobs: string, context: ConnectorContext): Promise<void> {
  const nowMs = context.clock.monotonicMs();
  if (nowMs - (sweptAtMs.get(jobs) ?? -Infinity) < sweepEveryMs) return;
  if (sweptAtMs.size >= placesMax) sweptAtMs.clear();
  sweptAtMs.set(jobs, nowMs);
  try {
    const swept = await sweepEndedJobs({ files, clock: context.clock, random: context.random, jobs });
    if (swept > 0) context.logger.info({ swept }, 'ends of old jobs removed');
  } catch (error) {
    context.logger.warn({ reason: error instanceof Error ? error.message : String(error) }, 'ends of old jobs could not be removed');
  }
}

/**
 * How a job's blobs are published, and why a blob never comes back.
 *
 * 1. Marks: the uncommitted block lists are read and every chunk is there.
 * 2. Intent: compare-and-set `open → closing` with the chosen list of every target and the receipt. Abort's compare-and-set is on the
 *    same ETag, so from here exactly one of the two can happen: last block < lists read < intent < commit. An abort that finds
 *    `closing` completes what was begun; only where that fails for good does it abort.
 * 3. Commit: each target's list on the condition of the plan's base state (its ETag, or absence).
 * 4. Done: compare-and-set `closing → done` with the receipt.
 *
 * A finisher that finds `closing` goes on with the intent that stands. For each target, if the intended blocks are all in the
 * uncommitted list, it was not committed: commit. If they are not, it was: only a commit, an abort (which is not, since the phase is
 * `closing`), the expiry after seven days, or a stranger's write takes blocks away. So:
 *  - the blob carries our metadata               → published.
 *  - the blob is absent                          → published, and taken away by its consumer. Not again. (When the intent is older
 *                                                  than six days, expiry cannot be excluded: OUTCOME_UNKNOWN.)
 *  - the blob is unchanged since the plan        → the blocks were lost: STAGED_BLOCKS_LOST.
 *  - the blob is somebody else's                 → TARGET_CHANGED, noted in the side blob so that no later finisher takes the blob's
 *                                                  absence for our success.
 *
 * Interleavings
 *  - Two finishers in `closing`: one commit succeeds. The other meets the condition (409, 412), or blocks that are gone (400
 *    InvalidBlockList), and looks again: published.
 *  - A consumer takes the blob between the two commits: the second one's blocks are gone, 400, published.
 *  - A frozen writer stages a version of a chunk after the commit, a new one or a late repetition: no two requests for a last part
 *    have the same id (`block-id.ts`), so it is not the intended one.
 *  - A frozen finisher wakes after `done`: as the second finisher above. After `aborted`: its blocks were discarded, or the base's
 *    ETag was made another one, before abort told anybody.
 *  - Abort between intent and commit: it is a second finisher.
 *  - A finisher dies anywhere: the next one reads `open` (nothing committed) or `closing` (above).
 * A target whose file was left out is not committed at all: the intent says so, and its blocks are discarded.
 * What remains, each a matter of moments:
 *  - a stranger who writes and removes the blob between a dead finisher's intent and commit;
 *  - an empty blob: it has no block that its commit could use up, so a finisher that freezes between its last look at the phase and the
 *    commit brings it back when it wakes.
 */
import { connectorErrors, isSkippedFile, mapParallel, missingChunks } from '@dmg/connector-api';
import type { Plan, PlanTarget, Receipt } from '@dmg/model';
import { decodeBlockId, scopeOf } from './block-id.ts';
import { type ChunkVersion, chooseVersions, type CommitIntent, completeVersions, intendedVersions, intentOf } from './block-list.ts';
import { azureBlobErrors } from './errors.ts';
import type { JobBlob, JobBody, JobRecord } from './job-blob.ts';
import { baseOf, jobKey, jobTag, type TargetBlob } from './target-blob.ts';

export const callsAtOnce = 8;
const roundsMax = 10;
const dayMs = 86_400_000;
const trustedIntentMs = 6 * dayMs;

export interface CommitOptions {
  readonly job: JobBlob;
  readonly jobId: string;
  readonly blobOf: (target: PlanTarget) => TargetBlob;
  readonly signal: AbortSignal;
}

/** Complete versions that count, of one target, read afresh. */
export async function readVersions(plan: Plan, target: PlanTarget, blob: TargetBlob, signal: AbortSignal): Promise<ChunkVersion[]> {
  return chooseVersions(target, await allVersions(plan, target, blob, signal));
}

async function allVersions(plan: Plan, target: PlanTarget, blob: TargetBlob, signal: AbortSignal): Promise<ChunkVersion[]> {
  const scope = scopeOf({ jobId: plan.jobId, generation: plan.generation, target: target.target });
  return completeVersions(scope, target.target, await blob.uncommitted(signal));
}

/** Publishes and returns the receipt that stands. Throws `MARKS_MISSING`, `JOB_CLOSED`, `TARGET_CHANGED`. */
export async function finishJob(options: CommitOptions, receipt: Receipt): Promise<Receipt> {
  const { job, jobId, signal } = options;
  for (let round = 0; round < roundsMax; round++) {
    const record = await job.read(signal);
    if (record === undefined) throw connectorErrors.MARKS_MISSING.create({ jobId, missing: 1 });
    const { body, etag, ageMs } = record;
    if (body.phase === 'done') return body.receipt;
    if (body.phase === 'aborted') throw connectorErrors.JOB_CLOSED.create({ jobId, phase: body.phase });
    const closing =
      body.phase === 'closing' ? { etag, body, ageMs, ready: undefined } : await declareIntent(options, body.plan, receipt, record);
    if (closing === undefined || !(await completeJob(options, closing))) continue;
    return closing.body.receipt;
  }
  throw connectorErrors.UNREACHABLE.create({ store: job.path, reason: 'the record of the job changes all the time' });
}

/** Publishes what is intended and sets `done`. False: the record has changed meanwhile and must be read again. */
export async function completeJob(options: CommitOptions, closing: Closing): Promise<boolean> {
  if (closing.body.refused !== undefined) throw connectorErrors.TARGET_CHANGED.create({ path: closing.body.refused });
  if (!(await publishAll(options, closing))) return false;
  const done: JobBody = { phase: 'done', receipt: closing.body.receipt };
  return (await options.job.write(closing.etag, done, options.signal)) !== undefined;
}

/** Completes a publication that has begun; returns the phase that then stands. */
export async function helpFinish(options: CommitOptions): Promise<JobBody['phase'] | undefined> {
  for (let round = 0; round < roundsMax; round++) {
    const record = await options.job.read(options.signal);
    if (record?.body.phase !== 'closing') return record?.body.phase;
    if (await completeJob(options, { ...record, body: record.body, ready: undefined })) return 'done';
  }
  return 'closing';
}

/** A record whose intent stands. */
export interface Closing {
  readonly etag: string;
  readonly body: JobBody & { readonly phase: 'closing' };
  readonly ageMs: number;
  /** The versions of each target, when they have just been read. */
  readonly ready: readonly (readonly ChunkVersion[])[] | undefined;
}

async function declareIntent(options: CommitOptions, plan: Plan, receipt: Receipt, record: JobRecord): Promise<Closing | undefined> {
  const { job, jobId, blobOf, signal } = options;
  const ready = await mapParallel(plan.targets, callsAtOnce, (target) => readVersions(plan, target, blobOf(target), signal));
  const missing = plan.targets.reduce((sum, target, index) => sum + missingChunks(target, ready[index]?.map(({ mark }) => mark) ?? []), 0);
  if (missing > 0) {
    // Committed or discarded since the record was read? Then its phase has changed, and the next look at it says so.
    if ((await job.phase(signal)) !== 'open') return undefined;
    throw connectorErrors.MARKS_MISSING.create({ jobId, missing });
  }
  // A file may have been skipped after the receipt was drafted. Skipped ones only become more, so that their number says it.
  const skipped = ready.filter((versions) => isSkippedFile(versions.map(({ mark }) => mark))).length;
  if (skipped !== (receipt.filesSkipped ?? 0)) throw connectorErrors.MARKS_MISSING.create({ jobId, missing: 1 });
  const body: JobBody & { readonly phase: 'closing' } = { phase: 'closing', plan, intent: intentOf(ready), receipt };
  const etag = await job.write(record.etag, body, signal);
  return etag === undefined ? undefined : { etag, body, ageMs: 0, ready };
}

/** False: the record has changed meanwhile and must be read again. */
async function publishAll(options: CommitOptions, closing: Closing): Promise<boolean> {
  const { plan, intent } = closing.body;
  const changed = await mapParallel(plan.targets, callsAtOnce, async (target, index) => {
    options.signal.throwIfAborted();
    return (await publish(options, plan, target, intent, closing.ageMs, closing.ready?.[index])) ? undefined : target.path;
  });
  const refused = changed.find((path) => path !== undefined);
  if (refused === undefined) return true;
  // An abort makes a target another one as well, and then this is no stranger's work.
  if ((await options.job.write(closing.etag, { ...closing.body, refused }, options.signal)) === undefined) return false;
  throw connectorErrors.TARGET_CHANGED.create({ path: refused });
}

/** False: a stranger has changed the target. */
async function publish(
  options: CommitOptions, plan: Plan, target: PlanTarget, intent: CommitIntent, ageMs: number, ready: readonly ChunkVersion[] | undefined,
): Promise<boolean> {
  const { blobOf, jobId, signal } = options;
  const blob = blobOf(target);
  if (intent.lists[target.target]?.skipped === true) {
    const scope = scopeOf({ jobId, generation: plan.generation, target: target.target });
    // Nobody commits them any more; without this they would stay for seven days.
    await blob.burn({ jobId, base: target.base, closing: false, signal, mine: ({ name }) => decodeBlockId(scope, name) !== undefined });
    return true;
  }
  let versions = ready;
  for (let round = 0; round < roundsMax; round++) {
    versions ??= intendedVersions(intent, target.target, await allVersions(plan, target, blob, signal));
    const isEmpty = versions?.every(({ blocks }) => blocks.length === 0) ?? false;
    if (isEmpty && (await options.job.phase(signal)) !== 'closing') return true;
    if (versions !== undefined && (await commit(blob, plan, target, versions, signal))) return true;
    const facts = await blob.facts(signal);
    if (facts?.metadata[jobKey] === jobTag(jobId)) return true;
    if (versions === undefined) {
      if (facts !== undefined && baseOf(facts) !== target.base) return false;
      if (facts !== undefined) throw azureBlobErrors.STAGED_BLOCKS_LOST.create({ path: blob.path });
      if (ageMs > trustedIntentMs) throw azureBlobErrors.OUTCOME_UNKNOWN.create({ path: blob.path, days: Math.floor(ageMs / dayMs) });
      return true;
    }
    // The commit was refused. With the base changed it is for good; else what stood in the way is gone, or the blocks are: look again.
    const present = intendedVersions(intent, target.target, await allVersions(plan, target, blob, signal)) !== undefined;
    if (present && baseOf(facts) !== target.base) return false;
    versions = undefined;
  }
  throw connectorErrors.UNREACHABLE.create({ store: blob.path, reason: 'the blob changes all the time' });
}

function commit(
  blob: TargetBlob, plan: Plan, target: PlanTarget, versions: readonly ChunkVersion[], signal: AbortSignal,
): Promise<boolean> {
  const marks = versions.map(({ mark }) => mark);
  const total = (key: 'bytes' | 'rows'): string => String(marks.reduce((sum, mark) => sum + mark[key], 0));
  const metadata = {
    [jobKey]: jobTag(plan.jobId), dmggen: String(plan.generation), dmgchunks: String(marks.length), dmgbytes: total('bytes'),
    dmgrows: total('rows'),
  };
  return blob.commit(versions.flatMap(({ blocks }) => blocks), target.base, metadata, signal);
}

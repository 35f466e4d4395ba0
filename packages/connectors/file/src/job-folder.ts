/**
 * One job's plan, marks and end in a file system (DESIGN-RULES 6).
 *
 *   <job>/begin        the plan and the name of the work folder; or `aborted`, when the job was aborted before it had a plan
 *   <job>/work.<id>/   parts/<target>.<chunk>.<attempt>.<random>, the bytes, and beside each `.facts`
 *                      marks/<target>.<chunk>, marks/final.<target>: links to facts, each names the one part that counts
 *   <job>/intent       what the job is going to be: `done` with the receipt, once everything is ready to be renamed; or `aborted`
 *   <job>/end          `done` with the receipt, or `aborted`
 *
 * Facts of POSIX that carry it: `link` to a name that exists fails, so the first one wins and its content never changes; a path can
 * be renamed away only once; whatever goes through a folder that was renamed away fails.
 *
 * Invariants
 *  I1  `begin` and `end` are never empty again once linked, and never say something else. (A large `begin` shrinks to a stone that
 *      keeps its place when the job has ended, by a rename over it.)
 *  I2  A work folder is made before the `begin` that names it, under a random name, and never again. So after it was renamed away
 *      there is none for this job, ever. A plan without targets has none from the start.
 *  I3  The work folder is renamed away only after `end` stands.
 *  I4  Everything that changes a mark or a target goes through the path of the work folder: a link inside it, or a rename out of it.
 *  I5  Nobody is told that the job has ended before the work folder was renamed away (`read` finishes the work of an ender that
 *      died in between).
 *  I6  `done` is linked only by one who saw, for each target, that the part to be published was gone from the work folder, and
 *      whose link comes before any `aborted`.
 *
 * Interleavings
 *  - Two starters: one link to `begin` succeeds; the other removes its own work folder, which nobody knows.
 *  - Starter against abort: both link to the same name. Abort first: the starter finds `aborted`. Starter first: abort sees the
 *    plan, links `end`, renames the work folder away.
 *  - Two markers: one link to `marks/<chunk>` succeeds; the facts behind it name the part, the other part is never read.
 *  - Two finishers: a part's path can be renamed to the target once; for the other it is gone, which means published.
 *  - A finisher died after the rename, a consumer took the file: the part is gone, so it is not published again.
 *  - Finisher against abort: whichever links `end` first. If abort does, a finisher that finds parts gone because the folder is gone
 *    cannot link `done` any more (I3: `end` stands already) and reports `aborted`. If the finisher does, all is published (I6).
 *  - Abort while a finisher publishes: the finisher's `intent` was first, so the abort completes the publication instead of cutting it
 *    in two (what remains are renames). Only where that fails for good, say because a stranger changed a target, does it link `aborted`.
 *    Safety does not rest on the intent: whatever it says, the link to `end` decides.
 *  - A frozen attempt wakes after the end: its links and renames fail (I2, I4); what it still writes goes into a file without a name.
 *  - An ender died after linking `end`: every later reader renames the folder away before it believes the end (I5).
 *  - Power fails: `begin` and the work folder are names in one folder, so that the one sync after the link keeps both; what is in the
 *    work folder was synced before. The name of a work folder that was taken away may come back; `end` was synced before (I3), so
 *    whoever reads the job takes it away again before he believes the end (I5).
 *  - Cleaning up removes what an ender or starter has just prepared: their link finds its source gone, and they read again.
 */
import { baseErrors, newId, type Random } from '@dmg/base';
import type { FileSkipReason, Plan, Receipt } from '@dmg/model';
import type { WorkFiles } from './work-files.ts';

export type JobEnd = { readonly phase: 'done'; readonly receipt: Receipt } | { readonly phase: 'aborted' };

/** `work` is the absolute path of the work folder. */
export interface OpenRecord {
  readonly phase: 'open';
  readonly plan: Plan;
  readonly work: string;
}

export type JobRecord = { readonly phase: 'none' } | OpenRecord | JobEnd;

/** What a mark says. */
export interface MarkEntry {
  /** Name of the part in `parts/`. */
  readonly part: string;
  readonly attemptId: string;
  readonly bytes: number;
  readonly rows: number;
  readonly rowsSkipped?: number;
  readonly fileSkipped?: FileSkipReason;
  readonly hash: string;
  readonly sourceStart: number;
  readonly sourceEnd: number;
}

type Begin = { phase: 'open'; work: string; plan: Plan } | { phase: 'closed'; work: string } | { phase: 'aborted' };

const roundsMax = 20;
/** A file takes a block of the disk, however small it is: a `begin` of this size has nothing to shrink by. */
const blockBytes = 4096;

export class JobFolder {
  readonly #files: WorkFiles;
  readonly #random: Random;
  readonly #path: string;
  readonly #stoneAboveBytes: number;

  /** `stoneAboveBytes`: a larger `begin` is replaced by a stone when the job has ended. */
  constructor(options: { files: WorkFiles; random: Random; path: string; stoneAboveBytes?: number }) {
    this.#files = options.files;
    this.#random = options.random;
    this.#path = options.path;
    this.#stoneAboveBytes = options.stoneAboveBytes ?? blockBytes;
  }

  /** What stands. An end is reported only when nothing can change any more. */
  async read(): Promise<JobRecord> {
    const end = await this.#json<JobEnd>('end');
    const begin = await this.#json<Begin>('begin');
    if (end !== undefined) {
      if (begin?.phase === 'open') await this.#cleanUp();
      return end;
    }
    if (begin === undefined) return { phase: 'none' };
    if (begin.phase === 'open') return { phase: 'open', plan: begin.plan, work: `${this.#path}/${begin.work}` };
    if (begin.phase === 'aborted') return begin;
    // The stone is laid after the end was linked: it has appeared since the first look, or was swept.
    return (await this.#json<JobEnd>('end')) ?? { phase: 'aborted' };
  }

  /** Inserts the plan if the job has none; returns what stands. */
  async begin(plan: Plan): Promise<JobRecord> {
    for (let round = 0; round < roundsMax; round++) {
      // The link decides. Who begins has just seen that there is nothing, so the first round does not look again.
      const standing = round === 0 ? undefined : await this.read();
      if (standing !== undefined && standing.phase !== 'none') return standing;
      const work = `work.${newId(this.#random)}`;
      const begin: Begin = { phase: 'open', work, plan };
      const isFirst = plan.targets.length === 0 ? (await this.#linkFirst('begin', begin)) === 'linked' : await this.#beginWork(begin);
      if (isFirst) return { phase: 'open', plan, work: `${this.#path}/${work}` };
    }
    throw this.#unsettled();
  }

  /** Makes the work folder and links the `begin` that names it. False: another one was first, or cleaned up. */
  async #beginWork(begin: Begin & { readonly phase: 'open' }): Promise<boolean> {
    const files = this.#files;
    const workPath = `${this.#path}/${begin.work}`;
    await files.makeFolder(this.#path, { parents: true });
    const ready =
      (await files.makeFolder(workPath, { parents: false })) &&
      (await files.makeFolder(`${workPath}/parts`, { parents: false })) &&
      (await files.makeFolder(`${workPath}/marks`, { parents: false })) &&
      (await files.writeNew(`${workPath}/begin`, encode(begin)));
    if (!ready) return false;
    await files.syncFolder(workPath);
    const linked = await files.link(`${workPath}/begin`, `${this.#path}/begin`);
    if (linked !== 'gone') await files.syncFolder(this.#path);
    if (linked === 'linked') return true;
    await files.remove(workPath);
    return false;
  }

  /**
   * Marks `name` with a part that is complete and synced, or is once `settle` resolves: what is to be linked is written meanwhile, since
   * a small file costs little else than waiting for the disk. Returns the mark that stands: the caller's, or that of whoever was
   * first. Undefined: the job has ended.
   */
  async mark(work: string, name: string, entry: MarkEntry, settle?: () => Promise<void>): Promise<MarkEntry | undefined> {
    const facts = `${work}/parts/${entry.part}.facts`;
    const [written, settled] = await Promise.allSettled([this.#files.writeNew(facts, encode(entry)), settle?.()]);
    if (settled.status === 'rejected') throw settled.reason;
    if (written.status === 'rejected') throw written.reason;
    if (!written.value) return undefined;
    await this.#files.syncFolder(`${work}/parts`);
    const linked = await this.#files.link(facts, `${work}/marks/${name}`);
    if (linked === 'gone') return undefined;
    // Also when another one was first: that name may not be durable yet, and the caller is about to rely on it.
    await this.#files.syncFolder(`${work}/marks`);
    return linked === 'linked' ? entry : this.markOf(work, name);
  }

  /** The mark of that name; undefined when there is none, or no work folder. */
  async markOf(work: string, name: string): Promise<MarkEntry | undefined> {
    const bytes = await this.#files.read(`${work}/marks/${name}`);
    return bytes === undefined ? undefined : decode<MarkEntry>(bytes);
  }

  /** Shuts the door to a plan that has not come yet: the job is aborted. False: a plan stands, or another end. */
  async forbid(): Promise<boolean> {
    return (await this.#linkFirst('begin', { phase: 'aborted' })) === 'linked';
  }

  /** Declares what the job is going to be; returns the declaration that stands, or the end. */
  async intend(end: JobEnd): Promise<JobEnd> {
    for (let round = 0; round < roundsMax; round++) {
      if ((await this.#linkFirst('intent', end)) === 'linked') return end;
      // Cleaning up takes the intent away; then there is an end.
      const standing = (await this.#json<JobEnd>('intent')) ?? (await this.#json<JobEnd>('end'));
      if (standing !== undefined) return standing;
    }
    throw this.#unsettled();
  }

  /**
   * Ends the job unless it has ended; returns the end that stands, once nothing can change any more. `hasWork`: false when the plan
   * that stands is known to have no targets.
   */
  async end(end: JobEnd, options: { readonly hasWork?: boolean } = {}): Promise<JobEnd> {
    const linked = await this.#linkFirst('end', end);
    const standing = linked === 'linked' ? end : await this.#json<JobEnd>('end');
    if (standing === undefined) throw this.#unsettled();
    if (options.hasWork === false) await this.#removeLeftovers();
    else await this.#cleanUp();
    return standing;
  }

  /** Links `content` to a name that only the first one gets. */
  async #linkFirst(name: 'begin' | 'intent' | 'end', content: Begin | JobEnd): Promise<'linked' | 'exists'> {
    for (let round = 0; round < roundsMax; round++) {
      // Where a job begins there is no folder yet.
      if (name === 'begin' || round > 0) await this.#files.makeFolder(this.#path, { parents: true });
      const prepared = `${this.#path}/${name}.${newId(this.#random)}`;
      if (!(await this.#files.writeNew(prepared, encode(content)))) continue;
      const linked = await this.#files.link(prepared, `${this.#path}/${name}`);
      // Also when another one was first: that name may not be durable yet, and the caller is about to rely on it.
      await this.#files.syncFolder(this.#path);
      await this.#files.remove(prepared);
      // Gone: cleaning up took the prepared file for a leftover.
      if (linked !== 'gone') return linked;
    }
    throw this.#unsettled();
  }

  /**
   * Renames the work folder away, then removes everything but `begin` and `end` (the intent has come true). Safe to repeat and to be
   * interrupted.
   */
  async #cleanUp(): Promise<void> {
    const bytes = await this.#files.read(`${this.#path}/begin`);
    const begin = bytes === undefined ? undefined : decode<Begin>(bytes);
    const hasWork = begin !== undefined && begin.phase !== 'aborted' && !(begin.phase === 'open' && begin.plan.targets.length === 0);
    if (hasWork) {
      await this.#files.rename(`${this.#path}/${begin.work}`, `${this.#path}/gone.${newId(this.#random)}`);
      await this.#files.syncFolder(this.#path);
    }
    await this.#removeLeftovers();
    if (begin?.phase !== 'open' || (bytes?.length ?? 0) <= this.#stoneAboveBytes) return;
    const stone: Begin = { phase: 'closed', work: begin.work };
    const prepared = `${this.#path}/closed.${newId(this.#random)}`;
    if (!(await this.#files.writeNew(prepared, encode(stone)))) return;
    // `gone`: another one cleans up as well, took this away, and lays its own stone.
    await this.#files.rename(prepared, `${this.#path}/begin`);
    await this.#files.syncFolder(this.#path);
  }

  async #removeLeftovers(): Promise<void> {
    for (const name of (await this.#files.list(this.#path)) ?? []) {
      if (name !== 'begin' && name !== 'end') await this.#files.remove(`${this.#path}/${name}`);
    }
  }

  async #json<T>(name: string): Promise<T | undefined> {
    const bytes = await this.#files.read(`${this.#path}/${name}`);
    return bytes === undefined ? undefined : decode<T>(bytes);
  }

  #unsettled(): Error {
    return baseErrors.UNEXPECTED.create({ reason: `the work folder ${this.#path} does not settle` });
  }
}

function encode(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

function decode<T>(bytes: Uint8Array): T {
  return JSON.parse(Buffer.from(bytes).toString()) as T;
}

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
 *  I1  `begin` and `end` are never empty again once linked, and never say something else. (`begin` shrinks to a stone that keeps
 *      its place when the job has ended, by a rename over it.)
 *  I2  A work folder is made before the `begin` that names it, under a random name, and never again. So after it was renamed away
 *      there is none for this job, ever.
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
 *  - Cleaning up removes what an ender or starter has just prepared: their link finds its source gone, and they read again.
 */
import { baseErrors, newId, type Random } from '@dmg/base';
import type { Plan, Receipt } from '@dmg/model';
import type { WorkFiles } from './work-files.ts';

export type JobEnd = { readonly phase: 'done'; readonly receipt: Receipt } | { readonly phase: 'aborted' };

export type JobRecord =
  | { readonly phase: 'none' }
  /** `work` is the absolute path of the work folder. */
  | { readonly phase: 'open'; readonly plan: Plan; readonly work: string }
  | JobEnd;

/** What a mark says. */
export interface MarkEntry {
  /** Name of the part in `parts/`. */
  readonly part: string;
  readonly attemptId: string;
  readonly bytes: number;
  readonly rows: number;
  readonly hash: string;
  readonly sourceStart: number;
  readonly sourceEnd: number;
}

type Begin = { phase: 'open'; work: string; plan: Plan } | { phase: 'closed'; work: string } | { phase: 'aborted' };

const roundsMax = 20;

export class JobFolder {
  readonly #files: WorkFiles;
  readonly #random: Random;
  readonly #path: string;

  constructor(options: { files: WorkFiles; random: Random; path: string }) {
    this.#files = options.files;
    this.#random = options.random;
    this.#path = options.path;
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
      const standing = await this.read();
      if (standing.phase !== 'none') return standing;
      await this.#files.makeFolder(this.#path, { parents: true });
      const work = `work.${newId(this.#random)}`;
      const workPath = `${this.#path}/${work}`;
      const begin: Begin = { phase: 'open', work, plan };
      const ready =
        (await this.#files.makeFolder(workPath, { parents: false })) &&
        (await this.#files.makeFolder(`${workPath}/parts`, { parents: false })) &&
        (await this.#files.makeFolder(`${workPath}/marks`, { parents: false })) &&
        (await this.#files.writeNew(`${workPath}/begin`, encode(begin)));
      if (!ready) continue;
      await this.#files.syncFolder(workPath);
      await this.#files.syncFolder(this.#path);
      const linked = await this.#files.link(`${workPath}/begin`, `${this.#path}/begin`);
      if (linked !== 'gone') await this.#files.syncFolder(this.#path);
      if (linked === 'linked') return { phase: 'open', plan, work: workPath };
      await this.#files.remove(workPath);
    }
    throw this.#unsettled();
  }

  /**
   * Marks `name` with a part that is complete and synced. Returns the mark that stands: the caller's, or that of whoever was first.
   * Undefined: the job has ended.
   */
  async mark(work: string, name: string, entry: MarkEntry): Promise<MarkEntry | undefined> {
    const facts = `${work}/parts/${entry.part}.facts`;
    if (!(await this.#files.writeNew(facts, encode(entry)))) return undefined;
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

  /** Ends the job unless it has ended; returns the end that stands, once nothing can change any more. */
  async end(end: JobEnd): Promise<JobEnd> {
    await this.#linkFirst('end', end);
    const standing = await this.read();
    if (standing.phase !== 'done' && standing.phase !== 'aborted') throw this.#unsettled();
    await this.#cleanUp();
    return standing;
  }

  /** Links `content` to a name that only the first one gets. */
  async #linkFirst(name: string, content: Begin | JobEnd): Promise<'linked' | 'exists'> {
    for (let round = 0; round < roundsMax; round++) {
      await this.#files.makeFolder(this.#path, { parents: true });
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
    const begin = await this.#json<Begin>('begin');
    if (begin !== undefined && begin.phase !== 'aborted') {
      await this.#files.rename(`${this.#path}/${begin.work}`, `${this.#path}/gone.${newId(this.#random)}`);
      await this.#files.syncFolder(this.#path);
    }
    for (const name of (await this.#files.list(this.#path)) ?? []) {
      if (name !== 'begin' && name !== 'end') await this.#files.remove(`${this.#path}/${name}`);
    }
    if (begin?.phase !== 'open') return;
    const stone: Begin = { phase: 'closed', work: begin.work };
    const prepared = `${this.#path}/closed.${newId(this.#random)}`;
    if (!(await this.#files.writeNew(prepared, encode(stone)))) return;
    // `gone`: another one cleans up as well, took this away, and lays its own stone.
    await this.#files.rename(prepared, `${this.#path}/begin`);
    await this.#files.syncFolder(this.#path);
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

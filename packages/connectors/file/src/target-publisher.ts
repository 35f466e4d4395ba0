import { baseErrors, newId, type Random } from '@dmg/base';
import { connectorErrors } from '@dmg/connector-api';
import type { PlanTarget } from '@dmg/model';
import type { JobFolder, MarkEntry } from './job-folder.ts';
import type { FileFacts, WorkFiles } from './work-files.ts';

/** The base state of a target: what stands at its path, recognisably. */
export function baseOf(facts: FileFacts | undefined): string {
  return facts === undefined ? 'absent' : `${facts.sizeBytes}.${facts.mtimeNs}.${facts.inode}`;
}

const roundsMax = 20;

/**
 * Brings the marked parts of a target to its path: renames the one part that is the whole file, or joins the parts, marks the joined
 * file (the first one wins) and renames that.
 *
 * A part whose path is gone has been published, by this finisher or another one, or the job has ended; the link to `end` tells the
 * two apart (see `job-folder.ts`). POSIX cannot rename on a condition: a stranger who writes the target between the look at its base
 * state and the rename, some microseconds, is replaced.
 */
export class TargetPublisher {
  readonly #files: WorkFiles;
  readonly #random: Random;
  readonly #job: JobFolder;
  readonly #attemptId: string;
  readonly #root: string;

  /** `root` must exist; folders below it are made as needed. */
  constructor(options: { files: WorkFiles; random: Random; job: JobFolder; attemptId: string; root: string }) {
    this.#files = options.files;
    this.#random = options.random;
    this.#job = options.job;
    this.#attemptId = options.attemptId;
    this.#root = options.root;
  }

  /**
   * Makes sure that a target can be published by one rename, and that it still is what the plan says. `path` is absolute and below
   * the root; `marks` are the target's, all of them, in order of chunk. Undefined: the work folder or something in it is gone, so the
   * job must have ended.
   */
  async prepare(work: string, target: PlanTarget, path: string, marks: readonly MarkEntry[]): Promise<MarkEntry | undefined> {
    const only = marks.length === 1 ? marks[0] : undefined;
    const entry = only ?? (await this.#joined(work, target, marks));
    if (entry === undefined) return undefined;
    const part = `${work}/parts/${entry.part}`;
    const facts = await this.#files.stat(part);
    if (facts === undefined) return entry;
    if (facts.sizeBytes !== entry.bytes) {
      throw baseErrors.UNEXPECTED.create({ reason: `part ${entry.part} has ${facts.sizeBytes} bytes, its mark says ${entry.bytes}` });
    }
    await this.#checkBase(target, path, part);
    return entry;
  }

  /** Renames the prepared part to its target, unless that has been done. */
  async publish(work: string, target: PlanTarget, path: string, entry: MarkEntry): Promise<void> {
    const part = `${work}/parts/${entry.part}`;
    for (let round = 0; round < roundsMax; round++) {
      if ((await this.#files.stat(part)) === undefined) return;
      if (!(await this.#makeParents(work, path))) continue;
      if (!(await this.#checkBase(target, path, part))) return;
      // `gone` can also mean that somebody removed the folder of the target: the next round looks again.
      if ((await this.#files.rename(part, path)) === 'renamed') return;
    }
    throw baseErrors.UNEXPECTED.create({ reason: `the folder of ${target.path} is removed again and again` });
  }

  /** Throws `TARGET_CHANGED` unless the target is what the plan says. False: another finisher has published it. */
  async #checkBase(target: PlanTarget, path: string, part: string): Promise<boolean> {
    if (baseOf(await this.#files.stat(path)) === target.base) return true;
    if ((await this.#files.stat(part)) === undefined) return false;
    throw connectorErrors.TARGET_CHANGED.create({ path: target.path });
  }

  /** The joined file of several parts, or of none: the one that is marked. Undefined: the job has ended. */
  async #joined(work: string, target: PlanTarget, marks: readonly MarkEntry[]): Promise<MarkEntry | undefined> {
    const name = `final.${target.target}`;
    const standing = await this.#job.markOf(work, name);
    if (standing !== undefined) return standing;
    const part = `${name}.${this.#attemptId}.${newId(this.#random).slice(0, 8)}`;
    const sizeBytes = await this.#files.concat(marks.map((mark) => `${work}/parts/${mark.part}`), `${work}/parts/${part}`);
    if (sizeBytes === undefined) return undefined;
    const bytes = marks.reduce((sum, mark) => sum + mark.bytes, 0);
    if (sizeBytes !== bytes) {
      throw baseErrors.UNEXPECTED.create({ reason: `the parts of ${target.path} have ${sizeBytes} bytes, their marks say ${bytes}` });
    }
    const rows = marks.reduce((sum, mark) => sum + mark.rows, 0);
    const entry: MarkEntry = {
      part, attemptId: this.#attemptId, bytes, rows, hash: '', sourceStart: 0, sourceEnd: marks.at(-1)?.sourceEnd ?? 0,
    };
    const marked = await this.#job.mark(work, name, entry);
    if (marked !== undefined && marked.part !== part) await this.#files.remove(`${work}/parts/${part}`);
    return marked;
  }

  /**
   * Makes the missing folders above a target. Each is made inside the work folder and moved to its place, so that not even an empty
   * folder appears after the job has ended. False: something was taken away meanwhile.
   */
  async #makeParents(work: string, path: string): Promise<boolean> {
    const parts = path.slice(this.#root.length).split('/').filter((part) => part !== '').slice(0, -1);
    let folder = this.#root;
    for (const part of parts) {
      folder = `${folder}/${part}`;
      if ((await this.#files.stat(folder)) !== undefined) continue;
      const made = `${work}/folder.${newId(this.#random)}`;
      if (!(await this.#files.makeFolder(made, { parents: false }))) return false;
      const outcome = await this.#files.rename(made, folder);
      if (outcome === 'gone') return false;
      if (outcome === 'occupied') await this.#files.remove(made);
    }
    return true;
  }
}

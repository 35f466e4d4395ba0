import { createHash } from 'node:crypto';
import { chooseMarks } from '@dmg/connector-api';
import type { Mark, PlanTarget } from '@dmg/model';
import { type BlockFacts, decodeBlockId } from './block-id.ts';

/** A block as the service lists it. */
export interface ListedBlock {
  readonly name: string;
  readonly sizeBytes: number;
}

/** One complete version of a chunk: a mark and the blocks that are its content, in order. */
export interface ChunkVersion {
  readonly mark: Mark;
  readonly blocks: readonly string[];
}

/**
 * The complete versions of chunks in an uncommitted block list: those whose parts 0 … last are all there. The rest are chunks under
 * way, given up, or of other jobs.
 */
export function completeVersions(scope: Buffer, target: number, listed: readonly ListedBlock[]): ChunkVersion[] {
  const groups = new Map<string, { block: ListedBlock; facts: BlockFacts }[]>();
  for (const block of listed) {
    const facts = decodeBlockId(scope, block.name);
    if (facts === undefined) continue;
    const key = `${facts.chunk}.${facts.attemptId}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [{ block, facts }]);
    else group.push({ block, facts });
  }
  return [...groups.values()].flatMap((group) => versionOf(target, group) ?? []);
}

function versionOf(target: number, group: readonly { block: ListedBlock; facts: BlockFacts }[]): ChunkVersion | undefined {
  // An attempt that wrote a chunk twice has written the same; should it not have, everybody takes the same one of its ends.
  const [end] = group.filter(({ facts }) => facts.last !== undefined).toSorted((a, b) => (a.block.name < b.block.name ? -1 : 1));
  if (end?.facts.last === undefined) return undefined;
  const parts: (ListedBlock | undefined)[] = new Array<undefined>(end.facts.part).fill(undefined);
  for (const { block, facts } of group) if (facts.last === undefined && facts.part < parts.length) parts[facts.part] = block;
  const whole = parts.filter((part) => part !== undefined);
  if (whole.length !== parts.length) return undefined;
  const { filler, ...facts } = end.facts.last;
  if (!filler) whole.push(end.block);
  const { chunk, attemptId } = end.facts;
  const bytes = whole.reduce((sum, part) => sum + part.sizeBytes, 0);
  return { mark: { target, chunk, attemptId, bytes, ...facts }, blocks: whole.map((part) => part.name) };
}

/** The versions that count, in order of chunk. */
export function chooseVersions(target: PlanTarget, versions: readonly ChunkVersion[]): ChunkVersion[] {
  const byMark = new Map(versions.map((version) => [version.mark, version]));
  return chooseMarks(target, [...byMark.keys()]).flatMap((mark) => byMark.get(mark) ?? []);
}

/** What finish has decided to commit to one target: by which attempt each chunk is, and the digest of the block list. */
export interface IntendedList {
  /** Indexes in the intent's `attempts`, in order of chunk. */
  readonly chunks: readonly number[];
  readonly digest: string;
}

export interface CommitIntent {
  readonly attempts: readonly string[];
  /** In order of target. */
  readonly lists: readonly IntendedList[];
}

export function intentOf(targets: readonly (readonly ChunkVersion[])[]): CommitIntent {
  const attempts = new Map<string, number>();
  const lists = targets.map((versions) => ({
    chunks: versions.map(({ mark }) => {
      const index = attempts.get(mark.attemptId) ?? attempts.size;
      attempts.set(mark.attemptId, index);
      return index;
    }),
    digest: digestOf(versions.flatMap(({ blocks }) => blocks)),
  }));
  return { attempts: [...attempts.keys()], lists };
}

/** The versions that the intent names, if they are all there with the same blocks: else they have been committed, or were lost. */
export function intendedVersions(intent: CommitIntent, target: number, versions: readonly ChunkVersion[]): ChunkVersion[] | undefined {
  const list = intent.lists[target];
  if (list === undefined) return undefined;
  const chosen = list.chunks.flatMap((attempt, chunk) =>
    versions.find(({ mark }) => mark.chunk === chunk && mark.attemptId === intent.attempts[attempt]) ?? [],
  );
  if (chosen.length !== list.chunks.length || digestOf(chosen.flatMap(({ blocks }) => blocks)) !== list.digest) return undefined;
  return chosen;
}

function digestOf(blocks: readonly string[]): string {
  return createHash('sha256').update(blocks.join(' ')).digest('hex').slice(0, 32);
}

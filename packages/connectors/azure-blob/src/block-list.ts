import { createHash } from 'node:crypto';
import { chooseMarks, isSkippedFile } from '@dmg/connector-api';
import type { Mark, PlanTarget } from '@dmg/model';
import { type BlockFacts, decodeBlockId, type LastFacts } from './block-id.ts';

/** A block as the service lists it. */
export interface ListedBlock {
  readonly name: string;
  readonly sizeBytes: number;
}

interface FoundBlock {
  readonly block: ListedBlock;
  readonly facts: BlockFacts;
}

/** One complete version of a chunk: a mark and the blocks that are its content, in order. */
export interface ChunkVersion {
  /** Writer and try: what tells it from other versions by the same attempt. */
  readonly key: string;
  readonly mark: Mark;
  readonly blocks: readonly string[];
}

/**
 * The complete versions of chunks in an uncommitted block list: those whose parts 0 … last are all there. The rest are chunks under
 * way, given up, or of other jobs.
 */
export function completeVersions(scope: Buffer, target: number, listed: readonly ListedBlock[]): ChunkVersion[] {
  const groups = new Map<string, FoundBlock[]>();
  for (const block of listed) {
    const facts = decodeBlockId(scope, block.name);
    if (facts === undefined) continue;
    const key = `${facts.chunk}.${facts.attemptId}.${facts.writer}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [{ block, facts }]);
    else group.push({ block, facts });
  }
  const versions = [...groups.values()].flatMap((group) =>
    group.flatMap((end) => (end.facts.last === undefined ? [] : (versionOf(target, group, end, end.facts.last) ?? []))),
  );
  // One order for everybody, whatever the order of the list.
  return versions.toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

/** The version that ends with the given block, if the parts before it are there. */
function versionOf(target: number, group: readonly FoundBlock[], end: FoundBlock, last: LastFacts): ChunkVersion | undefined {
  const { chunk, attemptId, writer, part } = end.facts;
  const parts = new Map<number, ListedBlock>();
  for (const { block, facts } of group) if (facts.last === undefined && facts.part < part) parts.set(facts.part, block);
  if (parts.size !== part) return undefined;
  const whole = [...parts].toSorted(([a], [b]) => a - b).map(([, block]) => block);
  const { filler, tryNumber, ...facts } = last;
  if (!filler) whole.push(end.block);
  const bytes = whole.reduce((sum, block) => sum + block.sizeBytes, 0);
  return { key: `${writer}${tryNumber}`, mark: { target, chunk, attemptId, bytes, ...facts }, blocks: whole.map((block) => block.name) };
}

/** The versions that count, in order of chunk. */
export function chooseVersions(target: PlanTarget, versions: readonly ChunkVersion[]): ChunkVersion[] {
  const byMark = new Map(versions.map((version) => [version.mark, version]));
  return chooseMarks(target, [...byMark.keys()]).flatMap((mark) => byMark.get(mark) ?? []);
}

/** What finish has decided to commit to one target: the version of each chunk, and the digest of the block list. */
export interface IntendedList {
  /** `<index in the intent's attempts>.<key of the version>`, in order of chunk. */
  readonly chunks: readonly string[];
  readonly digest: string;
  /** The file was left out: nothing is committed. Absent: no. */
  readonly skipped?: true;
}

export interface CommitIntent {
  readonly attempts: readonly string[];
  /** In order of target. */
  readonly lists: readonly IntendedList[];
}

export function intentOf(targets: readonly (readonly ChunkVersion[])[]): CommitIntent {
  const attempts = new Map<string, number>();
  const lists = targets.map((versions) => ({
    chunks: versions.map(({ key, mark }) => {
      const index = attempts.get(mark.attemptId) ?? attempts.size;
      attempts.set(mark.attemptId, index);
      return `${index}.${key}`;
    }),
    digest: digestOf(versions.flatMap(({ blocks }) => blocks)),
    ...(isSkippedFile(versions.map(({ mark }) => mark)) ? { skipped: true as const } : {}),
  }));
  return { attempts: [...attempts.keys()], lists };
}

/** The versions that the intent names, if they are all there with the same blocks: else they have been committed, or were lost. */
export function intendedVersions(intent: CommitIntent, target: number, versions: readonly ChunkVersion[]): ChunkVersion[] | undefined {
  const list = intent.lists[target];
  if (list === undefined) return undefined;
  const present = new Map(
    versions.map((version) => [`${version.mark.chunk}.${intent.attempts.indexOf(version.mark.attemptId)}.${version.key}`, version]),
  );
  const chosen = list.chunks.flatMap((name, chunk) => present.get(`${chunk}.${name}`) ?? []);
  if (chosen.length !== list.chunks.length || digestOf(chosen.flatMap(({ blocks }) => blocks)) !== list.digest) return undefined;
  return chosen;
}

function digestOf(blocks: readonly string[]): string {
  return createHash('sha256').update(blocks.join(' ')).digest('hex').slice(0, 32);
}

import { join } from 'node:path';
import { newId, systemClock } from '@dmg/base';
import type { AttemptOutcome } from '@dmg/model';
import type { CleanupContext } from '../harness/cleanup.ts';
import { blobSide, type CopySide, fileSide } from '../harness/copy-run.ts';
import { differenceOf, manyFiles, readBlobs, readTree, type Tree, writeTree } from '../harness/file-tree.ts';
import { attemptLimits, AttemptPool } from './copy-attempts.ts';
import { newJob } from './copy-kinds.ts';
import { type FilesVerdict, type FileStores, newName } from './many-files.ts';

const kills = 3;

/** Many small files to a container and back, by attempts that are killed on the way: each goes on where the last one was. */
export async function killedOnTheWay(context: CleanupContext, stores: FileStores, files: number): Promise<readonly FilesVerdict[]> {
  const { root, client } = stores;
  const pool = new AttemptPool(context, 1);
  const container = newName(stores);
  const blob = { connectionString: stores.connectionString, container };
  const recursive = { recursive: true };
  const tree = await writeTree(join(root, 'killed'), manyFiles(files, stores.random));
  const there = { source: fileSide(root, { folderPath: 'killed' }, recursive), sink: blobSide(blob, { folderPath: 'up' }) };
  const back = { source: blobSide(blob, { folderPath: 'up' }, recursive), sink: fileSide(root, { folderPath: 'killed-back' }) };
  return [
    await killedCopy('files to blobs, killed on the way', {
      stores, pool, tree, ...there, look: () => readBlobs(client, container, 'up/'),
    }),
    await killedCopy('blobs to files, killed on the way', {
      stores, pool, tree, ...back, look: () => readTree(join(root, 'killed-back')),
    }),
  ];
}

interface KilledCopy {
  readonly stores: FileStores;
  readonly pool: AttemptPool;
  readonly tree: Tree;
  readonly source: CopySide;
  readonly sink: CopySide;
  readonly look: () => Promise<Tree>;
}

async function killedCopy(name: string, { stores, pool, tree, source, sink, look }: KilledCopy): Promise<FilesVerdict> {
  const { random } = stores;
  const job = newJob({
    activity: { type: 'Copy', source: source.end, sink: sink.end, parallelCopies: 0, validateDataConsistency: false },
  }, random);
  const secrets = { source: Object.fromEntries(source.secrets), sink: Object.fromEntries(sink.secrets) };
  const startedMs = systemClock.monotonicMs();
  const problems: string[] = [];
  let outcome: AttemptOutcome = { kind: 'lost', reason: 'it never began' };
  for (let kill = 0; kill <= kills; kill++) {
    // Each file changes the progress more than twice, so that every attempt but the last dies with files left to copy.
    const at = 1 + Math.floor((random.unit() * 2 * tree.size) / (kills + 1));
    const strike = kill < kills ? { strike: { at, act: 'kill' as const } } : {};
    const attempt = await pool.start({ job, attemptId: newId(random), step: 'copy', secrets, limits: attemptLimits, ...strike });
    outcome = await attempt.outcome();
    if (kill < kills && outcome.kind !== 'lost') problems.push(`attempt ${kill + 1} was not killed: ${JSON.stringify(outcome)}`);
    if (outcome.kind !== 'lost') break;
    const seen = (await look()).size;
    if (seen > 0) problems.push(`after kill ${kill + 1} ${seen} files are to be seen`);
  }
  if (outcome.kind !== 'succeeded') problems.push(`it ended with ${JSON.stringify(outcome)}`);
  else if (outcome.receipt.filesWritten !== tree.size) problems.push(`the receipt counts ${outcome.receipt.filesWritten} files`);
  const difference = differenceOf(await look(), tree);
  if (difference !== undefined) problems.push(difference);
  const seconds = ((systemClock.monotonicMs() - startedMs) / 1000).toFixed(1);
  return { name: `${name}, ${kills} times: ${tree.size} files in ${seconds} s`, files: tree.size, problems };
}

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { BlobServiceClient } from '@azure/storage-blob';
import { newId, type Random, seededRandom } from '@dmg/base';
import { startAzurite } from '../../packages/connectors/azure-blob/src/testing/azurite.ts';
import { type CleanupContext, onCleanup } from '../harness/cleanup.ts';
import { blobSide, copyOnce, type CopySide, fileSide } from '../harness/copy-run.ts';
import {
  differenceOf, manyFiles, namesOfFilesOnly, oddNames, readBlobs, readTree, type Tree, writeTree,
} from '../harness/file-tree.ts';
import { tempDir } from '../harness/temp-dir.ts';
import { measureCopy, memoryBytesMax } from './measured-copy.ts';

const noDetails = { planMs: 0, copyMs: 0, finishMs: 0, readMs: 0, writeMs: 0 };

/** Folders of files and containers of blobs that the cases copy between. */
export interface FileStores {
  readonly root: string;
  readonly connectionString: string;
  readonly client: BlobServiceClient;
  readonly random: Random;
}

export interface FilesVerdict {
  readonly name: string;
  readonly files: number;
  /** Where the time went, for cases that are measured. */
  readonly speed?: CopySpeed;
  readonly problems: readonly string[];
}

export interface CopySpeed {
  readonly filesPerSecond: number;
  readonly ms: number;
  readonly planMs: number;
  readonly copyMs: number;
  readonly finishMs: number;
  /** Of all parallel copies together. */
  readonly readMs: number;
  readonly writeMs: number;
  readonly cpuMs: number;
  /** Resident at most, above what it was before the copy. */
  readonly memoryBytes: number;
}

export async function openFileStores(context: CleanupContext, seed: number): Promise<FileStores> {
  const root = await tempDir(context, 'dmg-files-');
  const azurite = await startAzurite();
  onCleanup(context, () => azurite.stop());
  const client = BlobServiceClient.fromConnectionString(azurite.connectionString);
  return { root, connectionString: azurite.connectionString, client, random: seededRandom(seed) };
}

/** A name that no other case has, for a folder or a container. */
export function newName(stores: FileStores): string {
  return `c${newId(stores.random).slice(0, 12)}`;
}

/** One measured copy of a whole tree, judged by what is at the sink and by the receipt. */
async function copyTree(
  name: string, ends: { source: CopySide; sink: CopySide }, tree: Tree, look: () => Promise<Tree>,
): Promise<FilesVerdict> {
  const { outcome, ms, cpuMs, memoryBytes } = await measureCopy(ends);
  const problems: string[] = [];
  const { planMs, copyMs, finishMs, readMs, writeMs } = outcome.kind === 'succeeded' ? outcome.details : noDetails;
  const speed = { ms, filesPerSecond: tree.size / (ms / 1000), planMs, copyMs, finishMs, readMs, writeMs, cpuMs, memoryBytes };
  if (outcome.kind !== 'succeeded') problems.push(`it ended with ${JSON.stringify(outcome)}`);
  else if (outcome.receipt.filesWritten !== tree.size || outcome.receipt.filesRead !== tree.size) {
    problems.push(`the receipt counts ${outcome.receipt.filesRead} and ${outcome.receipt.filesWritten} files`);
  }
  const difference = differenceOf(await look(), tree);
  if (difference !== undefined) problems.push(difference);
  if (memoryBytes > memoryBytesMax) problems.push(`it took ${Math.round(memoryBytes / 1e6)} MB of memory`);
  return { name, files: tree.size, speed, problems };
}

/** Many small files to a container and back, and from folder to folder. */
export async function thereAndBack(
  stores: FileStores, files: { blobs: number; files: number }, onVerdict: (verdict: FilesVerdict) => void,
): Promise<void> {
  const { root, client } = stores;
  const container = newName(stores);
  const blob = { connectionString: stores.connectionString, container };
  const recursive = { recursive: true };
  const small = await writeTree(join(root, 'in'), manyFiles(files.blobs, stores.random));
  const from = fileSide(root, { folderPath: 'in' }, recursive);
  onVerdict(await copyTree(
    'files to blobs', { source: from, sink: blobSide(blob, { folderPath: 'up/here' }) },
    small, () => readBlobs(client, container, 'up/here/'),
  ));
  onVerdict(await copyTree(
    'blobs to files', { source: blobSide(blob, { folderPath: 'up/here' }, recursive), sink: fileSide(root, { folderPath: 'back/again' }) },
    small, () => readTree(join(root, 'back/again')),
  ));
  const large = await writeTree(join(root, 'many'), manyFiles(files.files, stores.random));
  onVerdict(await copyTree(
    'files to files', { source: fileSide(root, { folderPath: 'many' }, recursive), sink: fileSide(root, { folderPath: 'copied' }) },
    large, () => readTree(join(root, 'copied')),
  ));
}

/** Every odd name, in one copy each way. */
export async function oddlyNamed(stores: FileStores): Promise<readonly FilesVerdict[]> {
  const { root, client } = stores;
  const container = newName(stores);
  const blob = { connectionString: stores.connectionString, container };
  const recursive = { recursive: true };
  const content = (names: readonly string[]): Map<string, Uint8Array> =>
    new Map(names.map((name) => [name, Buffer.from(`content of ${name}`)]));
  const tree = await writeTree(join(root, 'odd'), content(oddNames));
  const verdicts = [
    await copyTree(
      'odd names to blobs', { source: fileSide(root, { folderPath: 'odd' }, recursive), sink: blobSide(blob) }, tree,
      () => readBlobs(client, container),
    ),
    await copyTree(
      'odd names to files', { source: blobSide(blob, {}, recursive), sink: fileSide(root, { folderPath: 'odd-back' }) }, tree,
      () => readTree(join(root, 'odd-back')),
    ),
  ];
  const all = await writeTree(join(root, 'odder'), content([...oddNames, ...namesOfFilesOnly]));
  const ends = { source: fileSide(root, { folderPath: 'odder' }, recursive), sink: fileSide(root, { folderPath: 'odder-copied' }) };
  verdicts.push(await copyTree('odd names from folder to folder', ends, all, () => readTree(join(root, 'odder-copied'))));
  return verdicts;
}

/** A copy that must be refused, with nothing to be seen at the sink. */
export interface Refusal {
  readonly name: string;
  readonly source: CopySide;
  readonly sink: CopySide;
  readonly code: string;
  /** The sink cannot even be opened, so that nobody can tell that nothing stands there. */
  readonly neverOpens?: boolean;
  readonly look: () => Promise<Tree>;
}

export async function refused({ name, source, sink, code, neverOpens = false, look }: Refusal): Promise<FilesVerdict> {
  const before = await look();
  const outcome = await copyOnce({ source, sink });
  const problems: string[] = [];
  if (outcome.kind !== 'failed' || outcome.fault.code !== code) problems.push(`it ended with ${JSON.stringify(outcome)} and not ${code}`);
  else if (outcome.sink !== 'aborted' && !neverOpens) problems.push(`the sink was left ${outcome.sink}`);
  const difference = differenceOf(await look(), before);
  if (difference !== undefined) problems.push(`at the sink: ${difference}`);
  return { name, files: 1, problems };
}

/** Names and paths that a store would change, cannot hold, or must not see. */
export async function refusals(stores: FileStores): Promise<readonly Refusal[]> {
  const { root, client } = stores;
  const made: Refusal[] = [];
  const badPath = 'DMG_CONNECTOR_BAD_PATH';
  const container = newName(stores);
  const blob = { connectionString: stores.connectionString, container };
  const folderOf = async (name: string): Promise<string> => {
    const folder = `refused/${made.length}`;
    await writeTree(join(root, folder), new Map([['good', Buffer.from('good')], [name, Buffer.from('bad')]]));
    return folder;
  };
  for (const name of namesOfFilesOnly) {
    const source = fileSide(root, { folderPath: await folderOf(name) }, { recursive: true });
    const sink = blobSide(blob);
    made.push({ name: `${JSON.stringify(name)} to blobs`, source, sink, code: badPath, look: () => readBlobs(client, container) });
  }
  const blobs = client.getContainerClient(container);
  await blobs.createIfNotExists();
  const fromBlobs: readonly (readonly [names: readonly string[], code: string])[] = [
    [['good', 'x'.repeat(256)], badPath], [['good', `${'é'.repeat(128)}/x`], badPath], [['good', 'a//b'], badPath],
    [['good', 'folder/'], badPath], [['a', 'a/b', 'good'], 'DMG_CONNECTOR_TARGET_BLOCKED'],
  ];
  for (const [index, [names, code]] of fromBlobs.entries()) {
    const folderPath = `refused-${index}`;
    for (const name of names) await blobs.getBlockBlobClient(`${folderPath}/${name}`).upload(name, Buffer.byteLength(name));
    const look = (): Promise<Tree> => readTree(join(root, folderPath));
    const source = blobSide(blob, { folderPath }, { recursive: true });
    made.push({ name: `${JSON.stringify(names.at(-1)?.slice(0, 20))} to files`, source, sink: fileSide(root, { folderPath }), code, look });
  }
  await mkdir(join(root, 'plain'), { recursive: true });
  for (const folderPath of ['..', 'plain/../../etc', '.dmg', './plain']) {
    const plain = fileSide(root, { folderPath: 'plain' });
    const look = (): Promise<Tree> => readTree(root, 'plain');
    made.push({ name: `source folder ${folderPath}`, source: fileSide(root, { folderPath }), sink: plain, code: badPath, look });
    for (const sink of [fileSide(root, { folderPath }), blobSide(blob, { folderPath })]) {
      made.push({ name: `sink folder ${folderPath} of ${sink.end.connector}`, source: plain, sink, code: badPath, look, neverOpens: true });
    }
  }
  return made;
}

export function describeFiles({ name, files, speed, problems }: FilesVerdict): string {
  const facts: string[] = [];
  if (speed !== undefined) {
    const seconds = (ms: number): string => (ms / 1000).toFixed(1);
    const steps = `plan ${seconds(speed.planMs)}, copy ${seconds(speed.copyMs)}, finish ${seconds(speed.finishMs)} s`;
    const calls = `reads ${seconds(speed.readMs)}, writes ${seconds(speed.writeMs)} s in parallel`;
    const costs = `${seconds(speed.cpuMs)} s of CPU, ${Math.round(speed.memoryBytes / 1e6)} MB`;
    facts.push(`: ${files} files in ${seconds(speed.ms)} s, ${Math.round(speed.filesPerSecond)} a second (${steps}; ${calls}; ${costs})`);
  }
  return `${problems.length === 0 ? 'ok ' : 'BAD'} ${name}${facts.join('')}${problems.map((problem) => `\n      ${problem}`).join('')}`;
}

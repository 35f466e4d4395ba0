import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { BlobServiceClient } from '@azure/storage-blob';
import { mapParallel } from '@dmg/connector-api';
import type { Random } from '@dmg/base';

/** Content by relative path: digests stand for bytes. */
export type Tree = ReadonlyMap<string, string>;

/** Names that every store of ours keeps as they are. */
export const oddNames: readonly string[] = [
  '  ', 'a b', ' lead', 'trail ', '😀.csv', 'e\u0301.csv', '\u00e9.csv', 'Name.csv', 'name.csv', 'NAME.CSV', '%', '%41', '%2F', '100%.csv',
  '%zz', 'a#b', 'a?b', 'a&b=c', 'a+b', '.hidden', '..twodots', '...x', 'q"uote', "ap'os", '<tag>', '\u2028', 'a;b', 'a:b', 'a*b', '^', '~',
  '$x', '{y}', '[z]', '|p', 'n'.repeat(255), 'é'.repeat(127), '\u{10FFFF}', '\uFEFFbom', '\u202Ertl', '\uE000', 'CON', 'nul', '-rf', '--',
  '@', '`', 'sub dir/😀/deep#/f?.x', ' /f', '%2e%2e/x', 'Ⅷ/ﬁ',
];

/** Names that files may have and blobs not. */
export const namesOfFilesOnly: readonly string[] = [
  'back\\slash', 'dot.', 'dots..', 'a./b', 'tab\tx', 'new\nline', '\u0001', '\u007f', '\u0085', '\uFFFE', '\uFFFF',
];

const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('base64url');

/** Writes the files and returns what they hold. */
export async function writeTree(root: string, files: ReadonlyMap<string, Uint8Array>): Promise<Tree> {
  const folders = new Set([...files.keys()].map((path) => dirname(join(root, path))));
  for (const folder of folders) await mkdir(folder, { recursive: true });
  await mapParallel([...files], 16, ([path, bytes]) => writeFile(join(root, path), bytes));
  return new Map([...files].map(([path, bytes]) => [path, digestOf(bytes)]));
}

/** Small files in folders of three levels: every tenth is empty, some are larger, some have odd names. */
export function manyFiles(count: number, random: Random): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  const below = (limit: number): number => Math.floor(random.unit() * limit);
  for (let index = 0; files.size < count; index++) {
    const odd = index % 20 === 0 ? oddNames[(index / 20) % oddNames.length] : undefined;
    const folder = `f${index % 11}/g${index % 3}${index % 2 === 0 ? '' : `/h${below(50)}`}`;
    const path = odd === undefined ? `${folder}/file-${index}.csv` : `${folder}/odd${Math.floor(index / 1000)}/${odd}`;
    const bytes = index % 10 === 0 ? 0 : index % 97 === 0 ? 100_000 : 1 + below(5000);
    files.set(path, random.bytes(bytes));
  }
  return files;
}

/** What a user sees below a folder of files. Our own work files are left out. */
export async function readTree(root: string, folder: string = ''): Promise<Tree> {
  const tree = new Map<string, string>();
  let entries;
  try {
    entries = await readdir(join(root, folder), { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return tree;
    throw error;
  }
  for (const entry of entries) {
    if (entry.name.startsWith('.dmg')) continue;
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (!entry.isDirectory()) tree.set(path, digestOf(await readFile(join(root, path))));
    else for (const [below, digest] of await readTree(root, path)) tree.set(below, digest);
  }
  return tree;
}

/** What a user sees in a container below a prefix (with a slash at its end, or empty). */
export async function readBlobs(client: BlobServiceClient, container: string, prefix: string = ''): Promise<Tree> {
  const found = client.getContainerClient(container);
  if (!(await found.exists())) return new Map();
  const names: string[] = [];
  for await (const item of found.listBlobsFlat({ prefix })) {
    if (!item.name.split('/').some((part) => part.startsWith('.dmg'))) names.push(item.name);
  }
  const digests = await mapParallel(names, 8, async (name) => digestOf(await found.getBlobClient(name).downloadToBuffer()));
  return new Map(names.map((name, index) => [name.slice(prefix.length), digests[index] ?? '']));
}

/** Undefined when both hold the same; else the first differences. */
export function differenceOf(found: Tree, expected: Tree): string | undefined {
  const missing = [...expected.keys()].filter((path) => !found.has(path));
  const extra = [...found.keys()].filter((path) => !expected.has(path));
  const changed = [...expected].filter(([path, digest]) => found.has(path) && found.get(path) !== digest).map(([path]) => path);
  const told = Object.entries({ missing, extra, changed }).filter(([, paths]) => paths.length > 0);
  if (told.length === 0) return undefined;
  const some = (paths: readonly string[]): string => paths.slice(0, 3).map((path) => JSON.stringify(path)).join(', ');
  return told.map(([kind, paths]) => `${paths.length} ${kind}: ${some(paths)}`).join('; ');
}

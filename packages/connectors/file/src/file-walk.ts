import type { BigIntStats, Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import type { Logger } from '@dmg/base';
import { connectorErrors, joinPath, type ObjectSelection } from '@dmg/connector-api';
import type { SourceObject } from '@dmg/model';
import { errorCode, fromFileError, isMissing } from './errors.ts';
import type { StoreRoot } from './store-root.ts';

/** What pins a file: another content has another size, modification time or inode. */
export function identityOf(facts: BigIntStats): string {
  return `${facts.size}.${facts.mtimeNs}.${facts.ino}`;
}

export interface WalkOptions {
  readonly root: StoreRoot;
  readonly selection: ObjectSelection;
  readonly logger: Logger;
}

/** The selected files in order of path. Holds the names of one folder at each level, not of the whole tree. */
export async function* walkFiles(options: WalkOptions, signal: AbortSignal): AsyncIterable<SourceObject> {
  const { root, selection } = options;
  if (selection.named !== undefined) {
    yield await namedFile(options, selection.named);
    return;
  }
  yield* walkFolder(options, '', [], signal, root.absolute(selection.folder));
}

async function namedFile({ root, selection }: WalkOptions, path: string): Promise<SourceObject> {
  const shown = joinPath(selection.folder, path);
  const absolute = root.absolute(shown);
  try {
    const facts = await stat(absolute, { bigint: true });
    if (!(await root.holds(absolute))) {
      throw connectorErrors.BAD_PATH.create({ path: shown, reason: 'a symbolic link in it leads out of the folder of the linked service' });
    }
    if (!facts.isFile()) throw connectorErrors.BAD_PATH.create({ path: shown, reason: 'it is not a file' });
    return objectOf(path, facts);
  } catch (error) {
    if (isMissing(error)) throw connectorErrors.SOURCE_NOT_FOUND.create({ path: shown, store: root.host }, { cause: error });
    throw fromFileError(error, shown, root.host);
  }
}

async function* walkFolder(
  options: WalkOptions, folder: string, above: readonly string[], signal: AbortSignal, absolute: string,
): AsyncIterable<SourceObject> {
  const { root, selection, logger } = options;
  const key = await folderKey(options, absolute, folder);
  if (key === undefined) return;
  if (above.includes(key)) {
    logger.warn({ path: absolute }, 'symbolic link leads back to a folder above it, skipped');
    return;
  }
  for (const entry of await entriesOf(options, absolute, folder)) {
    signal.throwIfAborted();
    const path = joinPath(folder, entry.name);
    const selected = selection.matches(path);
    const mayHold = selection.mayHold(path);
    if (!selected && !mayHold) continue;
    const below = `${absolute}/${entry.name}`;
    if (entry.kind === 'folder') {
      if (mayHold) yield* walkFolder(options, path, [...above, key], signal, below);
      continue;
    }
    if (!selected) continue;
    const facts = await factsOf(options, below);
    if (facts === undefined) continue;
    if (!facts.isFile()) {
      logger.warn({ path: below }, 'neither file nor folder, skipped');
    } else if (entry.link && !(await root.holds(below))) {
      logger.warn({ path: below }, 'symbolic link leads out of the folder of the linked service, skipped');
    } else if (selection.inTime(Number(facts.mtimeMs))) {
      yield objectOf(path, facts);
    }
  }
}

interface Entry {
  readonly name: string;
  readonly kind: 'folder' | 'other';
  readonly link: boolean;
}

/** A folder's entries so that a walk in this order meets paths in order: a folder sorts as if its name ended with a slash. */
async function entriesOf(options: WalkOptions, absolute: string, folder: string): Promise<Entry[]> {
  let found: Dirent<Buffer>[];
  try {
    found = await readdir(absolute, { withFileTypes: true, encoding: 'buffer' });
  } catch (error) {
    // Removed since its parent was read.
    if (folder !== '' && isMissing(error)) return [];
    throw fromFileError(error, absolute, options.root.host);
  }
  const entries: { entry: Entry; order: Buffer }[] = [];
  for (const dirent of found) {
    const name = dirent.name.toString('utf8');
    if (Buffer.compare(Buffer.from(name), dirent.name) !== 0) {
      throw connectorErrors.BAD_PATH.create({ path: joinPath(folder, name), reason: 'its name is not valid UTF-8' });
    }
    const link = dirent.isSymbolicLink();
    const isFolder = link ? ((await factsOf(options, `${absolute}/${name}`))?.isDirectory() ?? false) : dirent.isDirectory();
    entries.push({ entry: { name, kind: isFolder ? 'folder' : 'other', link }, order: Buffer.from(isFolder ? `${name}/` : name) });
  }
  return entries.toSorted((a, b) => Buffer.compare(a.order, b.order)).map(({ entry }) => entry);
}

/** What a folder is, to recognise circles; undefined when it is not to be read. */
async function folderKey({ root, selection, logger }: WalkOptions, absolute: string, folder: string): Promise<string | undefined> {
  try {
    const facts = await stat(absolute, { bigint: true });
    const holds = await root.holds(absolute);
    if (holds) return `${facts.dev}.${facts.ino}`;
  } catch (error) {
    if (!isMissing(error)) throw fromFileError(error, absolute, root.host);
    if (folder !== '') return undefined;
    if (!selection.folderNamed) return undefined;
    throw connectorErrors.SOURCE_NOT_FOUND.create(
      { path: selection.folder === '' ? '/' : selection.folder, store: root.host }, { cause: error },
    );
  }
  if (folder === '') {
    const reason = 'a symbolic link in it leads out of the folder of the linked service';
    throw connectorErrors.BAD_PATH.create({ path: selection.folder, reason });
  }
  logger.warn({ path: absolute }, 'symbolic link leads out of the folder of the linked service, skipped');
  return undefined;
}

/** Undefined: removed since its folder was read, or a symbolic link to nothing. */
async function factsOf({ root, logger }: WalkOptions, absolute: string): Promise<BigIntStats | undefined> {
  try {
    return await stat(absolute, { bigint: true });
  } catch (error) {
    if (isMissing(error)) return undefined;
    if (errorCode(error) !== 'ELOOP') throw fromFileError(error, absolute, root.host);
    logger.warn({ path: absolute }, 'symbolic links go in a circle, skipped');
    return undefined;
  }
}

function objectOf(path: string, facts: BigIntStats): SourceObject {
  return { path, sizeBytes: Number(facts.size), identity: identityOf(facts), lastModifiedMs: Number(facts.mtimeMs) };
}

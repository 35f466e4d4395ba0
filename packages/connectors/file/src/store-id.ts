import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { posix } from 'node:path';
import { baseErrors, hasCode, newId, type Random } from '@dmg/base';
import { connectorErrors, textOf } from '@dmg/connector-api';
import type { Job } from '@dmg/model';
import { fileErrors, fromFileError, isMissing } from './errors.ts';
import { PosixFiles } from './posix-files.ts';
import { fileSpec } from './spec.ts';

/** Below the root of a store; all paths with a part of this name are left out of copies. */
export const storeIdPath = '.dmg/store-id';

const idForm = /^[\w-]{8,64}$/;

/**
 * The id of the store at `root` (an absolute path): two nodes that read the same id see the same store, so a job with this local path
 * may run on both (DESIGN-RULES 6). Undefined when there is no such folder here.
 *
 * It stands in a hidden file at the root; with `create` it is made when there is none, and whoever links it first decides. A root that
 * cannot be written (read-only, not ours, no hard links) or has no id gets one that is derived from the machine and the folder's
 * device and inode: the same as long as the folder is, and never the same on two machines, so such a store is bound to the first node
 * that uses it even where it is shared.
 *
 * @throws what the file system says, for example `DMG_CONNECTOR_UNREACHABLE`
 */
export async function findStoreId(
  root: string, options: { readonly create: boolean; readonly random: Random },
): Promise<string | undefined> {
  const folder = root === '/' ? '' : root.replace(/\/+$/, '');
  const derived = await derivedId(folder);
  if (derived === undefined) return undefined;
  const files = new PosixFiles(root);
  try {
    return (await standingId(files, folder)) ?? (options.create ? await makeId(files, folder, options.random) : derived);
  } catch (error) {
    if (hasCode(error, connectorErrors.ACCESS_DENIED.code) || hasCode(error, fileErrors.NO_LINKS.code)) return derived;
    throw error;
  }
}

/**
 * The local paths that a job reads or writes, as its linked services name them, without a slash at the end. A host that is not an
 * absolute path (a Windows share, a mistake) is not among them: the connector refuses it with the reason.
 */
export function localRootsOf(job: Job): string[] {
  const { source, sink, log } = job.activity;
  const roots = [source, sink, ...(log === undefined ? [] : [log.store])].flatMap(({ connector, connection }) => {
    const host = connector === fileSpec.name ? textOf(connection, 'host') : undefined;
    return host?.startsWith('/') === true ? [posix.normalize(host).replace(/(?<=.)\/+$/, '')] : [];
  });
  return [...new Set(roots)];
}

async function standingId(files: PosixFiles, folder: string): Promise<string | undefined> {
  const bytes = await files.read(`${folder}/${storeIdPath}`);
  if (bytes === undefined) return undefined;
  const text = Buffer.from(bytes).toString().trim();
  if (idForm.test(text)) return text;
  throw connectorErrors.BAD_SETTING.create({
    name: storeIdPath, reason: `${folder}/${storeIdPath} does not hold the id of a store`,
    remedy: 'Restore the file from a backup, or remove it if no other node uses this folder.',
  });
}

async function makeId(files: PosixFiles, folder: string, random: Random): Promise<string> {
  const own = posix.dirname(`${folder}/${storeIdPath}`);
  for (let round = 0; round < 3; round++) {
    await files.makeFolder(own, { parents: true });
    const prepared = `${own}/store-id.${newId(random)}`;
    await files.writeNew(prepared, Buffer.from(`${newId(random)}\n`));
    try {
      await files.link(prepared, `${folder}/${storeIdPath}`);
      await files.syncFolder(own);
    } finally {
      await files.remove(prepared);
    }
    const standing = await standingId(files, folder);
    if (standing !== undefined) return standing;
  }
  throw baseErrors.UNEXPECTED.create({ reason: `the store id of ${folder} does not settle` });
}

async function derivedId(folder: string): Promise<string | undefined> {
  const root = folder === '' ? '/' : folder;
  try {
    const facts = await stat(root, { bigint: true });
    if (!facts.isDirectory()) return undefined;
    const digest = createHash('sha256').update(`${await machineId()}\n${facts.dev}\n${facts.ino}`).digest('hex');
    return `derived-${digest.slice(0, 32)}`;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw fromFileError(error, root, root);
  }
}

/** machine-id(5); containers have none, or an empty one, and go by their host name. */
async function machineId(): Promise<string> {
  const text = await readFile('/etc/machine-id', 'utf8').catch(() => '');
  return text.trim() || hostname();
}

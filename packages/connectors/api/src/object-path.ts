import { connectorErrors } from './errors.ts';

/**
 * Order of paths: that of their UTF-8 bytes, which is the order in which Azure lists blobs. (JavaScript's own order differs for
 * characters beyond U+FFFF.)
 */
export function comparePaths(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}

/** True for our own work files: a part of the path starts with `.dmg`. */
export function isOwnPath(path: string): boolean {
  return path.split('/').some((part) => part.startsWith('.dmg'));
}

/**
 * Checks a path relative to a store's root and returns it without slashes at its ends. Throws `BAD_PATH` for `.`, `..`, empty
 * parts and NUL, so that no path leaves the root or has two spellings. The empty path is the root itself.
 */
export function checkedPath(path: string): string {
  const trimmed = path.replace(/^\/+/, '').replace(/\/+$/, '');
  if (trimmed === '') return '';
  if (trimmed.includes('\0')) throw connectorErrors.BAD_PATH.create({ path, reason: 'it contains a NUL character' });
  if (!trimmed.isWellFormed()) throw connectorErrors.BAD_PATH.create({ path, reason: 'it is not valid Unicode' });
  for (const part of trimmed.split('/')) {
    if (part === '..' || part === '.') throw connectorErrors.BAD_PATH.create({ path, reason: `it has a part \`${part}\`` });
    if (part === '') throw connectorErrors.BAD_PATH.create({ path, reason: 'it has an empty part' });
  }
  return trimmed;
}

/** `checkedPath` for a path that must name an object which is not one of our own work files. */
export function checkedObjectPath(path: string): string {
  const checked = checkedPath(path);
  if (checked === '') throw connectorErrors.BAD_PATH.create({ path, reason: 'it is empty' });
  if (isOwnPath(checked)) {
    throw connectorErrors.BAD_PATH.create({ path, reason: 'names that start with `.dmg` are kept for the work files of the gateway' });
  }
  return checked;
}

/** Joins a folder (may be empty) and a path below it. */
export function joinPath(folder: string, path: string): string {
  if (folder === '') return path;
  return path === '' ? folder : `${folder}/${path}`;
}

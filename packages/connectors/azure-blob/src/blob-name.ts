import { checkedObjectPath, connectorErrors, joinPath } from '@dmg/connector-api';

/** Limits of the service: characters of a name, and parts between slashes. */
const charactersMax = 1024;
const partsMax = 254;
/** Control characters and the two that no list of blobs can hold. */
const unlistable = /[\p{Cc}\uFFFE\uFFFF]/u;

/**
 * The name of the blob at a path below a folder. Throws `BAD_PATH` for names that the service would store as others (it makes a slash of
 * a backslash, and takes away dots at the end of a part), or that break its lists: two files would become one without a word.
 * (Naming and Referencing Containers, Blobs, and Metadata.)
 */
export function checkedBlobName(folder: string, path: string): string {
  const name = joinPath(folder, checkedObjectPath(path));
  const refuse = (reason: string): Error => connectorErrors.BAD_PATH.create({ path, reason });
  if (name.includes('\\')) throw refuse('the store takes a backslash in a name for a slash');
  if (unlistable.test(name)) throw refuse('the store takes no control characters in names');
  const parts = name.split('/');
  const dotted = parts.find((part) => part.endsWith('.'));
  if (dotted !== undefined) throw refuse(`the store drops the dot at the end of \`${dotted}\``);
  if (name.length > charactersMax) throw refuse(`the store takes at most ${charactersMax} characters`);
  if (parts.length > partsMax) throw refuse(`the store takes at most ${partsMax} parts between slashes`);
  return name;
}

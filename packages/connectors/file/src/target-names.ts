import { connectorErrors, joinPath } from '@dmg/connector-api';

/** NAME_MAX and PATH_MAX of Linux, in bytes. */
const nameBytesMax = 255;
const pathBytesMax = 4095;

/**
 * Refuses targets that cannot all be published: names that are too long, and a file where another target needs a folder. The system
 * would say so only when the first of them are published already. `root` is the absolute path of the store, `folder` below it.
 */
export function checkTargetNames(root: string, folder: string, paths: readonly string[]): void {
  const targets = new Set(paths);
  for (const path of paths) {
    const parts = path.split('/');
    const long = parts.find((part) => Buffer.byteLength(part) > nameBytesMax);
    if (long !== undefined) throw connectorErrors.BAD_PATH.create({ path, reason: `a name in it has more than ${nameBytesMax} bytes` });
    if (Buffer.byteLength(`${root}/${joinPath(folder, path)}`) > pathBytesMax) {
      throw connectorErrors.BAD_PATH.create({ path, reason: `below ${root} it has more than ${pathBytesMax} bytes` });
    }
    for (let count = 1; count < parts.length; count++) {
      const above = parts.slice(0, count).join('/');
      if (!targets.has(above)) continue;
      throw connectorErrors.TARGET_BLOCKED.create({
        path, reason: `${above} is a target of this copy as well, and cannot be a file and a folder`,
        remedy: 'Set copyBehavior to FlattenHierarchy, or select the sources so that only one of the two is copied.',
      });
    }
  }
}

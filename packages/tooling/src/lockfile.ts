/** The parts of npm's `package-lock.json` (version 3) that are looked at here; all others are kept as they are. */
export interface Lockfile {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

export interface LockedPackage {
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly [member: string]: unknown;
}

/**
 * Tools with native parts name one optional package for each platform. Where a registry does not carry all of them, `npm install`
 * leaves those out of the lockfile but not out of the names, and then `npm ci` refuses the lockfile ("Missing: … from lock
 * file"). This removes the names that are not locked, so that every machine installs exactly what the lockfile holds.
 */
export function pruneLockfile(lockfile: Lockfile): Lockfile {
  const locked = new Set(
    Object.keys(lockfile.packages).map((path) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)),
  );
  const packages = Object.entries(lockfile.packages).map(
    ([path, entry]) => [path, path === '' ? entry : pruneEntry(entry, locked)] as const,
  );
  return { ...lockfile, packages: Object.fromEntries(packages) };
}

function pruneEntry(entry: LockedPackage, locked: ReadonlySet<string>): LockedPackage {
  if (entry.optionalDependencies === undefined) return entry;
  const kept = Object.fromEntries(Object.entries(entry.optionalDependencies).filter(([name]) => locked.has(name)));
  const { optionalDependencies: _before, ...rest } = entry;
  if (Object.keys(kept).length === 0) return rest;
  // Members keep their order, so that the difference shows nothing but what was removed.
  return Object.fromEntries(Object.entries(entry).map(([member, value]) => [member, member === 'optionalDependencies' ? kept : value]));
}

export function formatLockfile(lockfile: Lockfile): string {
  return `${JSON.stringify(lockfile, undefined, 2)}\n`;
}

import { defineErrors, type DmgError, isDmgError } from '@dmg/base';
import { connectorErrors } from '@dmg/connector-api';

export const fileErrors = defineErrors('FILE', {
  ROOT_UNUSABLE: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot use the folder {host}: {reason}.',
    fix: 'Create or mount the folder on this node, or correct `host` of the linked service.',
  },
  NO_LINKS: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot write to {path}: its file system has no hard links, which exactly-once publishing needs.',
    fix: 'Choose a folder on a POSIX file system (ext4, xfs, btrfs, zfs, tmpfs).',
  },
  TOO_MANY_OPEN: {
    category: 'transient', retry: 'backoff', scope: 'attempt',
    message: 'Cannot open {path}: this node has too many files open ({code}).',
    fix: 'Raise the limit of open files of the node (`ulimit -n`, `LimitNOFILE`) or lower its concurrent jobs.',
  },
  FAILED: {
    category: 'system', retry: 'backoff', scope: 'attempt',
    message: 'Cannot access {path}: the operating system answered {code}.',
    fix: 'Check the file system and the kernel log of this node.',
  },
});

const denied: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EROFS: 'the file system is read-only',
};
const full = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
const unreachable = new Set([
  'EIO', 'ENOTCONN', 'ESTALE', 'ETIMEDOUT', 'EHOSTDOWN', 'EHOSTUNREACH', 'ENETDOWN', 'ENETUNREACH', 'ENODEV', 'ENXIO', 'EREMOTEIO',
]);

export function errorCode(error: unknown): string {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return code ?? '';
}

/** True for the codes that say: nothing has this path. */
export function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes(errorCode(error));
}

/** Maps an error of the operating system. `path` is as the user knows it; `store` is the root folder. */
export function fromFileError(error: unknown, path: string, store: string): DmgError {
  if (isDmgError(error)) return error;
  const code = errorCode(error);
  const options = { cause: error };
  const reason = denied[code];
  if (reason !== undefined) return connectorErrors.ACCESS_DENIED.create({ path, store, reason }, options);
  if (full.has(code)) return connectorErrors.NO_SPACE.create({ path, store }, options);
  if (unreachable.has(code)) return connectorErrors.UNREACHABLE.create({ store, reason: `the file system answered ${code}` }, options);
  if (code === 'ENAMETOOLONG') {
    return connectorErrors.BAD_PATH.create({ path, reason: 'a name in it is longer than the file system allows' }, options);
  }
  if (code === 'ELOOP') return connectorErrors.BAD_PATH.create({ path, reason: 'its symbolic links go in a circle' }, options);
  if (code === 'EISDIR') {
    return connectorErrors.TARGET_BLOCKED.create(
      { path, reason: 'a folder has this name', remedy: 'Rename the folder or the target.' }, options,
    );
  }
  if (code === 'ENOTDIR') {
    return connectorErrors.TARGET_BLOCKED.create(
      { path, reason: 'a part of its path is a file', remedy: 'Rename that file or choose another folder.' }, options,
    );
  }
  if (code === 'EMFILE' || code === 'ENFILE') return fileErrors.TOO_MANY_OPEN.create({ path, code }, options);
  return fileErrors.FAILED.create({ path, code: code === '' ? 'an unknown error' : code }, options);
}

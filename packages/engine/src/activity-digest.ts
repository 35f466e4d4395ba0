import { createHash } from 'node:crypto';
import { type CopyActivity, isEncryptedSecret } from '@dmg/model';

/**
 * Identifies what a job's activity asks for, as 64 hex digits. Ciphertexts of secrets are left out: they differ at each encryption
 * of the same secret, and a changed password does not change what is copied.
 */
export function activityDigest(activity: CopyActivity): string {
  return createHash('sha256').update(canonicalJson(activity)).digest('hex');
}

/** JSON with sorted keys and without undefined properties; secrets appear only as a placeholder. */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null';
  if (isEncryptedSecret(value)) return '{"secret":true}';
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  const entries = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`);
  return `{${entries.join(',')}}`;
}

import { hkdfSync, randomBytes } from 'node:crypto';
import type { Secret } from '@dmg/base';
import { securityErrors } from './errors.ts';
import { createKeptFileOnce, readKeptFile } from './secret-file.ts';

const secretBytes = 32;

/** The root of every key that the control plane derives. It never leaves this object; only keys derived from it do. */
export class MasterSecret {
  readonly #bytes: Buffer;

  constructor(bytes: Uint8Array) {
    if (bytes.length !== secretBytes) {
      throw securityErrors.MASTER_SECRET_UNUSABLE.create({ reason: `it has ${bytes.length} bytes instead of ${secretBytes}` });
    }
    this.#bytes = Buffer.from(bytes);
  }

  /** 32 bytes by HKDF-SHA-256 for one purpose; parts are separated so that no two lists of parts give the same key. */
  derive(purpose: string, ...parts: readonly (string | number)[]): Buffer {
    const info = Buffer.from(JSON.stringify([purpose, ...parts]), 'utf8');
    return Buffer.from(hkdfSync('sha256', this.#bytes, Buffer.from('dmg/v1'), info, 32));
  }

  toJSON(): string {
    return '***';
  }
}

/**
 * The control plane's master secret: what the environment gives (`given`), else the 0600 file at `path`, which is made at the
 * first start.
 */
export async function loadMasterSecret(options: { readonly path: string; readonly given?: Secret | undefined }): Promise<MasterSecret> {
  if (options.given !== undefined) return new MasterSecret(decode(options.given.reveal()));
  const existing = await readKeptFile(options.path, { secret: true });
  if (existing !== undefined) return new MasterSecret(decode(existing));
  return new MasterSecret(decode(await createKeptFileOnce(options.path, `${randomBytes(secretBytes).toString('base64url')}\n`, 0o600)));
}

function decode(text: string): Buffer {
  const trimmed = text.trim();
  if (!/^[A-Za-z0-9_-]{43}=?$/.test(trimmed)) {
    throw securityErrors.MASTER_SECRET_UNUSABLE.create({ reason: 'it is not 32 bytes in base64url' });
  }
  return Buffer.from(trimmed, 'base64url');
}

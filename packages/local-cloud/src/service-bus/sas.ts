import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Secret } from '@dmg/base';

export type SasVerdict = { readonly ok: true; readonly path: string } | { readonly ok: false; readonly reason: string };

/**
 * Verifies a shared access signature as Service Bus does: `SharedAccessSignature sr=…&sig=…&se=…&skn=…`, where sig is the base64
 * HMAC-SHA256 of `sr` (still URL-encoded), a line feed and `se`, under the key named `skn`. `path` is the entity that it opens,
 * empty for the whole namespace.
 */
export function verifySas(options: { token: string; keyName: string; key: Secret; nowMs: number }): SasVerdict {
  const text = /^SharedAccessSignature (.+)$/.exec(options.token)?.[1];
  if (text === undefined) return { ok: false, reason: 'the token is not a shared access signature' };
  const fields = new Map<string, string>();
  for (const part of text.split('&')) {
    const cut = part.indexOf('=');
    if (cut > 0) fields.set(part.slice(0, cut), part.slice(cut + 1));
  }
  const resource = fields.get('sr') ?? '';
  const expiry = fields.get('se') ?? '';
  if (decode(fields.get('skn') ?? '') !== options.keyName) return { ok: false, reason: 'there is no key of that name' };
  const expected = createHmac('sha256', options.key.reveal()).update(`${resource}\n${expiry}`, 'utf8').digest();
  const given = Buffer.from(decode(fields.get('sig') ?? ''), 'base64');
  const fits = given.length === expected.length && timingSafeEqual(given, expected);
  if (!fits) return { ok: false, reason: 'the signature does not fit the key' };
  if (!(Number(expiry) * 1000 > options.nowMs)) return { ok: false, reason: 'the token has expired' };
  const path = /^[a-z]+:\/\/[^/]+\/?(.*)$/i.exec(decode(resource))?.[1];
  return path === undefined ? { ok: false, reason: 'the token names no resource' } : { ok: true, path: path.replace(/\/+$/, '') };
}

/** True when a token for `path` opens `address` or something above it. */
export function pathCovers(path: string, address: string): boolean {
  const wide = path.toLowerCase();
  const narrow = address.replace(/^\//, '').toLowerCase();
  return wide === '' || narrow === wide || narrow.startsWith(`${wide}/`);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // Not URL-encoded as it should be: then it equals nothing that we compare it with.
    return '';
  }
}

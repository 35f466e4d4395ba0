import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { Secret } from '@dmg/base';
import { securityErrors } from './errors.ts';
import type { MasterSecret } from './master-secret.ts';

/** Whose secret it is. Part of what is authenticated: a sealed text moved to another place in the database does not open. */
export type SealContext =
  | { readonly factoryId: string; readonly linkedService: string; readonly property: string }
  | { readonly gatewayId: string; readonly property: string };

const ivBytes = 12;
const tagBytes = 16;

/** AES-256-GCM under a key of the master secret; `1.<iv, ciphertext and tag in base64url>`. */
export function sealSecret(master: MasterSecret, secret: Secret, context: SealContext): string {
  const iv = randomBytes(ivBytes);
  const cipher = createCipheriv('aes-256-gcm', master.derive('seal', 1), iv, { authTagLength: tagBytes });
  cipher.setAAD(associatedData(context));
  const sealed = Buffer.concat([iv, cipher.update(secret.reveal(), 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return `1.${sealed.toString('base64url')}`;
}

/** The secret again. Throws `DMG_SECURITY_SEAL_BROKEN` when the text, its place or the master secret is another. */
export function openSealedSecret(master: MasterSecret, sealed: string, context: SealContext): Secret {
  const bytes = Buffer.from(sealed.startsWith('1.') ? sealed.slice(2) : '', 'base64url');
  try {
    const tagStart = bytes.length - tagBytes;
    const decipher = createDecipheriv('aes-256-gcm', master.derive('seal', 1), bytes.subarray(0, ivBytes), { authTagLength: tagBytes });
    decipher.setAAD(associatedData(context));
    decipher.setAuthTag(bytes.subarray(tagStart));
    return new Secret(Buffer.concat([decipher.update(bytes.subarray(ivBytes, tagStart)), decipher.final()]).toString('utf8'));
  } catch (error) {
    throw securityErrors.SEAL_BROKEN.create({ what: nameOf(context) }, { cause: error });
  }
}

// No factory has the id `gateway`, so that a gateway's secret never opens as one of a linked service.
function associatedData(context: SealContext): Buffer {
  const place = 'gatewayId' in context
    ? ['gateway', context.gatewayId, context.property]
    : [context.factoryId, context.linkedService.toLowerCase(), context.property.toLowerCase()];
  return Buffer.from(JSON.stringify(place), 'utf8');
}

function nameOf(context: SealContext): string {
  return `${'gatewayId' in context ? `gateway ${context.gatewayId}` : context.linkedService}.${context.property}`;
}

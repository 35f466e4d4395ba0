import type { Secret } from '@dmg/base';
import { type CopyEnd, isEncryptedSecret, type JsonObject } from '@dmg/model';
import { decryptSecret } from '@dmg/security/credential-envelope';
import { nodeErrors } from './errors.ts';

/**
 * Secrets of one side of a copy in clear, by property name, for its connector. They live in the executor only. `readKey` is asked only
 * where there is a secret.
 */
export async function decryptEnd(
  end: CopyEnd, readKey: () => Promise<JsonObject | undefined>,
): Promise<ReadonlyMap<string, string>> {
  const secrets = new Map<string, string>();
  for (const [property, value] of Object.entries(end.connection)) {
    if (!isEncryptedSecret(value)) continue;
    const privateJwk = await readKey();
    if (privateJwk === undefined) throw nodeErrors.CREDENTIAL_KEY_MISSING.create();
    const secret: Secret = await decryptSecret(value, privateJwk);
    secrets.set(property, secret.reveal());
  }
  return secrets;
}

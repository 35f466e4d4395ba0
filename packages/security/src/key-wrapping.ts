import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { CompactEncrypt, compactDecrypt } from 'jose';
import { securityErrors } from './errors.ts';

const algorithm = 'ECDH-ES+A256KW';
const encryption = 'A256GCM';

/**
 * Encrypts `bytes` so that only the holder of the key reads them: JWE compact, ECDH-ES+A256KW with A256GCM (RFC 7518 §4.6). `pem` is a
 * node's certificate or the public key in it; whether it is the right node's is the caller's to know, from the mTLS connection that
 * it came over.
 *
 * @throws `DMG_SECURITY_CERTIFICATE_UNUSABLE`
 */
export async function wrapForKey(bytes: Uint8Array, pem: string): Promise<string> {
  let publicKey: KeyObject;
  try {
    publicKey = createPublicKey(pem);
  } catch (error) {
    throw securityErrors.CERTIFICATE_UNUSABLE.create({}, { cause: error });
  }
  if (publicKey.asymmetricKeyType !== 'ec') throw securityErrors.CERTIFICATE_UNUSABLE.create();
  return new CompactEncrypt(bytes).setProtectedHeader({ alg: algorithm, enc: encryption }).encrypt(publicKey);
}

/** What was wrapped for the certificate of this key. Throws `DMG_SECURITY_WRAPPED_FOR_ANOTHER`, `DMG_SECURITY_NODE_KEY_UNUSABLE`. */
export async function unwrapWithKey(wrapped: string, privateKeyPem: string): Promise<Uint8Array> {
  let key: KeyObject;
  try {
    key = createPrivateKey(privateKeyPem);
  } catch (error) {
    throw securityErrors.NODE_KEY_UNUSABLE.create({}, { cause: error });
  }
  try {
    const options = { keyManagementAlgorithms: [algorithm], contentEncryptionAlgorithms: [encryption] };
    return (await compactDecrypt(wrapped, key, options)).plaintext;
  } catch (error) {
    throw securityErrors.WRAPPED_FOR_ANOTHER.create({}, { cause: error });
  }
}

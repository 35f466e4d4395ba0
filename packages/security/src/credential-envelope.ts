import { createPrivateKey, createPublicKey, generateKeyPairSync, type JsonWebKey, type KeyObject } from 'node:crypto';
import { firstLine, Secret } from '@dmg/base';
import type { EncryptedSecret, JsonObject } from '@dmg/model';
import { calculateJwkThumbprint, CompactEncrypt, compactDecrypt, type JWK } from 'jose';
import { securityErrors } from './errors.ts';

/** A gateway's credential key pair. The private half never leaves the nodes. */
export interface CredentialKeyPair {
  readonly publicJwk: JsonObject;
  readonly privateJwk: JsonObject;
}

const algorithm = 'ECDH-ES';
const encryption = 'A256GCM';

/** A new P-256 key pair, made by a gateway's first node. Both halves carry the key's thumbprint as `kid`. */
export async function createCredentialKeyPair(): Promise<CredentialKeyPair> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const publicJwk = publicKey.export({ format: 'jwk' }) as JsonObject;
  const kid = await credentialKeyId(publicJwk);
  return {
    publicJwk: { ...publicJwk, kid, use: 'enc' },
    privateJwk: { ...(privateKey.export({ format: 'jwk' }) as JsonObject), kid, use: 'enc' },
  };
}

/** RFC 7638 thumbprint of a credential key: tells whether two keys are the same. */
export async function credentialKeyId(jwk: JsonObject): Promise<string> {
  requireCurve(jwk);
  return calculateJwkThumbprint(jwk as JWK, 'sha256');
}

/** Encrypts a secret to a gateway's public key: JWE compact, ECDH-ES with A256GCM (RFC 7516, RFC 7518). */
export async function encryptSecret(secret: Secret, publicJwk: JsonObject): Promise<EncryptedSecret> {
  const kid = await credentialKeyId(publicJwk);
  const encryptedCredential = await new CompactEncrypt(Buffer.from(secret.reveal(), 'utf8'))
    .setProtectedHeader({ alg: algorithm, enc: encryption, kid })
    .encrypt(importKey(publicJwk, 'public'));
  return { encryptedCredential };
}

/** Decrypts on a node. Throws `DMG_SECURITY_SECRET_NOT_FOR_US` when it was encrypted for another key or changed. */
export async function decryptSecret(encrypted: EncryptedSecret, privateJwk: JsonObject): Promise<Secret> {
  const key = importKey(privateJwk, 'private');
  try {
    const { plaintext } = await compactDecrypt(encrypted.encryptedCredential, key, {
      keyManagementAlgorithms: [algorithm],
      contentEncryptionAlgorithms: [encryption],
    });
    return new Secret(Buffer.from(plaintext).toString('utf8'));
  } catch (error) {
    throw securityErrors.SECRET_NOT_FOR_US.create({}, { cause: error });
  }
}

function importKey(jwk: JsonObject, half: 'public' | 'private'): KeyObject {
  requireCurve(jwk);
  try {
    const input = { key: jwk as JsonWebKey, format: 'jwk' } as const;
    return half === 'private' ? createPrivateKey(input) : createPublicKey(input);
  } catch (error) {
    throw securityErrors.CREDENTIAL_KEY_UNUSABLE.create({ reason: firstLine(error) });
  }
}

function requireCurve(jwk: JsonObject): void {
  if (jwk['kty'] === 'EC' && jwk['crv'] === 'P-256' && typeof jwk['x'] === 'string' && typeof jwk['y'] === 'string') return;
  throw securityErrors.CREDENTIAL_KEY_UNUSABLE.create({ reason: 'it is not an elliptic curve key on P-256' });
}

import 'reflect-metadata'; // Before x509, whose dependency injection needs it.
import type { webcrypto } from 'node:crypto';
import { PemConverter } from '@peculiar/x509';

/** Every key that signs a certificate or a request here: ECDSA on P-256 with SHA-256. */
export const signingAlgorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

export function newPair(): Promise<webcrypto.CryptoKeyPair> {
  return crypto.subtle.generateKey(signingAlgorithm, true, ['sign', 'verify']);
}

/** 127 random bits with the top bit of the first byte clear and the next one set: positive and of constant length. */
export function serialNumber(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return Buffer.from(bytes).toString('hex');
}

/** PKCS #8. */
export async function exportPrivatePem(key: webcrypto.CryptoKey): Promise<string> {
  return PemConverter.encode(await crypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');
}

/** Both halves again from the private one. Throws when the text is no such key. */
export async function importPair(pem: string): Promise<webcrypto.CryptoKeyPair> {
  const privateKey = await crypto.subtle.importKey('pkcs8', PemConverter.decodeFirst(pem), signingAlgorithm, true, ['sign']);
  const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', privateKey);
  const publicKey = await crypto.subtle.importKey('jwk', { kty, crv, x, y } as webcrypto.JsonWebKey, signingAlgorithm, true, ['verify']);
  return { privateKey, publicKey };
}

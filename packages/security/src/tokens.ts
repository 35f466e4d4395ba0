import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { Secret } from '@dmg/base';

/** A new opaque bearer token: 256 random bits in base64url. */
export function newToken(): Secret {
  return new Secret(randomBytes(32).toString('base64url'));
}

/** The only form in which tokens are stored. */
export function hashToken(token: Secret): string {
  return createHash('sha256').update('dmg-token\0').update(token.reveal()).digest('hex');
}

/** Compares in constant time. */
export function tokenMatches(token: Secret, storedHash: string): boolean {
  const given = Buffer.from(hashToken(token), 'hex');
  const stored = Buffer.from(storedHash, 'hex');
  return given.length === stored.length && timingSafeEqual(given, stored);
}

import { createHash, timingSafeEqual } from 'node:crypto';
import { Secret } from '@dmg/base';
import { securityErrors } from './errors.ts';
import type { MasterSecret } from './master-secret.ts';

export const gatewayKeyNames = ['authKey1', 'authKey2'] as const;
export type GatewayKeyName = (typeof gatewayKeyNames)[number];

/** What a gateway key says: which gateway, where its control plane is, by which authority to know it, and the secret. */
export interface GatewayKey {
  readonly gatewayId: string;
  readonly keyName: GatewayKeyName;
  /** `host:port` of the control plane. */
  readonly endpoint: string;
  /** SHA-256 of the control plane's CA certificate (DER), base64url. */
  readonly caFingerprint: string;
  readonly secret: Secret;
}

/** The secret of one of a gateway's two keys. Derived, never stored; a higher generation is another secret. */
export function deriveGatewayKeySecret(
  master: MasterSecret,
  key: { readonly gatewayId: string; readonly keyName: GatewayKeyName; readonly generation: number },
): Secret {
  return new Secret(master.derive('gateway-key', key.gatewayId, key.keyName, key.generation).toString('base64url'));
}

/** The only form in which a key's secret is stored. Keys have 256 random bits, so a plain digest cannot be searched. */
export function hashGatewayKeySecret(secret: Secret): string {
  return createHash('sha256').update('dmg-gateway-key\0').update(secret.reveal()).digest('hex');
}

/** Compares in constant time. */
export function gatewayKeySecretMatches(secret: Secret, storedHash: string): boolean {
  const given = Buffer.from(hashGatewayKeySecret(secret), 'hex');
  const stored = Buffer.from(storedHash, 'hex');
  return given.length === stored.length && timingSafeEqual(given, stored);
}

/** `DMG@<gatewayId>@<keyName>@ServiceEndpoint=<host:port>@<CA fingerprint>@<secret>`. */
export function formatGatewayKey(key: GatewayKey): Secret {
  return new Secret(
    ['DMG', key.gatewayId, key.keyName, `ServiceEndpoint=${key.endpoint}`, key.caFingerprint, key.secret.reveal()].join('@'),
  );
}

/** Reads a key as a person pasted it. Errors name the part that is wrong and never show any of the text. */
export function parseGatewayKey(text: string): GatewayKey {
  const wrong = (reason: string): Error => securityErrors.KEY_MALFORMED.create({ reason });
  const trimmed = text.trim();
  if (trimmed === '') throw wrong('it is empty');
  if (/^(IR|ADF)[@#]/.test(trimmed)) throw wrong('it is a key of the cloud product, not of this control plane');
  const parts = trimmed.split('@');
  if (parts[0] !== 'DMG') throw wrong('it does not start with DMG@');
  const [, gatewayId = '', keyName = '', service = '', caFingerprint = '', secret = ''] = parts;
  if (parts.length !== 6) throw wrong(`it has ${parts.length} parts instead of 6; it was probably cut off or pasted twice`);
  if (!/^[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$/.test(gatewayId)) throw wrong('the id of the gateway in it is not a GUID');
  const name = gatewayKeyNames.find((known) => known === keyName);
  if (name === undefined) throw wrong('the name of the key in it is neither authKey1 nor authKey2');
  const endpoint = /^ServiceEndpoint=(.+:\d{1,5})$/.exec(service)?.[1];
  if (endpoint === undefined) throw wrong('it names no service endpoint with a port');
  if (!/^[A-Za-z0-9_-]{43}$/.test(caFingerprint)) throw wrong('the fingerprint of the certificate authority in it is damaged');
  if (!/^[A-Za-z0-9_-]{43}$/.test(secret)) throw wrong('its last part is damaged');
  return { gatewayId, keyName: name, endpoint, caFingerprint, secret: new Secret(secret) };
}

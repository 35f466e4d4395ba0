import { createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { firstLine } from '@dmg/base';
import type { DesiredState, Job, JsonObject } from '@dmg/model';
import { calculateJwkThumbprint, CompactSign, compactVerify, type JWK } from 'jose';
import { securityErrors } from './errors.ts';
import { checkDesiredState, checkJob } from './signed-shapes.ts';
import type { MasterSecret } from './master-secret.ts';

/** The control plane's Ed25519 key. Nodes pin `publicJwk` when they register. */
export interface SigningKey {
  readonly privateKey: KeyObject;
  readonly publicJwk: JsonObject;
  readonly keyId: string;
}

/** What a node needs to trust a document: the key it pinned, its own gateway, and the time for the job's expiry. */
export interface Trust {
  /** Public JWK as registration answered it. */
  readonly signingKey: JsonObject;
  readonly gatewayId: string;
  /** Wall clock of the verifier. Expiry is weeks away, so clocks that differ by hours do no harm. */
  readonly wallMs: number;
}

type DocumentKind = 'dmg-job' | 'dmg-desired-state';

// PKCS #8 header of an Ed25519 private key (RFC 8410); the 32 bytes of the seed follow.
const ed25519Header = Buffer.from('302e020100300506032b657004220420', 'hex');

/** The signing key is derived from the master secret, so that every replica and every restart has the same one. */
export async function createSigningKey(master: MasterSecret): Promise<SigningKey> {
  const privateKey = createPrivateKey({
    key: Buffer.concat([ed25519Header, master.derive('signing-key', 1)]),
    format: 'der',
    type: 'pkcs8',
  });
  const jwk = createPublicKey(privateKey).export({ format: 'jwk' }) as JsonObject;
  const keyId = await calculateJwkThumbprint(jwk as JWK, 'sha256');
  return { privateKey, keyId, publicJwk: { ...jwk, kid: keyId, alg: 'EdDSA', use: 'sig' } };
}

/** JWS compact over the job; gateway and expiry are inside the signature (DESIGN-RULES 25). */
export function signJob(job: Job, options: { readonly key: SigningKey; readonly expiresAtMs: number }): Promise<string> {
  return sign('dmg-job', { job, expiresAtMs: options.expiresAtMs }, options.key);
}

/** The job, if this control plane signed it for this gateway and it has not expired. Else `DMG_SECURITY_BAD_SIGNATURE`. */
export async function verifyJob(text: string, trust: Trust): Promise<Job> {
  const payload = await verify('dmg-job', text, trust);
  const { job, expiresAtMs } = payload as { job?: unknown; expiresAtMs?: unknown };
  const problem = checkJob(job);
  if (problem !== undefined) throw refused('job', problem);
  const checked = job as Job;
  if (typeof expiresAtMs !== 'number') throw refused('job', 'it has no expiry');
  if (trust.wallMs > expiresAtMs) throw refused('job', `it expired at ${new Date(expiresAtMs).toISOString()}`);
  if (checked.gatewayId !== trust.gatewayId) throw refused('job', 'it is for another gateway');
  return checked;
}

export function signDesiredState(state: DesiredState, key: SigningKey): Promise<string> {
  return sign('dmg-desired-state', state, key);
}

/** The document, if this control plane signed it for this gateway and node. Else `DMG_SECURITY_BAD_SIGNATURE`. */
export async function verifyDesiredState(text: string, trust: Omit<Trust, 'wallMs'> & { readonly nodeId: string }): Promise<DesiredState> {
  const state = await verify('dmg-desired-state', text, trust);
  const problem = checkDesiredState(state);
  if (problem !== undefined) throw refused('desired state', problem);
  const checked = state as DesiredState;
  if (checked.gatewayId !== trust.gatewayId) throw refused('desired state', 'it is for another gateway');
  if (checked.nodeId !== trust.nodeId) throw refused('desired state', 'it is for another node');
  return checked;
}

// `typ` names the kind of document: a signed job can never be taken for a desired state, nor the reverse.
function sign(kind: DocumentKind, payload: object, key: SigningKey): Promise<string> {
  return new CompactSign(Buffer.from(JSON.stringify(payload), 'utf8'))
    .setProtectedHeader({ alg: 'EdDSA', typ: `${kind}+jws`, kid: key.keyId })
    .sign(key.privateKey);
}

async function verify(kind: DocumentKind, text: string, trust: { readonly signingKey: JsonObject }): Promise<unknown> {
  const what = kind === 'dmg-job' ? 'job' : 'desired state';
  let result;
  try {
    result = await compactVerify(text, publicKeyOf(trust.signingKey), { algorithms: ['EdDSA'] });
  } catch (error) {
    throw refused(what, `its signature is not that of the control plane (${firstLine(error)})`, error);
  }
  if (result.protectedHeader.typ !== `${kind}+jws`) throw refused(what, 'it is another kind of document');
  try {
    return JSON.parse(Buffer.from(result.payload).toString('utf8'));
  } catch (error) {
    throw refused(what, 'it is not JSON', error);
  }
}

const publicKeys = new WeakMap<JsonObject, KeyObject>();

function publicKeyOf(jwk: JsonObject): KeyObject {
  const known = publicKeys.get(jwk);
  if (known !== undefined) return known;
  const key = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' });
  publicKeys.set(jwk, key);
  return key;
}

function refused(what: string, reason: string, cause?: unknown): Error {
  return securityErrors.BAD_SIGNATURE.create({ what, reason }, { cause });
}

import { hostname } from 'node:os';
import { asDmgError, type Clock, type Logger, type Secret } from '@dmg/base';
import { createCredentialKeyPair, fetchPinnedCa, hashToken, parseGatewayKey } from '@dmg/security';
import type { JsonObject } from '@dmg/model';
import { ControlPlaneClient } from './control-plane-client.ts';
import { publicHalf } from './credential-key.ts';
import { nodeErrors } from './errors.ts';
import { NodeIdentity } from './node-identity.ts';
import type { NodeState, Registration } from './node-state.ts';

export interface RegistrationOptions {
  readonly state: NodeState;
  readonly key: Secret | undefined;
  readonly nodeName: string;
  readonly sharesMachine: boolean;
  readonly defaultConcurrentJobsLimit: number;
  readonly version: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal?: AbortSignal;
}

/**
 * The registration of this node: the one on disk, or a new one with the key. The key names the control plane and its CA's
 * fingerprint, so nothing else needs to be configured or trusted beforehand.
 */
export async function ensureRegistration(options: RegistrationOptions): Promise<Registration> {
  const { state, key } = options;
  const known = await state.readRegistration();
  if (known !== undefined) {
    if (key !== undefined && parseGatewayKey(key.reveal()).gatewayId !== known.gatewayId) {
      throw nodeErrors.OTHER_GATEWAY.create({ gatewayName: known.gatewayName, stateFolder: state.folder });
    }
    return key === undefined || hashToken(key) === known.keyHash ? known : await registerAnew(options, key, known);
  }
  if (key === undefined) throw nodeErrors.NOT_REGISTERED.create();
  return register(options, key);
}

/**
 * Another key than the one it registered with: the old one may have been regenerated, and this is how its user says so. When this key
 * does not work, because it is the older of the two or the control plane is away, the registration that there is may still be good.
 */
async function registerAnew(options: RegistrationOptions, key: Secret, known: Registration): Promise<Registration> {
  try {
    return await register({ ...options, nodeName: known.nodeName }, key);
  } catch (error) {
    const { code, message: reason } = asDmgError(error);
    options.logger.warn({ code, reason }, 'node not registered with the key that is given; it goes on with its registration');
    return known;
  }
}

/** Registers even when a registration is on disk: a new token for the same node, after a key was regenerated. */
export async function register(options: RegistrationOptions, key: Secret): Promise<Registration> {
  const { state, clock, logger, nodeName } = options;
  const identity = await NodeIdentity.open(state);
  const parsed = parseGatewayKey(key.reveal());
  const endpoint = `https://${parsed.endpoint}`;
  const caPem = await fetchPinnedCa({ endpoint: parsed.endpoint, fingerprint: parsed.caFingerprint, clock });
  const client = new ControlPlaneClient({ endpoint, caPem, clock });
  try {
    const answer = await client.register({
      key: key.reveal(),
      nodeName,
      machineName: hostname(),
      version: options.version,
      sharesMachine: options.sharesMachine,
      defaultConcurrentJobsLimit: options.defaultConcurrentJobsLimit,
      credentialPublicKey: await credentialPublicKey(state),
      certificateRequest: await identity.certificateRequest(nodeName),
    });
    const registration: Registration = { endpoint, caPem, keyHash: hashToken(key), ...answer };
    await state.writeRegistration(registration);
    logger.info({ gateway: answer.gatewayName, node: answer.nodeName, endpoint }, 'node registered');
    return registration;
  } finally {
    client.close();
  }
}

/**
 * The first node's becomes the gateway's. The private half is made here and leaves the node only for another node of the gateway, over
 * a stream both have proved themselves on.
 */
async function credentialPublicKey(state: NodeState): Promise<JsonObject> {
  let privateJwk = await state.readCredentialKey();
  if (privateJwk === undefined) {
    privateJwk = (await createCredentialKeyPair()).privateJwk;
    await state.writeCredentialKey(privateJwk);
  }
  return publicHalf(privateJwk);
}

import { hostname } from 'node:os';
import type { Clock, Logger, Secret } from '@dmg/base';
import { createCredentialKeyPair, fetchPinnedCa, parseGatewayKey } from '@dmg/security';
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
    return known;
  }
  if (key === undefined) throw nodeErrors.NOT_REGISTERED.create();
  return register(options, key);
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
    const registration: Registration = { endpoint, caPem, ...answer };
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

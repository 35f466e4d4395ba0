import { hostname } from 'node:os';
import type { Clock, Logger, Secret } from '@dmg/base';
import { createCredentialKeyPair, fetchPinnedCa, parseGatewayKey } from '@dmg/security';
import type { JsonObject } from '@dmg/model';
import { ControlPlaneClient } from './control-plane-client.ts';
import { nodeErrors } from './errors.ts';
import type { NodeState, Registration } from './node-state.ts';

export interface RegistrationOptions {
  readonly state: NodeState;
  readonly key: Secret | undefined;
  readonly nodeName: string;
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
      credentialPublicKey: await credentialPublicKey(state),
    });
    const registration: Registration = {
      endpoint, caPem,
      gatewayId: answer.gatewayId, gatewayName: answer.gatewayName,
      nodeId: answer.nodeId, nodeName: answer.nodeName, nodeToken: answer.nodeToken,
      queueName: answer.queueName, signingKey: answer.signingKey, concurrentJobsLimit: answer.concurrentJobsLimit,
    };
    await state.writeRegistration(registration);
    logger.info({ gateway: answer.gatewayName, node: answer.nodeName, endpoint }, 'node registered');
    return registration;
  } finally {
    client.close();
  }
}

/** The private half is made here at the first registration and never leaves the node. */
async function credentialPublicKey(state: NodeState): Promise<JsonObject> {
  let privateJwk = await state.readCredentialKey();
  if (privateJwk === undefined) {
    privateJwk = (await createCredentialKeyPair()).privateJwk;
    await state.writeCredentialKey(privateJwk);
  }
  const { d: _privateScalar, ...publicJwk } = privateJwk;
  return publicJwk;
}

import type { NodeCertificate } from '@dmg/model';
import { certificateTimes, createCertificateRequest, createNodeKeyPair } from '@dmg/security';
import { type Clock, firstLine, type Logger, sleep } from '@dmg/base';
import type { NodeState } from './node-state.ts';

/** How often it is looked whether the certificate is half over; after a failure as well. */
const lookMs = 60_000;

/** This node's own key pair; the certificate for it comes from the gateway's CA (DESIGN §10). */
export class NodeIdentity {
  readonly keyPem: string;

  private constructor(keyPem: string) {
    this.keyPem = keyPem;
  }

  /** The kept key, or a new one that is kept from now on. */
  static async open(state: NodeState): Promise<NodeIdentity> {
    return new NodeIdentity(await state.ensureIdentityKey(async () => (await createNodeKeyPair()).privateKeyPem));
  }

  /** PKCS#10 (PEM), which proves that we hold the key. */
  certificateRequest(nodeName: string): Promise<string> {
    return createCertificateRequest({ privateKeyPem: this.keyPem, nodeName });
  }
}

/** Renews the certificate when half of its life is over, and again every minute until that has worked. */
export async function renewalLoop(options: {
  readonly identity: NodeIdentity;
  readonly nodeName: string;
  readonly current: () => NodeCertificate;
  readonly renew: (certificateRequest: string) => Promise<NodeCertificate>;
  readonly keep: (certificate: NodeCertificate) => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { identity, nodeName, clock, logger, signal } = options;
  let failures = 0;
  while (!signal.aborted) {
    if (isHalfOver(options.current().certificatePem, clock.wallMs())) {
      try {
        await options.keep(await options.renew(await identity.certificateRequest(nodeName)));
        failures = 0;
        logger.info({ nodeName }, 'certificate renewed');
      } catch (error) {
        if (failures++ === 0) logger.warn({ nodeName, reason: firstLine(error) }, 'certificate not renewed, will be tried again');
      }
    }
    await sleep(clock, lookMs, signal).catch(() => undefined);
  }
}

/** Half of its life leaves hours for a control plane to come back before the certificate ends. */
export function isHalfOver(certificatePem: string, nowWallMs: number): boolean {
  const { notBeforeMs, notAfterMs } = certificateTimes(certificatePem);
  return nowWallMs > notBeforeMs + (notAfterMs - notBeforeMs) / 2;
}

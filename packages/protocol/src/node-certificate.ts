import { X509Certificate } from 'node:crypto';

/** What a node shows to others and checks them by. All PEM. */
export interface MeshIdentity {
  readonly keyPem: string;
  readonly certificatePem: string;
  /** The gateway's CA. */
  readonly caPem: string;
}

export interface CertifiedPeer {
  readonly gatewayId: string;
  readonly nodeId: string;
}

/**
 * Whom a certificate names by its SAN URI `dmg:node:<gatewayId>:<nodeId>`; undefined when it names no node or more than one. Says nothing
 * of its signature, which TLS has checked against the gateway's CA before.
 */
export function peerOfCertificate(raw: Uint8Array | string): CertifiedPeer | undefined {
  const names = readCertificate(raw)?.subjectAltName ?? '';
  const uris = names.split(', ').filter((name) => name.startsWith('URI:'));
  // Node quotes names that could be taken for several; ours never need it.
  const match = uris.length === 1 && !names.includes('"') ? /^URI:dmg:node:([0-9A-Za-z_-]+):([0-9A-Za-z_-]+)$/.exec(uris[0] ?? '') : null;
  const [, gatewayId, nodeId] = match ?? [];
  return gatewayId === undefined || nodeId === undefined ? undefined : { gatewayId, nodeId };
}

/** SubjectPublicKeyInfo, PEM. */
export function publicKeyOf(raw: Uint8Array | string): string | undefined {
  return readCertificate(raw)?.publicKey.export({ type: 'spki', format: 'pem' }).toString();
}

/** For nodes that speak without TLS: whom the certificate names, if this CA has signed it and it holds now. */
export function checkedPeer(certificatePem: string, caPem: string, nowMs: number): CertifiedPeer | undefined {
  const [certificate, ca] = [readCertificate(certificatePem), readCertificate(caPem)];
  if (certificate === undefined || ca === undefined || !certificate.verify(ca.publicKey)) return undefined;
  const holds = certificate.validFromDate.getTime() <= nowMs && nowMs <= certificate.validToDate.getTime();
  return holds ? peerOfCertificate(certificatePem) : undefined;
}

function readCertificate(raw: Uint8Array | string): X509Certificate | undefined {
  try {
    return new X509Certificate(raw);
  } catch {
    // What is not a certificate names nobody.
    return undefined;
  }
}

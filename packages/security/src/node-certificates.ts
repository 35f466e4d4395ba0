import 'reflect-metadata'; // Before x509, whose dependency injection needs it.
import { X509Certificate as NodeX509 } from 'node:crypto';
import type { Clock } from '@dmg/base';
import {
  AuthorityKeyIdentifierExtension, BasicConstraintsExtension, ExtendedKeyUsage, ExtendedKeyUsageExtension, KeyUsageFlags,
  KeyUsagesExtension, Pkcs10CertificateRequest, Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension, X509Certificate, X509CertificateGenerator,
} from '@peculiar/x509';
import { securityErrors } from './errors.ts';
import { exportPrivatePem, importPair, newPair, serialNumber, signingAlgorithm } from './signing-keys.ts';

/** A gateway's own CA: it certifies the gateway's nodes to each other and nothing else. */
export interface GatewayCa {
  readonly certificatePem: string;
  /** PKCS #8. Kept sealed by the control plane; no node ever sees it. */
  readonly privateKeyPem: string;
}

/** Whom a certificate names. */
export interface CertifiedNode {
  readonly gatewayId: string;
  readonly nodeId: string;
}

export interface NodeCertificateOptions extends CertifiedNode {
  readonly ca: GatewayCa;
  /** PKCS #10 (PEM). Only its key is taken from it: whom the certificate names is said by the caller. */
  readonly request: string;
  readonly nodeName: string;
  /** Default 24 hours; never beyond the end of the CA. */
  readonly lifeMs?: number;
  readonly clock: Clock;
}

const hourMs = 3600 * 1000;
const dayMs = 24 * hourMs;
const caLifeMs = 3653 * dayMs;
const nodeLifeMs = dayMs;
/** Clocks of the machines of one gateway may differ by so much. */
const clockToleranceMs = 10 * 60 * 1000;
const requestCharactersMax = 8192;

/** A new CA (P-256, 10 years) of the name `DMG gateway <id>`. */
export async function createGatewayCa(options: { readonly gatewayId: string; readonly clock: Clock }): Promise<GatewayCa> {
  const keys = await newPair();
  const nowMs = options.clock.wallMs();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [`DMG gateway ${options.gatewayId}`] }],
    serialNumber: serialNumber(),
    notBefore: new Date(nowMs - dayMs),
    notAfter: new Date(nowMs + caLifeMs),
    signingAlgorithm,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificatePem: `${certificate.toString('pem')}\n`, privateKeyPem: await exportPrivatePem(keys.privateKey) };
}

/** A node's own key (P-256) as PKCS #8 PEM; it never leaves the node. */
export async function createNodeKeyPair(): Promise<{ readonly privateKeyPem: string }> {
  return { privateKeyPem: await exportPrivatePem((await newPair()).privateKey) };
}

/** PKCS #10 request (PEM) whose signature proves that its maker holds the key. Throws `DMG_SECURITY_NODE_KEY_UNUSABLE`. */
export async function createCertificateRequest(options: { readonly privateKeyPem: string; readonly nodeName: string }): Promise<string> {
  const keys = await importPair(options.privateKeyPem).catch((error: unknown) => {
    throw securityErrors.NODE_KEY_UNUSABLE.create({}, { cause: error });
  });
  const request = await Pkcs10CertificateRequestGenerator.create({ name: [{ CN: [options.nodeName] }], keys, signingAlgorithm });
  return request.toString('pem');
}

/**
 * A node's certificate (PEM) for its streams, as client and as server: SAN URI `dmg:node:<gatewayId>:<nodeId>`, which says who it is,
 * and SAN DNS `nodeHostName(nodeId)`, by which an ordinary TLS client checks it. Throws `DMG_SECURITY_CERTIFICATE_REQUEST_REFUSED`.
 */
export async function issueNodeCertificate(options: NodeCertificateOptions): Promise<string> {
  const { ca, gatewayId, nodeId, nodeName, lifeMs = nodeLifeMs, clock } = options;
  const request = await checkedRequest(options.request);
  const authority = new X509Certificate(ca.certificatePem);
  const caKeys = await importPair(ca.privateKeyPem);
  const nowMs = clock.wallMs();
  const certificate = await X509CertificateGenerator.create({
    subject: [{ CN: [nodeName] }],
    issuer: authority.subject,
    serialNumber: serialNumber(),
    notBefore: new Date(nowMs - clockToleranceMs),
    notAfter: new Date(Math.min(nowMs + lifeMs, authority.notAfter.getTime())),
    signingAlgorithm,
    publicKey: request.publicKey,
    signingKey: caKeys.privateKey,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature | KeyUsageFlags.keyAgreement, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      new SubjectAlternativeNameExtension([
        { type: 'url', value: `dmg:node:${gatewayId}:${nodeId}` }, { type: 'dns', value: nodeHostName(nodeId) },
      ]),
      await AuthorityKeyIdentifierExtension.create(caKeys.publicKey),
      await SubjectKeyIdentifierExtension.create(request.publicKey),
    ],
  });
  return `${certificate.toString('pem')}\n`;
}

/** The name by which TLS clients check a node's certificate. It is in no DNS: nodes are reached by their address. */
export function nodeHostName(nodeId: string): string {
  return `${nodeId}.node.dmg`;
}

/**
 * Whom a node's certificate names; undefined when it names no node, or more than one. Says nothing of its signature: TLS has checked that
 * against the gateway's CA before.
 */
export function nodeOfCertificate(certificate: string | Uint8Array): CertifiedNode | undefined {
  const alternatives = readCertificate(certificate).subjectAltName?.split(', ') ?? [];
  const uris = alternatives.filter((each) => each.startsWith('URI:'));
  const match = uris.length === 1 ? /^URI:dmg:node:([0-9A-Za-z-]+):([0-9A-Za-z-]+)$/.exec(uris[0] ?? '') : null;
  const [, gatewayId, nodeId] = match ?? [];
  return gatewayId === undefined || nodeId === undefined ? undefined : { gatewayId, nodeId };
}

/** From when until when a certificate holds, wall clock. Throws `DMG_SECURITY_CERTIFICATE_UNUSABLE`. */
export function certificateTimes(pem: string): { readonly notBeforeMs: number; readonly notAfterMs: number } {
  const { validFromDate, validToDate } = readCertificate(pem);
  return { notBeforeMs: validFromDate.getTime(), notAfterMs: validToDate.getTime() };
}

export function readCertificate(certificate: string | Uint8Array): NodeX509 {
  try {
    return new NodeX509(certificate);
  } catch (error) {
    throw securityErrors.CERTIFICATE_UNUSABLE.create({}, { cause: error });
  }
}

async function checkedRequest(pem: string): Promise<Pkcs10CertificateRequest> {
  const refused = (reason: string, cause?: unknown): Error =>
    securityErrors.CERTIFICATE_REQUEST_REFUSED.create({ reason }, { cause });
  if (pem.length > requestCharactersMax) throw refused(`it has more than ${requestCharactersMax} characters`);
  let request: Pkcs10CertificateRequest;
  try {
    request = new Pkcs10CertificateRequest(pem);
  } catch (error) {
    throw refused('it is no PKCS #10 request in PEM', error);
  }
  const { name, namedCurve } = request.publicKey.algorithm as { name: string; namedCurve?: string };
  if (name !== 'ECDSA' || namedCurve !== 'P-256') throw refused('its key is not an elliptic curve key on P-256');
  const { hash } = request.signatureAlgorithm as { hash?: { name: string } };
  if (hash?.name !== 'SHA-256') throw refused('it is not signed with SHA-256');
  let isSigned = false;
  try {
    isSigned = await request.verify();
  } catch (error) {
    throw refused('its signature cannot be read', error);
  }
  if (!isSigned) throw refused('its signature was not made with the key that it holds');
  return request;
}

import 'reflect-metadata'; // Before x509, whose dependency injection needs it.
import { createHash, type webcrypto, X509Certificate as NodeCertificate } from 'node:crypto';
import { isIP } from 'node:net';
import { join } from 'node:path';
import type { Clock } from '@dmg/base';
import {
  AuthorityKeyIdentifierExtension, BasicConstraintsExtension, ExtendedKeyUsage, ExtendedKeyUsageExtension, type JsonGeneralNames,
  KeyUsageFlags, KeyUsagesExtension, SubjectAlternativeNameExtension, SubjectKeyIdentifierExtension, X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { createKeptFileOnce, readKeptFile, writeKeptFile } from './secret-file.ts';
import { exportPrivatePem, importPair, newPair, serialNumber, signingAlgorithm } from './signing-keys.ts';

export interface ServerIdentity {
  /** Path of the CA certificate, for clients to trust. */
  readonly caFile: string;
  readonly caPem: string;
  /** SHA-256 of the CA certificate (DER), base64url. */
  readonly caFingerprint: string;
  /** Private key of the server certificate. */
  readonly keyPem: string;
  /** The server certificate followed by the CA's, so that a client can pin the CA by fingerprint. */
  readonly chainPem: string;
}

const dayMs = 24 * 3600 * 1000;
const clockSkewMs = dayMs;

/**
 * The control plane's own CA (P-256, 10 years, made at the first start) and its server certificate, which is made anew when it
 * ends within 30 days or does not name every one of `names`.
 */
export async function ensureServerIdentity(options: {
  readonly folder: string;
  /** Host names and addresses by which clients come, beside the loopback ones. */
  readonly names: readonly string[];
  readonly clock: Clock;
}): Promise<ServerIdentity> {
  const { folder, clock } = options;
  const caFile = join(folder, 'ca.pem');
  const caKey = await ensureKey(join(folder, 'ca-key.pem'));
  const ca = await ensureCa(caFile, caKey, clock);
  const names = [...new Set(['localhost', '127.0.0.1', '::1', ...options.names])];
  const serverFile = join(folder, 'server.pem');
  const existing = splitServerFile(await readKeptFile(serverFile, { secret: true }));
  const usable = existing !== undefined && isUsable(existing.certPem, { ca, names, nowMs: clock.wallMs() });
  const server = usable ? existing : await issueServer({ ca, caKey, names, nowMs: clock.wallMs() });
  if (!usable) await writeKeptFile(serverFile, `${server.keyPem}\n${server.certPem}\n`, 0o600);
  return {
    caFile,
    caPem: ca.toString('pem'),
    caFingerprint: fingerprintOf(ca.toString('pem')),
    keyPem: server.keyPem,
    chainPem: `${server.certPem}\n${ca.toString('pem')}\n`,
  };
}

/** SHA-256 over the certificate's DER, base64url: what a gateway key carries. */
export function fingerprintOf(pem: string): string {
  return createHash('sha256').update(new NodeCertificate(pem).raw).digest('base64url');
}

async function ensureKey(path: string): Promise<webcrypto.CryptoKeyPair> {
  let pem = await readKeptFile(path, { secret: true });
  if (pem === undefined) {
    const pair = await newPair();
    pem = await createKeptFileOnce(path, await exportPrivatePem(pair.privateKey), 0o600);
  }
  return importPair(pem);
}

/** The key is kept first and the certificate after it; a crash between the two leaves a key for which the certificate is made now. */
async function ensureCa(path: string, keys: webcrypto.CryptoKeyPair, clock: Clock): Promise<X509Certificate> {
  const existing = await readKeptFile(path, { secret: false });
  if (existing !== undefined) return new X509Certificate(existing);
  const nowMs = clock.wallMs();
  const ca = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=Data Management Gateway CA',
    serialNumber: serialNumber(),
    notBefore: new Date(nowMs - clockSkewMs),
    notAfter: new Date(nowMs + 3653 * dayMs),
    signingAlgorithm,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return new X509Certificate(await createKeptFileOnce(path, `${ca.toString('pem')}\n`, 0o644));
}

async function issueServer(options: {
  ca: X509Certificate;
  caKey: webcrypto.CryptoKeyPair;
  names: readonly string[];
  nowMs: number;
}): Promise<{ keyPem: string; certPem: string }> {
  const { ca, caKey, names, nowMs } = options;
  const pair = await newPair();
  const alternatives: JsonGeneralNames = names.map((name) => ({ type: isIP(name) === 0 ? 'dns' : 'ip', value: name }));
  const certificate = await X509CertificateGenerator.create({
    subject: 'CN=Data Management Gateway control plane',
    issuer: ca.subject,
    serialNumber: serialNumber(),
    notBefore: new Date(nowMs - clockSkewMs),
    notAfter: new Date(nowMs + 397 * dayMs),
    signingAlgorithm,
    publicKey: pair.publicKey,
    signingKey: caKey.privateKey,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(alternatives),
      await AuthorityKeyIdentifierExtension.create(caKey.publicKey),
      await SubjectKeyIdentifierExtension.create(pair.publicKey),
    ],
  });
  return { keyPem: await exportPrivatePem(pair.privateKey), certPem: certificate.toString('pem') };
}

function isUsable(certPem: string, options: { ca: X509Certificate; names: readonly string[]; nowMs: number }): boolean {
  const certificate = new NodeCertificate(certPem);
  const ca = new NodeCertificate(options.ca.toString('pem'));
  if (!certificate.verify(ca.publicKey)) return false;
  if (certificate.validToDate.getTime() - options.nowMs < 30 * dayMs) return false;
  if (certificate.validFromDate.getTime() > options.nowMs) return false;
  return options.names.every((name) => (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined);
}

/** Key and certificate are in one file, so that they are always of one pair. */
function splitServerFile(text: string | undefined): { keyPem: string; certPem: string } | undefined {
  const keyPem = /-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----/.exec(text ?? '')?.[0];
  const certPem = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(text ?? '')?.[0];
  return keyPem === undefined || certPem === undefined ? undefined : { keyPem, certPem };
}

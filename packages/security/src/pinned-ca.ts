import { createHash, type X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { connect } from 'node:tls';
import { type Clock, firstLine, isDmgError, withDeadline } from '@dmg/base';
import { securityErrors } from './errors.ts';

export interface PinOptions {
  /** `host:port`; an IPv6 address in brackets. */
  readonly endpoint: string;
  /** SHA-256 of the CA certificate (DER), base64url, as the gateway key carries it. */
  readonly fingerprint: string;
  readonly clock: Clock;
  readonly limitMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * The control plane's CA certificate as PEM. Nothing is sent: it connects, looks at the chain presented, and answers the CA only
 * if its fingerprint is the one expected and it signed the server's certificate. From then on ordinary verification holds.
 *
 * @throws `DMG_SECURITY_CA_MISMATCH`, `DMG_SECURITY_CA_NOT_PRESENTED`, `DMG_SECURITY_ENDPOINT_UNREACHABLE`, `DMG_BASE_DEADLINE`
 */
export async function fetchPinnedCa(options: PinOptions): Promise<string> {
  const { endpoint } = options;
  const chain = await withDeadline(
    { clock: options.clock, limitMs: options.limitMs ?? 10_000, what: `reach the control plane at ${endpoint}`, signal: options.signal },
    (signal) => presentedChain(endpoint, signal),
  ).catch((error: unknown) => {
    if (isDmgError(error) || options.signal?.aborted) throw error;
    throw securityErrors.ENDPOINT_UNREACHABLE.create({ endpoint, reason: firstLine(error) }, { cause: error });
  });
  const [leaf] = chain;
  const ca = chain.at(-1);
  if (leaf === undefined || ca === undefined || !ca.ca) {
    throw securityErrors.CA_NOT_PRESENTED.create({ endpoint, reason: `${chain.length} certificates, none of an authority` });
  }
  if (
    createHash('sha256').update(ca.raw).digest('base64url') !== options.fingerprint
  ) throw securityErrors.CA_MISMATCH.create({ endpoint });
  if (!leaf.verify(ca.publicKey)) throw securityErrors.CA_MISMATCH.create({ endpoint });
  return ca.toString();
}

function presentedChain(endpoint: string, signal: AbortSignal): Promise<X509Certificate[]> {
  const { host, port } = splitEndpoint(endpoint);
  return new Promise((resolve, reject) => {
    // Not verified here on purpose: this is how the CA is learned. Only certificates are read, nothing is sent.
    const socket = connect({ host, port, rejectUnauthorized: false, ...(isIP(host) === 0 ? { servername: host } : {}) });
    const onAbort = (): void => void socket.destroy(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('error', reject);
    socket.once('close', () => {
      signal.removeEventListener('abort', onAbort);
      reject(new Error('the connection was closed before the certificate came'));
    });
    socket.once('secureConnect', () => {
      const chain: X509Certificate[] = [];
      let current = socket.getPeerX509Certificate();
      while (current !== undefined && chain.length < 10) {
        chain.push(current);
        const issuer: X509Certificate | undefined = current.issuerCertificate;
        current = issuer?.fingerprint256 === current.fingerprint256 ? undefined : issuer;
      }
      resolve(chain);
      socket.destroy();
    });
  });
}

function splitEndpoint(endpoint: string): { host: string; port: number } {
  const url = new URL(`https://${endpoint}`);
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port === '' ? 443 : Number(url.port) };
}

import { createHash } from 'node:crypto';
import type { ProtocolVersion } from '@dmg/model';
import { fingerprintOf } from '@dmg/security';
import type { NodeConfig } from './config.ts';
import { nodeErrors } from './errors.ts';

const loopback = /^(?:127(?:\.\d{1,3}){3}|::1|localhost)$/;

/**
 * What all nodes must have alike (DESIGN-RULES 17): encryption mode, CA and protocol major. All other settings come from the control
 * plane and cannot differ. Digest and words: the words are the evidence when it differs.
 */
export function agreedConfiguration(
  encryption: NodeConfig['encryption'], caPem: string, protocol: ProtocolVersion,
): { readonly digest: string; readonly words: string } {
  const words = `encryption ${encryption}, CA ${fingerprintOf(caPem).slice(0, 12)}, protocol ${protocol.major}`;
  return { digest: createHash('sha256').update(words).digest('base64url').slice(0, 22), words };
}

/**
 * Where the gRPC server listens, and under which host others come if the operator says so. In plain text it listens on loopback only;
 * throws `PLAIN_TEXT_HOST_REFUSED` when it was told to do otherwise.
 */
export function listenPlace(
  { encryption, grpcHost, grpcPort: port, advertisedHost }: Pick<NodeConfig, 'encryption' | 'grpcHost' | 'grpcPort' | 'advertisedHost'>,
): { readonly host: string; readonly port: number; readonly advertisedHost: string | undefined } {
  if (encryption === 'mtls') return { host: grpcHost, port, advertisedHost };
  if (grpcHost !== '0.0.0.0' && !loopback.test(grpcHost)) throw nodeErrors.PLAIN_TEXT_HOST_REFUSED.create({ host: grpcHost });
  return { host: '127.0.0.1', port, advertisedHost };
}

import { createHash } from 'node:crypto';
import { networkInterfaces } from 'node:os';
import type { ProtocolVersion } from '@dmg/model';
import { fingerprintOf } from '@dmg/security';
import type { NodeConfig } from './config.ts';
import { nodeErrors } from './errors.ts';

const loopback = /^(?:127\.|::1$|localhost$)/;

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

/** Where the gRPC server listens and under which host others come. Throws `PLAIN_TEXT_HOST_REFUSED`. */
export function listenPlace(config: NodeConfig): { readonly host: string; readonly port: number; readonly advertisedHost: string } {
  const { encryption, grpcPort: port } = config;
  if (encryption === 'none') {
    if (config.grpcHost !== '0.0.0.0' && !loopback.test(config.grpcHost)) {
      throw nodeErrors.PLAIN_TEXT_HOST_REFUSED.create({ host: config.grpcHost });
    }
    return { host: '127.0.0.1', port, advertisedHost: config.advertisedHost ?? '127.0.0.1' };
  }
  const isWildcard = config.grpcHost === '0.0.0.0' || config.grpcHost === '::';
  return { host: config.grpcHost, port, advertisedHost: config.advertisedHost ?? (isWildcard ? firstAddress() : config.grpcHost) };
}

/** The first address of this machine that is not its loopback. */
function firstAddress(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []).filter(({ internal }) => !internal);
  return (addresses.find(({ family }) => family === 'IPv4') ?? addresses[0])?.address ?? '127.0.0.1';
}

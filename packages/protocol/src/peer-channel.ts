import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { type Clock, firstLine, withDeadline } from '@dmg/base';
import { CallCredentials, ChannelCredentials } from '@grpc/grpc-js';
import { ClusterCaller } from './codec/cluster-service.ts';
import type { ClusterClient } from './generated/dmg/cluster/v1/Cluster.ts';
import { formatAddress, isLoopback, splitAddress } from './node-address.ts';
import { type MeshIdentity, peerOfCertificate } from './node-certificate.ts';
import { protocolErrors } from './errors.ts';
import type { ClusterEncryption } from './peer-listener.ts';
import { channelOptions } from './transport-options.ts';

export interface PeerChannelOptions {
  readonly gatewayId: string;
  /** Who must answer. */
  readonly nodeId: string;
  readonly encryption: ClusterEncryption;
  readonly identity: MeshIdentity | undefined;
}

type SecureConnector = ReturnType<ChannelCredentials['_createSecureConnector']>;

/** Host that a name stands for now, and whether somebody listens there. */
export type Reach =
  | { readonly kind: 'reached'; readonly ip: string; readonly port: number }
  /** The machine answers, and nobody listens there. */
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string };

/**
 * Looks whether somebody listens at an address, and closes the connection again. grpc-js tells a refused connection apart only in the text
 * of its errors, and cannot be stopped while it connects to a machine that does not answer.
 */
export async function probe(address: string, options: { clock: Clock; limitMs: number; signal?: AbortSignal }): Promise<Reach> {
  const place = splitAddress(address);
  if (place === undefined) return { kind: 'failed', reason: `${address} is no address` };
  try {
    const ip = await withDeadline({ ...options, what: `connect to ${address}` }, (signal) => reach(place.host, place.port, signal));
    return { kind: 'reached', ip, port: place.port };
  } catch (error) {
    const isRefused = error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED';
    return { kind: isRefused ? 'refused' : 'failed', reason: firstLine(error) };
  }
}

function reach(host: string, port: number, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp({ host, port });
    const stop = (): void => void socket.destroy(signal.reason as Error);
    signal.addEventListener('abort', stop, { once: true });
    socket.once('connect', () => {
      resolve(socket.remoteAddress ?? host);
      socket.destroy();
    });
    socket.once('error', (error) => reject(error instanceof AggregateError && error.errors[0] instanceof Error ? error.errors[0] : error));
    socket.once('close', () => signal.removeEventListener('abort', stop));
  });
}

/** One connection to one node, and the means to make calls on it. */
export class PeerChannel {
  readonly caller: ClusterClient;
  /** Resolves with the reason when the connection has ended, or has not come about. */
  readonly ended: Promise<string>;
  readonly #credentials: SocketCredentials;

  /** Throws `DMG_PROTOCOL_PLAIN_TEXT_REFUSED`, `DMG_PROTOCOL_NO_IDENTITY`. */
  constructor(place: { readonly ip: string; readonly port: number }, options: PeerChannelOptions) {
    const { ip, port } = place;
    if (options.encryption === 'none' && !isLoopback(ip)) throw protocolErrors.PLAIN_TEXT_REFUSED.create({ host: ip });
    if (options.encryption === 'mtls' && options.identity === undefined) throw protocolErrors.NO_IDENTITY.create();
    this.#credentials = new SocketCredentials(options);
    this.ended = this.#credentials.ended;
    const scheme = isIP(ip) === 6 ? 'ipv6' : 'ipv4';
    this.caller = new ClusterCaller(`${scheme}:${formatAddress(ip, port)}`, this.#credentials, channelOptions);
  }

  get bytesRead(): number {
    return this.#credentials.socket?.bytesRead ?? 0;
  }

  /** Ends the connection; what was handed to the kernel before still leaves. */
  close(): void {
    this.caller.close();
    this.#credentials.close();
  }
}

/**
 * Turns the TCP connection that grpc-js has made into the one that is spoken on, and keeps hold of it: so a connection to a frozen node can
 * be ended at once, in the middle of a TLS handshake as well, and its end is seen when it happens.
 */
class SocketCredentials extends ChannelCredentials {
  readonly ended: Promise<string>;
  socket: Socket | undefined;
  readonly #options: PeerChannelOptions;
  readonly #end: (reason: string) => void;
  #reason: string | undefined;
  #closed = false;

  constructor(options: PeerChannelOptions) {
    super();
    this.#options = options;
    const { promise, resolve } = Promise.withResolvers<string>();
    this.ended = promise;
    this.#end = resolve;
  }

  override _isSecure(): boolean {
    return this.#options.encryption === 'mtls';
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(): SecureConnector {
    return {
      connect: async (socket) => ({ socket: await this.#take(socket), secure: this._isSecure() }),
      waitForReady: () => Promise.resolve(),
      getCallCredentials: () => CallCredentials.createEmpty(),
      destroy: () => undefined,
    };
  }

  close(): void {
    this.#closed = true;
    this.socket?.destroy();
    this.#end(this.#reason ?? 'closed by this node');
  }

  async #take(tcp: Socket): Promise<Socket> {
    this.#watch(tcp);
    if (this.#closed) tcp.destroy();
    return this.#options.encryption === 'none' ? tcp : await this.#secure(tcp);
  }

  #watch(socket: Socket): void {
    this.socket = socket;
    socket.on('error', (error) => (this.#reason ??= firstLine(error)));
    socket.once('close', () => this.#end(this.#reason ?? 'the connection was closed'));
  }

  #secure(tcp: Socket): Promise<TLSSocket> {
    const { identity, gatewayId, nodeId } = this.#options;
    return new Promise((resolve, reject) => {
      const socket = connectTls({
        socket: tcp,
        key: identity?.keyPem,
        cert: identity?.certificatePem,
        ca: identity?.caPem,
        minVersion: 'TLSv1.3',
        ALPNProtocols: ['h2'],
        rejectUnauthorized: true,
        // Nodes are known by their id, not by the address at which they happen to be.
        checkServerIdentity: (_host, certificate) => {
          const peer = peerOfCertificate(certificate.raw);
          if (peer?.nodeId === nodeId && peer.gatewayId === gatewayId) return undefined;
          return new Error(peer === undefined ? 'whoever answers there is no node' : `node ${peer.nodeId} answers there`);
        },
      });
      this.#watch(socket);
      socket.once('secureConnect', () => resolve(socket));
      socket.once('error', reject);
      socket.once('close', () => reject(new Error(this.#reason ?? 'the connection was closed')));
    });
  }
}

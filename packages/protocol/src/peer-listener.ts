import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type Server as TlsServer, type TlsOptions, type TLSSocket } from 'node:tls';
import { firstLine, type Logger, type Meter } from '@dmg/base';
import { protocolErrors } from './errors.ts';
import { strangersMetric } from './metrics.ts';
import { isLoopback } from './node-address.ts';
import { type MeshIdentity, peerOfCertificate } from './node-certificate.ts';

export type ClusterEncryption = 'mtls' | 'none';

export interface PeerListenerOptions {
  readonly gatewayId: string;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly encryption: ClusterEncryption;
  readonly identity: MeshIdentity | undefined;
  readonly openLimitMs: number;
  /** Takes over a connection on which the other side has proved to be a node of the gateway (or any, without encryption). */
  readonly admit: (socket: Socket) => void;
  readonly logger: Logger;
  readonly meter: Meter;
}

/** A burst of strangers must not take all descriptors of the process. */
const connectionsMax = 256;

/**
 * The port at which other nodes reach this one. TLS stands in front of gRPC here and not inside it: so a stranger is turned away before
 * any HTTP is spoken, TLS 1.3 is required, a renewed certificate is in force without a new port, and each connection can be ended at once.
 */
export class PeerListener {
  readonly #options: PeerListenerOptions;
  readonly #server: Server | TlsServer;
  /** By the other side's address and port. */
  readonly #sockets = new Map<string, { readonly socket: Socket; nodeId: string | undefined }>();

  constructor(options: PeerListenerOptions) {
    this.#options = options;
    this.#server = options.encryption === 'mtls' ? this.#tlsServer() : createTcpServer({ noDelay: true });
    this.#server.maxConnections = connectionsMax;
    this.#server.on('connection', (socket: Socket) => this.#track(socket));
    if (options.encryption === 'none') this.#server.on('connection', (socket: Socket) => options.admit(socket));
  }

  /** Resolves with the port. Throws `DMG_PROTOCOL_CANNOT_LISTEN`. */
  async start(): Promise<number> {
    const { host, port } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error) => {
        reject(protocolErrors.CANNOT_LISTEN.create({ host, port, reason: firstLine(error) }, { cause: error }));
      });
      this.#server.listen({ host, port }, resolve);
    });
    this.#server.on('error', (error) => this.#options.logger.warn({ reason: firstLine(error) }, 'connection of another node not accepted'));
    return (this.#server.address() as AddressInfo).port;
  }

  /** For connections from now on; those that are open go on. */
  setIdentity(identity: MeshIdentity): void {
    if ('setSecureContext' in this.#server) this.#server.setSecureContext(tlsOptions(identity));
  }

  /** All bytes that have come on the connection from `peer` (address:port). */
  bytesRead(peer: string): number {
    return this.#sockets.get(peer)?.socket.bytesRead ?? 0;
  }

  /** The connection from `peer` belongs to this node, as its first frame says; for connections without a certificate. */
  name(peer: string, nodeId: string): void {
    const entry = this.#sockets.get(peer);
    if (entry !== undefined) entry.nodeId ??= nodeId;
  }

  /** Ends the connection from `peer` at once. */
  drop(peer: string): void {
    this.#sockets.get(peer)?.socket.destroy();
  }

  /** Ends every connection of a node for which `keep` is false. */
  keepOnly(keep: (nodeId: string) => boolean): void {
    for (const { socket, nodeId } of this.#sockets.values()) if (nodeId !== undefined && !keep(nodeId)) socket.destroy();
  }

  /** Takes no new connections. Those that are open may end in order until `graceMs` are over (`after` tells when), then they are cut. */
  async close(after: (cut: () => void) => { cancel(): void }): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      if (!this.#server.listening) resolve();
      else this.#server.close(() => resolve());
    });
    const timer = after(() => {
      for (const { socket } of this.#sockets.values()) socket.destroy();
    });
    await closed;
    timer.cancel();
  }

  #tlsServer(): TlsServer {
    const { identity, openLimitMs, gatewayId, logger, meter } = this.#options;
    if (identity === undefined) throw protocolErrors.NO_IDENTITY.create();
    const server = createTlsServer({ ...tlsOptions(identity), noDelay: true, handshakeTimeout: openLimitMs });
    server.on('secureConnection', (socket: TLSSocket) => {
      // Errors of an established connection are seen as its end.
      socket.on('error', () => undefined);
      const certificate = socket.getPeerX509Certificate();
      const peer = certificate === undefined ? undefined : peerOfCertificate(certificate.raw);
      if (!socket.authorized || socket.alpnProtocol !== 'h2' || peer === undefined || peer.gatewayId !== gatewayId) {
        meter.add(strangersMetric, 1, { reason: 'certificate' });
        socket.destroy();
        return;
      }
      this.name(peerName(socket), peer.nodeId);
      this.#options.admit(socket);
    });
    server.on('tlsClientError', (error, socket) => {
      meter.add(strangersMetric, 1, { reason: 'tls' });
      logger.debug({ peer: socket.remoteAddress, reason: firstLine(error) }, 'connection without a fitting certificate turned away');
      // Node leaves a connection open whose handshake did not end in time.
      socket.destroy();
    });
    return server;
  }

  #track(socket: Socket): void {
    const { encryption, meter } = this.#options;
    socket.on('error', () => undefined);
    if (encryption === 'none' && !isLoopback(socket.remoteAddress ?? '')) {
      meter.add(strangersMetric, 1, { reason: 'notLoopback' });
      socket.destroy();
      return;
    }
    const name = peerName(socket);
    const entry = { socket, nodeId: undefined };
    this.#sockets.set(name, entry);
    socket.once('close', () => {
      if (this.#sockets.get(name) === entry) this.#sockets.delete(name);
    });
  }
}

function tlsOptions({ keyPem, certificatePem, caPem }: MeshIdentity): TlsOptions {
  return {
    key: keyPem, cert: certificatePem, ca: caPem, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3', ALPNProtocols: ['h2'],
  };
}

function peerName(socket: Socket): string {
  return `${socket.remoteAddress}:${socket.remotePort}`;
}

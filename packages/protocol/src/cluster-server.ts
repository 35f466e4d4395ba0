import { type Clock, firstLine, type Logger, type Meter, type Timer } from '@dmg/base';
import type { WorkerPort } from '@dmg/core';
import type { Job, NodeFacts } from '@dmg/model';
import {
  type sendUnaryData, Server, ServerCredentials, type ServerDuplexStream, type ServerUnaryCall, status,
} from '@grpc/grpc-js';
import { decodeClientFrame, decodeOffer } from './codec/client-frame.ts';
import { clusterService } from './codec/cluster-service.ts';
import { encodeServerFrame } from './codec/server-frame.ts';
import { protocolErrors } from './errors.ts';
import type { ClientFrame, ConnectRefusal, OpenFrame } from './frames.ts';
import type { ClientFrame__Output } from './generated/dmg/cluster/v1/ClientFrame.ts';
import type { ClusterHandlers } from './generated/dmg/cluster/v1/Cluster.ts';
import type { FetchCredentialKeyRequest__Output } from './generated/dmg/cluster/v1/FetchCredentialKeyRequest.ts';
import type { FetchCredentialKeyResponse } from './generated/dmg/cluster/v1/FetchCredentialKeyResponse.ts';
import type { ServerFrame as WireServerFrame } from './generated/dmg/cluster/v1/ServerFrame.ts';
import { strangersMetric } from './metrics.ts';
import { isLoopback } from './node-address.ts';
import { checkedPeer, type MeshIdentity, peerOfCertificate, publicKeyOf } from './node-certificate.ts';
import { type ClusterEncryption, PeerListener } from './peer-listener.ts';
import { chooseProtocol, formatRanges, type ProtocolRange } from './protocol-versions.ts';
import { ServedStream } from './served-stream.ts';
import type { StreamTimes } from './stream-times.ts';
import { serverOptions } from './transport-options.ts';

/** Gives the gateway's credential key away, wrapped to the key of the asker; undefined: this node does not have it. */
export interface CredentialKeyGiver {
  give(asker: { readonly nodeId: string; readonly publicKeyPem: string }): Promise<Uint8Array | undefined>;
}

export interface ClusterServerOptions {
  readonly gatewayId: string;
  readonly nodeId: string;
  readonly host: string;
  readonly port: number;
  readonly encryption: ClusterEncryption;
  readonly identity: MeshIdentity | undefined;
  readonly versions: readonly ProtocolRange[];
  readonly self: () => NodeFacts;
  readonly worker: WorkerPort;
  readonly readJob: (signedJob: string) => Job | undefined | Promise<Job | undefined>;
  readonly credentialKey: CredentialKeyGiver;
  readonly clock: Clock;
  readonly times: StreamTimes;
  readonly logger: Logger;
  readonly meter: Meter;
  /** A stream from this member was opened. */
  readonly onOpened: (facts: NodeFacts) => void;
  readonly onGoodbye: (nodeId: string, successor: string) => void;
}

type ConnectCall = ServerDuplexStream<ClientFrame__Output, WireServerFrame>;
type CredentialKeyCall = ServerUnaryCall<FetchCredentialKeyRequest__Output, FetchCredentialKeyResponse>;

/** What another member says of itself on the stream that it has opened. */
export interface PeerView {
  readonly facts: NodeFacts;
  /** Of this node's monotonic clock. */
  readonly sinceMs: number;
}

interface OpenStream {
  readonly call: ConnectCall;
  readonly served: ServedStream;
  readonly sinceMs: number;
  facts: NodeFacts;
}

/** The side of the mesh that is called: lets members in and nobody else, and serves this node's own worker to them. */
export class ClusterServer {
  readonly #options: ClusterServerOptions;
  readonly #server = new Server(serverOptions);
  readonly #listener: PeerListener;
  readonly #streams = new Map<string, OpenStream>();
  /** Since when each member has had no stream to this node. */
  readonly #missedSinceMs = new Map<string, number>();
  #identity: MeshIdentity | undefined;
  #members: ReadonlySet<string> = new Set();
  #closing = false;

  /** Throws `DMG_PROTOCOL_PLAIN_TEXT_REFUSED`, `DMG_PROTOCOL_NO_IDENTITY`. */
  constructor(options: ClusterServerOptions) {
    const { gatewayId, host, port, encryption, identity, times, logger, meter } = options;
    if (encryption === 'none' && !isLoopback(host)) throw protocolErrors.PLAIN_TEXT_REFUSED.create({ host });
    this.#options = options;
    this.#identity = identity;
    const handlers: ClusterHandlers = {
      Connect: (call) => this.#connect(call),
      FetchCredentialKey: (call, callback) => void this.#fetchCredentialKey(call, callback),
    };
    this.#server.addService(clusterService, handlers);
    const injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    this.#listener = new PeerListener({
      gatewayId, host, port, encryption, identity, openLimitMs: times.openLimitMs, logger, meter,
      admit: (socket) => injector.injectConnection(socket),
    });
  }

  /** Resolves with the port that it listens on. Throws `DMG_PROTOCOL_CANNOT_LISTEN`. */
  start(): Promise<number> {
    return this.#listener.start();
  }

  /** A renewed certificate: for connections from now on. */
  setIdentity(identity: MeshIdentity): void {
    this.#identity = identity;
    this.#listener.setIdentity(identity);
  }

  /** Ids of all members, this node or not. Connections of others end at once. */
  setMembers(nodeIds: ReadonlySet<string>): void {
    this.#members = nodeIds;
    const nowMs = this.#options.clock.monotonicMs();
    for (const nodeId of this.#missedSinceMs.keys()) if (!nodeIds.has(nodeId)) this.#missedSinceMs.delete(nodeId);
    for (const nodeId of nodeIds) {
      if (!this.#streams.has(nodeId) && !this.#missedSinceMs.has(nodeId)) this.#missedSinceMs.set(nodeId, nowMs);
    }
    this.#listener.keepOnly((nodeId) => nodeIds.has(nodeId));
  }

  /** What the member says of itself; undefined: it has no stream to this node. */
  peer(nodeId: string): PeerView | undefined {
    const stream = this.#streams.get(nodeId);
    return stream === undefined ? undefined : { facts: stream.facts, sinceMs: stream.sinceMs };
  }

  /** Says how this node is on all streams. */
  announce(): void {
    for (const { served } of this.#streams.values()) served.beat();
  }

  /** For how long the member has had no stream to this node; 0 while it has one. */
  missedForMs(nodeId: string): number {
    const sinceMs = this.#missedSinceMs.get(nodeId);
    return sinceMs === undefined ? 0 : this.#options.clock.monotonicMs() - sinceMs;
  }

  goodbye(successor: string, reason: string): void {
    for (const { served } of this.#streams.values()) served.goodbye(successor, reason);
  }

  /** Lets nobody in any more, ends all streams in order, and cuts what is left after `closeLimitMs`. */
  async close(): Promise<void> {
    const { clock, times } = this.#options;
    this.#closing = true;
    const closed = this.#listener.close((cut): Timer => clock.after(times.closeLimitMs, cut));
    for (const { call, served } of this.#streams.values()) {
      served.end();
      call.end();
    }
    await closed;
    this.#server.forceShutdown();
  }

  #connect(call: ConnectCall): void {
    const { clock, times } = this.#options;
    const connection = call.getPeer();
    let stream: OpenStream | undefined;
    const timer = clock.after(times.openLimitMs, () => this.#listener.drop(connection));
    const end = (): void => {
      timer.cancel();
      if (stream === undefined) return;
      stream.served.end();
      const { nodeId } = stream.facts;
      if (this.#streams.get(nodeId) !== stream) return;
      this.#streams.delete(nodeId);
      if (this.#members.has(nodeId)) this.#missedSinceMs.set(nodeId, clock.monotonicMs());
    };
    call.on('data', (wire: ClientFrame__Output) => {
      timer.cancel();
      const frame = this.#read(call, end, () => {
        if (stream !== undefined) return decodeFollowing(wire);
        stream = this.#open(call, connection, wire);
        return undefined;
      });
      if (frame !== undefined) stream?.served.take(frame);
    });
    call.on('end', () => {
      end();
      call.end();
    });
    call.on('error', end);
    call.on('close', end);
    call.on('cancelled', end);
  }

  /** What is not understood ends the call: nothing after it can be trusted to mean what it seems to mean. */
  #read<F>(call: ConnectCall, end: () => void, decode: () => F | undefined): F | undefined {
    try {
      return decode();
    } catch (error) {
      end();
      this.#turnAway(call, { code: status.INVALID_ARGUMENT, details: firstLine(error) });
      return undefined;
    }
  }

  /** Judges the first frame: who calls, whom it looks for, which wire it speaks. Undefined: it was refused. */
  #open(call: ConnectCall, connection: string, wire: ClientFrame__Output): OpenStream | undefined {
    const { gatewayId, nodeId, versions, self, encryption } = this.#options;
    const certified = encryption === 'mtls' ? this.#certifiedId(call) : undefined;
    if (encryption === 'mtls' && (certified === undefined || !this.#members.has(certified))) return this.#denyStranger(call);
    const protocol = chooseProtocol(versions, decodeOffer(wire));
    if (protocol === undefined) {
      const evidence = `it speaks protocol ${formatRanges(versions)}, this node ${formatRanges(decodeOffer(wire))}`;
      return this.#refuse(call, 'protocol', evidence);
    }
    const frame = decodeClientFrame(wire);
    if (frame.type !== 'open') throw protocolErrors.BAD_FIELD.create({ field: frame.type, problem: 'not the frame that begins a stream' });
    const callerId = frame.facts.nodeId;
    if (!this.#members.has(callerId) || (certified !== undefined && certified !== callerId)) return this.#denyStranger(call);
    if (frame.gatewayId !== gatewayId) return this.#refuse(call, 'wrongTarget', `it belongs to gateway ${gatewayId}`);
    if (frame.targetNodeId !== nodeId) return this.#refuse(call, 'wrongTarget', `node ${self().nodeName} answers at its address`);
    if (this.#closing) return this.#refuse(call, 'closing', 'it is stopping');
    this.#listener.name(connection, callerId);
    return this.#serve({ call, connection, frame, protocol });
  }

  #serve(options: { call: ConnectCall; connection: string; frame: OpenFrame; protocol: { major: number; minor: number } }): OpenStream {
    const { call, connection, frame: { facts }, protocol } = options;
    const { worker, self, readJob, clock, times, logger, onOpened, onGoodbye } = this.#options;
    const { nodeId, nodeName } = facts;
    // A member has one stream; an older one belongs to a connection whose end was not seen yet.
    const older = this.#streams.get(nodeId);
    older?.served.end();
    older?.call.end();
    const served = new ServedStream({
      call, protocol, worker, self, readJob, clock, times, logger,
      peer: { nodeId, nodeName },
      bytesRead: () => this.#listener.bytesRead(connection),
      heard: (now) => {
        // Whose stream it is was settled by its first frame.
        if (now.nodeId === nodeId) stream.facts = now;
      },
      goodbye: (successor) => onGoodbye(nodeId, successor),
      silent: () => this.#listener.drop(connection),
    });
    const stream: OpenStream = { call, served, facts, sinceMs: clock.monotonicMs() };
    this.#streams.set(nodeId, stream);
    this.#missedSinceMs.delete(nodeId);
    logger.debug({ peerId: nodeId, peerName: nodeName, protocol, version: facts.version }, 'stream of node opened');
    onOpened(facts);
    return stream;
  }

  async #fetchCredentialKey(call: CredentialKeyCall, callback: sendUnaryData<FetchCredentialKeyResponse>): Promise<void> {
    const { credentialKey, logger } = this.#options;
    const asker = this.#asker(call);
    if (asker === undefined || !this.#members.has(asker.nodeId)) {
      this.#countStranger('credentialKey');
      callback({ code: status.PERMISSION_DENIED, details: 'the credential key is given to members of the gateway only' });
      return;
    }
    try {
      const wrapped = await credentialKey.give(asker);
      const found = wrapped !== undefined;
      callback(null, { found, wrappedKey: found ? Buffer.from(wrapped) : Buffer.alloc(0) } satisfies Required<FetchCredentialKeyResponse>);
    } catch (error) {
      logger.warn({ peerId: asker.nodeId, reason: firstLine(error) }, 'credential key could not be given');
      callback({ code: status.INTERNAL, details: 'the credential key could not be wrapped' });
    }
  }

  /** Who asks, and the key that the answer is wrapped to: from the connection's certificate, or from a certificate that is checked here. */
  #asker(call: CredentialKeyCall): { nodeId: string; publicKeyPem: string } | undefined {
    const { encryption, gatewayId, clock } = this.#options;
    const { certificate: claimed } = call.request;
    const certificate = encryption === 'mtls' ? call.getAuthContext().sslPeerCertificate?.raw : claimed;
    const nodeId = encryption === 'mtls' ? this.#certifiedId(call) : undefined;
    const caPem = this.#identity?.caPem;
    const peer = encryption === 'mtls' || caPem === undefined ? undefined : checkedPeer(claimed, caPem, clock.wallMs());
    const asker = nodeId ?? (peer?.gatewayId === gatewayId ? peer.nodeId : undefined);
    const publicKeyPem = certificate === undefined ? undefined : publicKeyOf(certificate);
    return asker === undefined || publicKeyPem === undefined ? undefined : { nodeId: asker, publicKeyPem };
  }

  #certifiedId(call: Pick<ConnectCall, 'getAuthContext'>): string | undefined {
    const raw = call.getAuthContext().sslPeerCertificate?.raw;
    const peer = raw === undefined ? undefined : peerOfCertificate(raw);
    return peer?.gatewayId === this.#options.gatewayId ? peer.nodeId : undefined;
  }

  #denyStranger(call: ConnectCall): undefined {
    this.#countStranger('notAMember');
    this.#turnAway(call, { code: status.PERMISSION_DENIED, details: 'this node is no member of the gateway, as far as that one knows' });
  }

  #countStranger(reason: string): void {
    this.#options.meter.add(strangersMetric, 1, { reason });
  }

  #refuse(call: ConnectCall, reason: ConnectRefusal, evidence: string): undefined {
    this.#options.logger.debug({ reason, evidence }, 'stream of node refused');
    call.write(encodeServerFrame({ type: 'refused', reason, evidence }));
    call.end();
  }

  #turnAway(call: ConnectCall, error: { code: status; details: string }): void {
    call.emit('error', Object.assign(new Error(error.details), error));
  }
}

function decodeFollowing(wire: ClientFrame__Output): Exclude<ClientFrame, OpenFrame> {
  const frame = decodeClientFrame(wire);
  if (frame.type === 'open') throw protocolErrors.BAD_FIELD.create({ field: 'open', problem: 'not what comes now' });
  return frame;
}

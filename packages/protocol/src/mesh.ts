import { networkInterfaces } from 'node:os';
import { type Clock, firstLine, type Logger, type Meter, type Random } from '@dmg/base';
import type { WorkerPort, Workers } from '@dmg/core';
import type { Job, Member, NodeFacts } from '@dmg/model';
import { ClusterServer, type CredentialKeyGiver } from './cluster-server.ts';
import { steadyFacts } from './codec/repeated-frames.ts';
import { warmUpCodec } from './codec/warm-up.ts';
import { linksMetric } from './metrics.ts';
import { formatAddress } from './node-address.ts';
import type { MeshIdentity } from './node-certificate.ts';
import { OwnWorker } from './own-worker.ts';
import type { ClusterEncryption } from './peer-listener.ts';
import { PeerLink } from './peer-link.ts';
import { type ProtocolRange, spokenVersions } from './protocol-versions.ts';
import { RemoteWorker } from './remote-worker.ts';
import { defaultStreamTimes, type StreamTimes } from './stream-times.ts';

export interface MeshOptions {
  readonly gatewayId: string;
  readonly nodeId: string;
  readonly nodeName: string;
  /** `none`: plain text, on loopback addresses only. */
  readonly encryption: ClusterEncryption;
  /** Needed for `mtls`. Without encryption it still serves to prove who asks for the credential key. */
  readonly identity: MeshIdentity | undefined;
  /** Port 0: any free one. `advertisedHost`: the host under which others come; default the host, or this machine's first address. */
  readonly listen: { readonly host: string; readonly port: number; readonly advertisedHost?: string | undefined };
  /** This node as it is now; asked for at each heartbeat. */
  readonly self: () => NodeFacts;
  /** This node's own worker. */
  readonly worker: WorkerPort;
  /** Reads a job from its signed form; undefined, or an error, when it is not the control plane's or not for this gateway. */
  readonly readJob: (signedJob: string) => Job | undefined | Promise<Job | undefined>;
  readonly credentialKey: CredentialKeyGiver;
  /** Default: what this release speaks. */
  readonly versions?: readonly ProtocolRange[];
  readonly times?: Partial<StreamTimes>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
}

/** Another member as the streams show it. */
export interface Peer {
  readonly nodeId: string;
  readonly nodeName: string;
  /** This node's stream to it is open. */
  readonly connected: boolean;
  /** What it said last, on either stream; undefined: nothing yet. */
  readonly facts: NodeFacts | undefined;
  /** For how long there has been no stream to it; 0 while there is one. */
  readonly lostForMs: number;
  /** For how long it has had no stream to this node; 0 while it has one. A firewall may cut one of the two alone. */
  readonly missedForMs: number;
  /** Why there is none; undefined while there is one. */
  readonly trouble: string | undefined;
}

interface Entry {
  readonly member: Member;
  readonly link: PeerLink;
  readonly worker: RemoteWorker;
}

/**
 * All streams of this node: one to every other member, and those that they have opened to it (DESIGN §6). Nothing here waits for a member:
 * one that is frozen or cut off has its own link, its own deadlines and its own timers.
 */
export class Mesh {
  readonly workers: Workers;
  readonly #options: MeshOptions;
  readonly #times: StreamTimes;
  readonly #logger: Logger;
  readonly #server: ClusterServer;
  readonly #own: OwnWorker;
  readonly #entries = new Map<string, Entry>();
  readonly #changeListeners = new Set<Parameters<Workers['subscribe']>[0]>();
  readonly #upListeners = new Set<(event: { nodeId: string }) => void>();
  readonly #goneListeners = new Set<(event: { nodeId: string; refused: boolean }) => void>();
  readonly #goodbyeListeners = new Set<(event: { nodeId: string; successor: string | undefined }) => void>();
  #identity: MeshIdentity | undefined;
  #started = false;
  #closed: Promise<void> | undefined;

  /** Throws `DMG_PROTOCOL_PLAIN_TEXT_REFUSED`, `DMG_PROTOCOL_NO_IDENTITY`. */
  constructor(options: MeshOptions) {
    const { gatewayId, nodeId, encryption, identity, listen, worker, readJob, credentialKey, clock, meter } = options;
    const self = steadyFacts(options.self);
    this.#options = { ...options, self };
    this.#identity = identity;
    this.#times = { ...defaultStreamTimes, ...options.times };
    this.#logger = options.logger.child({ component: 'protocol' });
    this.#own = new OwnWorker(worker, { clock, intervalMs: this.#times.heartbeatIntervalMs });
    this.#server = new ClusterServer({
      gatewayId, nodeId, encryption, identity, self, worker, readJob, credentialKey, clock, meter,
      host: listen.host, port: listen.port,
      versions: options.versions ?? spokenVersions,
      times: this.#times,
      logger: this.#logger,
      onOpened: (facts) => this.#onOpened(facts),
      onGoodbye: (peerId, successor) => this.#onGoodbye(peerId, successor),
    });
    this.workers = {
      list: () => [this.#own, ...[...this.#entries.values()].map((entry) => entry.worker)],
      subscribe: (listener) => subscribe(this.#changeListeners, listener),
    };
  }

  /** Listens, and begins to look for the members. Throws `DMG_PROTOCOL_CANNOT_LISTEN`. */
  async start(): Promise<{ readonly address: string }> {
    warmUpCodec();
    const port = await this.#server.start();
    this.#started = true;
    this.#own.start();
    for (const { link } of this.#entries.values()) link.start();
    const { host, advertisedHost } = this.#options.listen;
    const address = formatAddress(advertisedHost ?? reachableHost(host), port);
    this.#logger.info({ address, encryption: this.#options.encryption }, 'listening for other nodes');
    return { address };
  }

  /** Who belongs to the gateway, this node included or not. Streams of those who are no members any more end at once. */
  setMembers(members: readonly Member[]): void {
    if (this.#closed !== undefined) return;
    const others = members.filter(({ nodeId }) => nodeId !== this.#options.nodeId);
    const ids = new Set(others.map(({ nodeId }) => nodeId));
    this.#server.setMembers(ids);
    for (const [nodeId, entry] of this.#entries) if (!ids.has(nodeId)) this.#remove(entry);
    for (const member of others) this.#put(member);
    this.#count();
  }

  /** A renewed certificate, for connections from now on. */
  setIdentity(identity: MeshIdentity): void {
    this.#identity = identity;
    this.#server.setIdentity(identity);
  }

  peers(): readonly Peer[] {
    return [...this.#entries.values()].map(({ link }) => {
      const { nodeId, nodeName, stream, lostForMs, trouble } = link;
      const connected = stream !== undefined;
      // Both streams carry the same facts; while one is down the other has the newer ones.
      const facts = connected ? link.facts : (this.#server.peer(nodeId)?.facts ?? link.facts);
      return { nodeId, nodeName, connected, facts, lostForMs, missedForMs: this.#server.missedForMs(nodeId), trouble };
    });
  }

  /** Says how this node is on all streams at once, instead of at the next heartbeat: after a change that others act on. */
  announce(): void {
    this.#server.announce();
    for (const { link } of this.#entries.values()) link.stream?.beat();
  }

  /** Told when this node's stream to a member is open. */
  onUp(listen: (event: { nodeId: string }) => void): () => void {
    return subscribe(this.#upListeners, listen);
  }

  /** Told when this node's stream to a member has ended, or the member's process is known to be gone. */
  onGone(listen: (event: { nodeId: string; refused: boolean }) => void): () => void {
    return subscribe(this.#goneListeners, listen);
  }

  /** Told when a member stops in order; `successor`: the node that should lead after it. May be told twice, once on each stream. */
  onGoodbye(listen: (event: { nodeId: string; successor: string | undefined }) => void): () => void {
    return subscribe(this.#goodbyeListeners, listen);
  }

  /** Tells all members that this node stops. What is said leaves before `close` cuts anything. */
  goodbye(successor?: string): void {
    const reason = 'the node stops';
    this.#server.goodbye(successor ?? '', reason);
    for (const { link } of this.#entries.values()) link.stream?.goodbye(successor ?? '', reason);
  }

  /**
   * The private half of the gateway's credential key, wrapped to this node's certificate, from the first member that has it; undefined:
   * none that can be reached has it now. Asks one after another, each under its deadline.
   */
  async fetchCredentialKey(): Promise<Uint8Array | undefined> {
    for (const { link } of [...this.#entries.values()]) {
      if (link.stream === undefined) continue;
      try {
        const wrapped = await link.stream.fetchCredentialKey(this.#identity?.certificatePem ?? '');
        if (wrapped !== undefined) return wrapped;
      } catch (error) {
        this.#logger.debug({ peerId: link.nodeId, reason: firstLine(error) }, 'credential key not obtained from node');
      }
    }
    return undefined;
  }

  /** Ends all streams and stops listening, within a second whatever the members do. Safe to repeat. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#own.stop();
    const links = [...this.#entries.values()].map(({ link }) => link.close(true));
    await Promise.all([...links, this.#server.close()]);
  }

  #put(member: Member): void {
    const known = this.#entries.get(member.nodeId);
    if (known !== undefined) {
      // A member tells its address to us as well, and earlier than to the control plane: only news from there counts.
      if (known.member.address !== member.address && member.address !== '') known.link.setAddress(member.address);
      this.#entries.set(member.nodeId, { ...known, member });
      return;
    }
    const { gatewayId, encryption, self, clock, random, meter } = this.#options;
    const link = new PeerLink({
      gatewayId, member, encryption, self, clock, random, meter,
      identity: () => this.#identity,
      versions: this.#options.versions ?? spokenVersions,
      logger: this.#logger,
      times: this.#times,
    });
    link.subscribe((event) => {
      if (event.type === 'goodbye') this.#onGoodbye(member.nodeId, event.successor);
      else if (event.type === 'gone') for (const listen of this.#goneListeners) listen({ nodeId: member.nodeId, refused: event.refused });
      else if (event.type === 'up') for (const listen of this.#upListeners) listen({ nodeId: member.nodeId });
      if (event.type === 'up' || event.type === 'gone') this.#count();
    });
    const worker = new RemoteWorker(link);
    this.#entries.set(member.nodeId, { member, link, worker });
    if (this.#started) link.start();
    for (const listen of this.#changeListeners) listen({ type: 'joined', worker });
  }

  #remove({ member, link, worker }: Entry): void {
    this.#entries.delete(member.nodeId);
    worker.leave();
    void link.close(false);
    for (const listen of this.#changeListeners) listen({ type: 'left', worker });
  }

  /** A member that reaches us is there, and says where. */
  #onOpened({ nodeId, address }: NodeFacts): void {
    const link = this.#entries.get(nodeId)?.link;
    if (link === undefined) return;
    if (address !== '') link.setAddress(address);
    link.hurry();
  }

  #onGoodbye(nodeId: string, successor: string): void {
    const event = { nodeId, successor: successor === '' ? undefined : successor };
    for (const listen of this.#goodbyeListeners) listen(event);
  }

  #count(): void {
    const links = [...this.#entries.values()].map(({ link }) => link);
    const up = links.filter(({ stream }) => stream !== undefined).length;
    this.#options.meter.set(linksMetric, up, { state: 'up' });
    this.#options.meter.set(linksMetric, links.length - up, { state: 'down' });
  }
}

function subscribe<L>(listeners: Set<L>, listen: L): () => void {
  listeners.add(listen);
  return () => listeners.delete(listen);
}

/** A host that others can use in place of "all addresses of this machine". */
function reachableHost(host: string): string {
  if (host !== '0.0.0.0' && host !== '::') return host;
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []).filter(({ internal }) => !internal);
  return (addresses.find(({ family }) => family === 'IPv4') ?? addresses[0])?.address ?? '127.0.0.1';
}

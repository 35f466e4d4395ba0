import { backoffMs, type Clock, firstLine, type Logger, type Meter, type Random, type Timer } from '@dmg/base';
import type { Member, NodeFacts } from '@dmg/model';
import { type LinkEnd, type LinkNews, LinkStream } from './link-stream.ts';
import { linkEndsMetric } from './metrics.ts';
import type { MeshIdentity } from './node-certificate.ts';
import { PeerChannel, probe, type Reach } from './peer-channel.ts';
import type { ClusterEncryption } from './peer-listener.ts';
import type { ProtocolRange } from './protocol-versions.ts';
import type { StreamTimes } from './stream-times.ts';

export interface PeerLinkOptions {
  readonly gatewayId: string;
  readonly member: Member;
  readonly encryption: ClusterEncryption;
  /** As it is now: asked at each connection. */
  readonly identity: () => MeshIdentity | undefined;
  readonly versions: readonly ProtocolRange[];
  readonly self: () => NodeFacts;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly times: StreamTimes;
}

export type LinkEvent =
  | LinkNews
  | { readonly type: 'up'; readonly facts: NodeFacts }
  /** The stream has ended, or it is known now that nobody listens at the member's address. */
  | { readonly type: 'gone'; readonly refused: boolean; readonly reason: string };

interface Failure {
  readonly refused: boolean;
  readonly reason: string;
}

/**
 * This node's stream to one other member, built again for ever. It tells two kinds of loss apart, since they allow different things: a
 * refused connection means that the process is gone (its attempts are placed again at once), everything else that it may go on unseen.
 */
export class PeerLink {
  readonly nodeId: string;
  readonly nodeName: string;
  readonly #options: PeerLinkOptions;
  readonly #logger: Logger;
  readonly #listeners = new Set<(event: LinkEvent) => void>();
  readonly #closing = new AbortController();
  #address: string;
  #stream: LinkStream | undefined;
  #facts: NodeFacts | undefined;
  #trouble: string | undefined = 'no stream to it was open yet';
  #downSinceMs: number;
  /** What listeners believe. */
  #believed: 'nothing' | 'up' | 'lost' | 'refused' = 'nothing';
  #failures = 0;
  #hurry = false;
  #triedAtMs = 0;
  /** Changes how long the pause that is going on lasts from now; undefined: there is none. */
  #rest: ((delayMs: number) => void) | undefined;
  #running: Promise<void> | undefined;

  constructor(options: PeerLinkOptions) {
    this.#options = options;
    this.nodeId = options.member.nodeId;
    this.nodeName = options.member.nodeName;
    this.#address = options.member.address;
    this.#logger = options.logger.child({ peerId: this.nodeId, peerName: this.nodeName });
    this.#downSinceMs = options.clock.monotonicMs();
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** The open stream; undefined: there is none now. */
  get stream(): LinkStream | undefined {
    return this.#stream;
  }

  /** What the member said last on this stream or an earlier one. */
  get facts(): NodeFacts | undefined {
    return this.#facts;
  }

  /** Why there is no stream; undefined when there is one. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** For how long there has been no stream; 0 while there is one. */
  get lostForMs(): number {
    return this.#stream === undefined ? this.#options.clock.monotonicMs() - this.#downSinceMs : 0;
  }

  /** Where it is looked for from now on; empty: nowhere. */
  setAddress(address: string): void {
    if (address === this.#address) return;
    this.#address = address;
    this.hurry();
  }

  /** There is reason to think that it can be reached now: the next try is made soon. Two members that poke each other cannot spin. */
  hurry(): void {
    if (this.#stream !== undefined) return;
    const { clock, times } = this.#options;
    this.#hurry = true;
    this.#rest?.(Math.max(0, times.backoff.firstMs - (clock.monotonicMs() - this.#triedAtMs)));
  }

  subscribe(listen: (event: LinkEvent) => void): () => void {
    this.#listeners.add(listen);
    return () => this.#listeners.delete(listen);
  }

  /** Ends the stream; `inOrder`: what was said before may leave first. */
  async close(inOrder: boolean): Promise<void> {
    this.#closing.abort(new Error('closed by this node'));
    this.#rest?.(0);
    const stream = this.#stream;
    if (inOrder) await stream?.close();
    else stream?.cut('closed by this node');
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      this.#hurry = false;
      this.#triedAtMs = this.#options.clock.monotonicMs();
      const failure = await this.#try(signal);
      if (signal.aborted) return;
      if (failure !== undefined) await this.#pause(this.#noteFailure(failure));
    }
  }

  /** One life of the stream. Resolves when it has ended, with the reason if it is no use to try again at once. */
  async #try(signal: AbortSignal): Promise<Failure | undefined> {
    const { clock, times } = this.#options;
    if (this.#address === '') return { refused: false, reason: 'its address is not known yet' };
    const reach = await probe(this.#address, { clock, limitMs: times.connectLimitMs, signal });
    if (signal.aborted) return undefined;
    if (reach.kind !== 'reached') return { refused: reach.kind === 'refused', reason: reach.reason };
    const stream = this.#open(reach);
    if (!(stream instanceof LinkStream)) return stream;
    const stop = (): void => stream.cut('closed by this node');
    signal.addEventListener('abort', stop, { once: true });
    try {
      this.#up(stream, await stream.opened());
    } catch {
      // Why it could not be opened is in its end.
      return { refused: false, reason: (await stream.ended).reason };
    } finally {
      signal.removeEventListener('abort', stop);
    }
    const upSinceMs = clock.monotonicMs();
    const end = await stream.ended;
    await this.#down(end, signal);
    // After a life of some length the first new try is made at once: a member that was only started again is back in no time. A stream
    // that ends as soon as it is open must not be opened in a hot loop.
    if (clock.monotonicMs() - upSinceMs < times.silenceLimitMs) return { refused: false, reason: end.reason };
    this.#failures = 0;
    return undefined;
  }

  #open(place: Extract<Reach, { kind: 'reached' }>): LinkStream | Failure {
    const { gatewayId, encryption, identity, versions, self, clock, times } = this.#options;
    const { nodeId, nodeName } = this;
    let channel: PeerChannel | undefined;
    try {
      channel = new PeerChannel(place, { gatewayId, nodeId, encryption, identity: identity() });
      return new LinkStream({ channel, gatewayId, nodeId, nodeName, versions, self, clock, times, tell: (news) => this.#tell(news) });
    } catch (error) {
      channel?.close();
      return { refused: false, reason: firstLine(error) };
    }
  }

  #up(stream: LinkStream, facts: NodeFacts): void {
    this.#stream = stream;
    this.#facts = facts;
    this.#trouble = undefined;
    this.#believed = 'up';
    this.#logger.info({ address: this.#address, protocol: stream.protocol, version: facts.version }, 'stream to node opened');
    this.#emit({ type: 'up', facts });
  }

  /** A connection that was closed may mean that the process is gone; a look at its port tells. */
  async #down(end: LinkEnd, signal: AbortSignal): Promise<void> {
    const { clock, times, meter } = this.#options;
    this.#stream = undefined;
    this.#downSinceMs = clock.monotonicMs();
    this.#trouble = end.reason;
    if (signal.aborted) return;
    meter.add(linkEndsMetric, 1, { how: end.kind });
    const reach = end.kind === 'closed' ? await probe(this.#address, { clock, limitMs: times.connectLimitMs, signal }) : undefined;
    if (signal.aborted) return;
    const refused = reach?.kind === 'refused';
    this.#logger.info({ how: end.kind, refused, reason: end.reason }, 'stream to node ended');
    this.#gone({ refused, reason: end.reason });
  }

  #gone({ refused, reason }: Failure): void {
    this.#believed = refused ? 'refused' : 'lost';
    this.#emit({ type: 'gone', refused, reason });
  }

  /** Answers how long to wait. Listeners are told when a member that may have been alive is gone for certain. */
  #noteFailure(failure: Failure): number {
    const { times, random } = this.#options;
    const { refused, reason } = failure;
    if (this.#trouble !== reason) this.#logger[this.#failures === 0 ? 'info' : 'debug']({ refused, reason }, 'no stream to node');
    this.#trouble = reason;
    if (refused && this.#believed !== 'refused') this.#gone(failure);
    const repetition = this.#failures++;
    return refused ? times.refusedRetryMs : backoffMs(repetition, random.unit(), times.backoff);
  }

  async #pause(delayMs: number): Promise<void> {
    const { clock, times } = this.#options;
    if (this.#closing.signal.aborted) return;
    let timer: Timer | undefined;
    await new Promise<void>((resolve) => {
      this.#rest = (restMs) => {
        timer?.cancel();
        timer = clock.after(restMs, resolve);
      };
      this.#rest(this.#hurry ? Math.min(delayMs, times.backoff.firstMs) : delayMs);
    });
    this.#rest = undefined;
  }

  #tell(news: LinkNews): void {
    if (news.type === 'alive') this.#facts = news.facts;
    this.#emit(news);
  }

  #emit(event: LinkEvent): void {
    if (this.#closing.signal.aborted) return;
    for (const listen of this.#listeners) listen(event);
  }
}

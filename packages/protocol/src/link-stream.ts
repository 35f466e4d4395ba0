import { type Clock, DmgError, firstLine, withDeadline } from '@dmg/base';
import type { DispatchAnswer, DispatchRequest, WorkerPort } from '@dmg/core';
import { type Epoch, isAssistStep, type NodeFacts, type ProtocolVersion, type RunningAttempt } from '@dmg/model';
import { type ClientDuplexStream, type ServiceError, status } from '@grpc/grpc-js';
import { encodeClientFrame } from './codec/client-frame.ts';
import { decodeServerFrame } from './codec/server-frame.ts';
import { protocolErrors } from './errors.ts';
import type { ClientFrame, ServerFrame, ToldEvent } from './frames.ts';
import type { ClientFrame as WireClientFrame } from './generated/dmg/cluster/v1/ClientFrame.ts';
import type { ServerFrame__Output } from './generated/dmg/cluster/v1/ServerFrame.ts';
import type { PeerChannel } from './peer-channel.ts';
import { canAssist, canSupersede, factsFor, type ProtocolRange } from './protocol-versions.ts';
import { StreamPulse } from './stream-pulse.ts';
import type { StreamTimes } from './stream-times.ts';
import { signedJobBytesMax } from './transport-options.ts';

/** Why a stream is no more. */
export interface LinkEnd {
  /** `closed`: the connection or the call ended. `silent`: nothing came any more. `denied`: the other side lets us not in. */
  readonly kind: 'closed' | 'silent' | 'denied';
  readonly reason: string;
}

/** What a stream tells while it is open. */
export type LinkNews =
  | { readonly type: 'alive'; readonly facts: NodeFacts }
  | { readonly type: 'event'; readonly event: ToldEvent }
  | { readonly type: 'goodbye'; readonly successor: string; readonly reason: string };

export interface LinkStreamOptions {
  readonly channel: PeerChannel;
  readonly gatewayId: string;
  readonly nodeId: string;
  readonly nodeName: string;
  readonly versions: readonly ProtocolRange[];
  readonly self: () => NodeFacts;
  readonly clock: Clock;
  readonly times: StreamTimes;
  readonly tell: (news: LinkNews) => void;
}

type HelloAnswer = Awaited<ReturnType<WorkerPort['hello']>>;
type Answer = Extract<ServerFrame, { requestId: number }>;

interface Pending {
  readonly take: (answer: Answer) => void;
  readonly fail: (error: Error) => void;
}

/** More unanswered requests than any dispatcher has slots for. */
const pendingMax = 4_096;
const requestIdMax = 0xffff_ffff;

/** The calling side of one stream, from its opening to its end. */
export class LinkStream {
  readonly ended: Promise<LinkEnd>;
  readonly #options: LinkStreamOptions;
  readonly #call: ClientDuplexStream<WireClientFrame, ServerFrame__Output>;
  readonly #opened = Promise.withResolvers<NodeFacts>();
  readonly #resolveEnded: (end: LinkEnd) => void;
  readonly #pending = new Map<number, Pending>();
  #protocol: ProtocolVersion | undefined;
  #pulse: StreamPulse | undefined;
  #end: LinkEnd | undefined;
  #requestId = 0;
  /** Frames that wait until whoever asked has seen the answer that came before them. */
  #waiting: ServerFrame[] = [];
  #answered = false;

  constructor(options: LinkStreamOptions) {
    this.#options = options;
    const { promise, resolve } = Promise.withResolvers<LinkEnd>();
    this.ended = promise;
    this.#resolveEnded = resolve;
    this.#opened.promise.catch(() => undefined);
    this.#call = options.channel.caller.connect();
    this.#call.on('data', (frame: ServerFrame__Output) => this.#onData(frame));
    this.#call.on('error', (error: ServiceError) => this.#finish(endOf(error)));
    this.#call.on('end', () => this.#finish({ kind: 'closed', reason: 'the other side ended the stream' }));
    void options.channel.ended.then((reason) => this.#finish({ kind: 'closed', reason }));
    const { versions, gatewayId, nodeId, self } = options;
    this.#write({ type: 'open', versions, gatewayId, targetNodeId: nodeId, facts: self() });
  }

  /** Resolves with what the other side says of itself when the stream is open. Rejects when it is not within `openLimitMs`. */
  async opened(): Promise<NodeFacts> {
    const { clock, times, nodeName } = this.#options;
    try {
      const options = { clock, limitMs: times.openLimitMs, what: `open a stream to node ${nodeName}` };
      return await withDeadline(options, () => this.#opened.promise);
    } catch (error) {
      this.#finish({ kind: 'silent', reason: firstLine(error) });
      throw error;
    }
  }

  /** What both sides speak; undefined before the stream is open. */
  get protocol(): ProtocolVersion | undefined {
    return this.#protocol;
  }

  async hello(epoch: Epoch): Promise<HelloAnswer> {
    const { nodeName, times } = this.#options;
    const attempts: RunningAttempt[] = [];
    return this.#ask<HelloAnswer>(
      { what: `say hello to node ${nodeName}`, limitMs: times.helloLimitMs },
      (requestId) => ({ type: 'hello', requestId, epoch }),
      (frame) => {
        if (frame.type !== 'helloAnswer') return 'unexpected';
        if (!frame.answer.accepted) return { accepted: false, known: frame.answer.known };
        attempts.push(...frame.answer.attempts);
        const { limit, used, more } = frame.answer;
        return more ? 'more' : { accepted: true, attempts, limit, used };
      },
    );
  }

  async dispatch({ job, signedJob, attemptId, step, epoch, share }: DispatchRequest): Promise<DispatchAnswer> {
    const { nodeName, times } = this.#options;
    if (isAssistStep(step) && this.#protocol !== undefined && !canAssist(this.#protocol)) {
      return { accepted: false, reason: 'NOT_ELIGIBLE', evidence: 'The node speaks a protocol that knows no assistants.' };
    }
    const bytes = Buffer.byteLength(signedJob);
    if (bytes > signedJobBytesMax) {
      const evidence = `The signed job has ${bytes} bytes; up to ${signedJobBytesMax} can be handed to another node.`;
      return { accepted: false, reason: 'NOT_ELIGIBLE', evidence };
    }
    return this.#ask<DispatchAnswer>(
      { what: `dispatch a job to node ${nodeName}`, limitMs: times.dispatchLimitMs },
      (requestId) => ({
        type: 'dispatch', requestId, signedJob, attemptId, step, epoch, jobId: job.jobId, ...(share === undefined ? {} : { share }),
      }),
      (frame) => (frame.type === 'dispatchAnswer' ? frame.answer : 'unexpected'),
    );
  }

  async cancel(attemptId: string): Promise<void> {
    await this.#stop('cancel', attemptId);
  }

  /** A node that speaks 1.0 cannot: both attempts run on, which the sink bears. */
  async supersede(attemptId: string): Promise<void> {
    if (this.#protocol === undefined || canSupersede(this.#protocol)) await this.#stop('supersede', attemptId);
  }

  async tellAssistants(attemptId: string, assistants: number): Promise<void> {
    if (this.#protocol !== undefined && !canAssist(this.#protocol)) return;
    await this.#say('speak to an attempt', (requestId) => ({ type: 'tellAssistants', requestId, attemptId, assistants }));
  }

  async #stop(type: 'cancel' | 'supersede', attemptId: string): Promise<void> {
    await this.#say('stop an attempt', (requestId) => ({ type, requestId, attemptId }));
  }

  async #say(what: string, make: (requestId: number) => ClientFrame): Promise<void> {
    const { nodeName, times } = this.#options;
    await this.#ask<true>(
      { what: `${what} on node ${nodeName}`, limitMs: times.cancelLimitMs },
      make,
      (frame) => (frame.type === 'cancelAnswer' ? true : 'unexpected'),
    );
  }

  /** The gateway's credential key, wrapped to this node's certificate; undefined when the other node does not have it. */
  async fetchCredentialKey(certificatePem: string): Promise<Uint8Array | undefined> {
    const { self, clock, times, nodeName, channel } = this.#options;
    const what = `get the credential key from node ${nodeName}`;
    const answer = await withDeadline({ clock, limitMs: times.credentialKeyLimitMs, what }, (signal) =>
      new Promise<{ found: boolean; wrappedKey: Buffer }>((resolve, reject) => {
        const request = { nodeId: self().nodeId, certificate: certificatePem };
        const call = channel.caller.fetchCredentialKey(request, (error, response) => {
          if (response === undefined) reject(this.#unreachable(error?.details ?? 'no answer'));
          else resolve(response);
        });
        signal.addEventListener('abort', () => call.cancel(), { once: true });
      }));
    return answer.found && answer.wrappedKey.length > 0 ? new Uint8Array(answer.wrappedKey) : undefined;
  }

  /** Tells the other side how this node is; nothing before the stream is open. */
  beat(): void {
    if (this.#protocol !== undefined) this.#write({ type: 'heartbeat', facts: factsFor(this.#protocol, this.#options.self()) });
  }

  /** Tells the other side that this node stops. */
  goodbye(successor: string, reason: string): void {
    if (this.#protocol !== undefined && this.#end === undefined) this.#write({ type: 'goodbye', successor, reason });
  }

  /** Ends the stream at once. */
  cut(reason: string): void {
    this.#finish({ kind: 'closed', reason });
  }

  /** Ends the stream in order: what was written before still leaves, for `closeLimitMs` at most. */
  async close(): Promise<void> {
    if (this.#end !== undefined) return;
    const { clock, times } = this.#options;
    this.#call.end();
    const timer = clock.after(times.closeLimitMs, () => this.cut('closed by this node'));
    await this.ended;
    timer.cancel();
  }

  async #ask<A>(
    { what, limitMs }: { readonly what: string; readonly limitMs: number },
    make: (requestId: number) => ClientFrame,
    read: (answer: Answer) => A | 'more' | 'unexpected',
  ): Promise<A> {
    if (this.#protocol === undefined || this.#end !== undefined) throw this.#unreachable(this.#end?.reason ?? 'the stream is not open yet');
    if (this.#pending.size >= pendingMax) throw this.#unreachable(`it has ${pendingMax} requests in hand and answers none`);
    const requestId = this.#nextRequestId();
    try {
      return await withDeadline({ clock: this.#options.clock, limitMs, what }, () => new Promise<A>((resolve, reject) => {
        const take = (answer: Answer): void => {
          if (answer.type === 'requestFailed') {
            reject(new DmgError(answer.fault));
            return;
          }
          const value = read(answer);
          if (value === 'unexpected') this.#protest(answer);
          else if (value !== 'more') resolve(value);
        };
        this.#pending.set(requestId, { take, fail: reject });
        this.#write(make(requestId));
      }));
    } finally {
      this.#pending.delete(requestId);
    }
  }

  #nextRequestId(): number {
    do this.#requestId = this.#requestId >= requestIdMax ? 1 : this.#requestId + 1;
    while (this.#pending.has(this.#requestId));
    return this.#requestId;
  }

  #onData(wire: ServerFrame__Output): void {
    if (this.#end !== undefined) return;
    let frame: ServerFrame;
    try {
      frame = decodeServerFrame(wire);
    } catch (error) {
      // A frame that is not understood: nothing after it can be trusted to mean what it seems to mean.
      this.#finish({ kind: 'closed', reason: firstLine(error) });
      return;
    }
    this.#take(frame);
  }

  /**
   * Keeps order between answers and events. An answer is seen by whoever asked only after some turns of the microtask queue, an event at
   * once: without waiting, an attempt could be told to have ended before the list in which it still runs.
   */
  #take(frame: ServerFrame): void {
    const isAnswer = 'requestId' in frame;
    if (this.#waiting.length > 0 || (this.#answered && !isAnswer)) {
      this.#waiting.push(frame);
      return;
    }
    this.#handle(frame);
    if (!isAnswer || this.#answered) return;
    this.#answered = true;
    setImmediate(() => {
      this.#answered = false;
      const waiting = this.#waiting.splice(0);
      for (const each of waiting) if (this.#end === undefined) this.#take(each);
    });
  }

  #handle(frame: ServerFrame): void {
    const { tell } = this.#options;
    if ('requestId' in frame) {
      // None is pending when its deadline has passed.
      this.#pending.get(frame.requestId)?.take(frame);
      return;
    }
    if (frame.type === 'opened') this.#onOpened(frame.protocol, frame.facts);
    else if (frame.type === 'refused') this.#finish({ kind: 'denied', reason: frame.evidence });
    else if (this.#protocol === undefined) this.#protest(frame);
    else if (frame.type === 'heartbeat') tell({ type: 'alive', facts: frame.facts });
    else if (frame.type === 'event') tell({ type: 'event', event: frame.event });
    else tell({ type: 'goodbye', successor: frame.successor, reason: frame.reason });
  }

  #onOpened(protocol: ProtocolVersion, facts: NodeFacts): void {
    const { nodeId, versions, clock, times, channel } = this.#options;
    const isOffered = versions.some((range) =>
      range.major === protocol.major && range.minorMin <= protocol.minor && protocol.minor <= range.minorMax);
    if (!isOffered || this.#protocol !== undefined) {
      this.#protest({ type: 'opened' });
      return;
    }
    if (facts.nodeId !== nodeId) {
      this.#finish({ kind: 'denied', reason: `node ${facts.nodeName} answers at its address` });
      return;
    }
    this.#protocol = protocol;
    this.#pulse = new StreamPulse({
      clock, times,
      bytesRead: () => channel.bytesRead,
      beat: () => this.beat(),
      silent: () => this.#finish({ kind: 'silent', reason: `nothing was heard of it for ${times.silenceLimitMs} ms` }),
      broken: (error) => this.#finish({ kind: 'closed', reason: firstLine(error) }),
    });
    this.#opened.resolve(facts);
  }

  /** A frame that is understood and must not come now. */
  #protest({ type }: { readonly type: string }): void {
    this.#finish({ kind: 'closed', reason: protocolErrors.BAD_FIELD.create({ field: type, problem: 'not what comes now' }).message });
  }

  #write(frame: ClientFrame): void {
    if (this.#end === undefined) this.#call.write(encodeClientFrame(frame));
  }

  #finish(end: LinkEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#pulse?.stop();
    const error = this.#unreachable(end.reason);
    this.#opened.reject(error);
    for (const { fail } of [...this.#pending.values()]) fail(error);
    this.#call.cancel();
    this.#options.channel.close();
    this.#resolveEnded(end);
  }

  #unreachable(reason: string): DmgError {
    return protocolErrors.UNREACHABLE.create({ nodeName: this.#options.nodeName, reason });
  }
}

function endOf(error: ServiceError): LinkEnd {
  const isDenied = error.code === status.PERMISSION_DENIED || error.code === status.UNAUTHENTICATED;
  return { kind: isDenied ? 'denied' : 'closed', reason: error.details === '' ? firstLine(error) : error.details };
}

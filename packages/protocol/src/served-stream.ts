import { asDmgError, type Clock, firstLine, type Logger, withDeadline } from '@dmg/base';
import type { DispatchAnswer, WorkerPort } from '@dmg/core';
import type { Job, NodeFacts, ProtocolVersion, RunningAttempt } from '@dmg/model';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { encodeServerFrame } from './codec/server-frame.ts';
import type { ClientFrame, DispatchFrame, HelloPart, OpenFrame, ServerFrame, ToldEvent } from './frames.ts';
import type { ClientFrame__Output } from './generated/dmg/cluster/v1/ClientFrame.ts';
import type { ServerFrame as WireServerFrame } from './generated/dmg/cluster/v1/ServerFrame.ts';
import { answerFor, attemptsFor, factsFor } from './protocol-versions.ts';
import { StreamPulse } from './stream-pulse.ts';
import type { StreamTimes } from './stream-times.ts';
import { helloPartBytesMax } from './transport-options.ts';

export interface ServedStreamOptions {
  readonly call: ServerDuplexStream<ClientFrame__Output, WireServerFrame>;
  readonly peer: { readonly nodeId: string; readonly nodeName: string };
  readonly protocol: ProtocolVersion;
  readonly worker: WorkerPort;
  readonly self: () => NodeFacts;
  readonly readJob: (signedJob: string) => Job | undefined | Promise<Job | undefined>;
  readonly bytesRead: () => number;
  readonly clock: Clock;
  readonly times: StreamTimes;
  readonly logger: Logger;
  /** What the other side says of itself, at each heartbeat. */
  readonly heard: (facts: NodeFacts) => void;
  readonly goodbye: (successor: string) => void;
  /** The other side is silent, or there is nothing that can be said to it: its connection is to be ended. */
  readonly silent: () => void;
}

/** The called side of one open stream: answers for this node's worker, and tells what becomes of its attempts. */
export class ServedStream {
  readonly #options: ServedStreamOptions;
  readonly #pulse: StreamPulse;
  readonly #unsubscribe: () => void;
  #ended = false;
  /**
   * Answers that are being made, and events that must not overtake them: while a list is on its way, the end of an attempt which stands in
   * it comes after it; the end of a dispatched attempt comes after the answer to its dispatch.
   */
  #hellos = 0;
  readonly #dispatching = new Set<string>();
  #held: ToldEvent[] = [];

  constructor(options: ServedStreamOptions) {
    this.#options = options;
    const { clock, times, protocol, self, bytesRead, silent, worker } = options;
    this.#send({ type: 'opened', protocol, facts: factsFor(protocol, self()) });
    this.#pulse = new StreamPulse({
      clock, times, bytesRead, silent,
      beat: () => this.beat(),
      broken: (error) => {
        options.logger.error({ reason: firstLine(error) }, 'facts of this node cannot be sent');
        silent();
      },
    });
    this.#unsubscribe = worker.subscribe((event) => {
      if (event.type === 'progress' || event.type === 'ended' || event.type === 'slots') this.#onEvent(event);
    });
  }

  /** Takes a frame that came after the first one. */
  take(frame: Exclude<ClientFrame, OpenFrame>): void {
    const { heard, goodbye } = this.#options;
    switch (frame.type) {
      case 'hello':
        void this.#hello(frame);
        return;
      case 'dispatch':
        void this.#dispatch(frame);
        return;
      case 'cancel':
      case 'supersede':
      case 'tellAssistants':
        void this.#pass(frame);
        return;
      case 'heartbeat':
        heard(frame.facts);
        return;
      case 'goodbye':
        goodbye(frame.successor);
    }
  }

  /** Says how this node is. */
  beat(): void {
    const { protocol, self } = this.#options;
    this.#send({ type: 'heartbeat', facts: factsFor(protocol, self()) });
  }

  goodbye(successor: string, reason: string): void {
    this.#send({ type: 'goodbye', successor, reason });
  }

  /** Nothing is sent any more. The call itself is ended by whoever calls this. */
  end(): void {
    this.#ended = true;
    this.#pulse.stop();
    this.#unsubscribe();
    this.#held = [];
  }

  async #hello({ requestId, epoch }: Extract<ClientFrame, { type: 'hello' }>): Promise<void> {
    const { worker, clock, times, protocol } = this.#options;
    this.#hellos++;
    try {
      const answer = await withDeadline({ clock, limitMs: times.helloLimitMs, what: 'promise and list' }, () => worker.hello(epoch));
      const parts: HelloPart[] = answer.accepted
        ? cutList({ ...answer, attempts: attemptsFor(protocol, answer.attempts) }) : [answer];
      for (const part of parts) this.#send({ type: 'helloAnswer', requestId, answer: part });
    } catch (error) {
      this.#sendFailure(requestId, error);
    } finally {
      this.#hellos--;
      this.#release();
    }
  }

  async #dispatch(frame: DispatchFrame): Promise<void> {
    const { requestId, attemptId } = frame;
    const { clock, times, protocol } = this.#options;
    this.#dispatching.add(attemptId);
    try {
      const options = { clock, limitMs: times.dispatchLimitMs, what: 'start an attempt' };
      const answer = await withDeadline(options, () => this.#answerDispatch(frame));
      this.#send({ type: 'dispatchAnswer', requestId, answer: answerFor(protocol, answer) });
    } catch (error) {
      this.#sendFailure(requestId, error);
    } finally {
      this.#dispatching.delete(attemptId);
      this.#release();
    }
  }

  async #answerDispatch({ signedJob, attemptId, step, epoch, jobId, share }: DispatchFrame): Promise<DispatchAnswer> {
    const { readJob, worker, logger, peer } = this.#options;
    let job: Job | undefined;
    let evidence = 'The signed job was not signed by the control plane of this gateway.';
    try {
      job = await readJob(signedJob);
    } catch (error) {
      evidence = firstLine(error);
    }
    if (job !== undefined && job.jobId !== jobId) {
      evidence = `The signed job is ${job.jobId}, and ${jobId} was dispatched.`;
      job = undefined;
    }
    if (job !== undefined) return worker.dispatch({ job, signedJob, attemptId, step, epoch, ...(share === undefined ? {} : { share }) });
    logger.warn({ peerId: peer.nodeId, jobId, attemptId, evidence }, 'dispatch of a job that cannot be verified refused');
    return { accepted: false, reason: 'BAD_SIGNATURE', evidence };
  }

  /** Passes on to an attempt what it is to hear. */
  async #pass(frame: Extract<ClientFrame, { type: 'cancel' | 'supersede' | 'tellAssistants' }>): Promise<void> {
    const { worker, clock, times } = this.#options;
    const { requestId, attemptId } = frame;
    const pass = async (): Promise<void> => {
      if (frame.type === 'tellAssistants') await worker.tellAssistants?.(attemptId, frame.assistants);
      else if (frame.type === 'cancel') await worker.cancel(attemptId);
      else await worker.supersede?.(attemptId);
    };
    try {
      await withDeadline({ clock, limitMs: times.cancelLimitMs, what: 'speak to an attempt' }, pass);
      this.#send({ type: 'cancelAnswer', requestId });
    } catch (error) {
      this.#sendFailure(requestId, error);
    }
  }

  #onEvent(event: ToldEvent): void {
    if (this.#hellos > 0 || (event.type !== 'slots' && this.#dispatching.has(event.attemptId))) {
      this.#held.push(event);
      return;
    }
    // Progress may be lost: a side that does not keep up gets the next one.
    if (event.type === 'progress' && this.#options.call.writableNeedDrain) return;
    this.#sendEvent(event);
  }

  #release(): void {
    if (this.#ended || this.#held.length === 0) return;
    const held = this.#held;
    this.#held = [];
    for (const event of held) this.#onEvent(event);
  }

  #sendEvent(event: ToldEvent): void {
    try {
      this.#send({ type: 'event', event });
    } catch (error) {
      // The worker goes on: the dispatcher learns of an end that it was not told of when it compares lists.
      this.#options.logger.error({ type: event.type, reason: firstLine(error) }, 'event of the worker could not be sent');
    }
  }

  #sendFailure(requestId: number, error: unknown): void {
    this.#send({ type: 'requestFailed', requestId, fault: asDmgError(error).toFault() });
  }

  #send(frame: ServerFrame): void {
    if (!this.#ended && this.#options.call.writable) this.#options.call.write(encodeServerFrame(frame));
  }
}

/** Parts of a list, each small enough for a message. The last one has `more: false`. */
export function cutList(answer: { attempts: readonly RunningAttempt[]; limit: number; used: number }): HelloPart[] {
  const { attempts, limit, used } = answer;
  const lists: RunningAttempt[][] = [[]];
  let bytes = 0;
  for (const attempt of attempts) {
    const attemptBytes = Buffer.byteLength(attempt.signedJob ?? '') + 1024;
    if (bytes > 0 && bytes + attemptBytes > helloPartBytesMax) {
      lists.push([]);
      bytes = 0;
    }
    lists.at(-1)?.push(attempt);
    bytes += attemptBytes;
  }
  return lists.map((list, index) => ({ accepted: true, attempts: list, limit, used, more: index < lists.length - 1 }));
}

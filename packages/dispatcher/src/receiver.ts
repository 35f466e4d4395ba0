import { type Clock, type DmgError, firstLine, isDmgError, type Logger, type Meter, withDeadline } from '@dmg/base';
import type { Delivery, ReportGateway } from '@dmg/core';
import type { Job } from '@dmg/model';
import { dispatcherErrors } from './errors.ts';
import type { LedgerSession } from './ledger-session.ts';
import { dispatcherMetrics } from './metrics.ts';

/** A job that was read from a message, and the message to settle once the job is in the ledger. */
export interface ReceivedJob {
  readonly job: Job;
  readonly signedJob: string;
  readonly sendNo: number;
  /** The first delivery of the first send: nobody can have had this job before. */
  readonly firstDelivery: boolean;
  /** To be called once: settles the message, or leaves it to its lock. */
  settle(how: 'complete' | 'leave'): void;
  /** To be called instead when no node can run jobs of this kind and too many wait already. */
  turnAway(reason: string, description: string): void;
}

export interface ReceiverOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly reports: ReportGateway;
  readonly settleLimitMs: number;
  verify(signedJob: string): Promise<Job>;
  /** Takes a job in hand; one of its two functions is called in time. */
  onJob(job: ReceivedJob): void;
  /** A message was dead-lettered: the dead-letter queue is worth a look. */
  onDeadLettered(): void;
  /** The session under which messages may be settled. */
  session(): LedgerSession | undefined;
  /** Room for how many jobs more; a delivery keeps its place in the window until there is some (DESIGN-RULES 15). */
  room(): number;
}

/** Reads and verifies messages, and holds them back while enough jobs wait. */
export class Receiver {
  readonly #options: ReceiverOptions;
  #held: (() => void)[] = [];
  #state: 'closed' | 'opening' | 'open' = 'closed';
  /** Deliveries that came before we lead. */
  #early: (() => void)[] = [];
  #receivedUpTo = 0;

  constructor(options: ReceiverOptions) {
    this.#options = options;
  }

  /** Highest `sendNo` of which the message was settled. */
  get receivedUpTo(): number {
    return this.#receivedUpTo;
  }

  /** This was settled once, by whomever. */
  noteReceived(sendNo: number): void {
    this.#receivedUpTo = Math.max(this.#receivedUpTo, sendNo);
  }

  /** Deliveries are held until `open` or `close`: the link is attached while the ledger is still being read. */
  prepare(): void {
    this.#state = 'opening';
  }

  open(): void {
    this.#state = 'open';
    for (const go of this.#early.splice(0)) go();
  }

  /** Lets go of all deliveries in hand. */
  close(): void {
    this.#state = 'closed';
    for (const go of [...this.#early.splice(0), ...this.#held.splice(0)]) go();
  }

  /** Lets as many held deliveries go as there is room for. */
  release(): void {
    if (this.#held.length === 0) return;
    const room = this.#options.room();
    if (room > 0) for (const release of this.#held.splice(0, room)) release();
  }

  /** The handler for the queue. Never rejects. */
  async receive(delivery: Delivery): Promise<void> {
    if (this.#state === 'opening') await new Promise<void>((resolve) => void this.#early.push(resolve));
    if (!this.#isOpen()) return this.#count('left');
    const read = await this.#read(delivery);
    if (read === undefined) return;
    if (!this.#isOpen()) return this.#count('left');
    await this.#handOver(delivery, read);
    if (this.#isOpen() && this.#options.room() <= 0) await new Promise<void>((resolve) => void this.#held.push(resolve));
  }

  #isOpen(): boolean {
    return this.#state === 'open';
  }

  #handOver(delivery: Delivery, { job, signedJob }: { job: Job; signedJob: string }): Promise<void> {
    return new Promise<void>((resolve) => {
      const finish = (work: Promise<void>): void => void work.then(resolve);
      this.#options.onJob({
        job, signedJob, sendNo: delivery.sendNo,
        firstDelivery: delivery.deliveryCount === 0 && delivery.messageId === `${job.jobId}.1`,
        settle: (how) => {
          if (how === 'complete') return finish(this.#complete(delivery));
          this.#count('left');
          resolve();
        },
        turnAway: (reason, description) => finish(this.#deadLetter(delivery, reason, description)),
      });
    });
  }

  /** The signed job of a message; undefined when the message is not ours to go on with. */
  async #read(delivery: Delivery): Promise<{ job: Job; signedJob: string } | undefined> {
    const { clock, settleLimitMs: limitMs, verify } = this.#options;
    try {
      const address = addressIn(delivery);
      const signedJob = address === undefined ? delivery.body : await this.#fetch(delivery, address);
      if (signedJob === undefined) return undefined;
      return { signedJob, job: await withDeadline({ clock, limitMs, what: 'verify a job' }, () => verify(signedJob)) };
    } catch (error) {
      if (isDmgError(error) && error.category === 'transient') return this.#leave(delivery, error);
      const fault = isDmgError(error) ? error : unreadable(delivery, firstLine(error), error);
      this.#options.logger.warn({ messageId: delivery.messageId, code: fault.code, reason: fault.message }, 'message dead-lettered');
      await this.#deadLetter(delivery, fault.code, fault.message);
      return undefined;
    }
  }

  /** A job that cannot be fetched now can be later, unless the control plane says that there is none. */
  async #fetch(delivery: Delivery, address: string): Promise<string | undefined> {
    const { clock, settleLimitMs: limitMs, reports } = this.#options;
    try {
      return await withDeadline({ clock, limitMs, what: 'fetch a job' }, () => reports.fetchSignedJob(address));
    } catch (error) {
      if (isDmgError(error) && error.retry === 'never') throw error;
      return this.#leave(delivery, error);
    }
  }

  #leave(delivery: Delivery, error: unknown): undefined {
    this.#options.logger.warn({ messageId: delivery.messageId, reason: firstLine(error) }, 'message left to its lock');
    this.#count('left');
  }

  async #complete(delivery: Delivery): Promise<void> {
    const { clock, settleLimitMs: limitMs, logger } = this.#options;
    const session = this.#options.session();
    while (session?.mayAct() !== true) if (!(await (session?.ready() ?? false))) return this.#count('left');
    this.noteReceived(delivery.sendNo);
    try {
      await withDeadline({ clock, limitMs, what: 'complete a message' }, () => delivery.complete());
      this.#count('completed');
    } catch (error) {
      // The job is in the ledger: the message comes back and is recognised.
      logger.debug({ messageId: delivery.messageId, reason: firstLine(error) }, 'message not completed');
      this.#count('left');
    }
  }

  async #deadLetter(delivery: Delivery, reason: string, description: string): Promise<void> {
    const { clock, settleLimitMs: limitMs, logger, onDeadLettered } = this.#options;
    const session = this.#options.session();
    while (session?.mayAct() !== true) if (!(await (session?.ready() ?? false))) return this.#count('left');
    this.noteReceived(delivery.sendNo);
    try {
      await withDeadline({ clock, limitMs, what: 'dead-letter a message' }, () => delivery.deadLetter(reason, description));
      this.#count('dead_lettered');
      onDeadLettered();
    } catch (error) {
      logger.debug({ messageId: delivery.messageId, reason: firstLine(error) }, 'message not dead-lettered');
      this.#count('left');
    }
  }

  #count(settlement: string): void {
    this.#options.meter.add(dispatcherMetrics.messages, 1, { settlement });
  }
}

/** A message holds the signed job itself, or `{"address"}` of where it lies when it is too large. */
function addressIn(delivery: Delivery): string | undefined {
  if (!delivery.body.trimStart().startsWith('{')) return undefined;
  const value: unknown = JSON.parse(delivery.body);
  const address: unknown = typeof value === 'object' && value !== null && 'address' in value ? value.address : undefined;
  if (typeof address !== 'string') throw unreadable(delivery, 'it names no address', undefined);
  return address;
}

function unreadable(delivery: Delivery, reason: string, cause: unknown): DmgError {
  return dispatcherErrors.UNREADABLE_MESSAGE.create({ messageId: delivery.messageId, reason }, cause === undefined ? {} : { cause });
}

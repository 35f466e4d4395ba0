import type {
  AttemptOutcome, AttemptProgress, AttemptStep, DeadLetterReport, Epoch, Job, JobReport, RefusalReason, RunningAttempt,
} from '@dmg/model';
import type { JobRecord } from './job-record.ts';

/**
 * What the dispatcher needs of the world. Adapters live in `redis`, `service-bus`, `worker` and `node`; in-memory twins stand
 * beside the contract suites in `core/src/testing/` and pass the same suites.
 */

/** A message in hand. Exactly one of `complete` and `deadLetter` is called, or none: then its lock lapses and it comes back. */
export interface Delivery {
  readonly messageId: string;
  /** 0 when the message carries none. */
  readonly sendNo: number;
  readonly body: string;
  /** Earlier deliveries that were not settled. */
  readonly deliveryCount: number;
  complete(): Promise<void>;
  deadLetter(reason: string, description: string): Promise<void>;
}

/** The gateway's queue, receiving side (DESIGN-RULES 15). */
export interface JobQueue {
  /**
   * Delivers messages to `receive`, at most `window` at once. A delivery occupies its place in the window until the promise
   * that `receive` returned settles: holding it back is how the dispatcher stops the flow. Reconnects by itself for ever.
   */
  start(receive: (delivery: Delivery) => Promise<void>): Promise<void>;
  /** Stops receiving within 500 ms. What is in hand and not settled is left to its lock. It can be started again. */
  stop(): Promise<void>;
  state(): QueueState;
  /** Hands over dead-lettered messages, one after another, and completes each for which `take` resolves. */
  drainDeadLetters(take: (report: DeadLetterReport) => Promise<void>): Promise<number>;
}

export interface QueueState {
  readonly connected: boolean;
  /** Highest `sendNo` seen since start; 0: none. */
  readonly receivedUpTo: number;
  /** The queue had nothing for us for 5 s while credit was out, or a peek from the start returned nothing. */
  readonly empty: boolean;
  /** Why it is not connected; undefined when it is. */
  readonly trouble: string | undefined;
}

/** The gateway's queue, sending side; used by the control plane's outbox. */
export interface JobSender {
  /** Resolves when the queue has stored the message. May be a duplicate after an unknown outcome: `messageId` tells. */
  send(message: { queueName: string; messageId: string; sendNo: number; body: string }): Promise<void>;
  close(): Promise<void>;
}

/** The dispatcher's notebook. Losing it loses no job and no row, only time. */
export interface Ledger {
  /** Largest epoch number installed, and the id of the data set (`life`); a changed life means that data was lost. */
  head(): Promise<{ n: number; life: string }>;
  /** Makes `epoch` the one whose writes are accepted. `behind`: an epoch at least as large is installed. */
  install(epoch: Epoch, node: { nodeId: string; address: string }): Promise<{ ok: true } | { ok: false; behind: number }>;
  /** Writes a record. `stale`: another epoch is installed (or none: the data was lost). `old`: a newer record stands. */
  put(epoch: Epoch, record: JobRecord): Promise<'ok' | 'stale' | 'old'>;
  readAll(): Promise<JobRecord[]>;
  remove(epoch: Epoch, jobId: string): Promise<'ok' | 'stale'>;
  close(): Promise<void>;
}

export interface DispatchRequest {
  readonly job: Job;
  /** The signed form from which `job` was read; the worker verifies it itself. */
  readonly signedJob: string;
  readonly attemptId: string;
  readonly step: AttemptStep;
  readonly epoch: Epoch;
}

export type DispatchAnswer =
  | { readonly accepted: true }
  | { readonly accepted: false; readonly reason: RefusalReason; readonly evidence: string };

export type WorkerEvent =
  | { readonly type: 'progress'; readonly jobId: string; readonly attemptId: string; readonly progress: AttemptProgress }
  | {
    readonly type: 'ended'; readonly jobId: string; readonly tryNumber: number; readonly attemptId: string;
    readonly outcome: AttemptOutcome; readonly startedAtMs: number; readonly endedAtMs: number;
  }
  | { readonly type: 'slots'; readonly limit: number; readonly used: number };

/** One worker as the dispatcher sees it; a stream to another node implements it as well (next issue). */
export interface WorkerPort {
  readonly nodeId: string;
  readonly nodeName: string;
  /**
   * Promises to obey nothing smaller than `epoch` and, in the same step, lists everything that runs (each with its `signedJob`).
   * An equal epoch is accepted again: the dispatcher repeats its hello to compare lists.
   */
  hello(epoch: Epoch): Promise<
    | { accepted: true; attempts: readonly RunningAttempt[]; limit: number; used: number }
    | { accepted: false; known: Epoch }
  >;
  dispatch(request: DispatchRequest): Promise<DispatchAnswer>;
  /** Asks an attempt to stop for good: it closes the sink and ends `cancelled`. An attempt that is not running: nothing happens. */
  cancel(attemptId: string): Promise<void>;
  subscribe(listen: (event: WorkerEvent) => void): () => void;
}

/** What the dispatcher tells the control plane. */
export interface ReportGateway {
  /** Delivers until acknowledged; resolves then. Kept on disk across restarts where the implementation says so. */
  report(report: JobReport): Promise<void>;
  deadLettered(report: DeadLetterReport): Promise<void>;
  /** Fetches a job whose message carries only its address. */
  fetchSignedJob(address: string): Promise<string>;
}

import type {
  AssistShare, AttemptOutcome, AttemptProgress, AttemptStep, DeadLetterReport, Epoch, Job, JobReport, RefusalReason, RunningAttempt,
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
  /**
   * Opens the connection and keeps it open and authorised, so that `start` has only to attach its link; takes no message. Resolves
   * when the queue has answered or has failed to; connecting goes on by itself, until `stop`. While started: nothing happens.
   */
  warm(): Promise<void>;
  /** Stops receiving, or being warm, within 500 ms. What is in hand and not settled is left to its lock. It can be started again. */
  stop(): Promise<void>;
  state(): QueueState;
  /** Hands over dead-lettered messages, one after another, and completes each for which `take` resolves. */
  drainDeadLetters(take: (report: DeadLetterReport) => Promise<void>): Promise<number>;
}

export interface QueueState {
  /** The queue answers: it is received from, or kept warm. */
  readonly connected: boolean;
  /** Highest `sendNo` seen since start; 0: none. */
  readonly receivedUpTo: number;
  /** The queue had nothing for us for 5 s while credit was out, or a peek from the start returned nothing. Never while only warm. */
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

/**
 * The dispatcher's notebook. Losing it loses no job and no row, only time. Whose writes are accepted is decided by what
 * `LeaseStore.install` has put there.
 */
export interface Ledger {
  /** Writes a record. `stale`: another epoch is installed (or none: the data was lost). `old`: a newer record stands. */
  put(epoch: Epoch, record: JobRecord): Promise<'ok' | 'stale' | 'old'>;
  readAll(): Promise<JobRecord[]>;
  /** Reads ahead, so that the next `readAll` has less to fetch. Never rejects: what it does not manage is read then. */
  preread(): Promise<void>;
  remove(epoch: Epoch, jobId: string): Promise<'ok' | 'stale'>;
  close(): Promise<void>;
}

export interface DispatchRequest {
  readonly job: Job;
  /** The signed form from which `job` was read; the worker verifies it itself. */
  readonly signedJob: string;
  readonly attemptId: string;
  readonly step: AttemptStep;
  /** With the step `assist` only. */
  readonly share?: AssistShare;
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
  | { readonly type: 'slots'; readonly limit: number; readonly used: number }
  /** A sign of life, at least every 500 ms while it is reachable. */
  | { readonly type: 'alive' }
  /**
   * There is no way to it any more. `refused`: its machine answers and nobody listens at its address, so the process is gone;
   * otherwise it may be alive and go on with what it runs.
   */
  | { readonly type: 'gone'; readonly refused: boolean; readonly reason: string };

/** One worker as the dispatcher sees it: this node's own, or another node at the end of a stream, which may be down. */
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
  /**
   * Asks an attempt to end because another attempt of its job goes on: the sink stays open and it ends `stopped`. An attempt that is
   * not running: nothing happens. A worker that cannot leaves both running, which the sink bears.
   */
  supersede?(attemptId: string): Promise<void>;
  /** Tells an attempt that leads how many assistants copy beside it. One that is not running, or does not hear of it, goes on as it was. */
  tellAssistants?(attemptId: string, assistants: number): Promise<void>;
  subscribe(listen: (event: WorkerEvent) => void): () => void;
}

/** The workers of the gateway; they come and go while it works. */
export interface Workers {
  /** All that are members, reachable or not, this node's own included. */
  list(): readonly WorkerPort[];
  subscribe(listen: (change: { readonly type: 'joined' | 'left'; readonly worker: WorkerPort }) => void): () => void;
}

/** What one master of the lease says. `silent`: it gave no answer in time, or cannot be used; `reason` says why. */
export type MasterSight =
  | { readonly kind: 'silent'; readonly reason: string }
  | {
    readonly kind: 'seen';
    /** Token of the holder; undefined: there is no lease. */
    readonly leaseToken: string | undefined;
    /** The grant that was installed last, and how often it was renewed since; undefined: the master has lost it, or is new. */
    readonly lead: { readonly n: number; readonly token: string; readonly nodeId: string; readonly address: string; readonly beat: number }
      | undefined;
    /** Id of the master's data; empty: it has none. Another one than before means that it lost what it held. */
    readonly life: string;
  };

export type ClaimAnswer = { readonly kind: 'claimed'; readonly n: number; readonly life: string } | { readonly kind: 'lost' | 'silent' };
export type InstallAnswer =
  | { readonly kind: 'installed'; readonly life: string }
  | { readonly kind: 'behind'; readonly n: number }
  | { readonly kind: 'lost' | 'silent' };

/**
 * The lease and the epoch at its masters (DESIGN-RULES 12): one Redis, or several that know nothing of each other. Each method asks
 * all masters at once on connections of their own, every command with a deadline, and never rejects for a master that fails. Answers
 * stand in the order of the masters. Names of the scripts: claim, install, beat, seize.
 */
export interface LeaseStore {
  readonly masters: number;
  peek(): Promise<readonly MasterSight[]>;
  /** Takes the lease for `leaseMs` on a majority, or leaves nothing behind. */
  acquire(token: string, leaseMs: number): Promise<boolean>;
  claim(token: string): Promise<readonly ClaimAnswer[]>;
  /** `behind`: a larger epoch is installed, by whichever grant, or an equal `n` by another one. */
  install(epoch: Epoch, node: { readonly nodeId: string; readonly address: string }): Promise<readonly InstallAnswer[]>;
  /** Extends the lease and moves the beat. `lost`: a majority says that it is not ours; `silent`: no majority answered. */
  renew(token: string, leaseMs: number): Promise<'renewed' | 'lost' | 'silent'>;
  /**
   * Ends the lease of a holder whose beat still stands where it was seen, on a majority (a master without a lease counts as ended);
   * false when it moved or another holds it. A beat is that of the lead with the holder's token; undefined where there is none.
   */
  seize(holder: { readonly token: string; readonly beats: readonly (number | undefined)[] }): Promise<boolean>;
  /** Gives the lease back, as far as masters answer. */
  release(token: string): Promise<void>;
  close(): Promise<void>;
}

/** What the dispatcher tells the control plane. */
export interface ReportGateway {
  /** Delivers until acknowledged; resolves then. Kept on disk across restarts where the implementation says so. */
  report(report: JobReport): Promise<void>;
  deadLettered(report: DeadLetterReport): Promise<void>;
  /** Fetches a job whose message carries only its address. */
  fetchSignedJob(address: string): Promise<string>;
}

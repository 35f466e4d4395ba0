import type { BackoffPolicy, Clock, Logger, Meter, Random } from '@dmg/base';
import type { JobQueue, Ledger, ReportGateway, Workers } from '@dmg/core';
import type { Epoch, Job, NodeStatus } from '@dmg/model';
import type { EpochSource } from './epoch-source.ts';

export interface DispatcherOptions {
  readonly queue: JobQueue;
  readonly ledger: Ledger;
  /** All nodes of the gateway, this one included. */
  readonly workers: Workers;
  readonly reports: ReportGateway;
  /** Checks a job's signature, gateway and shape; rejects when it must not be run. */
  verify(signedJob: string): Promise<Job>;
  /** Where the right to act comes from. */
  readonly epochs: EpochSource;
  /** How a node stands that answers us; asked before each placement. Default: every node is Online. */
  statusOf?(nodeId: string): NodeStatus;
  /** The largest epoch that this node's own worker has promised to obey: another dispatcher's, when it is larger than ours. */
  obeyed?(): Epoch | undefined;
  /** This node leads under `epoch` now; undefined: it does not any more. */
  onLeading?(epoch: Epoch | undefined): void;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly nodeId: string;
  readonly nodeName: string;
  readonly settings?: Partial<DispatcherSettings>;
}

export interface DispatcherSettings {
  /** Jobs that may wait beyond the free slots before no further message is taken (DESIGN §5.2). */
  readonly surplus: number;
  /** A worker that has not answered Hello by then gets no job until it does. */
  readonly helloLimitMs: number;
  /** A worker that was silent for so long gets no new job until it is heard again. */
  readonly quietMs: number;
  /** A worker that was silent for so long has lost its attempts: they are placed again. */
  readonly silentLimitMs: number;
  readonly dispatchLimitMs: number;
  /** Completing or dead-lettering a message. */
  readonly settleLimitMs: number;
  /** Reading the whole ledger. */
  readonly readLimitMs: number;
  /** How often a candidate reads the ledger ahead, so that it need not do it all when its time comes (DESIGN-RULES 13). */
  readonly prereadMs: number;
  /** What a clean stop gives to writes on their way before the next dispatcher may take over. */
  readonly handOverMs: number;
  /** After another dispatcher has led for so long, this one forgets what it knew of jobs that are not over. */
  readonly forgetMs: number;
  /** Jobs that ended and were reported are kept so long, to recognise duplicates. */
  readonly keepEndedMs: number;
  /**
   * Not more of them than this: the oldest go first. The next dispatcher reads them all before it leads (50 ms for 2000, 450 ms for
   * 20,000 measured), and a duplicate of a job that was forgotten finds at the sink that it is done.
   */
  readonly keepEndedMax: number;
  /** How often the lists of the workers are compared with the ledger's. */
  readonly auditIntervalMs: number;
  readonly deadLetterIntervalMs: number;
  /** How often everything that depends on time is looked at. */
  readonly tickMs: number;
  readonly reportsAtOnce: number;
  /** More jobs of one kind that no live node may run are turned away (DESIGN-RULES 16). */
  readonly strandedMax: number;
  /** A node that refused a job as not eligible is asked again after this. */
  readonly ineligibleMs: number;
  /** A node that refused because it is full or draining is asked again after this, unless it says before that a slot is free. */
  readonly refusedMs: number;
  /** A copy that could use assistants gets the first one after this: most copies are over before. Keepers are not waited with. */
  readonly assistAfterMs: number;
  /** After an assistant ended, its node assists the same job again after this. */
  readonly assistRestMs: number;
  /** Between two attempts to get a grant. */
  readonly grantBackoff: BackoffPolicy;
}

export const defaultSettings: DispatcherSettings = {
  surplus: 4,
  helloLimitMs: 300,
  quietMs: 1_500,
  silentLimitMs: 5_000,
  dispatchLimitMs: 5_000,
  settleLimitMs: 5_000,
  readLimitMs: 5_000,
  prereadMs: 1_000,
  handOverMs: 50,
  forgetMs: 10_000,
  keepEndedMs: 3_600_000,
  keepEndedMax: 2_000,
  auditIntervalMs: 30_000,
  deadLetterIntervalMs: 30_000,
  tickMs: 1_000,
  reportsAtOnce: 16,
  strandedMax: 1_000,
  ineligibleMs: 30_000,
  refusedMs: 1_000,
  assistAfterMs: 1_000,
  assistRestMs: 5_000,
  grantBackoff: { firstMs: 100, factor: 2, maxMs: 5_000 },
};

import type { Clock, Logger, Meter, Random } from '@dmg/base';
import type { Connector } from '@dmg/connector-api';
import type { AssistShare, AttemptProgress, Job } from '@dmg/model';
import type { EngineLimits } from './engine-limits.ts';
import type { CopySecrets } from './overlap.ts';

export interface AbortOptions {
  readonly job: Job;
  /** 32 hex digits. */
  readonly attemptId: string;
  readonly connectors: ReadonlyMap<string, Connector>;
  /** Secrets of both ends' connections in clear, by property name. */
  readonly secrets: CopySecrets;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter?: Meter;
  readonly limits?: Partial<EngineLimits>;
  /** Its reason is a `StopReason`. */
  readonly signal: AbortSignal;
}

/** The same as an abort needs. */
export type KeepOptions = AbortOptions;

/** What every attempt that copies needs. */
export interface CopyWorkOptions extends AbortOptions {
  /** Limit of the part buffers, in bytes; raised where a single part needs more. Default 64 MiB. */
  readonly memoryBytes?: number;
  /** Called synchronously whenever a number changed, up to thousands of times a second: it must only note it. */
  readonly onProgress?: (progress: AttemptProgress) => void;
}

export interface CopyOptions extends CopyWorkOptions {
  readonly nodeName: string;
  /** Epoch under which the attempt was dispatched, for the receipt. */
  readonly epoch: string;
  /**
   * How many attempts on other nodes copy the same plan, asked for again and again: the shares are cut for so many and this one. Their
   * share is taken over when nothing is marked in it any more. Default none.
   */
  readonly assistants?: () => number;
}

export interface AssistOptions extends CopyWorkOptions {
  readonly share: AssistShare;
}

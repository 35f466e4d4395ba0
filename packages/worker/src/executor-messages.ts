import type { StopKind } from '@dmg/base';
import type { AssistShare, AttemptOutcome, AttemptProgress, AttemptStep, Epoch } from '@dmg/model';
import { type CounterIncrement, readIncrements } from './counter-tally.ts';

/**
 * What a host and its executors say to each other over the built-in channel: control only, under 4 KB and at most two messages of
 * progress and two of counts a second. Only a signed job in `start` and a receipt or fault in `ended` may be larger.
 */

/** What an executor is to do. It verifies and decrypts `signedJob` itself. */
export interface ExecutorTask {
  readonly signedJob: string;
  readonly jobId: string;
  readonly attemptId: string;
  readonly step: AttemptStep;
  /** With the step `assist` only. */
  readonly share?: AssistShare;
  readonly epoch: Epoch;
  readonly nodeName: string;
}

export type HostMessage =
  | {
      readonly type: 'bind'; readonly slot: number; readonly name: string;
      readonly tickIntervalMs: number; readonly progressIntervalMs: number;
    }
  /** `timeoutMs`: limit of the work, measured by the executor's monotonic clock. */
  | { readonly type: 'start'; readonly task: ExecutorTask; readonly timeoutMs: number }
  | { readonly type: 'stop'; readonly attemptId: string; readonly kind: StopKind }
  /** So many assistants copy beside the attempt now. */
  | { readonly type: 'assistants'; readonly attemptId: string; readonly assistants: number };

const hostMessageTypes: ReadonlySet<unknown> = new Set(['bind', 'start', 'stop', 'assistants']);

export type ExecutorMessage =
  /** The name of the slot is bound. `troubles`: what could not be set up and is done without. */
  | { readonly type: 'ready'; readonly slot: number; readonly troubles: readonly string[] }
  /** The name of the slot is held by another process, or cannot be bound for `reason`. */
  | { readonly type: 'taken'; readonly slot: number; readonly reason: string }
  | { readonly type: 'tick' }
  | { readonly type: 'progress'; readonly attemptId: string; readonly progress: AttemptProgress; readonly waiting: boolean }
  /** The request to stop was heard. */
  | { readonly type: 'stopping'; readonly attemptId: string }
  /** By how much counters of this process have grown since it said so last; also between attempts. */
  | { readonly type: 'counted'; readonly counts: readonly CounterIncrement[] }
  | { readonly type: 'ended'; readonly attemptId: string; readonly outcome: AttemptOutcome };

const executorMessageTypes: ReadonlySet<unknown> = new Set(['ready', 'taken', 'tick', 'progress', 'stopping', 'counted', 'ended']);
const outcomeKinds: ReadonlySet<unknown> = new Set(['succeeded', 'failed', 'cancelled', 'stopped', 'lost']);

/** Reads what came from an executor; undefined when it is not one of our messages. */
export function readExecutorMessage(value: unknown): ExecutorMessage | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const message = value as ExecutorMessage;
  if (!executorMessageTypes.has(message.type)) return undefined;
  if ((message.type === 'ready' || message.type === 'taken') && !Number.isInteger(message.slot)) return undefined;
  if (message.type === 'counted' && readIncrements(message.counts) === undefined) return undefined;
  if (message.type === 'ended' && !outcomeKinds.has(message.outcome?.kind)) return undefined;
  return message;
}

/** Reads what came from the host; undefined when it is not one of our messages. */
export function readHostMessage(value: unknown): HostMessage | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const message = value as HostMessage;
  return hostMessageTypes.has(message.type) ? message : undefined;
}

/** What a queue promises. Times in milliseconds. */
export interface QueueSettings {
  readonly lockMs: number;
  /** A message that failed this often goes to the dead-letter queue. */
  readonly maxDeliveryCount: number;
  /** 0: no duplicate detection. */
  readonly duplicateWindowMs: number;
  /** Time to live of messages that bring none, or a shorter one; undefined: for ever. */
  readonly timeToLiveMs?: number | undefined;
  readonly messageBytesMax: number;
}

export const defaultQueueSettings: QueueSettings = {
  lockMs: 10_000,
  maxDeliveryCount: 100,
  duplicateWindowMs: 600_000,
  messageBytesMax: 1_048_576,
};

/** Application properties that settling a message added or changed; `null` is a value. */
export type PropertyChanges = Readonly<Record<string, string | number | boolean | null>>;

/** `main` is the queue itself, `dead` its dead-letter queue. */
export type Area = 'main' | 'dead';

export type MessageState = 'active' | 'deferred' | 'scheduled';

export interface QueueMessage {
  readonly sequence: number;
  /** The whole encoded AMQP message as the sender gave it. */
  readonly payload: Uint8Array;
  readonly idKey: string;
  readonly enqueuedMs: number;
  readonly expiresMs: number | undefined;
  /** When a scheduled message becomes active. */
  readonly dueMs: number | undefined;
  state: MessageState;
  /** Earlier deliveries that failed. */
  deliveryCount: number;
  changes: PropertyChanges | undefined;
  lock: { readonly token: string; untilMs: number } | undefined;
  /** False until the journal has it: such a message is not handed out. */
  durable: boolean;
  /** Handed out and neither settled nor come back; what a crash turns into one more failed delivery. */
  handedOut: boolean;
}

/**
 * What happened to a queue, in the order in which it happened. Replaying the records gives the same queue, without its locks.
 * Names are short because there are three records a message.
 */
export type QueueRecord =
  | { readonly t: 'settings'; readonly settings: QueueSettings }
  | {
      readonly t: 'in';
      readonly a: Area;
      readonly s: number;
      readonly k: string;
      readonly at: number;
      readonly exp?: number;
      readonly due?: number;
      readonly n?: number;
      readonly st?: MessageState;
      readonly p?: PropertyChanges;
      readonly h?: 1;
      /** Remember the id for duplicate detection until then. */
      readonly dup?: number;
    }
  | { readonly t: 'due'; readonly s: number }
  | { readonly t: 'lock'; readonly a: Area; readonly s: number }
  | { readonly t: 'back'; readonly a: Area; readonly s: number; readonly n: number; readonly p?: PropertyChanges }
  | { readonly t: 'defer'; readonly a: Area; readonly s: number; readonly p?: PropertyChanges }
  | { readonly t: 'out'; readonly a: Area; readonly s: number }
  /** From the queue to its dead-letter queue, where it is number `d`. */
  | { readonly t: 'dead'; readonly s: number; readonly d: number; readonly at: number; readonly n: number; readonly p: PropertyChanges }
  | { readonly t: 'seen'; readonly keys: readonly (readonly [string, number])[] }
  | { readonly t: 'next'; readonly main: number; readonly dead: number };

export type Outcome =
  | { readonly type: 'complete' }
  | { readonly type: 'abandon'; readonly changes?: PropertyChanges | undefined }
  | { readonly type: 'defer'; readonly changes?: PropertyChanges | undefined }
  | {
      readonly type: 'deadLetter';
      readonly reason?: string | undefined;
      readonly description?: string | undefined;
      readonly changes?: PropertyChanges | undefined;
    };

/** `lost`: the lock is unknown or has lapsed. `refused`: not possible in the dead-letter queue. */
export type SettleResult = 'settled' | 'lost' | 'refused';

export interface QueueCounts {
  readonly active: number;
  readonly locked: number;
  readonly scheduled: number;
  readonly deferred: number;
  readonly deadLetter: number;
}

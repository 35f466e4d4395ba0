/**
 * Whether a queue that gives nothing is empty, silent or gone. Pure: times come in, nothing goes out.
 *
 * The SDK does not tell when a connection has died under a subscription, and a frozen broker shows after minutes. So a queue that
 * has given nothing for `probeAfterMs` is asked for its first message. No answer: the connection is rebuilt. The same message
 * twice, `confirmAfterMs` apart, with credit out, nothing delivered in between and nobody locking it: it should have come
 * to us, so the connection is rebuilt as well. No two machines' clocks are compared: a lock is noticed by its end having moved.
 */
export interface WatchTimes {
  /** Ask after so long without a message. */
  readonly probeAfterMs: number;
  /** No answer to a question for so long means that the connection is dead. */
  readonly probeLimitMs: number;
  /** Longer than the queue's lock time, so that a lock which its holder left behind has lapsed. */
  readonly confirmAfterMs: number;
  /** Without a message for so long while credit is out, the queue counts as empty. */
  readonly emptyAfterMs: number;
  /** Ask so often while there is trouble. */
  readonly troubleProbeMs: number;
}

export const defaultWatchTimes: WatchTimes = {
  probeAfterMs: 20_000,
  probeLimitMs: 5000,
  confirmAfterMs: 11_000,
  emptyAfterMs: 5000,
  troubleProbeMs: 1000,
};

/** After so many quick failures in a row the SDK's own reconnecting is not trusted any more. */
const failuresMax = 5;

export interface FirstMessage {
  readonly sequence: string;
  /** When its lock ends by the broker's clock; undefined: not locked, or the broker does not tell. */
  readonly lockedUntilMs: number | undefined;
}

export interface Watch {
  readonly lastDeliveryMs: number;
  readonly lastProbeMs: number | undefined;
  readonly trouble: string | undefined;
  readonly failures: number;
  /** The last question found nothing, and nothing has come since. */
  readonly foundNothing: boolean;
  readonly suspect: (FirstMessage & { readonly seenMs: number }) | undefined;
}

export function newWatch(nowMs: number): Watch {
  return { lastDeliveryMs: nowMs, lastProbeMs: undefined, trouble: undefined, failures: 0, foundNothing: false, suspect: undefined };
}

export function onDelivery(watch: Watch, nowMs: number): Watch {
  return { ...watch, lastDeliveryMs: nowMs, trouble: undefined, failures: 0, foundNothing: false, suspect: undefined };
}

/** The SDK reported an error of the subscription. */
export function onTrouble(watch: Watch, trouble: string): Watch {
  return { ...watch, trouble, foundNothing: false };
}

export interface ProbeContext {
  readonly nowMs: number;
  readonly times: WatchTimes;
  /** We could take a message and have the broker's promise to send one. */
  readonly isCreditOut: boolean;
  /** The message is one of those that we have in hand. */
  readonly isOurs: boolean;
}

/** The broker answered: its first message, or none. `isStuck` asks for a new connection. */
export function onAnswer(watch: Watch, first: FirstMessage | undefined, context: ProbeContext): { watch: Watch; isStuck: boolean } {
  const { nowMs, times, isCreditOut, isOurs } = context;
  const answered: Watch = { ...watch, lastProbeMs: nowMs, trouble: undefined, failures: 0, foundNothing: first === undefined };
  if (first === undefined || isOurs || !isCreditOut) return { watch: { ...answered, suspect: undefined }, isStuck: false };
  const { suspect } = watch;
  if (suspect === undefined || suspect.sequence !== first.sequence || suspect.lockedUntilMs !== first.lockedUntilMs) {
    return { watch: { ...answered, suspect: { ...first, seenMs: nowMs } }, isStuck: false };
  }
  if (nowMs - suspect.seenMs < times.confirmAfterMs) return { watch: answered, isStuck: false };
  return { watch: { ...answered, suspect: undefined }, isStuck: true };
}

/** The broker did not answer, or refused. `isDead` asks for a new connection. */
export function onNoAnswer(
  watch: Watch,
  reason: string,
  options: { nowMs: number; isTimeout: boolean },
): { watch: Watch; isDead: boolean } {
  const failures = watch.failures + 1;
  const isDead = options.isTimeout || failures % failuresMax === 0;
  return { watch: { ...watch, lastProbeMs: options.nowMs, trouble: reason, failures, foundNothing: false, suspect: undefined }, isDead };
}

/** When to ask next. */
export function nextProbeMs(watch: Watch, times: WatchTimes): number {
  if (watch.lastProbeMs === undefined) return 0;
  if (watch.trouble !== undefined) return watch.lastProbeMs + times.troubleProbeMs;
  if (watch.suspect !== undefined) return Math.max(watch.suspect.seenMs + times.confirmAfterMs, watch.lastProbeMs + times.troubleProbeMs);
  return Math.max(watch.lastDeliveryMs, watch.lastProbeMs) + times.probeAfterMs;
}

/** True once the broker has answered or delivered and nothing has gone wrong since. */
export function isConnected(watch: Watch): boolean {
  return watch.trouble === undefined && watch.lastProbeMs !== undefined;
}

/** `creditSinceMs`: since when we could take a message without a gap; undefined: we cannot now. */
export function isEmpty(watch: Watch, options: { nowMs: number; times: WatchTimes; creditSinceMs: number | undefined }): boolean {
  const { nowMs, times, creditSinceMs } = options;
  if (!isConnected(watch)) return false;
  if (watch.foundNothing) return true;
  if (creditSinceMs === undefined || watch.suspect !== undefined) return false;
  return nowMs - Math.max(watch.lastDeliveryMs, creditSinceMs) >= times.emptyAfterMs;
}

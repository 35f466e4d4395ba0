/**
 * When the control plane sends a job's message again (DESIGN-RULES 10.4): only if, for D without a gap, the gateway was in contact,
 * nobody named the job, and its message must have been taken out of the queue. Then 2 D, 4 D …; never for a run that is too old.
 *
 * A job is *named* when a node runs it or the dispatcher has it Waiting. *In contact* means that alive reports with a dispatcher's
 * part keep coming: without a dispatcher nobody could name a waiting job. A message *must have been taken out* when the
 * dispatcher has received a later one, or found the queue empty.
 *
 * All times are milliseconds of the control plane's own monotonic clock. A watch lives in memory only: a control plane that
 * restarts begins every D afresh, which is what keeps an outage from sending everything twice.
 *
 * Invariants: a watch that was just made waits at least D · 2^resends; whatever speaks against a loss (a name, a gap, a message
 * that may still be queued) begins D afresh; sending a job that is alive after all is harmless, since it is recognised.
 */
export interface ResendOptions {
  /** D: how long nothing must speak for the job before it is sent again. */
  readonly quietMs: number;
  /** A pause between two dispatcher reports longer than this is a gap in contact. Reports come every 5 s. */
  readonly contactGapMs: number;
  /** Age of a run after which it is not sent again. */
  readonly ageMaxMs: number;
}

export const defaultResendOptions: ResendOptions = { quietMs: 60_000, contactGapMs: 15_000, ageMaxMs: 7 * 24 * 3600 * 1000 };

/** What is watched of one message that was sent and whose job has not ended. */
export interface ResendWatch {
  readonly sendNo: number;
  /** How often this try was sent again already. */
  readonly resends: number;
  /** The last report of a dispatcher since the watch began. */
  readonly lastContactMs: number | undefined;
  /** Since when, without a gap, nothing spoke for the job. */
  readonly quietSinceMs: number | undefined;
}

export function watchSent(sendNo: number, resends: number): ResendWatch {
  return { sendNo, resends, lastContactMs: undefined, quietSinceMs: undefined };
}

/** An alive report of any node of the gateway, as far as it concerns one job. */
export interface AliveEvidence {
  readonly nowMs: number;
  /** The report names the job, as running or as waiting. */
  readonly named: boolean;
  /** There when the reporting node is the dispatcher. */
  readonly dispatcher: { readonly receivedUpTo: number; readonly queueEmpty: boolean } | undefined;
}

export function observeAlive(watch: ResendWatch, evidence: AliveEvidence, options: ResendOptions): ResendWatch {
  const { nowMs, named, dispatcher } = evidence;
  const inContact = isInContact(watch, nowMs, options);
  const quietBefore = inContact && !named ? watch.quietSinceMs : undefined;
  if (dispatcher === undefined) return { ...watch, quietSinceMs: quietBefore };
  const takenOut = dispatcher.receivedUpTo >= watch.sendNo || dispatcher.queueEmpty;
  return { ...watch, lastContactMs: nowMs, quietSinceMs: takenOut && !named ? (quietBefore ?? nowMs) : undefined };
}

export type ResendDecision =
  | 'wait'
  | 'resend'
  /** As `resend`, but the run is too old: it is lost and must be given an end. */
  | 'expire';

export function decideResend(
  watch: ResendWatch, now: { readonly nowMs: number; readonly runAgeMs: number }, options: ResendOptions,
): ResendDecision {
  if (watch.quietSinceMs === undefined || !isInContact(watch, now.nowMs, options)) return 'wait';
  if (now.nowMs - watch.quietSinceMs < quietNeededMs(watch, options)) return 'wait';
  return now.runAgeMs > options.ageMaxMs ? 'expire' : 'resend';
}

/** D, 2 D, 4 D … */
export function quietNeededMs(watch: Pick<ResendWatch, 'resends'>, options: Pick<ResendOptions, 'quietMs'>): number {
  return options.quietMs * 2 ** Math.min(watch.resends, 20);
}

function isInContact(watch: ResendWatch, nowMs: number, options: ResendOptions): boolean {
  return watch.lastContactMs !== undefined && nowMs - watch.lastContactMs <= options.contactGapMs;
}

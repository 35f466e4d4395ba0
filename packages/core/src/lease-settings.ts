import { coreErrors } from './errors.ts';

/** The times of the lease, in milliseconds (DESIGN-RULES 13). All of them are durations by the own monotonic clock. */
export interface LeaseSettings {
  /** How long the lease lasts without a renewal. Longer: a frozen dispatcher is replaced later. Shorter: a busy machine loses it. */
  readonly leaseMs: number;
  /** From the sending of one renewal to the next. */
  readonly renewMs: number;
  /** How often a node that does not lead looks at the masters. */
  readonly peekMs: number;
  /** The holder stops acting so long before its lease can have ended: it covers clocks that run at different rates. */
  readonly marginMs: number;
  /** So far wall clock and monotonic clock may drift apart between two renewals; more is a machine that was suspended. */
  readonly driftMs: number;
  /** A lease whose beat stands still for so long although the masters answer is stuck: it is ended. */
  readonly stillMs: number;
  /** After the machine of the holder refused us, its beat must be so old before the lease is ended early. */
  readonly refusedStillMs: number;
  /** The lease is ended early at most once in so long: the witness may be wrong. */
  readonly refusedEveryMs: number;
  /** A holder that may lead hands over to a better node not before it has led for so long. */
  readonly handOverMs: number;
}

/** Everything follows from the lease and how often it is renewed. */
export function leaseSettings(given: { readonly leaseMs?: number; readonly renewMs?: number } = {}): LeaseSettings {
  const leaseMs = given.leaseMs ?? 1_000;
  const renewMs = given.renewMs ?? leaseMs / 4;
  return {
    leaseMs,
    renewMs,
    peekMs: leaseMs / 10,
    marginMs: Math.max(100, leaseMs / 10),
    driftMs: 100,
    stillMs: 3 * leaseMs,
    refusedStillMs: renewMs + 100,
    refusedEveryMs: 10_000,
    handOverMs: 10_000,
  };
}

const leaseMsMin = 600;

/**
 * Throws `DMG_CORE_LEASE_SETTINGS` when a node must not start with these settings. `roundTripP99Ms`: how long a command took at the
 * masters, 99 of 100 times; leave it out to check the settings alone.
 */
export function checkLeaseSettings(settings: LeaseSettings, roundTripP99Ms = 0): void {
  const { leaseMs, renewMs, peekMs, marginMs } = settings;
  const refuse = (setting: string, reason: string, remedy: string): never => {
    throw coreErrors.LEASE_SETTINGS.create({ setting, reason, remedy });
  };
  for (const [name, value] of Object.entries(settings) as [string, number][]) {
    if (Number.isFinite(value) && value > 0) continue;
    refuse(`${name} = ${value}`, 'it must be a positive number of milliseconds', `Correct ${name}`);
  }
  if (leaseMs < leaseMsMin) {
    refuse(`leaseMs = ${leaseMs}`, `a busy machine would lose a lease under ${leaseMsMin} ms`, `Set leaseMs to ${leaseMsMin} or more`);
  }
  if (renewMs > leaseMs / 3) {
    const renewMsMax = Math.floor(leaseMs / 3);
    refuse(`renewMs = ${renewMs}`, `one late renewal would lose a lease of ${leaseMs} ms`, `Set renewMs to ${renewMsMax} or less`);
  }
  if (peekMs > leaseMs / 3) {
    refuse(`peekMs = ${peekMs}`, `a lease of ${leaseMs} ms must be looked at more often`, `Set peekMs to ${leaseMs / 10}`);
  }
  if (marginMs < Math.max(100, leaseMs / 10) || marginMs + renewMs >= leaseMs) {
    const reason = `with a lease of ${leaseMs} ms it must be at least ${Math.max(100, leaseMs / 10)} and leave room for renewals`;
    refuse(`marginMs = ${marginMs}`, reason, `Set marginMs to ${Math.max(100, leaseMs / 10)}`);
  }
  if (leaseMs < 4 * roundTripP99Ms) {
    const neededMs = Math.ceil(4 * roundTripP99Ms);
    const reason = `Redis answers within ${Math.ceil(roundTripP99Ms)} ms only (99 of 100 commands), and a lease must last four times that`;
    refuse(`leaseMs = ${leaseMs}`, reason, `Use a Redis nearer to the nodes or one with less load, or set leaseMs to ${neededMs} or more`);
  }
}

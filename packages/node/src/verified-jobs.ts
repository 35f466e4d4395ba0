import type { Clock } from '@dmg/base';
import type { Job } from '@dmg/model';

/** A job is verified when it is received and again when it is dispatched to this node's own worker, some moments later. */
const keepMs = 60_000;
const keptMax = 256;
/** Longer texts are rare and would fill the memory of the host. */
const charsMax = 16_384;

/**
 * `verify` that remembers what it has verified for a minute: the very same text need not be checked twice by one process. What was
 * refused is not remembered.
 */
export function rememberVerified(verify: (signedJob: string) => Promise<Job>, clock: Clock): (signedJob: string) => Promise<Job> {
  const known = new Map<string, { readonly job: Promise<Job>; readonly untilMs: number }>();
  return (signedJob) => {
    const nowMs = clock.monotonicMs();
    const kept = known.get(signedJob);
    if (kept !== undefined && nowMs < kept.untilMs) return kept.job;
    known.delete(signedJob);
    const job = verify(signedJob);
    if (signedJob.length > charsMax) return job;
    const entry = { job, untilMs: nowMs + keepMs };
    known.set(signedJob, entry);
    job.catch(() => {
      if (known.get(signedJob) === entry) known.delete(signedJob);
    });
    // The first in a map is what was put there first.
    for (const oldest of known.keys()) {
      if (known.size <= keptMax) break;
      known.delete(oldest);
    }
    return job;
  };
}

import { firstLine, withDeadline } from '@dmg/base';
import type { Job } from '@dmg/model';
import type { LocalWorkerOptions } from './local-worker-options.ts';

/** Why this node must not run the job now; undefined when it may. Not to know is a no. */
export async function whyIneligible(job: Job, options: LocalWorkerOptions, limitMs: number): Promise<string | undefined> {
  const { ineligible, clock, logger } = options;
  if (ineligible === undefined) return undefined;
  try {
    return await withDeadline({ clock, limitMs, what: 'find out whether this node may run the job' }, async () => ineligible(job));
  } catch (error) {
    logger.warn({ component: 'worker', jobId: job.jobId, reason: firstLine(error) }, 'eligibility of a job is not known');
    return firstLine(error);
  }
}

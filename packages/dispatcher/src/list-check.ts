import { firstLine, type Logger } from '@dmg/base';
import type { Job, RunningAttempt } from '@dmg/model';

/**
 * Reads the copies of jobs in a worker's list, of those that are not known or are known by an earlier try only: whether the try that runs
 * is the last one, by job. A copy that is not signed for us tells nothing.
 */
export async function readFinalTries(
  attempts: readonly RunningAttempt[],
  options: {
    readonly logger: Logger;
    verify(signedJob: string): Promise<Job>;
    /** The try by which a job is known; undefined: it is not. */
    knownTry(jobId: string): number | undefined;
  },
): Promise<ReadonlyMap<string, boolean>> {
  const finalTries = new Map<string, boolean>();
  for (const { jobId, signedJob, tryNumber } of attempts) {
    if (signedJob === undefined || (options.knownTry(jobId) ?? 0) >= tryNumber) continue;
    try {
      finalTries.set(jobId, (await options.verify(signedJob)).finalTry);
    } catch (error) {
      options.logger.error({ jobId, reason: firstLine(error) }, 'worker runs a job that is not signed for us');
    }
  }
  return finalTries;
}

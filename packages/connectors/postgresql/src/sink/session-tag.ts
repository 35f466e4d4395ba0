import { createHash } from 'node:crypto';
import type { SinkJob } from '@dmg/connector-api';

/** NAMEDATALEN - 1: the server cuts a longer `application_name`. */
const tagBytesMax = 63;
/** An id of 128 bits in hex, or a UUID with its hyphens. */
const jobPartMax = 36;

/**
 * `dmg:<job>:<attempt>`, the `application_name` of every session that writes for an attempt, so that those of an attempt that is
 * gone can be found and ended (DESIGN-RULES 14). A job id that is too long or not plain is replaced by its digest, and the
 * attempt's id is cut to what fits: 22 hex digits at least.
 */
export function sessionTag(job: SinkJob): string {
  return `${jobTagPrefix(job.jobId)}${job.attemptId}`.slice(0, tagBytesMax);
}

/** What the tags of all attempts of a job begin with. */
export function jobTagPrefix(jobId: string): string {
  const plain = jobId.length <= jobPartMax && /^[\w-]+$/.test(jobId);
  return `dmg:${plain ? jobId : createHash('sha256').update(jobId).digest('hex').slice(0, 32)}:`;
}

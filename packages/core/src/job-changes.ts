import type { LeadStep } from '@dmg/model';
import type { JobContext, JobStep } from './job-events.ts';
import type { JobEnd, JobRecord } from './job-record.ts';

/** What the next attempt of this job is to do. */
export function nextStep(record: Pick<JobRecord, 'cancelRequested' | 'failing'>): LeadStep {
  return record.cancelRequested || record.failing !== undefined ? 'abort' : 'copy';
}

/** The only way a record changes: each change is stamped with the epoch and the next version. */
export function changed(record: JobRecord, context: JobContext, patch: Partial<JobRecord>): JobRecord {
  return { ...record, ...patch, epochN: context.epochN, version: record.version + 1 };
}

export function endedWith(record: JobRecord, context: JobContext, end: JobEnd, patch: Partial<JobRecord> = {}): JobRecord {
  return changed(record, context, { ...patch, state: 'Ended', attempt: undefined, end, reported: false });
}

/**
 * The current attempt is over without an end of the try: the job is placed again. A job whose signed form is unknown cannot be
 * placed by us; it is forgotten, nobody names it any more, and the control plane sends it again.
 */
export function waitingAgain(record: JobRecord, context: JobContext, patch: Partial<JobRecord> = {}): JobStep {
  if (record.signedJob === '') return { record: undefined, effects: [{ type: 'remove' }] };
  return { record: changed(record, context, { ...patch, state: 'Waiting', attempt: undefined }), effects: [{ type: 'write' }] };
}

import type { ToldEvent } from '../frames.ts';
import type { WorkerEvent as WireEvent, WorkerEvent__Output } from '../generated/dmg/cluster/v1/WorkerEvent.ts';
import { decodeProgress, encodeProgress } from './attempt.ts';
import { decodeOutcome, encodeOutcome } from './attempt-outcome.ts';
import { bad, readCount, readInt64, readMessage, readText, writeCount, writeInt64 } from './fields.ts';

type WireProgress = NonNullable<WireEvent['progress']>;
type WireEnded = NonNullable<WireEvent['ended']>;
type WireSlots = NonNullable<WireEvent['slots']>;

/** Times of the wall clock travel in whole milliseconds. */
export function encodeEvent(event: ToldEvent): WireEvent {
  switch (event.type) {
    case 'progress': {
      const { jobId, attemptId, progress } = event;
      return { progress: { jobId, attemptId, progress: encodeProgress(progress) } satisfies Required<WireProgress> };
    }
    case 'ended':
      return { ended: encodeEnded(event) };
    case 'slots':
      return {
        slots: { limit: writeCount('Slots.limit', event.limit), used: writeCount('Slots.used', event.used) } satisfies Required<WireSlots>,
      };
  }
}

export function decodeEvent(wire: WorkerEvent__Output | null | undefined): ToldEvent {
  const { event, progress, ended, slots } = readMessage('ServerFrame.event', wire);
  switch (event) {
    case 'progress': {
      const { jobId, attemptId, progress: reached } = readMessage('WorkerEvent.progress', progress);
      return {
        type: 'progress',
        jobId: readText('Progress.job_id', jobId),
        attemptId: readText('Progress.attempt_id', attemptId),
        progress: decodeProgress('Progress.progress', reached),
      };
    }
    case 'ended':
      return decodeEnded(readMessage('WorkerEvent.ended', ended));
    case 'slots': {
      const { limit, used } = readMessage('WorkerEvent.slots', slots);
      return { type: 'slots', limit: readCount('Slots.limit', limit), used: readCount('Slots.used', used) };
    }
    case undefined:
      throw bad('WorkerEvent.event', 'missing, or of a kind that is not known');
  }
}

function encodeEnded(event: Extract<ToldEvent, { type: 'ended' }>): WireEnded {
  const { jobId, tryNumber, attemptId, outcome, startedAtMs, endedAtMs } = event;
  return {
    jobId,
    tryNumber: writeCount('Ended.try_number', tryNumber),
    attemptId,
    outcome: encodeOutcome(outcome),
    startedAtMs: writeInt64('Ended.started_at_ms', startedAtMs),
    endedAtMs: writeInt64('Ended.ended_at_ms', endedAtMs),
  } satisfies Required<WireEnded>;
}

function decodeEnded(ended: NonNullable<WorkerEvent__Output['ended']>): ToldEvent {
  return {
    type: 'ended',
    jobId: readText('Ended.job_id', ended.jobId),
    tryNumber: readCount('Ended.try_number', ended.tryNumber),
    attemptId: readText('Ended.attempt_id', ended.attemptId),
    outcome: decodeOutcome('Ended.outcome', ended.outcome),
    startedAtMs: readInt64('Ended.started_at_ms', ended.startedAtMs),
    endedAtMs: readInt64('Ended.ended_at_ms', ended.endedAtMs),
  };
}

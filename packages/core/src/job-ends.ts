import type { AttemptOutcome } from '@dmg/model';
import { coreErrors } from './errors.ts';
import { endedWith, waitingAgain } from './job-changes.ts';
import type { JobContext, JobEvent, JobStep } from './job-events.ts';
import type { CurrentAttempt, JobEnd, JobRecord } from './job-record.ts';

/** Executors that may die under a try (and again while its sink is closed) before it is given up. */
export const executorDeathsMax = 3;

type EndedEvent = JobEvent & { type: 'ended' };

/**
 * The end of an attempt. `succeeded` is true from whichever attempt it comes, because the sink said so; everything else counts
 * only from the current attempt.
 */
export function stepEnded(record: JobRecord | undefined, event: EndedEvent, context: JobContext): JobStep {
  const { outcome } = event;
  if (outcome.kind === 'succeeded') return onSucceeded(record, event, context);
  const attempt = record?.attempt;
  if (record === undefined || attempt === undefined || attempt.attemptId !== event.attemptId) return { record, effects: [] };
  switch (outcome.kind) {
    case 'stopped': return waitingAgain(record, context);
    case 'lost': return onLost(record, attempt, outcome.reason, event, context);
    case 'failed': return onFailed(record, attempt, outcome, event, context);
    case 'cancelled': return over(record, event, context, closed(record, outcome.sink));
  }
}

function onSucceeded(record: JobRecord | undefined, event: EndedEvent, context: JobContext): JobStep {
  if (record?.end?.outcome.kind === 'succeeded') return { record, effects: [] };
  if (record === undefined) {
    const unknown: JobRecord = {
      jobId: context.jobId, epochN: context.epochN, version: 0, tryNumber: event.tryNumber, finalTry: false, sendNo: 0,
      firstDelivery: false, signedJob: '', state: 'Waiting', attempts: 1, executorDeaths: 0, abortDeaths: 0, signatureRefusals: 0,
      cancelRequested: false, reported: false,
    };
    return over(unknown, event, context, event.outcome);
  }
  const step = over(record, event, context, event.outcome);
  const other = record.attempt;
  if (other === undefined || other.attemptId === event.attemptId) return step;
  // The sink is done, so stopping the attempt that is still running changes nothing there and frees its slot.
  return { record: step.record, effects: [{ type: 'stop', attemptId: other.attemptId, nodeId: other.nodeId }, ...step.effects] };
}

function onLost(record: JobRecord, attempt: CurrentAttempt, reason: string, event: EndedEvent, context: JobContext): JobStep {
  if (attempt.step === 'abort') {
    const abortDeaths = record.abortDeaths + 1;
    if (abortDeaths < executorDeathsMax) return waitingAgain(record, context, { abortDeaths });
    return over({ ...record, abortDeaths }, event, context, closed(record, 'unconfirmed'));
  }
  // A new try arrived while this attempt ran: its deaths are counted from its own first attempt.
  if (attempt.tryNumber < record.tryNumber) return waitingAgain(record, context);
  const executorDeaths = record.executorDeaths + 1;
  if (record.cancelRequested || record.failing !== undefined || executorDeaths < executorDeathsMax) {
    return waitingAgain(record, context, { executorDeaths: Math.min(executorDeathsMax, executorDeaths) });
  }
  const fault = coreErrors.CRASHES_EXECUTOR.create({ jobId: record.jobId, deaths: executorDeaths, reason }).toFault();
  if (record.finalTry) return waitingAgain(record, context, { executorDeaths, failing: fault });
  return over({ ...record, executorDeaths }, event, context, { kind: 'failed', fault, sink: 'open' });
}

function onFailed(
  record: JobRecord, attempt: CurrentAttempt, outcome: AttemptOutcome & { kind: 'failed' }, event: EndedEvent, context: JobContext,
): JobStep {
  if (attempt.step === 'abort') return over(record, event, context, closed(record, outcome.sink === 'aborted' ? 'aborted' : 'unconfirmed'));
  if (outcome.sink === 'open') {
    const goesOn = attempt.tryNumber < record.tryNumber || record.cancelRequested || record.failing !== undefined;
    if (goesOn) return waitingAgain(record, context);
    // A failure that ends the job has to close the sink first, whatever the attempt believed.
    if (record.finalTry) return waitingAgain(record, context, { failing: outcome.fault });
  }
  return over(record, event, context, outcome);
}

/** How a job ends whose sink was closed on purpose. */
function closed(record: JobRecord, sink: 'aborted' | 'unconfirmed'): AttemptOutcome {
  return record.failing === undefined ? { kind: 'cancelled', sink } : { kind: 'failed', fault: record.failing, sink };
}

/** The try is over. The report goes first: it does not depend on the ledger. */
function over(record: JobRecord, event: EndedEvent, context: JobContext, outcome: AttemptOutcome): JobStep {
  const end: JobEnd = {
    tryNumber: record.tryNumber, attemptId: event.attemptId, nodeName: event.nodeName, outcome,
    startedAtWallMs: event.startedAtWallMs, endedAtWallMs: event.endedAtWallMs,
  };
  return { record: endedWith(record, context, end), effects: [{ type: 'report', end }, { type: 'write' }] };
}

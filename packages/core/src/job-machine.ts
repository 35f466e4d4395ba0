import assert from 'node:assert/strict';
import { type AttemptProgress, isAssistStep } from '@dmg/model';
import { coreErrors } from './errors.ts';
import { assistantListed, assistantOf, assistantPlaced, fits, onAssistant, withAssistants } from './job-assistants.ts';
import { changed, endedWith, nextStep, waitingAgain } from './job-changes.ts';
import { stepEnded } from './job-ends.ts';
import type { JobContext, JobEffect, JobEvent, JobStep } from './job-events.ts';
import type { JobEnd, JobRecord } from './job-record.ts';

/*
 * One job as the dispatcher sees it.
 *
 * States
 *   (none)      unknown: never received, or forgotten
 *   Waiting     bound to no node; its next step is `copy`, or `abort` once it is to be cancelled or failed
 *   Dispatched  written to the ledger and sent to a worker, which has not answered
 *   Running     a worker has accepted it, or lists it
 *   Ended       the try is over; reported to the control plane until acknowledged; kept to recognise duplicates
 *
 * Events: JobEvent. Effects and their order: JobEffect.
 *
 * Invariants (asserted after each step, and by property tests)
 *   - a current attempt exists exactly in Dispatched and Running, and there is never more than one
 *   - a message is completed only after the ledger holds the record; a dispatch is sent only after the ledger holds its attempt
 *   - an end with a closed sink is never followed by another end, except `succeeded` with a receipt: that one is true from
 *     whichever attempt it comes (it means that the sink said done), and nothing follows it
 *   - Failed and Cancelled come only from the current attempt, or from here when no attempt can have touched the sink
 *   - an end of the whole job that is not a success has closed the sink first, or says `unconfirmed`
 *   - at most three executors die under a try, and at most three while its sink is closed
 *   - assistants exist only while the sink is to be copied to, at most one that copies on a node, and none beside the current attempt
 *   - of two attempts that copy, the one that is further goes on; the other is ended without closing the sink that both write to
 */

export const signatureRefusalsMax = 3;

const write: JobEffect = { type: 'write' };
const complete: JobEffect = { type: 'complete' };

/** Applies one event to one job. Pure. */
export function stepJob(record: JobRecord | undefined, event: JobEvent, context: JobContext): JobStep {
  const step = withAssistants(record, transition(record, event, context), context);
  if (step.record !== undefined) assertRecord(step.record);
  return step;
}

/** True for an end after which the job changes nothing more; false for a failed try that leaves the sink open for the next. */
export function isFinal(end: JobEnd): boolean {
  return !(end.outcome.kind === 'failed' && end.outcome.sink === 'open');
}

/** A record read back from a ledger: it may be older than what happened, so it no longer proves that nothing was attempted. */
export function restored(record: JobRecord): JobRecord {
  return record.firstDelivery ? { ...record, firstDelivery: false } : record;
}

function transition(record: JobRecord | undefined, event: JobEvent, context: JobContext): JobStep {
  switch (event.type) {
    case 'received': return onReceived(record, event, context);
    case 'listed': return onListed(record, event, context);
    case 'ended': return onEnded(record, event, context);
    case 'placed':
    case 'assistantPlaced':
    case 'assistantGone':
    case 'undispatched':
    case 'accepted':
    case 'refused':
    case 'progress':
    case 'cancelRequested':
    case 'endWithheld':
    case 'reported':
    case 'notListed':
    case 'forgotten': return record === undefined ? { record, effects: [] } : onKnown(record, event, context);
  }
}

/** The end of an assistant ends nothing else, unless it found that the sink is done. */
function onEnded(record: JobRecord | undefined, event: JobEvent & { type: 'ended' }, context: JobContext): JobStep {
  const isAssistant = record !== undefined && assistantOf(record, event.attemptId) !== undefined;
  if (isAssistant && event.outcome.kind !== 'succeeded') return onAssistant(record, event, context);
  return stepEnded(record, event, context);
}

function onKnown(record: JobRecord, event: Exclude<JobEvent, { type: 'received' | 'listed' | 'ended' }>, context: JobContext): JobStep {
  if ('attemptId' in event && assistantOf(record, event.attemptId) !== undefined) return onAssistant(record, event, context);
  switch (event.type) {
    case 'placed': return onPlaced(record, event, context);
    case 'assistantPlaced': return assistantPlaced(record, event, context);
    case 'assistantGone': return { record, effects: [] };
    case 'undispatched': {
      if (!awaitsAnswer(record, event.attemptId)) return { record, effects: [] };
      return { record: unplaced(record, context, {}), effects: [] };
    }
    case 'accepted':
    case 'progress': return awaitsAnswer(record, event.attemptId) ? onAccepted(record, context) : { record, effects: [] };
    case 'refused': return awaitsAnswer(record, event.attemptId) ? onRefused(record, event, context) : { record, effects: [] };
    case 'cancelRequested': return onCancelRequested(record, context);
    case 'reported': {
      if (record.end === undefined || record.reported || !sameEnd(record.end, event.end)) return { record, effects: [] };
      // A job that is over is never placed again: only what recognises its duplicates is kept.
      const kept = isFinal(record.end) ? { signedJob: '' } : {};
      return { record: changed(record, context, { reported: true, ...kept }), effects: [write] };
    }
    case 'endWithheld': {
      if (record.end === undefined || record.reported || !sameEnd(record.end, event.end)) return { record, effects: [] };
      // From now on nobody can say that no attempt was made: whoever has the ledger may make one.
      const back = { state: 'Waiting', end: undefined, firstDelivery: false, signatureRefusals: 0 } as const;
      return { record: changed(record, context, back), effects: [] };
    }
    case 'notListed': return record.attempt?.nodeId === event.nodeId ? waitingAgain(record, context) : { record, effects: [] };
    case 'forgotten': return { record: undefined, effects: [{ type: 'remove' }] };
  }
}

function onReceived(record: JobRecord | undefined, event: JobEvent & { type: 'received' }, context: JobContext): JobStep {
  const told = { tryNumber: event.tryNumber, finalTry: event.finalTry, signedJob: event.signedJob };
  if (record === undefined) {
    const fresh: JobRecord = {
      jobId: context.jobId, epochN: context.epochN, version: 1, ...told, sendNo: event.sendNo, firstDelivery: event.firstDelivery,
      state: 'Waiting', attempts: 0, executorDeaths: 0, abortDeaths: 0, signatureRefusals: 0, cancelRequested: false, reported: false,
    };
    return { record: fresh, effects: [write, complete] };
  }
  if (event.tryNumber < record.tryNumber) return { record, effects: [write, complete] };
  if (event.tryNumber === record.tryNumber) {
    if (record.end !== undefined) return reportAgain(record, record.end, context);
    const learned = record.signedJob === '' ? changed(record, context, told) : record;
    return { record: learned, effects: [write, complete] };
  }
  if (record.end !== undefined && isFinal(record.end)) {
    // The job is over for good, whatever its next try was to do: the control plane has not heard of it.
    return reportAgain(record, { ...record.end, tryNumber: event.tryNumber }, context);
  }
  const next = changed(record, context, {
    ...told, sendNo: event.sendNo, executorDeaths: 0, abortDeaths: 0, signatureRefusals: 0, reported: false,
    failing: record.attempt?.step === 'abort' ? record.failing : undefined,
    ...(record.end === undefined ? {} : { state: 'Waiting', end: undefined }),
  });
  return { record: next, effects: [write, complete] };
}

function reportAgain(record: JobRecord, end: JobEnd, context: JobContext): JobStep {
  const next = changed(record, context, { tryNumber: end.tryNumber, end, reported: false });
  return { record: next, effects: [{ type: 'report', end }, write, complete] };
}

function onPlaced(record: JobRecord, event: JobEvent & { type: 'placed' }, context: JobContext): JobStep {
  assert.equal(record.state, 'Waiting', `job ${record.jobId} was placed while ${record.state}`);
  assert.equal(event.step, nextStep(record), `job ${record.jobId} was placed with the wrong step`);
  const { attemptId, nodeId, step } = event;
  const next = changed(record, context, {
    state: 'Dispatched', attempt: { attemptId, nodeId, step, tryNumber: record.tryNumber }, attempts: record.attempts + 1,
  });
  return { record: next, effects: [write, { type: 'dispatch', attemptId, nodeId, step }] };
}

function onAccepted(record: JobRecord, context: JobContext): JobStep {
  // Not written: a successor learns from the worker's list that it runs.
  return { record: changed(record, context, { state: 'Running' }), effects: stopIfUnwanted(record) };
}

function onRefused(record: JobRecord, event: JobEvent & { type: 'refused' }, context: JobContext): JobStep {
  if (event.reason !== 'BAD_SIGNATURE') return { record: unplaced(record, context, {}), effects: [] };
  const refusals = record.signatureRefusals + 1;
  const next = unplaced(record, context, { signatureRefusals: refusals });
  if (refusals < signatureRefusalsMax) return { record: next, effects: [] };
  const fault = coreErrors.SIGNATURE_REFUSED.create({ jobId: record.jobId, refusals, evidence: event.evidence }).toFault();
  const sink = !record.finalTry ? 'open' : isUntouched(next) ? 'aborted' : 'unconfirmed';
  const end = endHere(next, context, { kind: 'failed', fault, sink });
  return { record: endedWith(next, context, end), effects: [write, { type: 'report', end }] };
}

function onCancelRequested(record: JobRecord, context: JobContext): JobStep {
  switch (record.state) {
    case 'Waiting': {
      if (isUntouched(record)) {
        const end = endHere(record, context, { kind: 'cancelled', sink: 'aborted' });
        return { record: endedWith(record, context, end, { cancelRequested: true }), effects: [write, { type: 'report', end }] };
      }
      if (record.cancelRequested) return { record, effects: [] };
      return { record: changed(record, context, { cancelRequested: true }), effects: [write] };
    }
    case 'Dispatched':
    case 'Running': {
      const next = record.cancelRequested ? record : changed(record, context, { cancelRequested: true });
      return { record: next, effects: [...stopIfUnwanted(next), ...(next === record ? [] : [write])] };
    }
    case 'Ended': {
      // Between two tries the sink is open: somebody has to close it.
      if (record.end === undefined || isFinal(record.end) || record.signedJob === '') return { record, effects: [] };
      const next = changed(record, context, { state: 'Waiting', cancelRequested: true, end: undefined, reported: false });
      return { record: next, effects: [write] };
    }
  }
}

function onListed(record: JobRecord | undefined, event: JobEvent & { type: 'listed' }, context: JobContext): JobStep {
  const { attempt: listed, nodeId } = event;
  const { step } = listed;
  if (isAssistStep(step)) return assistantListed(record, { attemptId: listed.attemptId, nodeId, step }, context);
  const current = { attemptId: listed.attemptId, nodeId, step, tryNumber: listed.tryNumber };
  if (record === undefined) {
    const adopted: JobRecord = {
      jobId: context.jobId, epochN: context.epochN, version: 1, tryNumber: listed.tryNumber, finalTry: event.finalTry, sendNo: 0,
      firstDelivery: false, signedJob: listed.signedJob ?? '', state: 'Running', attempt: current, attempts: 1, executorDeaths: 0,
      abortDeaths: 0, signatureRefusals: 0, cancelRequested: listed.step === 'abort', reported: false,
    };
    return { record: adopted, effects: [write] };
  }
  if (record.end !== undefined) {
    // Stopping closes the sink: harmless where it is closed already, forbidden where another try is to use it.
    if (isFinal(record.end)) return { record, effects: [{ type: 'stop', attemptId: listed.attemptId, nodeId }] };
    if (listed.tryNumber <= record.tryNumber) return { record, effects: [] };
  }
  const other = record.attempt?.attemptId === listed.attemptId ? undefined : record.attempt;
  if (other !== undefined) {
    if (listed.step === 'abort') return { record, effects: [] };
    if (other.step === 'abort' || nextStep(record) === 'abort') {
      return { record, effects: [{ type: 'stop', attemptId: listed.attemptId, nodeId }] };
    }
    // Both copy under one plan (DESIGN-RULES 10.6). One that nobody has accepted yet is given up for one that runs.
    if (record.state === 'Running' && !isFurther(listed.progress, event.current)) {
      return { record, effects: [{ type: 'supersede', attemptId: listed.attemptId, nodeId }] };
    }
  }
  if (record.state === 'Running' && record.attempt?.nodeId === nodeId) return { record, effects: stopIfUnwanted(record) };
  const newer = listed.tryNumber > record.tryNumber && listed.signedJob !== undefined
    ? { signedJob: listed.signedJob, finalTry: event.finalTry } : {};
  const adopted = changed(record, context, {
    ...newer, state: 'Running', attempt: current, attempts: Math.max(1, record.attempts),
    tryNumber: Math.max(record.tryNumber, listed.tryNumber), end: undefined, reported: false,
  });
  const superseded: JobEffect[] = other === undefined ? [] : [{ type: 'supersede', attemptId: other.attemptId, nodeId: other.nodeId }];
  return { record: adopted, effects: [...stopIfUnwanted(adopted), write, ...superseded] };
}

const stepOrder: readonly AttemptProgress['step'][] = ['plan', 'copy', 'finish', 'abort'];

/** Whether `a` has more work in hand than `b`: a later step, or more written. Undefined: nothing is known to have been done. */
function isFurther(a: AttemptProgress | undefined, b: AttemptProgress | undefined): boolean {
  if (a === undefined || b === undefined) return a !== undefined;
  if (a.step !== b.step) return stepOrder.indexOf(a.step) > stepOrder.indexOf(b.step);
  return a.bytesWritten === b.bytesWritten ? a.rowsWritten > b.rowsWritten : a.bytesWritten > b.bytesWritten;
}

/** A copy that runs although the sink is to be closed is stopped; an `abort` step is what we want. */
function stopIfUnwanted(record: JobRecord): JobEffect[] {
  const { attempt } = record;
  if (attempt === undefined || attempt.step === 'abort' || nextStep(record) === 'copy') return [];
  return [{ type: 'stop', attemptId: attempt.attemptId, nodeId: attempt.nodeId }];
}

function awaitsAnswer(record: JobRecord, attemptId: string): boolean {
  return record.state === 'Dispatched' && record.attempt?.attemptId === attemptId;
}

/** Back to Waiting after an attempt that is known never to have begun: it does not count. */
function unplaced(record: JobRecord, context: JobContext, patch: Partial<JobRecord>): JobRecord {
  return changed(record, context, { state: 'Waiting', attempt: undefined, attempts: record.attempts - 1, ...patch });
}

/** No attempt can have reached the sink, so there is nothing to close. */
function isUntouched(record: JobRecord): boolean {
  return record.attempts === 0 && record.tryNumber === 1 && record.firstDelivery;
}

function endHere(record: JobRecord, context: JobContext, outcome: JobEnd['outcome']): JobEnd {
  const { nowWallMs, nodeName } = context;
  return { tryNumber: record.tryNumber, attemptId: '', nodeName, outcome, startedAtWallMs: nowWallMs, endedAtWallMs: nowWallMs };
}

function sameEnd(a: JobEnd, b: JobEnd): boolean {
  return a.tryNumber === b.tryNumber && a.attemptId === b.attemptId && a.outcome.kind === b.outcome.kind;
}

function assertRecord(record: JobRecord): void {
  const active = record.state === 'Dispatched' || record.state === 'Running';
  assert.equal(record.attempt !== undefined, active, `job ${record.jobId}: attempt and state ${record.state} disagree`);
  assert.equal(record.end !== undefined, record.state === 'Ended', `job ${record.jobId}: end and state ${record.state} disagree`);
  assert.ok(record.attempts >= (active ? 1 : 0), `job ${record.jobId}: ${record.attempts} attempts while ${record.state}`);
  const { assistants = [] } = record;
  const wanted = record.state !== 'Ended' && nextStep(record) === 'copy';
  assert.ok(assistants.length === 0 || wanted, `job ${record.jobId}: assistants although nothing is copied`);
  assert.ok(assistants.every((one) => fits(record, one)), `job ${record.jobId}: two that copy on one node`);
  assert.ok(!record.reported || record.state === 'Ended', `job ${record.jobId}: reported while ${record.state}`);
}

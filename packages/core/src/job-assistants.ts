import type { AssistStep } from '@dmg/model';
import { changed, nextStep } from './job-changes.ts';
import type { JobContext, JobEffect, JobEvent, JobStep } from './job-events.ts';
import type { Assistant, JobRecord } from './job-record.ts';

/*
 * Assistants of a job: attempts on other nodes that copy chunks of the plan that stands, or keep the source's snapshot. They are written
 * down so that the next dispatcher knows them. Whatever becomes of them, the job goes on: the first writer of a chunk counts, and an
 * assistant that nobody knows finds all chunks marked, or the sink closed, and ends.
 */

type AssistantEvent = Extract<
  JobEvent, { type: 'undispatched' | 'accepted' | 'refused' | 'progress' | 'assistantGone' | 'ended' | 'placed' }
>;

export function assistantOf(record: JobRecord, attemptId: string): Assistant | undefined {
  return record.assistants?.find((one) => one.attemptId === attemptId);
}

/** Whether this one may stand beside the current attempt and the other assistants of the record. */
export function fits({ attempt, assistants = [] }: JobRecord, { attemptId, nodeId, step }: Omit<Assistant, 'index'>): boolean {
  if (attemptId === attempt?.attemptId || (step === 'assist' && nodeId === attempt?.nodeId)) return false;
  return !assistants.some((one) => one.attemptId !== attemptId && one.nodeId === nodeId && one.step === step);
}

/** The smallest place that no assistant has; 0 is the lead's. */
export function freeIndex({ assistants = [] }: Pick<JobRecord, 'assistants'>): number {
  for (let index = 1; ; index++) if (!assistants.some((one) => one.index === index)) return index;
}

/** Placement chose it a moment ago; nothing comes of it where the job has changed since. */
export function assistantPlaced(record: JobRecord, event: JobEvent & { type: 'assistantPlaced' }, context: JobContext): JobStep {
  const { assistant, of } = event;
  if (record.state !== 'Running' || nextStep(record) !== 'copy' || !fits(record, assistant)) return { record, effects: [] };
  const next = changed(record, context, { assistants: [...(record.assistants ?? []), assistant] });
  const { attemptId, nodeId, step, index } = assistant;
  const share = step === 'assist' ? { share: { index, of } } : {};
  return { record: next, effects: [{ type: 'write' }, { type: 'dispatch', attemptId, nodeId, step, ...share }] };
}

/** Something is told of an assistant of the record. */
export function onAssistant(record: JobRecord, event: AssistantEvent, context: JobContext): JobStep {
  switch (event.type) {
    case 'placed':
    case 'accepted':
    case 'progress': return { record, effects: [] };
    // Not written: whoever reads it from the ledger finds that it is not in its worker's list.
    case 'undispatched':
    case 'refused': return { record: without(record, event.attemptId, context), effects: [] };
    case 'ended':
    case 'assistantGone': return { record: without(record, event.attemptId, context), effects: [{ type: 'write' }] };
  }
}

/** A worker lists an assistant: one that fits the job is taken on, any other is ended. */
export function assistantListed(
  record: JobRecord | undefined, listed: { attemptId: string; nodeId: string; step: AssistStep }, context: JobContext,
): JobStep {
  if (record !== undefined && assistantOf(record, listed.attemptId) !== undefined) return { record, effects: [] };
  const isWanted = record !== undefined && record.state !== 'Ended' && nextStep(record) === 'copy' && fits(record, listed);
  if (!isWanted) return { record, effects: [{ type: 'dismiss', attemptId: listed.attemptId, nodeId: listed.nodeId }] };
  const adopted: Assistant = { ...listed, index: listed.step === 'keep' ? 0 : freeIndex(record) };
  return { record: changed(record, context, { assistants: [...(record.assistants ?? []), adopted] }), effects: [{ type: 'write' }] };
}

/**
 * What a step means for the assistants. Those that have nothing to do any more are ended before anything else is done: all, when the job
 * is over, is to be closed or is forgotten; the one on the node that the current attempt has come to. The attempt that leads hears of
 * their number when it changes, or when it begins.
 */
export function withAssistants(before: JobRecord | undefined, step: JobStep, context: JobContext): JobStep {
  const { record } = step;
  const all = record?.assistants ?? (record === undefined ? before?.assistants : undefined) ?? [];
  const isCopied = record !== undefined && record.state !== 'Ended' && nextStep(record) === 'copy';
  const kept = isCopied ? all.filter((one) => fits(record, one)) : [];
  const dismissed = all.filter((one) => !kept.includes(one));
  const dismissals = dismissed.map(({ attemptId, nodeId }): JobEffect => ({ type: 'dismiss', attemptId, nodeId }));
  if (record === undefined) return { record, effects: [...dismissals, ...step.effects] };
  const patch = { assistants: kept.length === 0 ? undefined : kept };
  const changedHere = record === before ? changed(record, context, patch) : { ...record, ...patch };
  const next = dismissed.length === 0 ? record : changedHere;
  return { record: next, effects: [...dismissals, ...news(before, next), ...step.effects] };
}

function news(before: JobRecord | undefined, record: JobRecord): JobEffect[] {
  const { state, attempt, assistants } = record;
  if (state !== 'Running' || attempt?.step !== 'copy' || nextStep(record) !== 'copy') return [];
  const knew = before?.state === 'Running' && before.attempt?.attemptId === attempt.attemptId ? copying(before.assistants) : 0;
  const count = copying(assistants);
  return count === knew ? [] : [{ type: 'tell', attemptId: attempt.attemptId, nodeId: attempt.nodeId, assistants: count }];
}

function copying(assistants: readonly Assistant[] = []): number {
  return assistants.filter(({ step }) => step === 'assist').length;
}

function without(record: JobRecord, attemptId: string, context: JobContext): JobRecord {
  const left = record.assistants?.filter((one) => one.attemptId !== attemptId) ?? [];
  return changed(record, context, { assistants: left.length === 0 ? undefined : left });
}

import { firstLine, hasCode, type Logger } from '@dmg/base';
import { connectorErrors } from '@dmg/connector-api';
import type { Mark, Plan } from '@dmg/model';
import { checkPlan } from './plan.ts';
import { type PlanStep, planGeneration } from './plan-step.ts';
import { canRestart, onSnapshotLost, type SnapshotPolicy } from './snapshot-step.ts';

/** What becomes of a copy of this plan, of which `marks` stand, when its snapshot is lost. */
export function policyOf(
  { job, sink }: Pick<PlanStep, 'job' | 'sink'>, plan: Plan, marks: readonly (readonly Mark[])[],
): SnapshotPolicy {
  return onSnapshotLost(job.activity, { sourceKind: plan.sourceKind, canRestart: canRestart(sink, marks) });
}

/**
 * After a copy of `plan` has failed: the plan of a later generation, because another attempt has begun one or because this copy begins
 * anew under another snapshot. Undefined: the failure is one. `mayBegin`: this attempt has not begun too many already.
 */
export async function laterGeneration(
  step: PlanStep & { readonly logger: Logger; readonly mayBegin: boolean }, failed: { plan: Plan; error: unknown }, signal: AbortSignal,
): Promise<Plan | undefined> {
  const { job, calls, sink, logger, mayBegin } = step;
  const { plan, error } = failed;
  if (hasCode(error, connectorErrors.JOB_CLOSED.code)) return standingLater(step, plan, signal);
  if (!hasCode(error, connectorErrors.SNAPSHOT_LOST.code) || !mayRestart(step)) return undefined;
  const standing = await standingLater(step, plan, signal);
  if (standing !== undefined || !mayBegin) return standing;
  const state = await calls.repeated({ what: 'read the state of the job at the sink', signal }, (callSignal) => sink.state(callSignal));
  if (state.phase !== 'open') throw connectorErrors.JOB_CLOSED.create({ jobId: job.jobId, phase: state.phase });
  const next = await planGeneration(step, plan.generation + 1, signal);
  const { generation } = next;
  if (generation > plan.generation) {
    logger.warn({ generation, reason: firstLine(error) }, 'the snapshot is lost, the copy begins anew');
    return next;
  }
  // A sink that cannot take marked chunks back gives back the plan that stands.
  const goesOn = onSnapshotLost(job.activity, { sourceKind: plan.sourceKind, canRestart: false }) === 'perChunk';
  return goesOn ? next : undefined;
}

function mayRestart({ job, sink }: Pick<PlanStep, 'job' | 'sink'>): boolean {
  const can = { sourceKind: 'addressable', canRestart: sink.beginGeneration !== undefined } as const;
  return onSnapshotLost(job.activity, can) === 'restart';
}

async function standingLater({ job, calls, sink }: PlanStep, plan: Plan, signal: AbortSignal): Promise<Plan | undefined> {
  const state = await calls.repeated({ what: 'read the state of the job at the sink', signal }, (callSignal) => sink.state(callSignal));
  if (state.phase !== 'open' || state.plan === undefined || state.plan.generation <= plan.generation) return undefined;
  checkPlan(state.plan, job);
  return state.plan;
}

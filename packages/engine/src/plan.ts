import type { Job, Plan, PlanTarget } from '@dmg/model';
import { activityDigest } from './activity-digest.ts';
import { engineErrors } from './errors.ts';

/** A plan without what is the same for every plan of the job, and before its targets were looked at. */
export type PlanDraft = Pick<Plan, 'representation' | 'sourceKind' | 'partBytes' | 'snapshotKey'> & {
  readonly targets: readonly Omit<PlanTarget, 'target' | 'base'>[];
};

export interface PlanRequest {
  readonly job: Job;
  readonly draft: PlanDraft;
  /** State of the targets at the sink, by path. */
  readonly bases: ReadonlyMap<string, string>;
  /** Default 1. */
  readonly generation?: number;
}

/** The plan of a copy: what each chunk is. Pure: the same request gives the same plan on every node. */
export function makePlan({ job, draft, bases, generation = 1 }: PlanRequest): Plan {
  return {
    formatVersion: 1,
    jobId: job.jobId,
    generation,
    activityDigest: activityDigest(job.activity),
    ...draft,
    targets: draft.targets.map((planned, target) => ({ target, base: bases.get(planned.path) ?? 'absent', ...planned })),
  };
}

/** Refuses a plan that this node cannot read, or that belongs to another definition of the same job. */
export function checkPlan(plan: Plan, job: Job): void {
  // What stands at the sink may have been written by a later version, whatever the type says.
  const version: number = plan.formatVersion;
  if (version !== 1) throw engineErrors.PLAN_VERSION.create({ jobId: job.jobId, version });
  if (plan.activityDigest !== activityDigest(job.activity)) throw engineErrors.PLAN_MISMATCH.create({ jobId: job.jobId });
}

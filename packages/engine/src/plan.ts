import type { SinkLimits } from '@dmg/connector-api';
import type { Job, Plan, Representation, SourceKind } from '@dmg/model';
import { activityDigest } from './activity-digest.ts';
import { cutTargets } from './cutting.ts';
import { engineErrors } from './errors.ts';
import type { TargetLayout } from './target-layout.ts';

export interface PlanRequest {
  readonly job: Job;
  readonly representation: Representation;
  readonly sourceKind: SourceKind;
  readonly layouts: readonly TargetLayout[];
  /** State of each target at the sink, in the order of `layouts`. */
  readonly bases: readonly string[];
  readonly limits: SinkLimits;
}

/** The plan of a copy: what each chunk is. Pure: the same request gives the same plan on every node. */
export function makePlan(request: PlanRequest): Plan {
  const { job, representation, layouts, bases, limits } = request;
  const { partBytes, cuttings } = cutTargets({ layouts, representation, limits, store: job.activity.sink.connector });
  return {
    formatVersion: 1,
    jobId: job.jobId,
    generation: 1,
    activityDigest: activityDigest(job.activity),
    sourceKind: request.sourceKind,
    representation,
    partBytes,
    targets: layouts.map((layout, target) => ({
      target,
      path: layout.path,
      base: bases[target] ?? 'absent',
      sources: layout.sources,
      cutting: cuttings[target] ?? { kind: 'ranges', chunks: [] },
    })),
  };
}

/** Refuses a plan that this node cannot read, or that belongs to another definition of the same job. */
export function checkPlan(plan: Plan, job: Job): void {
  // What stands at the sink may have been written by a later version, whatever the type says.
  const version: number = plan.formatVersion;
  if (version !== 1) throw engineErrors.PLAN_VERSION.create({ jobId: job.jobId, version });
  if (plan.activityDigest !== activityDigest(job.activity)) throw engineErrors.PLAN_MISMATCH.create({ jobId: job.jobId });
}

import type { ActivityRunRow, PipelineRunRow } from '../database/schema.ts';
import { faultOf } from './activity-output.ts';
import type { FilterValues } from './run-filters.ts';

export const pipelineRunOperands = ['PipelineName', 'Status', 'RunStart', 'RunEnd', 'RunGroupId', 'LatestOnly'] as const;
export const activityRunOperands = [
  'ActivityName', 'ActivityType', 'Status', 'ActivityRunStart', 'ActivityRunEnd', 'PipelineName', 'RunStart', 'RunEnd',
] as const;

/** A pipeline run as REST shows it. */
export function pipelineRunView(
  run: PipelineRunRow, activities: readonly ActivityRunRow[], waitsFor: string | undefined, nowMs: number,
): Record<string, unknown> {
  return {
    runId: run.run_id,
    runGroupId: run.run_id,
    isLatest: true,
    pipelineName: run.pipeline_name,
    parameters: stringValues(JSON.parse(run.parameters) as Record<string, unknown>),
    runDimensions: {},
    invokedBy: { id: run.run_id, name: 'Manual', invokedByType: 'Manual' },
    lastUpdated: iso(run.updated_at),
    runStart: iso(run.created_at),
    ...(run.ended_at === null ? {} : { runEnd: iso(run.ended_at) }),
    durationInMs: (run.ended_at ?? nowMs) - run.created_at,
    status: run.status,
    message: messageOf(run, activities) ?? waitsFor ?? '',
  };
}

export function pipelineRunValues(run: PipelineRunRow): FilterValues {
  return {
    PipelineName: run.pipeline_name, Status: run.status, RunStart: iso(run.created_at), RunGroupId: run.run_id, LatestOnly: 'true',
    ...(run.ended_at === null ? {} : { RunEnd: iso(run.ended_at) }),
  };
}

export function activityRunValues(run: PipelineRunRow, row: ActivityRunRow): FilterValues {
  const start = row.queued_at === null ? undefined : iso(row.queued_at);
  const end = row.ended_at === null ? undefined : iso(row.ended_at);
  return {
    ActivityName: row.name, ActivityType: row.type, Status: row.status, PipelineName: run.pipeline_name,
    ActivityRunStart: start, RunStart: start,
    ActivityRunEnd: end, RunEnd: end,
  };
}

export function iso(ms: number): string {
  return new Date(ms).toISOString();
}

/** As Data Factory words it, with each failed activity's own sentence. */
function messageOf(run: PipelineRunRow, activities: readonly ActivityRunRow[]): string | undefined {
  if (run.status !== 'Failed') return undefined;
  return activities
    .filter(({ phase }) => phase === 'Failed')
    .map((row) => {
      const fault = faultOf(row);
      const reason = fault === undefined ? 'no reason was reported.' : `${fault.code}: ${fault.message} ${fault.fix}`;
      return `Operation on target ${row.name} failed: ${reason}`;
    })
    .join('; ');
}

function stringValues(parameters: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]),
  );
}

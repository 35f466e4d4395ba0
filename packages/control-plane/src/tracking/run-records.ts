import type { AttemptOutcome, CopyActivity, JobPolicy } from '@dmg/model';
import type { ActivityRunRow, PipelineRunRow } from '../database/schema.ts';
import { type ActivityPhase, type ActivityState, activityStatus, type RunState } from './run-machine.ts';

/** What a run is made of when it is accepted. */
export interface NewRun {
  readonly runId: string;
  readonly factoryId: string;
  readonly pipelineName: string;
  readonly parameters: unknown;
  readonly activities: readonly NewActivity[];
}

export interface NewActivity {
  readonly activityRunId: string;
  readonly jobId: string;
  readonly gatewayId: string;
  readonly name: string;
  readonly type: 'Copy';
  readonly dependsOn: ActivityState['dependsOn'];
  readonly policy: JobPolicy;
  readonly activity: CopyActivity;
  /** Sealed texts by `<linked service>\n<property>`, as they were when the run was accepted. */
  readonly sealedSecrets: Readonly<Record<string, string>>;
}

/** The machine's view of the rows, in the order of the pipeline. */
export function stateOf(run: Pick<PipelineRunRow, 'cancel_requested'>, rows: readonly ActivityRunRow[]): RunState {
  return {
    cancelRequested: run.cancel_requested === 1,
    activities: rows.map((row): ActivityState => {
      const policy = JSON.parse(row.policy) as JobPolicy;
      return {
        name: row.name,
        dependsOn: JSON.parse(row.depends_on) as ActivityState['dependsOn'],
        retry: policy.retry,
        retryIntervalMs: policy.retryIntervalMs,
        phase: row.phase as ActivityPhase,
        tryNumber: row.try_number,
        sent: row.sends > 0,
        resends: row.resends,
        deadLetters: row.dead_letters,
        abandoned: row.abandoned === 1,
      };
    }),
  };
}

/** The columns that follow from the machine's state; undefined when nothing changed. */
export function changedColumns(
  row: ActivityRunRow, run: RunState, after: ActivityState, nowMs: number,
): Partial<ActivityRunRow> | undefined {
  const columns: Partial<ActivityRunRow> = {
    phase: after.phase,
    status: activityStatus(run, after) ?? 'Pending',
    try_number: after.tryNumber,
    sends: Math.max(row.sends, after.sent ? 1 : 0),
    resends: after.resends,
    dead_letters: after.deadLetters,
    abandoned: after.abandoned ? 1 : 0,
    queued_at: row.queued_at ?? (after.phase === 'Queued' || after.phase === 'Running' ? nowMs : null),
    started_at: row.started_at ?? (after.phase === 'Running' ? nowMs : null),
  };
  const same = Object.entries(columns).every(([name, value]) => row[name as keyof ActivityRunRow] === value);
  return same ? undefined : columns;
}

export function newActivityRow(runId: string, factoryId: string, ordinal: number, activity: NewActivity): ActivityRunRow {
  return {
    activity_run_id: activity.activityRunId, job_id: activity.jobId, run_id: runId, factory_id: factoryId, gateway_id: activity.gatewayId,
    ordinal, name: activity.name, type: activity.type, depends_on: JSON.stringify(activity.dependsOn),
    policy: JSON.stringify(activity.policy),
    activity: JSON.stringify(activity.activity), sealed_secrets: JSON.stringify(activity.sealedSecrets), phase: 'Pending',
    status: 'Pending',
    try_number: 0, sends: 0, resends: 0, dead_letters: 0, send_no: null, abandoned: 0, queued_at: null, started_at: null, ended_at: null,
    node_name: null, outcome: null, attempt_ms: null, fault: null, last_failure: null, note: null,
  };
}

export function outcomeOf(row: Pick<ActivityRunRow, 'outcome'>): AttemptOutcome | undefined {
  return row.outcome === null ? undefined : (JSON.parse(row.outcome) as AttemptOutcome);
}

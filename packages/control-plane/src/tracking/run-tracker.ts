import type { Clock, Logger, Meter } from '@dmg/base';
import type { JobReport } from '@dmg/model';
import type { Transaction } from 'kysely';
import type { Db } from '../database/open-database.ts';
import type { ActivityRunRow, Database, PipelineRunRow } from '../database/schema.ts';
import { activityEndsTotal, runEndsTotal, runsAcceptedTotal } from '../metrics.ts';
import { mustBeCancelled, type RunEffect, type RunEvent, type RunState, runStatus, type RunVerdict, stepRun } from './run-machine.ts';
import { changedColumns, type NewRun, newActivityRow, stateOf } from './run-records.ts';

/** What a committed step means for the loops; told after the commit, never before. */
export interface RunChange {
  readonly runId: string;
  /** Gateways with something new in the outbox. */
  readonly outbox: ReadonlySet<string>;
  /** Gateways whose desired state has a new version. */
  readonly desired: ReadonlySet<string>;
  /** The run's activities as they are now. */
  readonly activities: readonly TrackedActivity[];
}

export interface TrackedActivity {
  readonly jobId: string;
  readonly runId: string;
  readonly gatewayId: string;
  readonly name: string;
  readonly phase: string;
  readonly tryNumber: number;
  readonly timeoutMs: number;
  readonly resends: number;
  readonly createdAtMs: number;
  /** When its dependencies had ended, by the wall clock of the control plane. */
  readonly queuedAtMs: number | undefined;
  /** How long its last attempt took by its own account; undefined until it has ended by a report. */
  readonly attemptMs: number | undefined;
  /** This step put it into the outbox: the message before it counts no more. */
  readonly toBeSent: boolean;
}

/** What goes with an event into the rows but does not decide anything. */
export interface EventDetails {
  readonly nodeName?: string;
  readonly report?: JobReport;
}

/**
 * The shell around the run machine: loads a run, steps it, and stores state, outbox and desired version in one transaction. Steps
 * of all runs follow one another, because SQLite has one writer.
 */
export class RunTracker {
  readonly #db: Db;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #meter: Meter;
  readonly #listeners: ((change: RunChange) => void)[] = [];

  constructor(options: { db: Db; clock: Clock; logger: Logger; meter: Meter }) {
    this.#db = options.db;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#meter = options.meter;
  }

  onChange(listen: (change: RunChange) => void): void {
    this.#listeners.push(listen);
  }

  /** Accepts a run: when this resolves, the run, its activities and what is to be sent first are on disk. */
  async create(run: NewRun): Promise<void> {
    const nowMs = this.#clock.wallMs();
    const change = await this.#db.transaction().execute(async (trx) => {
      const row: PipelineRunRow = {
        run_id: run.runId, factory_id: run.factoryId, pipeline_name: run.pipelineName, pipeline_key: run.pipelineName.toLowerCase(),
        parameters: JSON.stringify(run.parameters), status: 'Queued', cancel_requested: 0, created_at: nowMs, ended_at: null,
        updated_at: nowMs,
        message: null,
      };
      await trx.insertInto('pipeline_runs').values(row).execute();
      const activities = run.activities.map((activity, ordinal) => newActivityRow(run.runId, run.factoryId, ordinal, activity));
      if (activities.length > 0) await trx.insertInto('activity_runs').values(activities).execute();
      return (await this.#step(trx, row, activities, { type: 'started' }, {})).change;
    });
    this.#meter.add(runsAcceptedTotal, 1);
    this.#tell(change);
  }

  /** Applies an event to a run. Undefined when there is no such run. */
  async apply(runId: string, event: RunEvent, details: EventDetails = {}): Promise<RunVerdict | undefined> {
    const step = await this.#db.transaction().execute(async (trx) => {
      const run = await trx.selectFrom('pipeline_runs').selectAll().where('run_id', '=', runId).executeTakeFirst();
      if (run === undefined) return undefined;
      const rows = await trx.selectFrom('activity_runs').selectAll().where('run_id', '=', runId).orderBy('ordinal').execute();
      return this.#step(trx, run, rows, event, details);
    });
    if (step !== undefined) this.#tell(step.change);
    return step?.verdict;
  }

  /** Everything that has not ended, as the loops must know it after a start; `sendNo` where its message has left. */
  async openActivities(): Promise<(TrackedActivity & { readonly sendNo: number | undefined })[]> {
    const rows = await this.#db
      .selectFrom('activity_runs')
      .innerJoin('pipeline_runs', 'pipeline_runs.run_id', 'activity_runs.run_id')
      .leftJoin('outbox', 'outbox.job_id', 'activity_runs.job_id')
      .selectAll('activity_runs')
      .select(['pipeline_runs.created_at', 'outbox.job_id as outbox_job_id'])
      .where('phase', 'in', ['Queued', 'Running'])
      .execute();
    return rows.map(
      (row) => ({ ...tracked(row, row.created_at), sendNo: row.outbox_job_id === null ? (row.send_no ?? undefined) : undefined }),
    );
  }

  async #step(
    trx: Transaction<Database>,
    run: PipelineRunRow,
    rows: readonly ActivityRunRow[],
    event: RunEvent,
    details: EventDetails,
  ): Promise<{ change: RunChange; verdict: RunVerdict }> {
    const nowMs = this.#clock.wallMs();
    const before = stateOf(run, rows);
    const { state, effects, verdict } = stepRun(before, event);
    const outbox = new Set<string>();
    const after: ActivityRunRow[] = [];
    for (const [index, row] of rows.entries()) {
      const activity = state.activities[index];
      if (activity === undefined) continue;
      const columns = {
        ...changedColumns(row, state, activity, nowMs),
        ...detailColumns(row, event, details, verdict, nowMs),
        ...endColumns(row, effects, event, details, nowMs),
      };
      if (Object.keys(columns).length > 0) {
        await trx.updateTable('activity_runs').set(columns).where('activity_run_id', '=', row.activity_run_id).execute();
      }
      after.push({ ...row, ...columns });
      if (await this.#effectsOnOutbox(trx, row, effects, nowMs)) outbox.add(row.gateway_id);
    }
    await this.#storeRun(trx, run, state, nowMs);
    const desired = await bumpDesired(trx, rows, before, state);
    this.#count(effects);
    return {
      verdict,
      change: {
        runId: run.run_id,
        outbox,
        desired,
        activities: after.map((row) => ({ ...tracked(row, run.created_at), toBeSent: isSent(effects, row.name) })),
      },
    };
  }

  async #effectsOnOutbox(trx: Transaction<Database>, row: ActivityRunRow, effects: readonly RunEffect[], nowMs: number): Promise<boolean> {
    let wake = false;
    for (const effect of effects) {
      if (effect.type === 'runEnd' || effect.activity !== row.name) continue;
      if (effect.type === 'send') {
        wake = true;
        const entry = { gateway_id: row.gateway_id, due_at: nowMs + effect.afterMs, message_id: null, send_no: null, reason: null };
        await trx
          .insertInto('outbox')
          .values({ job_id: row.job_id, ...entry })
          .onConflict((conflict) => conflict.column('job_id').doUpdateSet(entry))
          .execute();
      } else if (effect.type === 'hasten') {
        wake = true;
        await trx.updateTable('outbox').set({ due_at: nowMs }).where('job_id', '=', row.job_id).where('due_at', '>', nowMs).execute();
      } else if (effect.type === 'unsend') {
        await trx.deleteFrom('outbox').where('job_id', '=', row.job_id).execute();
      }
    }
    return wake;
  }

  async #storeRun(trx: Transaction<Database>, run: PipelineRunRow, state: RunState, nowMs: number): Promise<void> {
    const status = runStatus(state);
    const ended = status === 'Succeeded' || status === 'Failed' || status === 'Cancelled';
    await trx
      .updateTable('pipeline_runs')
      .set({ status, cancel_requested: state.cancelRequested ? 1 : 0, updated_at: nowMs, ended_at: run.ended_at ?? (ended ? nowMs : null) })
      .where('run_id', '=', run.run_id)
      .execute();
  }

  #count(effects: readonly RunEffect[]): void {
    for (const effect of effects) {
      if (effect.type === 'end') this.#meter.add(activityEndsTotal, 1, { status: effect.phase });
      if (effect.type === 'runEnd') this.#meter.add(runEndsTotal, 1, { status: effect.status });
    }
  }

  #tell(change: RunChange): void {
    this.#logger.debug({ runId: change.runId, activities: change.activities.map(({ name, phase }) => `${name} ${phase}`) }, 'run stepped');
    for (const listen of this.#listeners) listen(change);
  }
}

function tracked(row: ActivityRunRow, createdAtMs: number): TrackedActivity {
  const { timeoutMs } = JSON.parse(row.policy) as { timeoutMs: number };
  return {
    jobId: row.job_id, runId: row.run_id, gatewayId: row.gateway_id, name: row.name, phase: row.phase, tryNumber: row.try_number, timeoutMs,
    resends: row.resends, createdAtMs, queuedAtMs: row.queued_at ?? undefined, attemptMs: row.attempt_ms ?? undefined, toBeSent: false,
  };
}

function isSent(effects: readonly RunEffect[], name: string): boolean {
  return effects.some((effect) => effect.type === 'send' && effect.activity === name);
}

/** A gateway's desired state has a new version when a job comes to, or leaves, its list of jobs to cancel. */
async function bumpDesired(
  trx: Transaction<Database>, rows: readonly ActivityRunRow[], before: RunState, after: RunState,
): Promise<Set<string>> {
  const gateways = new Set<string>();
  for (const [index, row] of rows.entries()) {
    const was = before.activities[index];
    const is = after.activities[index];
    if (was === undefined || is === undefined) continue;
    if (mustBeCancelled(before, was) !== mustBeCancelled(after, is)) gateways.add(row.gateway_id);
  }
  for (const gatewayId of gateways) {
    await trx
      .updateTable('gateways')
      .set((eb) => ({ desired_version: eb('desired_version', '+', 1) }))
      .where('id', '=', gatewayId)
      .execute();
  }
  return gateways;
}

function detailColumns(
  row: ActivityRunRow, event: RunEvent, details: EventDetails, verdict: RunVerdict, nowMs: number,
): Partial<ActivityRunRow> {
  if (!('activity' in event) || event.activity !== row.name) return {};
  if (event.type === 'named' && verdict === 'changed') return { node_name: details.nodeName ?? row.node_name };
  if (event.type !== 'reported') return {};
  if (verdict === 'late') {
    return {
      note: JSON.stringify({
        what: 'A success was reported after this end: the copy was complete before it could be stopped.', at: nowMs, outcome: event.outcome,
      }),
    };
  }
  if (verdict === 'changed' && event.outcome.kind === 'failed') return { last_failure: JSON.stringify(event.outcome.fault) };
  return {};
}

function endColumns(
  row: ActivityRunRow, effects: readonly RunEffect[], event: RunEvent, details: EventDetails, nowMs: number,
): Partial<ActivityRunRow> {
  const end = effects.find((effect) => effect.type === 'end' && effect.activity === row.name);
  if (end?.type !== 'end') return {};
  const columns: Partial<ActivityRunRow> = { ended_at: nowMs, fault: end.fault === undefined ? null : JSON.stringify(end.fault) };
  const { report } = details;
  if (report === undefined || !('activity' in event) || event.activity !== row.name) return columns;
  return {
    ...columns,
    outcome: JSON.stringify(report.outcome),
    node_name: report.nodeName === '' ? row.node_name : report.nodeName,
    attempt_ms: Math.max(0, Date.parse(report.endedAt) - Date.parse(report.startedAt)) || 0,
  };
}

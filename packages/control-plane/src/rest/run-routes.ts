import { type Clock, newId, newUuid, type Random } from '@dmg/base';
import { parsePipeline, type ResolvedActivity, resolveActivities } from '@dmg/contracts';
import type { ConnectorSpec, JsonObject, JsonValue } from '@dmg/model';
import type { Db } from '../database/open-database.ts';
import type { ActivityRunRow, FactoryRow, PipelineRunRow } from '../database/schema.ts';
import type { DefinitionStore } from '../definitions/definition-store.ts';
import { secretPlacesIn } from '../definitions/secret-places.ts';
import type { JobWatch } from '../dispatch/job-watch.ts';
import type { GatewayStore } from '../gateways/gateway-store.ts';
import { controlPlaneErrors } from '../errors.ts';
import type { NewActivity } from '../tracking/run-records.ts';
import type { RunTracker } from '../tracking/run-tracker.ts';
import { errorOf, inputOf, outputOf } from './activity-output.ts';
import type { App } from './app.ts';
import { requireObject } from './documents.ts';
import { factoryOf, factoryPath, type FactoryParams } from './factory-routes.ts';
import { pageSize } from './pages.ts';
import { readRunQuery } from './run-filters.ts';
import { activityRunOperands, activityRunValues, iso, pipelineRunOperands, pipelineRunValues, pipelineRunView } from './run-views.ts';
import type { FactoryStore } from '../definitions/factory-store.ts';
import type { WaitReasons } from './wait-reasons.ts';

export interface RunRoutesOptions {
  readonly db: Db;
  readonly factories: FactoryStore;
  readonly definitions: DefinitionStore;
  readonly gateways: GatewayStore;
  readonly tracker: RunTracker;
  readonly watch: JobWatch;
  readonly waitReasons: WaitReasons;
  readonly specs: readonly ConnectorSpec[];
  readonly clock: Clock;
  readonly random: Random;
}

type NamedParams = FactoryParams & { readonly name: string };
type RunParams = FactoryParams & { readonly runId: string };

export function addRunRoutes(app: App, options: RunRoutesOptions): void {
  const { factories, clock } = options;
  app.post<{ Params: NamedParams }>(`${factoryPath}/pipelines/:name/createRun`, async (request) => {
    const factory = await factoryOf(factories, request.params);
    const runId = await createRun(options, factory, request.params.name, request.body);
    return { runId };
  });
  app.get<{ Params: RunParams }>(`${factoryPath}/pipelineruns/:runId`, async (request) => {
    const { run, activities } = await readRun(options, await factoryOf(factories, request.params), request.params.runId);
    return pipelineRunView(run, activities, await options.waitReasons.ofRun(run, activities), clock.wallMs());
  });
  app.post<{ Params: RunParams }>(`${factoryPath}/pipelineruns/:runId/cancel`, async (request) => {
    const { run } = await readRun(options, await factoryOf(factories, request.params), request.params.runId);
    await options.tracker.apply(run.run_id, { type: 'cancelRequested' });
    return {};
  });
  app.post<{ Params: FactoryParams }>(`${factoryPath}/queryPipelineRuns`, async (request) =>
    queryPipelineRuns(options, await factoryOf(factories, request.params), request.body),
  );
  app.post<{ Params: RunParams }>(`${factoryPath}/pipelineruns/:runId/queryActivityruns`, async (request) =>
    queryActivityRuns(options, await factoryOf(factories, request.params), request.params.runId, request.body),
  );
}

/** Resolves the pipeline into activities that need nothing more, and stores the run. What is wrong is told now, not by a failed run. */
async function createRun(options: RunRoutesOptions, factory: FactoryRow, pipelineName: string, body: unknown): Promise<string> {
  const { definitions, gateways, tracker, random, specs } = options;
  const stored = await definitions.get(factory, 'pipelines', pipelineName);
  const pipeline = parsePipeline(stored.name, JSON.parse(stored.resource) as JsonValue, specs).value;
  const parameters: JsonObject = body === undefined || body === null ? {} : requireObject(body, 'parameters');
  const runId = newUuid(random);
  const lookup = await definitions.lookup(factory);
  const resolved = resolveActivities({ pipeline, lookup, parameters, run: { runId, factoryName: factory.name }, specs });
  const activities: NewActivity[] = [];
  for (const activity of resolved) activities.push(await newActivity(activity, factory, { definitions, gateways, random }));
  await tracker.create({
    runId, factoryId: factory.id, pipelineName: stored.name, parameters: withDefaults(parameters, pipeline.parameters), activities,
  });
  return runId;
}

async function newActivity(
  resolved: ResolvedActivity,
  factory: FactoryRow,
  { definitions, gateways, random }: Pick<RunRoutesOptions, 'definitions' | 'gateways' | 'random'>,
): Promise<NewActivity> {
  const gateway = await gateways.find(factory, resolved.integrationRuntime);
  if (gateway === undefined) {
    throw controlPlaneErrors.UNKNOWN_GATEWAY.create({ activity: resolved.name, gateway: resolved.integrationRuntime });
  }
  const { source, sink, log } = resolved.activity;
  const places = [source, sink, ...(log === undefined ? [] : [log.store])].flatMap((end) => secretPlacesIn(end.connection));
  return {
    activityRunId: newUuid(random), jobId: newId(random), gatewayId: gateway.id, name: resolved.name, type: resolved.type,
    dependsOn: resolved.dependsOn, policy: resolved.policy, activity: resolved.activity,
    sealedSecrets: await definitions.sealedSecrets(factory, places),
  };
}

function withDefaults(given: JsonObject, definitions: Readonly<Record<string, { readonly defaultValue?: JsonValue }>>): JsonObject {
  const defaults = Object.entries(definitions).flatMap(
    ([name, { defaultValue }]) => (defaultValue === undefined ? [] : [[name, defaultValue] as const]),
  );
  return { ...Object.fromEntries(defaults), ...given };
}

interface StoredRun {
  readonly run: PipelineRunRow;
  readonly activities: ActivityRunRow[];
}

async function readRun({ db }: RunRoutesOptions, factory: FactoryRow, runId: string): Promise<StoredRun> {
  const run = await db
    .selectFrom('pipeline_runs')
    .selectAll()
    .where('run_id', '=', runId.toLowerCase())
    .where('factory_id', '=', factory.id)
    .executeTakeFirst();
  if (run === undefined) throw controlPlaneErrors.NOT_FOUND.create({ what: 'the pipeline run', name: runId });
  return { run, activities: await activitiesOf(db, [run.run_id]) };
}

function activitiesOf(db: Db, runIds: readonly string[]): Promise<ActivityRunRow[]> {
  return db.selectFrom('activity_runs').selectAll().where('run_id', 'in', runIds).orderBy('run_id').orderBy('ordinal').execute();
}

async function queryPipelineRuns(options: RunRoutesOptions, factory: FactoryRow, body: unknown): Promise<Record<string, unknown>> {
  const { db, clock, waitReasons } = options;
  const query = readRunQuery(body, pipelineRunOperands);
  const rows = await db
    .selectFrom('pipeline_runs')
    .selectAll()
    .where('factory_id', '=', factory.id)
    .where('updated_at', '>=', query.afterMs)
    .where('updated_at', '<=', query.beforeMs)
    .orderBy('created_at', 'desc')
    .orderBy('run_id')
    .execute();
  const matching = rows.filter((row) => query.matches(pipelineRunValues(row)));
  const { compare } = query;
  if (compare !== undefined) matching.sort((a, b) => compare(pipelineRunValues(a), pipelineRunValues(b)));
  const page = matching.slice(query.skip, query.skip + pageSize);
  const activities = page.length === 0 ? [] : await activitiesOf(db, page.map(({ run_id: runId }) => runId));
  const value = [];
  for (const run of page) {
    const own = activities.filter(({ run_id: runId }) => runId === run.run_id);
    value.push(pipelineRunView(run, own, await waitReasons.ofRun(run, own), clock.wallMs()));
  }
  return { value, ...(query.skip + pageSize < matching.length ? { continuationToken: String(query.skip + pageSize) } : {}) };
}

async function queryActivityRuns(
  options: RunRoutesOptions, factory: FactoryRow, runId: string, body: unknown,
): Promise<Record<string, unknown>> {
  const query = readRunQuery(body, activityRunOperands);
  const { run, activities } = await readRun(options, factory, runId);
  const isWithin = (ms: number): boolean => ms >= query.afterMs && ms <= query.beforeMs;
  const updatedMs = (row: ActivityRunRow): number =>
    row.ended_at ?? (row.phase === 'Running' ? options.clock.wallMs() : (row.queued_at ?? run.updated_at));
  const matching = activities.filter(
    (row) => row.phase !== 'Pending' && isWithin(updatedMs(row)) && query.matches(activityRunValues(run, row)),
  );
  const { compare } = query;
  if (compare !== undefined) matching.sort((a, b) => compare(activityRunValues(run, a), activityRunValues(run, b)));
  const value = [];
  for (const row of matching.slice(query.skip, query.skip + pageSize)) value.push(await activityRunView(options, run, row));
  return { value, ...(query.skip + pageSize < matching.length ? { continuationToken: String(query.skip + pageSize) } : {}) };
}

async function activityRunView(options: RunRoutesOptions, run: PipelineRunRow, row: ActivityRunRow): Promise<Record<string, unknown>> {
  const { clock, watch, specs, waitReasons } = options;
  const nowMs = clock.wallMs();
  const gatewayName = await waitReasons.gatewayName(row.gateway_id);
  const reason = await waitReasons.ofActivity(run, row);
  return {
    pipelineName: run.pipeline_name,
    pipelineRunId: run.run_id,
    activityName: row.name,
    activityType: row.type,
    activityRunId: row.activity_run_id,
    linkedServiceName: '',
    status: row.status,
    ...(row.queued_at === null ? {} : { activityRunStart: iso(row.queued_at) }),
    ...(row.ended_at === null ? {} : { activityRunEnd: iso(row.ended_at) }),
    durationInMs: row.queued_at === null ? 0 : (row.ended_at ?? nowMs) - row.queued_at,
    input: inputOf(row, specs),
    output: row.phase === 'Skipped' ? {} : outputOf({
      row, gatewayName, progress: watch.progressOf(row.job_id), assistants: watch.assistantsOf(row.job_id), specs, nowMs,
    }),
    error: errorOf(row),
    retryAttempt: row.try_number > 1 ? row.try_number - 1 : null,
    userProperties: {},
    integrationRuntimeNames: [gatewayName],
    jobId: row.job_id,
    ...(reason === undefined ? {} : { reason }),
    ...(row.last_failure === null || row.phase === 'Failed' ? {} : { lastFailure: JSON.parse(row.last_failure) as unknown }),
  };
}

import { sleep, systemClock } from '@dmg/base';
import { exitCodes, type ExitCode } from '@dmg/lifecycle';
import { terminalRunStatuses, type RunStatus } from '@dmg/model';
import type { Context } from '../context.ts';
import { factoryPath } from '../data-factory.ts';
import { type Output, table } from '../output.ts';

interface PipelineRun {
  readonly runId: string;
  readonly pipelineName: string;
  readonly status: RunStatus;
  readonly runStart?: string;
  readonly runEnd?: string;
  readonly durationInMs?: number;
  readonly message?: string;
}

interface ActivityRun {
  readonly activityName: string;
  readonly activityType: string;
  readonly status: string;
  readonly durationInMs?: number;
  readonly error?: { readonly errorCode?: string; readonly message?: string };
  readonly output?: Readonly<Record<string, unknown>>;
}

const day = 24 * 3600 * 1000;

/** `dmg run PIPELINE [--wait]`. With `--wait` the exit code says how it ended. */
export async function run(
  pipeline: string,
  options: { wait: boolean; parameters: Readonly<Record<string, unknown>> },
  context: Context,
  output: Output,
  signal: AbortSignal,
): Promise<ExitCode> {
  const path = factoryPath(context, `/pipelines/${encodeURIComponent(pipeline)}/createRun`);
  const { runId } = (await context.client.call(`run the pipeline ${pipeline}`, { method: 'POST', path, body: options.parameters })) as { runId: string };
  if (!options.wait) {
    output.result({ runId }, () => `run ${runId} of ${pipeline} was accepted; follow it with: dmg runs ${runId}`);
    return exitCodes.ok;
  }
  for (;;) {
    const pipelineRun = await getRun(context, runId);
    const activities = await activityRuns(context, runId);
    if (terminalRunStatuses.includes(pipelineRun.status)) {
      output.result({ ...pipelineRun, activities }, () => describeRun(pipelineRun, activities));
      return pipelineRun.status === 'Succeeded' ? exitCodes.ok : exitCodes.failed;
    }
    output.progress(`${pipeline}: ${pipelineRun.status}  ${activities.map(progressOf).join('  ')}`);
    await sleep(systemClock, 500, signal);
  }
}

/** `dmg runs [RUN]`: the runs of the last hours, or one with its activities. */
export async function runs(runId: string | undefined, hours: number, context: Context, output: Output): Promise<void> {
  if (runId !== undefined) {
    const pipelineRun = await getRun(context, runId);
    const activities = await activityRuns(context, runId);
    output.result({ ...pipelineRun, activities }, () => describeRun(pipelineRun, activities));
    return;
  }
  const value = await queryRuns(context, hours);
  output.result({ value }, () =>
    value.length === 0
      ? `no runs in the last ${hours} hours`
      : table(['RUN', 'PIPELINE', 'STATUS', 'START', 'SECONDS'], value.map((item) => [item.runId, item.pipelineName, item.status, item.runStart ?? '', seconds(item.durationInMs)])),
  );
}

/** `dmg cancel RUN`. */
export async function cancel(runId: string, context: Context, output: Output): Promise<void> {
  await context.client.call(`cancel the run ${runId}`, { method: 'POST', path: factoryPath(context, `/pipelineruns/${encodeURIComponent(runId)}/cancel`) });
  output.result({ runId, cancelRequested: true }, () => `run ${runId} is being cancelled; see: dmg runs ${runId}`);
}

function getRun(context: Context, runId: string): Promise<PipelineRun> {
  const path = factoryPath(context, `/pipelineruns/${encodeURIComponent(runId)}`);
  return context.client.call(`read the run ${runId}`, { method: 'GET', path }) as Promise<PipelineRun>;
}

function window(hours: number): { lastUpdatedAfter: string; lastUpdatedBefore: string } {
  const nowMs = systemClock.wallMs();
  return { lastUpdatedAfter: new Date(nowMs - hours * 3600 * 1000).toISOString(), lastUpdatedBefore: new Date(nowMs + day).toISOString() };
}

async function queryRuns(context: Context, hours: number): Promise<PipelineRun[]> {
  const path = factoryPath(context, '/queryPipelineRuns');
  const found: PipelineRun[] = [];
  let continuationToken: string | undefined;
  do {
    const body = { ...window(hours), ...(continuationToken === undefined ? {} : { continuationToken }) };
    const page = (await context.client.call('list runs', { method: 'POST', path, body })) as { value: PipelineRun[]; continuationToken?: string };
    found.push(...page.value);
    continuationToken = page.continuationToken;
  } while (continuationToken !== undefined);
  return found;
}

async function activityRuns(context: Context, runId: string): Promise<ActivityRun[]> {
  const path = factoryPath(context, `/pipelineruns/${encodeURIComponent(runId)}/queryActivityruns`);
  const page = (await context.client.call(`read the activities of ${runId}`, { method: 'POST', path, body: window(30 * 24) })) as { value: ActivityRun[] };
  return page.value;
}

function progressOf(activity: ActivityRun): string {
  const read = activity.output?.['dataRead'];
  return `${activity.activityName} ${activity.status}${typeof read === 'number' ? ` ${(read / 1e6).toFixed(1)} MB` : ''}`;
}

function describeRun(pipelineRun: PipelineRun, activities: readonly ActivityRun[]): string {
  const rows = activities.map((activity) => [
    activity.activityName, activity.activityType, activity.status, seconds(activity.durationInMs),
    megabytes(activity.output?.['dataWritten']), String(activity.output?.['rowsCopied'] ?? ''),
  ]);
  const errors = activities.flatMap(({ activityName, error }) => (error?.message ? [`${activityName}: ${error.errorCode ?? ''} ${error.message}`] : []));
  return [
    `${pipelineRun.pipelineName} ${pipelineRun.runId}: ${pipelineRun.status}${pipelineRun.message ? ` (${pipelineRun.message})` : ''}`,
    table(['ACTIVITY', 'TYPE', 'STATUS', 'SECONDS', 'MB', 'ROWS'], rows),
    ...errors,
  ].join('\n');
}

function seconds(milliseconds: number | undefined): string {
  return milliseconds === undefined ? '' : (milliseconds / 1000).toFixed(1);
}

function megabytes(bytes: unknown): string {
  return typeof bytes === 'number' ? (bytes / 1e6).toFixed(1) : '';
}

import { isDmgError, sleep, systemClock } from '@dmg/base';
import { exitCodes } from '@dmg/lifecycle';
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

export interface ActivityRun {
  readonly activityName: string;
  readonly activityType: string;
  readonly status: string;
  readonly durationInMs?: number;
  readonly error?: { readonly errorCode?: string; readonly message?: string; readonly fix?: string; readonly details?: string };
  readonly output?: Readonly<Record<string, unknown>>;
}

export interface RunState {
  readonly pipelineRun: PipelineRun;
  readonly activities: readonly ActivityRun[];
}

const day = 24 * 3600 * 1000;
const followIntervalMs = 500;
/** How long a run is followed while the control plane does not answer. */
const outageMaxMs = 60_000;
/** What shells take for "ended by Ctrl-C". */
const interruptedExitCode = 130;

/** `dmg run PIPELINE [--wait]`. With `--wait` the exit code says how it ended; Ctrl-C ends the waiting, not the run. */
export async function run(
  pipeline: string,
  options: { wait: boolean; parameters: Readonly<Record<string, unknown>> },
  context: Context,
  output: Output,
  signal: AbortSignal,
): Promise<number> {
  const path = factoryPath(context, `/pipelines/${encodeURIComponent(pipeline)}/createRun`);
  const { runId } = (await context.client.call(`run the pipeline ${pipeline}`, { method: 'POST', path, body: options.parameters })) as {
    runId: string;
  };
  if (!options.wait) {
    output.result({ runId }, () => `run ${runId} of ${pipeline} was accepted; follow it with: dmg runs ${runId}`);
    return exitCodes.ok;
  }
  try {
    const { pipelineRun, activities } = await follow(runId, context, output, signal);
    output.result({ ...pipelineRun, activities }, () => describeRun(pipelineRun, activities));
    return pipelineRun.status === 'Succeeded' ? exitCodes.ok : exitCodes.failed;
  } catch (error) {
    if (!signal.aborted) throw error;
    output.note(`interrupted; the run ${runId} goes on. Follow it with: dmg runs ${runId}; end it with: dmg cancel ${runId}`);
    return interruptedExitCode;
  }
}

/** Waits for the run's end. A control plane that is away for a while does not end the run, and so not the waiting. */
async function follow(runId: string, context: Context, output: Output, signal: AbortSignal): Promise<RunState> {
  let awaySinceMs: number | undefined;
  for (;;) {
    try {
      const state = await readState(runId, context, signal);
      awaySinceMs = undefined;
      const { pipelineRun, activities } = state;
      if (terminalRunStatuses.includes(pipelineRun.status)) return state;
      output.progress(`${pipelineRun.pipelineName}: ${pipelineRun.status}  ${activities.map(progressOf).join('  ')}`);
    } catch (error) {
      if (signal.aborted || !isDmgError(error) || error.category !== 'transient') throw error;
      awaySinceMs ??= systemClock.monotonicMs();
      if (systemClock.monotonicMs() - awaySinceMs > outageMaxMs) throw error;
      output.progress('the control plane does not answer; the run goes on');
    }
    await sleep(systemClock, followIntervalMs, signal);
  }
}

export async function readState(runId: string, context: Context, signal?: AbortSignal): Promise<RunState> {
  return { pipelineRun: await getRun(context, runId, signal), activities: await activityRuns(context, runId, signal) };
}

/** `dmg runs [RUN]`: the runs of the last hours, or one with its activities. */
export async function runs(runId: string | undefined, hours: number, context: Context, output: Output): Promise<void> {
  if (runId !== undefined) {
    const { pipelineRun, activities } = await readState(runId, context);
    output.result({ ...pipelineRun, activities }, () => describeRun(pipelineRun, activities));
    return;
  }
  const value = await queryRuns(context, hours);
  output.result({ value }, () =>
    value.length === 0
      ? `no runs in the last ${hours} hours`
      : table(['RUN', 'PIPELINE', 'STATUS', 'START', 'SECONDS'], value.map(runCells)),
  );
}

function runCells({ runId, pipelineName, status, runStart, durationInMs }: PipelineRun): string[] {
  return [runId, pipelineName, status, runStart?.replace(/\.\d+Z$/, 'Z') ?? '', seconds(durationInMs)];
}

/** `dmg cancel RUN`. */
export async function cancel(runId: string, context: Context, output: Output): Promise<void> {
  const path = factoryPath(context, `/pipelineruns/${encodeURIComponent(runId)}/cancel`);
  await context.client.call(`cancel the run ${runId}`, { method: 'POST', path });
  output.result({ runId, cancelRequested: true }, () => `run ${runId} is being cancelled; see: dmg runs ${runId}`);
}

function getRun(context: Context, runId: string, signal: AbortSignal | undefined): Promise<PipelineRun> {
  const path = factoryPath(context, `/pipelineruns/${encodeURIComponent(runId)}`);
  return context.client.call(`read the run ${runId}`, { method: 'GET', path, ...(signal && { signal }) }) as Promise<PipelineRun>;
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
    const page = (await context.client.call('list runs', { method: 'POST', path, body })) as {
      value: PipelineRun[];
      continuationToken?: string;
    };
    found.push(...page.value);
    continuationToken = page.continuationToken;
  } while (continuationToken !== undefined);
  return found;
}

async function activityRuns(context: Context, runId: string, signal: AbortSignal | undefined): Promise<ActivityRun[]> {
  const path = factoryPath(context, `/pipelineruns/${encodeURIComponent(runId)}/queryActivityruns`);
  const call = { method: 'POST', path, body: window(30 * 24), ...(signal && { signal }) } as const;
  return ((await context.client.call(`read the activities of ${runId}`, call)) as { value: ActivityRun[] }).value;
}

function progressOf(activity: ActivityRun): string {
  const read = activity.output?.['dataRead'];
  return `${activity.activityName} ${activity.status}${typeof read === 'number' ? ` ${(read / 1e6).toFixed(1)} MB` : ''}`;
}

function describeRun(pipelineRun: PipelineRun, activities: readonly ActivityRun[]): string {
  const rows = activities.map((activity) => [
    activity.activityName,
    activity.activityType,
    activity.status,
    seconds(activity.durationInMs),
    megabytes(activity.output?.['dataWritten']),
    count(activity.output?.['rowsCopied']),
  ]);
  const errors = activities.flatMap(describeActivityError);
  return [
    `${pipelineRun.pipelineName} ${pipelineRun.runId}: ${pipelineRun.status}`,
    table(['ACTIVITY', 'TYPE', 'STATUS', 'SECONDS', 'MB', 'ROWS'], rows),
    ...(errors.length > 0 || !pipelineRun.message ? errors : [pipelineRun.message]),
  ].join('\n');
}

/** What, why, and what to do. The REST API has the remedy at the message's end as well. */
function describeActivityError({ activityName, error }: ActivityRun): string[] {
  if (!error?.message) return [];
  const { errorCode = '', message, fix = '', details = '' } = error;
  const sentence = fix !== '' && message.endsWith(fix) ? message.slice(0, -fix.length).trimEnd() : message;
  const cause = details === '' || sentence.includes(details) ? '' : ` Cause: ${details}.`;
  return [`${activityName}: ${errorCode}${errorCode === '' ? '' : ': '}${sentence}${cause}`, ...(fix === '' ? [] : [`  ${fix}`])];
}

function seconds(milliseconds: number | undefined): string {
  return milliseconds === undefined ? '' : (milliseconds / 1000).toFixed(1);
}

function megabytes(bytes: unknown): string {
  return typeof bytes === 'number' ? (bytes / 1e6).toFixed(1) : '';
}

function count(value: unknown): string {
  return typeof value === 'number' ? String(value) : '';
}

import type { Fault } from '@dmg/base';
import { activityError, copyActivityOutput, isTabular, logPathOf } from '@dmg/contracts';
import { type AttemptOutcome, type AttemptProgress, type ConnectorSpec, type CopyActivity, type CopyEnd, copyLogFolder } from '@dmg/model';
import type { ActivityRunRow } from '../database/schema.ts';
import { outcomeOf } from '../tracking/run-records.ts';

/** What the output of an activity run is made of. */
export interface OutputFacts {
  readonly row: ActivityRunRow;
  readonly gatewayName: string;
  readonly progress: AttemptProgress | undefined;
  /** Names of nodes that copy beside the one that leads it. */
  readonly assistants: readonly string[];
  readonly specs: readonly ConnectorSpec[];
  readonly nowMs: number;
}

/** `output` of an activity run: of a finished one from its receipt, of any other from what is known of it. */
export function outputOf(facts: OutputFacts): Readonly<Record<string, unknown>> {
  const { row } = facts;
  const outcome = outcomeOf(row);
  const timing = timingOf(facts);
  const gatewayName = row.node_name === null ? facts.gatewayName : `${facts.gatewayName} (${row.node_name})`;
  const note = row.note === null ? {} : { note: JSON.parse(row.note) as unknown };
  const { source, sink, log, validateDataConsistency } = JSON.parse(row.activity) as CopyActivity;
  const origin = { activityName: row.name, activityRunId: row.activity_run_id };
  const logFacts = log === undefined ? {} : { log: { form: log.form, path: logPathOf(log, copyLogFolder(log, origin)) } };
  const formats: Formats = { sourceFormat: source.format.type, sinkFormat: sink.format.type };
  if (outcome?.kind === 'succeeded') {
    const output = copyActivityOutput(outcome.receipt, outcome.details, {
      gatewayName,
      sourceType: storeType(source.connector, facts.specs),
      sinkType: storeType(sink.connector, facts.specs),
      ...formats,
      validateDataConsistency,
      startedAt: new Date(timing.startMs ?? facts.nowMs).toISOString(),
      queuedMs: timing.queueMs,
      durationMs: timing.copyMs ?? 0,
      ...logFacts,
    });
    return { ...output, ...note };
  }
  const fault = faultOf(row, outcome);
  return {
    ...progressFields(facts.progress, formats, timing.copyMs),
    errors: fault === undefined ? [] : [{ Code: fault.code, Message: `${fault.message} ${fault.fix}` }],
    effectiveIntegrationRuntime: gatewayName,
    ...(facts.assistants.length === 0 ? {} : { assistingNodes: facts.assistants }),
    durationInQueue: { integrationRuntimeQueue: Math.ceil(timing.queueMs / 1000) },
    ...(outcome !== undefined && 'sink' in outcome ? { sink: outcome.sink, confirmed: outcome.sink !== 'unconfirmed' } : {}),
    ...note,
  };
}

/** `error` of an activity run. Data Factory gives empty texts where there is none. */
export function errorOf(row: ActivityRunRow): Readonly<Record<string, unknown>> {
  const outcome = outcomeOf(row);
  const fault = faultOf(row, outcome);
  if (fault !== undefined) return { ...activityError(fault, row.name), fix: fault.fix, category: fault.category, params: fault.params };
  const unconfirmed = outcome?.kind === 'cancelled' && outcome.sink === 'unconfirmed';
  const message = unconfirmed ? 'The run was cancelled, but the sink could not be confirmed as closed. Check what it shows.' : '';
  return { errorCode: '', message, failureType: '', target: row.name, details: '' };
}

/** Why the activity failed: as a node reported it, or as the control plane decided. */
export function faultOf(row: ActivityRunRow, outcome: AttemptOutcome | undefined = outcomeOf(row)): Fault | undefined {
  if (row.phase !== 'Failed') return undefined;
  if (outcome?.kind === 'failed') return outcome.fault;
  return row.fault === null ? undefined : (JSON.parse(row.fault) as Fault);
}

/** What the activity copies, in Data Factory's type names. */
export function inputOf(row: ActivityRunRow, specs: readonly ConnectorSpec[]): Readonly<Record<string, unknown>> {
  const { source, sink } = JSON.parse(row.activity) as CopyActivity;
  return { source: endOf(source, 'sources', specs), sink: endOf(sink, 'sinks', specs) };
}

function endOf(end: CopyEnd, part: 'sources' | 'sinks', specs: readonly ConnectorSpec[]): Readonly<Record<string, unknown>> {
  const table = end.format.type === 'Table' ? specs.find(({ name }) => name === end.connector)?.tables?.[part][0] : undefined;
  if (table !== undefined) return { type: table.type };
  const type = `${end.format.type}${part === 'sources' ? 'Source' : 'Sink'}`;
  return { type, storeSettings: { type: storeType(end.connector, specs) } };
}

type Formats = Parameters<typeof isTabular>[0];

interface Timing {
  readonly queueMs: number;
  /** Undefined before it started. */
  readonly copyMs: number | undefined;
  readonly startMs: number | undefined;
}

/** Durations of the node, moments of the control plane: the clocks of two machines are never subtracted. */
function timingOf({ row, nowMs }: OutputFacts): Timing {
  const queuedMs = row.queued_at ?? nowMs;
  const endMs = row.ended_at ?? nowMs;
  const reportedMs = row.attempt_ms === null ? undefined : endMs - row.attempt_ms;
  const startMs = row.started_at === null ? reportedMs : Math.min(row.started_at, reportedMs ?? row.started_at);
  if (startMs === undefined) return { queueMs: Math.max(0, endMs - queuedMs), copyMs: undefined, startMs };
  const startedMs = Math.max(queuedMs, startMs);
  return { queueMs: startedMs - queuedMs, copyMs: row.attempt_ms ?? Math.max(0, endMs - startedMs), startMs: startedMs };
}

function progressFields(progress: AttemptProgress | undefined, formats: Formats, copyMs: number | undefined): Record<string, unknown> {
  if (progress === undefined) return {};
  const seconds = Math.max(copyMs ?? 0, 1) / 1000;
  return {
    dataRead: progress.bytesRead,
    dataWritten: progress.bytesWritten,
    ...(formats.sinkFormat === 'Table' ? {} : { filesWritten: progress.filesWritten }),
    ...(isTabular(formats) ? { rowsCopied: progress.rowsWritten } : {}),
    copyDuration: Math.ceil(seconds),
    throughput: Math.round((progress.bytesRead / 1024 / seconds) * 1000) / 1000,
    ...(progress.bytesTotal > 0 ? { percentComplete: percentOf(progress) } : {}),
    progress,
  };
}

function percentOf({ bytesWritten, bytesTotal }: AttemptProgress): number {
  return Math.min(100, Math.round((bytesWritten / bytesTotal) * 1000) / 10);
}

function storeType(connector: string, specs: readonly ConnectorSpec[]): string {
  return specs.find((spec) => spec.name === connector)?.linkedServices[0]?.type ?? connector;
}

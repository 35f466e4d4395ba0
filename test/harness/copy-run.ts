import { newId, type Random, silentLogger, systemClock, systemRandom } from '@dmg/base';
import type { Connector } from '@dmg/connector-api';
import { azureBlobConnector } from '@dmg/connector-azure-blob';
import { fileConnector } from '@dmg/connector-file';
import { type CopyOptions, runCopy } from '@dmg/engine';
import type { AttemptOutcome, CopyActivity, CopyEnd, DataFormat, Job, JsonObject, Receipt } from '@dmg/model';

/** One side of a copy and the secrets of its connection. */
export interface CopySide {
  readonly end: CopyEnd;
  readonly secrets: ReadonlyMap<string, string>;
}

export const binary: DataFormat = { type: 'Binary' };

export function fileSide(host: string, location: JsonObject = {}, settings: JsonObject = {}, format: DataFormat = binary): CopySide {
  return { end: { connector: fileConnector.spec.name, connection: { host }, location, settings, format }, secrets: new Map() };
}

export function blobSide(
  blob: { connectionString: string; container: string }, location: JsonObject = {}, settings: JsonObject = {}, format: DataFormat = binary,
): CopySide {
  return {
    end: {
      connector: azureBlobConnector.spec.name, connection: {}, location: { container: blob.container, ...location }, settings, format,
    },
    secrets: new Map([['connectionString', blob.connectionString]]),
  };
}

export interface CopyRun {
  readonly source: CopySide;
  readonly sink: CopySide;
  readonly activity?: Partial<CopyActivity>;
  readonly job?: Partial<Job>;
  /** In place of the real ones, by name. */
  readonly connectors?: readonly Connector[];
  readonly random?: Random;
  readonly options?: Partial<CopyOptions>;
}

/** Runs one copy through the engine with the real connectors, as the only and final try of a new job. */
export function copyOnce(run: CopyRun): Promise<AttemptOutcome> {
  const { source, sink, activity, job, connectors = [], random = systemRandom, options } = run;
  const whole: Job = {
    formatVersion: 1, jobId: newId(random), gatewayId: 'test', tryNumber: 1, finalTry: true,
    origin: { factoryName: 'test', pipelineName: 'test', runId: 'test', activityName: 'test', activityRunId: 'test' },
    policy: { timeoutMs: 3_600_000, retry: 0, retryIntervalMs: 30_000 },
    ...job,
    activity: { type: 'Copy', source: source.end, sink: sink.end, parallelCopies: 0, validateDataConsistency: false, ...activity },
  };
  return runCopy({
    job: whole, attemptId: newId(random), nodeName: 'node', epoch: '1.test',
    connectors: new Map([fileConnector, azureBlobConnector, ...connectors].map((connector) => [connector.spec.name, connector])),
    secrets: { source: source.secrets, sink: sink.secrets },
    clock: systemClock, random, logger: silentLogger, signal: new AbortController().signal,
    ...options,
  });
}

/** The receipt of a copy that must succeed. */
export async function copyWell(run: CopyRun): Promise<Receipt> {
  const outcome = await copyOnce(run);
  if (outcome.kind === 'succeeded') return outcome.receipt;
  throw new Error(`the copy did not succeed: ${JSON.stringify(outcome)}`);
}

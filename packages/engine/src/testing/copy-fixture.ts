import { newId, type Random, seededRandom, silentLogger, systemClock } from '@dmg/base';
import { type Connector, connectorErrors, type SinkLimits } from '@dmg/connector-api';
import { memoryConnector, type MemoryStore, MemoryStores } from '@dmg/connector-testkit';
import type { AttemptOutcome, CopyActivity, DataFormat, DelimitedTextFormat, Job, Receipt } from '@dmg/model';
import type { CopyOptions } from '../attempt-options.ts';
import { runCopy } from '../copy-attempt.ts';
import type { EngineLimits } from '../engine-limits.ts';

export const csv: DelimitedTextFormat = {
  type: 'DelimitedText', columnDelimiter: ',', rowDelimiter: '', quoteChar: '"', escapeChar: '"', firstRowAsHeader: true,
  nullValue: '', encodingName: 'UTF-8', skipLineCount: 0, quoteAllText: false,
};
export const semicolons: DelimitedTextFormat = { ...csv, columnDelimiter: ';', rowDelimiter: '\n' };

export interface JobShape {
  readonly sourceFormat?: DataFormat;
  readonly sinkFormat?: DataFormat;
  readonly sourceFile?: string;
  readonly sinkFile?: string;
  readonly sinkFolder?: string;
  readonly sinkStore?: string;
  readonly copyBehavior?: string;
  readonly activity?: Partial<CopyActivity>;
  readonly job?: Partial<Job>;
}

/** A copy of folder `in` of the memory store `a` to folder `out` of the memory store `b`. */
export function makeJob(shape: JobShape = {}): Job {
  const activity: CopyActivity = {
    type: 'Copy',
    source: {
      connector: 'memory', connection: { store: 'a' }, settings: {}, format: shape.sourceFormat ?? { type: 'Binary' },
      location: { folderPath: 'in', ...(shape.sourceFile === undefined ? {} : { fileName: shape.sourceFile }) },
    },
    sink: {
      connector: 'memory', connection: { store: shape.sinkStore ?? 'b' }, format: shape.sinkFormat ?? { type: 'Binary' },
      settings: shape.copyBehavior === undefined ? {} : { copyBehavior: shape.copyBehavior },
      location: { folderPath: shape.sinkFolder ?? 'out', ...(shape.sinkFile === undefined ? {} : { fileName: shape.sinkFile }) },
    },
    parallelCopies: 0,
    validateDataConsistency: false,
    ...shape.activity,
  };
  return {
    formatVersion: 1, jobId: 'job-1', gatewayId: 'gateway-1', tryNumber: 1, finalTry: true,
    origin: { factoryName: 'f', pipelineName: 'p', runId: 'r', activityName: 'a', activityRunId: 'ar' },
    policy: { timeoutMs: 60_000, retry: 0, retryIntervalMs: 30_000 },
    ...shape.job,
    activity,
  };
}

/** Quick enough for tests; the shapes of time are the real ones. */
export const quickLimits: Partial<EngineLimits> = {
  callLimitMs: 2_000, retryForMs: 200, retriesMin: 3, backoff: { firstMs: 1, factor: 2, maxMs: 4 }, abortLimitMs: 300, closeLimitMs: 200,
};

export class CopyFixture {
  readonly stores = new MemoryStores();
  readonly connector: Connector;
  readonly random: Random;

  constructor(options: { limits?: Partial<SinkLimits>; seed?: number } = {}) {
    this.connector = memoryConnector({ stores: this.stores, limits: options.limits ?? {} });
    this.random = seededRandom(options.seed ?? 1);
  }

  get source(): MemoryStore {
    return this.stores.store('a');
  }

  get sink(): MemoryStore {
    return this.stores.store('b');
  }

  get openHandles(): number {
    return this.source.openHandles + this.sink.openHandles;
  }

  options(job: Job, overrides: Partial<CopyOptions> = {}): CopyOptions {
    return {
      job,
      attemptId: newId(this.random),
      nodeName: 'node1',
      epoch: '1.abc',
      connectors: new Map([['memory', this.connector]]),
      secrets: { source: new Map(), sink: new Map() },
      clock: systemClock,
      random: this.random,
      logger: silentLogger,
      limits: quickLimits,
      signal: new AbortController().signal,
      ...overrides,
    };
  }

  run(job: Job, overrides: Partial<CopyOptions> = {}): Promise<AttemptOutcome> {
    return runCopy(this.options(job, overrides));
  }
}

/** The receipt of an outcome that must be a success. */
export function receiptOf(outcome: AttemptOutcome): Receipt {
  if (outcome.kind === 'succeeded') return outcome.receipt;
  throw new Error(`the copy did not succeed: ${JSON.stringify(outcome)}`);
}

/** The code of an outcome that must be a failure. */
export function codeOf(outcome: AttemptOutcome): string {
  if (outcome.kind === 'failed') return outcome.fault.code;
  throw new Error(`the copy did not fail: ${JSON.stringify(outcome)}`);
}

export function someBytes(count: number, seed: number): Uint8Array {
  return seededRandom(seed).bytes(count);
}

/** Rows of two columns, the second quoted, under a header. */
export function csvTable(rows: number): string {
  return `id,name\n${Array.from({ length: rows }, (_, index) => `${index},"name ${index}"\n`).join('')}`;
}

export function unreachable(): Error {
  return connectorErrors.UNREACHABLE.create({ store: 'memory', reason: 'gone for a moment' });
}

import type { CopyEnd, Job, Receipt } from '@dmg/model';
import { formatEpoch } from '@dmg/model';
import type { MetricDefinition } from '@dmg/base';
import type { ExecutorTask } from '../executor-messages.ts';

export const testCounter: MetricDefinition = { name: 'dmg_test_steps_total', kind: 'counter', help: 'Steps.', labels: ['stage'] };

/** What a test executor does when it is given the job. */
export interface Script {
  readonly behaviour: 'succeed' | 'fail' | 'throw' | 'crash' | 'exit' | 'loop' | 'freeze' | 'leak' | 'garble' | 'ignore' | 'wait';
  readonly afterMs?: number;
  /** Progress calls before the end. */
  readonly reports?: number;
  /** Calls that count one and a half of `testCounter` each. */
  readonly counts?: number;
  /** How the abort step ends. Default: the sink is aborted. */
  readonly abort?: 'aborted' | 'unconfirmed' | 'crash';
}

export function scriptedJob(options: { jobId: string; script: Script; finalTry?: boolean; timeoutMs?: number }): Job {
  const end: CopyEnd = { connector: 'Scripted', connection: {}, location: {}, settings: { ...options.script }, format: { type: 'Binary' } };
  return {
    formatVersion: 1,
    jobId: options.jobId,
    gatewayId: 'gateway',
    origin: { factoryName: 'factory', pipelineName: 'pipeline', runId: 'run', activityName: 'activity', activityRunId: options.jobId },
    policy: { timeoutMs: options.timeoutMs ?? 3_600_000, retry: 0, retryIntervalMs: 0 },
    tryNumber: 1,
    finalTry: options.finalTry ?? true,
    activity: { type: 'Copy', source: end, sink: end, parallelCopies: 0, validateDataConsistency: false },
  };
}

export function scriptOf(job: Job): Script {
  return JSON.parse(JSON.stringify(job.activity.source.settings)) as Script;
}

export function receiptOf(task: ExecutorTask): Receipt {
  return {
    formatVersion: 1, jobId: task.jobId, generation: 1, guarantee: 'exactlyOnce', verification: 'acknowledged', consistency: 'perChunk',
    filesRead: 0, filesWritten: 0, bytesRead: 0, bytesWritten: 0, rowsRead: 0, rowsWritten: 0, rowsSkipped: 0, chunks: 0,
    hash: '0'.repeat(16), attempts: [task.attemptId],
    finishedBy: { attemptId: task.attemptId, nodeName: task.nodeName, epoch: formatEpoch(task.epoch) },
    finishedAt: '2024-01-01T00:00:00.000Z',
  };
}

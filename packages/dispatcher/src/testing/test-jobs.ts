import { defineErrors } from '@dmg/base';
import type { Job } from '@dmg/model';

export const testErrors = defineErrors('TEST', {
  FORGED: { category: 'config', retry: 'never', scope: 'job', message: 'Cannot take the job: forged.', fix: 'Do not forge.' },
  AWAY: { category: 'transient', retry: 'reconnect', scope: 'node', message: 'Cannot reach the ledger.', fix: 'Wait.' },
});

export function jobOf(jobId: string, more: Partial<Job> = {}): Job {
  const end = { connector: 'file', connection: { host: '/data' }, location: {}, settings: {}, format: { type: 'Binary' } } as const;
  return {
    formatVersion: 1, jobId, gatewayId: 'g', tryNumber: 1, finalTry: true, policy: { timeoutMs: 60_000, retry: 0, retryIntervalMs: 0 },
    origin: { factoryName: 'f', pipelineName: 'p', runId: 'r', activityName: 'a', activityRunId: 'ar' },
    activity: { type: 'Copy', source: end, sink: end, parallelCopies: 0, validateDataConsistency: false },
    ...more,
  };
}

export function sign(job: Job): string {
  return `signed ${JSON.stringify(job)}`;
}

export function verify(text: string): Promise<Job> {
  if (!text.startsWith('signed ')) return Promise.reject(testErrors.FORGED.create());
  return Promise.resolve(JSON.parse(text.slice('signed '.length)) as Job);
}

import { silentLogger, StopReason, systemClock, systemRandom } from '@dmg/base';
import { azureBlobConnector } from '@dmg/connector-azure-blob';
import { fileConnector } from '@dmg/connector-file';
import { postgresqlConnector } from '@dmg/connector-postgresql';
import { type CopyOptions, type EngineLimits, runAbort, runCopy } from '@dmg/engine';
import type { AttemptOutcome, Job } from '@dmg/model';

/** One attempt of a copy as a process of its own, as an executor is one, which can be killed or frozen anywhere, also by itself. */
export interface AttemptTask {
  readonly job: Job;
  readonly attemptId: string;
  readonly step: 'copy' | 'abort';
  readonly secrets: { readonly source: Readonly<Record<string, string>>; readonly sink: Readonly<Record<string, string>> };
  readonly limits: Partial<EngineLimits>;
  /** What happens at the change of the progress with this number, counted from 1. */
  readonly strike?: { readonly at: number; readonly act: 'kill' | 'freeze' | 'tell' };
}

export type AttemptMessage =
  | { readonly type: 'ready' }
  /** The strike's moment has come. */
  | { readonly type: 'reached' }
  /** `changes`: how often the progress has changed. */
  | { readonly type: 'ended'; readonly outcome: AttemptOutcome; readonly changes: number };

const connectors = new Map([fileConnector, azureBlobConnector, postgresqlConnector].map((one) => [one.spec.name, one]));

function tell(message: AttemptMessage): void {
  process.send?.(message, undefined, undefined, () => undefined);
}

async function run(task: AttemptTask): Promise<void> {
  let changes = 0;
  const { job, attemptId, step, secrets, limits, strike } = task;
  const stop = new AbortController();
  process.once('SIGTERM', () => stop.abort(new StopReason('shutdown')));
  const options: CopyOptions = {
    job, attemptId, nodeName: `process-${process.pid}`, epoch: '1.test', connectors, limits,
    secrets: { source: new Map(Object.entries(secrets.source)), sink: new Map(Object.entries(secrets.sink)) },
    clock: systemClock, random: systemRandom, logger: silentLogger, signal: stop.signal,
    onProgress: () => {
      changes += 1;
      if (changes !== strike?.at) return;
      if (strike.act === 'tell') tell({ type: 'reached' });
      else process.kill(process.pid, strike.act === 'kill' ? 'SIGKILL' : 'SIGSTOP');
    },
  };
  const outcome = step === 'abort' ? await runAbort(options) : await runCopy(options);
  tell({ type: 'ended', outcome, changes });
}

process.once('message', (task) => void run(task as AttemptTask).finally(() => process.disconnect()));
// Whoever is to judge us is gone.
process.once('disconnect', () => process.exit());
tell({ type: 'ready' });

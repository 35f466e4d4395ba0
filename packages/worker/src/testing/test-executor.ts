import { baseErrors, silentLogger, sleep, type StopReason, systemClock } from '@dmg/base';
import type { AttemptOutcome, AttemptProgress, Job } from '@dmg/model';
import type { ExecutorTask } from '../executor-messages.ts';
import { runExecutorProcess, type TaskContext } from '../executor-process.ts';
import { receiptOf, type Script, scriptOf, testCounter } from './scripted-job.ts';

/** An executor that does what its job's script says instead of copying; for tests of the worker. */

const leaked: Buffer[] = [];

function progressOf(bytesRead: number): AttemptProgress {
  return { step: 'copy', bytesTotal: 1_000, bytesRead, bytesWritten: 0, rowsWritten: 0, filesTotal: 1, filesWritten: 0 };
}

function whenStopped(signal: AbortSignal): Promise<StopReason> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(signal.reason as StopReason), { once: true });
  });
}

async function leak(signal: AbortSignal): Promise<void> {
  for (;;) {
    leaked.push(Buffer.alloc(10_000_000, 1));
    await sleep(systemClock, 5, signal);
  }
}

async function report(script: Script, context: TaskContext): Promise<void> {
  for (let count = 1; count <= (script.reports ?? 0); count++) {
    context.progress(progressOf(count));
    await sleep(systemClock, 5, context.signal);
  }
}

function count(script: Script, { meter }: TaskContext): void {
  for (let call = 0; call < (script.counts ?? 0); call++) meter.add(testCounter, 1.5, { stage: 'copy' });
  if (script.counts === undefined) return;
  meter.add({ ...testCounter, name: 'dmg_test_strange_total' }, 1);
  meter.add(testCounter, 1, { stage: 'copy', jobId: 'x' });
}

async function behave(script: Script, task: ExecutorTask, context: TaskContext): Promise<AttemptOutcome> {
  const success: AttemptOutcome = {
    kind: 'succeeded', receipt: receiptOf(task), details: { planMs: 0, copyMs: 0, finishMs: 0, readMs: 0, writeMs: 0, parallelCopies: 1 },
  };
  count(script, context);
  switch (script.behaviour) {
    case 'succeed':
      await report(script, context);
      if (script.afterMs !== undefined) await sleep(systemClock, script.afterMs, context.signal);
      return success;
    case 'fail':
      return { kind: 'failed', fault: baseErrors.UNEXPECTED.create({ reason: 'as told' }).toFault(), sink: 'open' };
    case 'throw':
      throw baseErrors.UNEXPECTED.create({ reason: 'as told' });
    case 'crash':
      setImmediate(() => {
        throw new Error('a driver threw; Password=hunter2;');
      });
      break;
    case 'exit':
      process.exit(7);
      break;
    case 'loop':
      for (;;);
    case 'freeze':
      process.kill(process.pid, 'SIGSTOP');
      break;
    case 'leak':
      await leak(context.signal);
      break;
    case 'garble':
      process.send?.({ type: 'nonsense' });
      break;
    case 'ignore':
    case 'wait':
      break;
  }
  const reason = await whenStopped(context.signal);
  if (script.behaviour === 'ignore') await new Promise(() => undefined);
  return reason.kind === 'cancelled' ? { kind: 'cancelled', sink: 'aborted' } : { kind: 'stopped' };
}

runExecutorProcess({
  clock: systemClock,
  logger: silentLogger,
  // As low as it can be seen: on a busy machine a test would wait long for processes that let everyone go first.
  niceness: 1,
  run: async (task, context) => {
    const script = scriptOf(JSON.parse(task.signedJob) as Job);
    if (task.step === 'abort') {
      if (script.abort === 'crash') process.exit(9);
      return { kind: 'cancelled', sink: script.abort ?? 'aborted' };
    }
    return behave(script, task, context);
  },
});

import { newId, silentLogger, silentMeter, sleep, systemClock, systemRandom } from '@dmg/base';
import type { DispatchAnswer, DispatchRequest, WorkerEvent } from '@dmg/core';
import type { AttemptStep, Epoch, Job } from '@dmg/model';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LocalWorker } from '../local-worker.ts';
import type { LocalWorkerOptions } from '../local-worker-options.ts';
import { identifyProcess } from '../process-facts.ts';
import type { WorkerTimes } from '../worker-times.ts';
import { scriptedJob, type Script } from './scripted-job.ts';

export const testExecutorModule = fileURLToPath(new URL('./test-executor.ts', import.meta.url));
export const epochOne: Epoch = { n: 1, token: '0'.repeat(32) };

/** Short enough for a test, long enough for a machine that is busy with other things. */
export const shortTimes: Partial<WorkerTimes> = {
  tickIntervalMs: 100, tickLimitMs: 5_000, watchIntervalMs: 50, progressIntervalMs: 100, foreignPollMs: 25, closeGraceMs: 300,
};

interface DispatchDetails {
  readonly finalTry?: boolean;
  readonly timeoutMs?: number;
  readonly epoch?: Epoch;
  readonly step?: AttemptStep;
}

type Ended = Extract<WorkerEvent, { type: 'ended' }>;

/** A worker over scripted executors, with everything it says written down. The test's end closes it and checks for leftovers. */
export class ScriptedWorker {
  readonly worker: LocalWorker;
  readonly events: WorkerEvent[] = [];
  /** Every executor that was ever seen. */
  readonly pids = new Set<number>();
  #waiting: { matches: (event: WorkerEvent) => boolean; resolve: (event: WorkerEvent) => void }[] = [];

  constructor(options: Partial<LocalWorkerOptions> & Pick<LocalWorkerOptions, 'nodeId' | 'runDirectory' | 'concurrentJobsLimit'>) {
    this.worker = new LocalWorker({
      nodeName: 'Node_1', executorModule: testExecutorModule, verify: (signed) => JSON.parse(signed) as Job,
      clock: systemClock, random: systemRandom, logger: silentLogger, meter: silentMeter, ...options,
      times: { ...shortTimes, ...options.times },
    });
    this.worker.subscribe((event) => {
      this.events.push(event);
      for (const waiter of this.#waiting.filter((one) => one.matches(event))) {
        this.#waiting = this.#waiting.filter((one) => one !== waiter);
        waiter.resolve(event);
      }
    });
  }

  request(job: Job, how: { attemptId?: string; step?: AttemptStep; epoch?: Epoch } = {}): DispatchRequest {
    return {
      job, signedJob: JSON.stringify(job), attemptId: how.attemptId ?? newId(systemRandom), step: how.step ?? 'copy',
      epoch: how.epoch ?? epochOne,
    };
  }

  async dispatch(jobId: string, script: Script, how: DispatchDetails = {}): Promise<DispatchAnswer> {
    const answer = await this.worker.dispatch(this.request(scriptedJob({ jobId, script, ...how }), how));
    this.see();
    return answer;
  }

  async accepted(jobId: string, script: Script, how: DispatchDetails = {}): Promise<void> {
    assert.deepEqual(await this.dispatch(jobId, script, how), { accepted: true });
  }

  /** Notes the executors that are there now. */
  see(): void {
    for (const pid of this.worker.executorPids) this.pids.add(pid);
  }

  async when(matches: (event: WorkerEvent) => boolean): Promise<WorkerEvent> {
    return this.events.find(matches) ?? (await new Promise((resolve) => this.#waiting.push({ matches, resolve })));
  }

  /** Lets the worker go on until it says something new, for at most `limitMs`. */
  async nextEvent(limitMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        timer.cancel();
        this.#waiting = this.#waiting.filter((one) => one !== waiter);
        resolve();
      };
      const waiter = { matches: () => true, resolve: done };
      const timer = systemClock.after(limitMs, done);
      this.#waiting.push(waiter);
    });
  }

  async ended(jobId: string): Promise<Ended> {
    const event = await this.when((one) => one.type === 'ended' && one.jobId === jobId);
    assert(event.type === 'ended');
    this.see();
    return event;
  }

  /** How many ends were told for a job. */
  endsOf(jobId: string): number {
    return this.events.filter((event) => event.type === 'ended' && event.jobId === jobId).length;
  }

  async close(): Promise<void> {
    this.see();
    await this.worker.close();
    for (const pid of this.pids) assert.equal(identifyProcess(pid), undefined, `executor ${pid} is left`);
  }
}

export function temporaryDirectory(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'dmg-worker-'));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A started worker that the test's end closes. */
export async function startScriptedWorker(context: TestContext, options: Partial<LocalWorkerOptions> = {}): Promise<ScriptedWorker> {
  const scripted = new ScriptedWorker({
    nodeId: `test-${newId(systemRandom)}`, concurrentJobsLimit: 2, ...options,
    runDirectory: options.runDirectory ?? temporaryDirectory(context),
  });
  context.after(() => scripted.close());
  await scripted.worker.start();
  return scripted;
}

/** Waits for a condition that no event tells of: the state of processes that are not ours. Ends with the test's own limit. */
export async function until(context: TestContext, holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(systemClock, 10, context.signal);
}

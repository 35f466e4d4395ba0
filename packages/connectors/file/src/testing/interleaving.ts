import assert from 'node:assert/strict';
import { hasCode, newId, type Random, seededRandom } from '@dmg/base';
import { connectorErrors } from '@dmg/connector-api';
import { type Actor, StepScheduler } from '@dmg/connector-testkit';
import type { Plan, PlanTarget, Receipt } from '@dmg/model';
import { abortJob, finishJob, type PublishOptions } from '../job-finish.ts';
import { JobFolder } from '../job-folder.ts';
import { TargetPublisher } from '../target-publisher.ts';
import type { WorkFiles } from '../work-files.ts';
import { GatedFiles, ModelFileSystem } from './model-files.ts';

export const jobPath = '/store/.dmg/jobs/00/job';
const roundsMax = 8;

/** What one run of the model found. */
export interface RunFacts {
  readonly end: 'done' | 'aborted';
  readonly published: ReadonlyMap<string, number>;
  readonly frozen: number;
  readonly steps: number;
}

export interface RunOptions {
  readonly seed: number;
  /** Default 4. */
  readonly attempts?: number;
  /** Default 0.4. */
  readonly abortChance?: number;
  /** One of the attempts finds nothing to copy; whose plan stands is a matter of who was first. */
  readonly oneFindsNothing?: boolean;
  /** Breaks one call on purpose, to see that the run notices. */
  readonly mutate?: (files: WorkFiles, system: ModelFileSystem) => WorkFiles;
}

/**
 * One job, four attempts, a consumer that takes away what it sees, and sometimes an abort, interleaved step by step in an order that
 * the seed decides. Actors freeze between any two steps; when everybody else is through, the job is brought to its end, then the
 * frozen ones wake and go on. Throws when a promise of the sink is broken.
 */
export class InterleavedRun {
  readonly #options: RunOptions;
  readonly #random: Random;
  readonly #system = new ModelFileSystem();
  readonly #scheduler: StepScheduler;
  readonly #published = new Map<string, number>();
  readonly #taken: string[] = [];
  readonly #plans = new Set<string>();
  readonly #ends = new Set<string>();
  /** What the user saw when the end was first reported, less what the consumer takes. */
  #publishedAtEnd: string | undefined;

  constructor(options: RunOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
    this.#scheduler = new StepScheduler(this.#random);
    this.#system.mkdir('/store');
    this.#system.onRename = (to) => {
      if (to.startsWith('/store/out')) this.#published.set(to, (this.#published.get(to) ?? 0) + 1);
    };
  }

  async run(): Promise<RunFacts> {
    const scheduler = this.#scheduler;
    for (let index = 0; index < (this.#options.attempts ?? 4); index++) {
      scheduler.start(`attempt${index}`, (actor) => this.#attempt(actor, index));
    }
    if (this.#chance(this.#options.abortChance ?? 0.4)) scheduler.start('aborter', (actor) => this.#abort(actor));
    scheduler.start('consumer', (actor) => this.#consume(actor, 40));
    await scheduler.run(this.#chance(0.8) ? 0.02 : 0);
    const frozen = scheduler.actors.filter((actor) => actor.frozen).length;
    // A later attempt, or a later abort, brings the job to its end while the frozen ones sleep.
    const last = this.#chance(0.3) ? (actor: Actor) => this.#abort(actor) : (actor: Actor) => this.#attempt(actor, 9);
    scheduler.start('last', last);
    await scheduler.run(0);
    assert.equal(this.#ends.size, 1, `ends: ${[...this.#ends].join()}`);
    scheduler.wakeAll();
    scheduler.start('consumer2', (actor) => this.#consume(actor, 10));
    await scheduler.run(0);
    await scheduler.settle();
    return this.#check(frozen);
  }

  #check(frozen: number): RunFacts {
    assert.equal(this.#ends.size, 1, `both ends were reported: ${[...this.#ends].join()}`);
    assert.ok(this.#plans.size <= 1, 'attempts worked under different plans');
    const planned = [...this.#plans].flatMap((plan) => (JSON.parse(plan) as Plan).targets.map(({ path }) => path));
    assert.equal(this.#appearances(), this.#publishedAtEnd, 'something was published after the end');
    const end = this.#ends.has('done') ? 'done' : 'aborted';
    for (const target of targets) {
      const count = this.#published.get(`/store/${target.path}`) ?? 0;
      assert.ok(count <= 1, `${target.path} was published ${count} times`);
      const wanted = end === 'done' && planned.includes(target.path) ? 1 : 0;
      assert.equal(count, wanted, `${target.path} was published ${count} times and the job is ${end}`);
    }
    const seen = [...this.#taken, ...this.#system.visible('/store/.dmg').filter((line) => line.includes('='))];
    for (const line of seen) checkContent(line);
    if (this.#options.mutate !== undefined) return { end, published: this.#published, frozen, steps: this.#scheduler.steps };
    const left = this.#system.node(jobPath);
    const names = left instanceof Map ? [...left.keys()].filter((name) => name.startsWith('work.')) : [];
    assert.deepEqual(names, [], 'a work folder is left');
    return { end, published: this.#published, frozen, steps: this.#scheduler.steps };
  }

  #job(actor: Actor): { files: WorkFiles; job: JobFolder } {
    const gated = new GatedFiles(this.#system, () => this.#scheduler.gate(actor));
    const files = this.#options.mutate?.(gated, this.#system) ?? gated;
    // Every second run shrinks the plan at the end.
    const stoneAboveBytes = this.#options.seed % 2 === 0 ? 0 : 4096;
    return { files, job: new JobFolder({ files, random: this.#random, path: jobPath, stoneAboveBytes }) };
  }

  async #attempt(actor: Actor, index: number): Promise<void> {
    const { files, job } = this.#job(actor);
    const attemptId = `a${index}`;
    for (let round = 0; round < roundsMax; round++) {
      const foundNothing = this.#options.oneFindsNothing === true && index === 1;
      const record = await job.begin(planOf(index, foundNothing ? [] : targets));
      if (record.phase !== 'open') {
        if (record.phase !== 'none') this.#ended(record.phase);
        return;
      }
      this.#plans.add(JSON.stringify(record.plan));
      for (const target of record.plan.targets) await this.#copy(files, job, record.work, target, attemptId);
      try {
        const end = await finishJob(this.#publishing(files, job, attemptId), record, { finishedAt: attemptId } as Receipt);
        this.#ended(end.phase);
        return;
      } catch (error) {
        if (!hasCode(error, connectorErrors.MARKS_MISSING.code)) throw error;
      }
    }
    throw new Error('an attempt does not come to an end');
  }

  async #copy(files: WorkFiles, job: JobFolder, work: string, target: PlanTarget, attemptId: string): Promise<void> {
    const chunks = target.cutting.kind === 'ranges' ? target.cutting.chunks : [];
    for (const { chunk } of chunks) {
      const name = `${target.target}.${chunk}`;
      if ((await job.markOf(work, name)) !== undefined) continue;
      const part = `${name}.${attemptId}.${newId(this.#random).slice(0, 4)}`;
      const bytes = Buffer.from(`[${name}:${attemptId}]`);
      if (!(await files.writeNew(`${work}/parts/${part}`, bytes))) return;
      await job.mark(work, name, { part, attemptId, bytes: bytes.length, rows: 0, hash: '', sourceStart: 0, sourceEnd: 0 });
    }
  }

  async #abort(actor: Actor): Promise<void> {
    const { files, job } = this.#job(actor);
    const undone = (error: Error): void => {
      throw error;
    };
    this.#ended((await abortJob(this.#publishing(files, job, 'a8'), undone)).phase);
  }

  #publishing(files: WorkFiles, job: JobFolder, attemptId: string): PublishOptions {
    const publisher = new TargetPublisher({ files, random: this.#random, job, attemptId, root: '/store' });
    const locate = (target: PlanTarget): Promise<string> => Promise.resolve(`/store/${target.path}`);
    return { files, job, publisher, locate, signal: new AbortController().signal };
  }

  async #consume(actor: Actor, rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      await this.#scheduler.gate(actor);
      for (const target of targets) {
        const node = this.#system.node(`/store/${target.path}`);
        if (node === undefined || node instanceof Map) continue;
        this.#taken.push(`/store/${target.path}=${Buffer.from(node.bytes).toString()}`);
        this.#system.unlink(`/store/${target.path}`);
      }
      if (this.#chance(0.5)) this.#system.unlink('/store/out');
    }
  }

  /** Somebody was told that the job has ended: from here on nothing may appear. */
  #ended(phase: 'done' | 'aborted'): void {
    this.#ends.add(phase);
    this.#publishedAtEnd ??= this.#appearances();
  }

  #appearances(): string {
    return JSON.stringify(targets.map(({ path }) => this.#published.get(`/store/${path}`) ?? 0));
  }

  #chance(probability: number): boolean {
    return this.#random.unit() < probability;
  }
}

const targets: readonly PlanTarget[] = [
  { target: 0, path: 'out/one', base: 'absent', sources: [], cutting: { kind: 'ranges', chunks: [range(0)] } },
  { target: 1, path: 'out/two', base: 'absent', sources: [], cutting: { kind: 'ranges', chunks: [range(0), range(1)] } },
];

function range(chunk: number): { chunk: number; source: number; startByte: number; endByte: number } {
  return { chunk, source: 0, startByte: 0, endByte: 0 };
}

function planOf(index: number, planned: readonly PlanTarget[]): Plan {
  return {
    formatVersion: 1, jobId: 'job', generation: 1, activityDigest: `plan of ${index}`, sourceKind: 'addressable', representation: 'bytes',
    partBytes: 64, targets: planned,
  };
}

/** A published file is whole: each chunk once, in order, from one attempt. */
function checkContent(line: string): void {
  assert.match(line, /^\/store\/out\/(one=\[0\.0:a\d\]|two=\[1\.0:a\d\]\[1\.1:a\d\])$/);
}

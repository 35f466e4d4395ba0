import assert from 'node:assert/strict';
import { type Clock, hasCode, type Random, seededRandom, silentLogger, systemClock } from '@dmg/base';
import { connectorErrors } from '@dmg/connector-api';
import { type Actor, StepScheduler } from '@dmg/connector-testkit';
import type { ChunkRange, Plan, Receipt } from '@dmg/model';
import type { BlobCalls } from '../blob-calls.ts';
import { BlobSink } from '../blob-sink.ts';
import { jobKey } from '../target-blob.ts';
import { GatedBlobCalls, ModelBlobs } from './model-blobs.ts';

const signal = new AbortController().signal;
const paths = ['one', 'two', 'there'];
const roundsMax = 12;
/** After these an attempt looks at the sink again. */
const goesOn = [connectorErrors.MARKS_MISSING.code, connectorErrors.JOB_CLOSED.code, connectorErrors.UNREACHABLE.code];
/** Waiting before a repetition is no step of its own: the scheduler delays as it likes. */
const instantClock: Clock = {
  ...systemClock,
  after(_delayMs, fire) {
    queueMicrotask(fire);
    return { cancel: () => undefined };
  },
};

export interface RunFacts {
  readonly end: 'done' | 'aborted';
  readonly frozen: number;
  readonly steps: number;
}

export interface RunOptions {
  readonly seed: number;
  readonly attempts?: number;
  readonly abortChance?: number;
  /** Somebody else writes the first target at some moment. */
  readonly stranger?: boolean;
  /** Breaks calls on purpose, to see that the run notices. */
  readonly mutate?: (calls: BlobCalls) => BlobCalls;
}

/**
 * One job, four attempts with the real sink, a consumer that takes away what it sees, and sometimes an abort, interleaved call by call
 * on the model in an order that the seed decides. Answers get lost and requests are repeated; actors freeze between any two calls;
 * when everybody else is through, the job is brought to its end, then the frozen ones wake. One target is there before the copy, and a
 * stranger may write another one; an attempt that meets him aborts the job, as the engine does.
 * Throws when a promise of the sink is broken.
 */
export class InterleavedRun {
  readonly #options: RunOptions;
  readonly #random: Random;
  readonly #scheduler: StepScheduler;
  readonly #blobs: ModelBlobs;
  readonly #published = new Map<string, number>();
  readonly #contents: string[] = [];
  readonly #plans = new Set<string>();
  readonly #ends = new Set<string>();
  #publishedAtEnd: string | undefined;

  constructor(options: RunOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
    this.#scheduler = new StepScheduler(this.#random);
    this.#blobs = new ModelBlobs({ deleteDiscards: this.#chance(0.5) });
    if (this.#chance(0.5)) this.#blobs.put('there', 'older');
    else {
      this.#blobs.stage('there', 'AAAA', 'older');
      this.#blobs.commit('there', ['AAAA'], 'absent', {});
    }
    this.#blobs.onCommit = (path, bytes, metadata) => {
      if (metadata[jobKey] === undefined) return;
      this.#published.set(path, (this.#published.get(path) ?? 0) + 1);
      this.#contents.push(`${path}=${bytes}`);
    };
  }

  async run(): Promise<RunFacts> {
    const scheduler = this.#scheduler;
    for (let index = 0; index < (this.#options.attempts ?? 4); index++) {
      scheduler.start(`attempt${index}`, (actor) => this.#attempt(actor, index));
    }
    if (this.#chance(this.#options.abortChance ?? 0.4)) scheduler.start('aborter', (actor) => this.#abort(actor));
    if (this.#options.stranger) scheduler.start('stranger', (actor) => this.#intrude(actor));
    scheduler.start('consumer', (actor) => this.#consume(actor, 40));
    await scheduler.run(this.#chance(0.8) ? 0.02 : 0);
    const frozen = scheduler.actors.filter((actor) => actor.frozen).length;
    scheduler.start('last', this.#chance(0.3) ? (actor) => this.#abort(actor) : (actor) => this.#attempt(actor, 9));
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
    assert.equal(this.#appearances(), this.#publishedAtEnd, 'something was published after the end');
    const end = this.#ends.has('done') ? 'done' : 'aborted';
    for (const path of paths) {
      const count = this.#published.get(path) ?? 0;
      assert.ok(count <= 1, `${path} was published ${count} times`);
      // Only where a stranger keeps a publication from being completed may it stop in the middle.
      const allowed = end === 'done' ? [1] : this.#options.stranger ? [0, 1] : [0];
      assert.ok(allowed.includes(count), `${path} was published ${count} times and the job is ${end}`);
    }
    for (const line of this.#contents) assert.match(line, /^(one=\[0\.0:\d\]|two=\[1\.0:\d\]\[1\.1:\d\]|there=\[2\.0:\d\])$/);
    if (this.#blobs.get('there') === 'older') assert.notEqual(end, 'done');
    for (const path of ['one', 'two']) assert.notEqual(this.#blobs.get(path), '', 'an empty blob is left by the abort');
    return { end, frozen, steps: this.#scheduler.steps };
  }

  #sink(actor: Actor, index: number): BlobSink {
    const gated = new GatedBlobCalls({ blobs: this.#blobs, gate: () => this.#scheduler.gate(actor), repeats: () => this.#chance(0.05) });
    const limits = { partBytes: 4, partBytesMax: 64, partsPerTargetMax: 100, chunksPerTargetMax: 100, parallelParts: 1 };
    return new BlobSink({
      calls: this.#options.mutate?.(gated) ?? gated, close: () => undefined, settled: () => Promise.resolve(), folder: '', limits,
      logger: silentLogger, clock: instantClock, random: this.#random,
      job: { jobId: 'job', attemptId: `${index}`.repeat(32) },
    });
  }

  async #attempt(actor: Actor, index: number): Promise<void> {
    const sink = this.#sink(actor, index);
    for (let round = 0; round < roundsMax; round++) {
      try {
        const state = await sink.state(signal);
        if (state.phase === 'done' || state.phase === 'aborted') return this.#ended(state.phase);
        const plan = state.plan ?? (await sink.insertPlan(planOf(index, await sink.bases(paths, signal)), signal));
        this.#plans.add(JSON.stringify(plan));
        await this.#copy(sink, plan, index);
        await sink.finish(plan, { finishedAt: `a${index}` } as Receipt, signal);
        return this.#ended('done');
      } catch (error) {
        if (hasCode(error, connectorErrors.TARGET_CHANGED.code)) return this.#abort(actor);
        if (!goesOn.some((code) => hasCode(error, code))) throw error;
      }
    }
    throw new Error('an attempt does not come to an end');
  }

  async #copy(sink: BlobSink, plan: Plan, index: number): Promise<void> {
    for (const target of plan.targets) {
      const marked = new Set((await sink.marks(plan, target, signal)).map(({ chunk }) => chunk));
      const ranges = target.cutting.kind === 'ranges' ? target.cutting.chunks : [];
      for (const { chunk } of ranges) {
        if (marked.has(chunk)) continue;
        const writer = await sink.openChunk(plan, { target: target.target, chunk }, signal);
        const bytes = Buffer.from(`[${target.target}.${chunk}:${index}]`);
        const facts = { bytes: bytes.length, rows: 0, hash: '0'.repeat(16), sourceStart: 0, sourceEnd: 0 };
        await writer.writePart(0, bytes.subarray(0, plan.partBytes), signal);
        await writer.mark(facts, { part: 1, bytes: bytes.subarray(plan.partBytes) }, signal);
      }
    }
  }

  async #abort(actor: Actor): Promise<void> {
    const { phase } = await this.#sink(actor, 8).abort(signal);
    if (phase === 'done' || phase === 'aborted') this.#ended(phase);
  }

  async #intrude(actor: Actor): Promise<void> {
    for (let wait = Math.floor(this.#random.unit() * 60); wait >= 0; wait--) await this.#scheduler.gate(actor);
    this.#blobs.put('one', 'a stranger');
  }

  async #consume(actor: Actor, rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      await this.#scheduler.gate(actor);
      for (const path of paths) if (this.#blobs.get(path)?.startsWith('[')) this.#blobs.delete(path);
    }
  }

  #ended(phase: 'done' | 'aborted'): void {
    this.#ends.add(phase);
    this.#publishedAtEnd ??= this.#appearances();
  }

  #appearances(): string {
    return JSON.stringify(paths.map((path) => this.#published.get(path) ?? 0));
  }

  #chance(probability: number): boolean {
    return this.#random.unit() < probability;
  }
}

function planOf(index: number, bases: readonly string[]): Plan {
  const range = (chunk: number): ChunkRange => ({ chunk, source: 0, startByte: 0, endByte: 0 });
  const targets = paths.map((path, target) => ({
    target, path, base: bases[target] ?? '', sources: [],
    cutting: { kind: 'ranges' as const, chunks: target === 1 ? [range(0), range(1)] : [range(0)] },
  }));
  return {
    formatVersion: 1, jobId: 'job', generation: 1, activityDigest: `plan of ${index}`, sourceKind: 'addressable', representation: 'bytes',
    partBytes: 4,
    targets,
  };
}

import { sleep } from '@dmg/base';
import type { Mark, PlanTarget } from '@dmg/model';
import { nextUnit, sharesOf } from './chunk-order.ts';
import type { CopyContext } from './copy-context.ts';
import { type CopyUnit, markedOf, unitsOf } from './copy-units.ts';
import { forEachParallel } from './parallel.ts';

/** Targets whose marks are read at once. */
const parallelMarks = 8;

export interface CopyQueueOptions {
  readonly context: CopyContext;
  /** Marks as they were read just now, in order of target; undefined: nothing is known yet. */
  readonly marks: readonly (readonly Mark[])[] | undefined;
  /** Which of all attempts that copy: 0 leads. */
  readonly index: number;
  /** How many attempts copy; may grow while they do. */
  readonly of: () => number;
  /** Chunks that one attempt has in hand at once. */
  readonly parallel: number;
}

/**
 * What of a plan is left to one attempt, while others copy the same plan: hands out units in the order of `nextUnit`, and reads marks
 * again before it hands out what somebody else may have copied.
 */
export class CopyQueue {
  readonly #options: CopyQueueOptions;
  readonly #context: CopyContext;
  readonly #units: readonly CopyUnit[];
  /** Numbers of the units that are neither marked, as far as is known, nor taken; ascending. */
  readonly #open = new Set<number>();
  #shares: number[][] = [];
  /** By target: what was known of it when, by the monotonic clock. */
  readonly #known = new Map<number, { atMs: number; marks: ReadonlyMap<number, Mark> }>();
  readonly #reading = new Map<number, Promise<void>>();
  /** Units of each target that nobody is known to have copied. */
  readonly #left = new Map<number, number>();
  /** When a share has last shown a new mark, or we have first waited for it. */
  readonly #aliveMs = new Map<number, number>();
  #longestMs: number | undefined;
  readonly #byTarget: ReadonlyMap<PlanTarget, readonly CopyUnit[]>;

  constructor(options: CopyQueueOptions) {
    this.#options = options;
    this.#context = options.context;
    this.#units = unitsOf(options.context.plan);
    this.#byTarget = Map.groupBy(this.#units, (unit) => unit.target);
    for (const unit of this.#units) {
      this.#open.add(unit.number);
      this.#left.set(unit.target.target, (this.#left.get(unit.target.target) ?? 0) + 1);
    }
    const { marks, context } = options;
    if (marks !== undefined) {
      context.progress.resumed(marks.flat(), 0);
      for (const target of context.plan.targets) this.#learn(target, marks[target.target] ?? [], 'first');
    }
    this.#share();
  }

  /** Units that are left to whoever takes them. */
  get size(): number {
    return this.#open.size;
  }

  /** The next unit to be copied here; undefined when there is nothing any more. Waits where only others have something in hand. */
  async next(signal: AbortSignal): Promise<CopyUnit | undefined> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#shares.length !== Math.max(1, this.#options.of())) this.#share();
      const { index } = this.#options;
      const next = nextUnit({ shares: this.#shares, index, window: 2 * this.#options.parallel, silent: this.#silent() });
      if (next.kind === 'end') return undefined;
      if (next.kind === 'wait') {
        await sleep(this.#context.clock, this.#context.limits.marksPauseMs, signal);
        await this.#readOpen(signal);
        continue;
      }
      const unit = this.#units[next.unit];
      if (unit === undefined) throw new Error(`the plan has no unit ${next.unit}`);
      this.#take(unit.number);
      // Nobody else begins with what is the lead's.
      if (index === 0 && unit.number % this.#shares.length === 0) return unit;
      await this.#read(unit.target, this.#context.limits.marksAgeMs, signal);
      if (!this.#isMarked(unit)) return unit;
    }
  }

  /** Marks of a target that were read a moment ago; undefined when nobody has, or some time ago. */
  marksOf(target: PlanTarget): Mark[] | undefined {
    const { clock, limits } = this.#context;
    const known = this.#known.get(target.target);
    return known === undefined || clock.monotonicMs() - known.atMs > limits.marksAgeMs ? undefined : [...known.marks.values()];
  }

  /** A unit that `next` gave is in, after so long. */
  ended(unit: CopyUnit, tookMs: number): void {
    // A target of many chunks says nothing of how long one of them takes.
    if (unit.chunk !== undefined) this.#longestMs = Math.max(this.#longestMs ?? 0, tookMs);
    this.#leave(unit);
  }

  #share(): void {
    this.#shares = sharesOf(this.#open, Math.max(1, this.#options.of()));
    this.#aliveMs.clear();
  }

  #take(number: number): void {
    this.#open.delete(number);
    const units = this.#shares[number % this.#shares.length];
    if (units?.[0] === number) units.shift();
    else if (units?.at(-1) === number) units.pop();
    else units?.splice(units.indexOf(number), 1);
  }

  /** Shares without a sign of life for longer than the longest chunk has taken here, twice over. */
  #silent(): Set<number> {
    const { clock, limits } = this.#context;
    const nowMs = clock.monotonicMs();
    const patienceMs = this.#longestMs === undefined ? limits.shareSilenceMs : Math.max(limits.shareSilenceMinMs, 2 * this.#longestMs);
    const silent = new Set<number>();
    if (this.#options.index > 0 || (this.#shares[0]?.length ?? 0) > 0) return silent;
    for (const share of this.#shares.keys()) {
      const aliveMs = this.#aliveMs.get(share);
      if (aliveMs === undefined) this.#aliveMs.set(share, nowMs);
      else if (nowMs - aliveMs > patienceMs) silent.add(share);
    }
    return silent;
  }

  /** Reads marks of all targets of which something is left to others. */
  async #readOpen(signal: AbortSignal): Promise<void> {
    const targets = new Set<PlanTarget>();
    for (const number of this.#open) {
      const unit = this.#units[number];
      if (unit !== undefined) targets.add(unit.target);
    }
    const { marksPauseMs } = this.#context.limits;
    await forEachParallel([...targets], { count: parallelMarks, signal }, (target, given) => this.#read(target, marksPauseMs / 2, given));
  }

  /** Reads the marks of a target unless they are known from less than `ageMs` ago; those who ask at once read once. */
  async #read(target: PlanTarget, ageMs: number, signal: AbortSignal): Promise<void> {
    const { clock, calls, sink, plan } = this.#context;
    const known = this.#known.get(target.target);
    if (known !== undefined && clock.monotonicMs() - known.atMs <= ageMs) return;
    let reading = this.#reading.get(target.target);
    if (reading === undefined) {
      const what = { what: `read the marks of ${target.path}`, signal };
      reading = calls.repeated(what, (callSignal) => sink.marks(plan, target, callSignal))
        .then((marks) => this.#learn(target, marks, 'later'))
        .finally(() => this.#reading.delete(target.target));
      this.#reading.set(target.target, reading);
    }
    await reading;
  }

  #learn(target: PlanTarget, marks: readonly Mark[], when: 'first' | 'later'): void {
    const { clock, progress, attemptId } = this.#context;
    const before = this.#known.get(target.target)?.marks;
    const fresh = marks.filter((mark) => before?.get(mark.chunk)?.attemptId !== mark.attemptId);
    this.#known.set(target.target, { atMs: clock.monotonicMs(), marks: new Map(marks.map((mark) => [mark.chunk, mark])) });
    if (fresh.length === 0) return;
    if (when === 'later') progress.others(fresh.filter((mark) => mark.attemptId !== attemptId));
    const { chunks, whole } = markedOf(target, marks);
    const newly = new Set(fresh.map((mark) => mark.chunk));
    for (const unit of this.#byTarget.get(target) ?? []) {
      const grown = unit.chunk === undefined || newly.has(unit.chunk);
      if (grown && this.#shares.length > 0) this.#aliveMs.set(unit.number % this.#shares.length, clock.monotonicMs());
      const marked = unit.chunk === undefined ? whole : chunks.has(unit.chunk);
      if (!marked || !this.#open.has(unit.number)) continue;
      if (this.#shares.length > 0) this.#take(unit.number);
      else this.#open.delete(unit.number);
      this.#leave(unit);
    }
  }

  #isMarked(unit: CopyUnit): boolean {
    const known = this.#known.get(unit.target.target);
    if (unit.chunk === undefined || known?.marks.has(unit.chunk) !== true) return false;
    this.#leave(unit);
    return true;
  }

  /** Somebody has copied the unit: it is not left any more. */
  #leave(unit: CopyUnit): void {
    const { target } = unit.target;
    const left = (this.#left.get(target) ?? 1) - 1;
    this.#left.set(target, left);
    if (left === 0) this.#context.progress.fileWritten();
  }
}

import { newId, type Random, seededRandom, sleep, systemClock } from '@dmg/base';
import type { AttemptOutcome, Job, Receipt } from '@dmg/model';
import type { Fate } from '../../packages/connectors/postgresql/src/testing/postgres-proxy.ts';
import type { AttemptTask } from './copy-attempt-process.ts';
import { attemptLimits, type AttemptProcess, hastyLimits } from './copy-attempts.ts';
import { type CopyKind, copyKinds, newJob, prepareCopy, type PreparedCopy } from './copy-kinds.ts';
import type { CopyStage } from './copy-stage.ts';
import { consume, type CopyFindings, judgeCopy, removeCopy } from './copy-verdict.ts';

/** What happens to a copy, and to which kinds. Whatever else happens, a table that is read is changed, vacuumed and extended. */
export const copyFaults = {
  kill: copyKinds,
  freeze: copyKinds,
  twins: copyKinds,
  abort: copyKinds,
  'statement-kill': ['table-file', 'file-table', 'table-table', 'table-staged'],
  'late-reply': ['file-table', 'table-table', 'table-staged'],
  'late-commit': ['file-table', 'table-table', 'table-staged'],
  'session-ends': ['table-file', 'file-table', 'table-table', 'table-staged'],
  'server-kill': ['table-file', 'file-table', 'table-table', 'table-staged'],
  'append-twice': ['file-table'],
  consumer: ['table-file', 'files-blobs', 'blobs-files'],
  'foreign-blocks': ['files-blobs'],
  'store-silence': ['files-blobs', 'blobs-files'],
} as const satisfies Record<string, readonly CopyKind[]>;
export type CopyFault = keyof typeof copyFaults;

/** A round, drawn whole before it begins. */
export interface CopyRound {
  readonly number: number;
  readonly kind: CopyKind;
  readonly fault: CopyFault | 'calm';
  /** From 0 to 1: when it strikes, as shares of what an undisturbed copy does; one after another where several attempts are struck. */
  readonly at: readonly number[];
  /** From 0 to 1: which of two ways. */
  readonly choice: number;
  readonly lateMs: number;
  readonly seed: number;
}

export interface CopyRoundResult extends CopyRound {
  readonly end: 'done' | 'aborted' | 'none';
  /** False: the copy was over before the fault could strike. */
  readonly hit: boolean;
  readonly attempts: number;
  readonly moves: number;
  readonly consistency: string;
  readonly ms: number;
  readonly findings: CopyFindings;
}

/** What an undisturbed copy does, to know where one can be struck. */
export interface CopyPace {
  readonly changes: number;
  readonly statements: number;
  readonly commits: number;
}

/** Every fault of every kind comes once before any comes again. */
export function drawCopyRounds(random: Random, count: number, lateMsMax: number): CopyRound[] {
  const cases = (Object.keys(copyFaults) as CopyFault[]).flatMap((fault) => copyFaults[fault].map((kind) => ({ fault, kind })));
  let left: typeof cases = [];
  return Array.from({ length: count }, (_, index) => {
    if (left.length === 0) left = [...cases];
    const [drawn = cases[0]] = left.splice(Math.floor(random.unit() * left.length), 1);
    if (drawn === undefined) throw new Error('there is no case');
    const at = Array.from({ length: 1 + Math.floor(random.unit() * 3) }, () => random.unit());
    const lateMs = Math.round(500 + random.unit() * Math.min(lateMsMax, 3_500));
    const choice = random.unit();
    const seed = Math.floor(random.unit() * 2 ** 31);
    return { number: index + 1, ...drawn, at, choice, lateMs: choice > 0.9 ? lateMsMax : lateMs, seed };
  });
}

/** An undisturbed copy of each kind: judged as any other, and the measure for when the others are struck. */
export async function measurePace(stage: CopyStage, kind: CopyKind): Promise<{ pace: CopyPace; result: CopyRoundResult }> {
  const from = stage.sql.statements.length;
  const round: CopyRound = { number: 0, kind, fault: 'calm', at: [], choice: 0, lateMs: 0, seed: 1 };
  const runner = new RoundRunner(stage, round, { changes: 1, statements: 1, commits: 1 });
  const result = await runner.run();
  const statements = stage.sql.statements.slice(from);
  const commits = statements.filter((text) => text === 'COMMIT').length;
  const atLeastOne = (count: number): number => Math.max(1, count);
  return {
    result, pace: { changes: atLeastOne(runner.changes), statements: atLeastOne(statements.length), commits: atLeastOne(commits) },
  };
}

export function runCopyRound(stage: CopyStage, round: CopyRound, pace: CopyPace): Promise<CopyRoundResult> {
  return new RoundRunner(stage, round, pace).run();
}

class RoundRunner {
  readonly #stage: CopyStage;
  readonly #round: CopyRound;
  readonly #pace: CopyPace;
  readonly #random: Random;
  readonly #attempts: AttemptProcess[] = [];
  readonly #outcomes: AttemptOutcome[] = [];
  readonly #problems: string[] = [];
  #receipts: readonly Receipt[] = [];
  #hit = true;

  constructor(stage: CopyStage, round: CopyRound, pace: CopyPace) {
    this.#stage = stage;
    this.#round = round;
    this.#pace = pace;
    this.#random = seededRandom(round.seed);
  }

  /** How often the progress of an attempt changed at most. */
  get changes(): number {
    return Math.max(0, ...this.#attempts.map(({ changes }) => changes));
  }

  async run(): Promise<CopyRoundResult> {
    const { number, kind, fault } = this.#round;
    const startedMs = systemClock.monotonicMs();
    const name = `r${String(number).padStart(4, '0')}x${this.#round.seed}`;
    const copy = await prepareCopy(this.#stage, { kind, name, random: this.#random, appends: fault === 'append-twice' });
    const job = newJob(copy, this.#random);
    copy.moving?.start();
    const stop = new AbortController();
    const consuming = fault === 'consumer' ? consume(this.#stage, copy, stop.signal) : undefined;
    try {
      await this.#strike(copy, job);
    } catch (error) {
      this.#problems.push(error instanceof Error ? error.message : String(error));
    } finally {
      this.#stage.sql.fate = () => 'pass';
      this.#stage.http.set({ kind: 'pass' });
      await this.#endAll();
      stop.abort();
    }
    const taken = await consuming;
    const findings = await judgeCopy(this.#stage, copy, { receipts: this.#receipts, outcomes: this.#outcomes, taken });
    findings.problems.push(...this.#problems);
    await removeCopy(this.#stage, copy);
    return {
      ...this.#round, hit: this.#hit, attempts: this.#attempts.length, moves: copy.moving?.moves ?? 0, findings,
      end: this.#receipts.length > 0 ? 'done' : this.#outcomes.some((one) => one.kind === 'cancelled') ? 'aborted' : 'none',
      consistency: this.#receipts[0]?.consistency ?? '', ms: Math.round(systemClock.monotonicMs() - startedMs),
    };
  }

  async #strike(copy: PreparedCopy, job: Job): Promise<void> {
    switch (this.#round.fault) {
      case 'calm': return this.#succeed(copy, job, []);
      case 'kill':
      case 'consumer': return this.#succeed(copy, job, this.#round.at);
      case 'append-twice': return this.#appendTwice(copy, job);
      case 'freeze': return this.#freeze(copy, job);
      case 'twins': return this.#twins(copy, job);
      case 'abort': return this.#abort(copy, job);
      case 'statement-kill': return this.#killAtStatement(copy, job);
      case 'late-reply': return this.#delayCommit(copy, job, 'lateReply');
      case 'late-commit': return this.#delayCommit(copy, job, 'late');
      case 'session-ends': return this.#whenReached(copy, job, () => this.#endSessions());
      case 'server-kill': return this.#whenReached(copy, job, () => this.#killServer());
      case 'foreign-blocks': return this.#foreignBlocks(copy, job);
      case 'store-silence': return this.#whenReached(copy, job, () => this.#silence());
    }
  }

  /** Attempts one after another, killed at these moments, and then one that is not. */
  async #succeed(copy: PreparedCopy, job: Job, kills: readonly number[]): Promise<void> {
    for (const at of kills) {
      const attempt = await this.#start(copy, job, { at: this.#changeAt(at), act: 'kill' });
      const outcome = await attempt.outcome();
      if (outcome.kind === 'lost') continue;
      if (this.#attempts.length === 1) this.#hit = false;
    }
    await this.#toEnd(copy, job, await this.#start(copy, job));
  }

  /** The same activity run again is a copy of its own. */
  async #appendTwice(copy: PreparedCopy, job: Job): Promise<void> {
    await this.#succeed(copy, job, this.#round.at.slice(0, 1));
    await this.#succeed(copy, newJob(copy, this.#random), this.#round.at.slice(1, 2));
  }

  /** It stands still, another one does the work, then it wakes and must not change anything. */
  async #freeze(copy: PreparedCopy, job: Job): Promise<void> {
    const frozen = await this.#start(copy, job, { at: this.#changeAt(this.#round.at[0] ?? 0), act: 'freeze' });
    this.#hit = await frozen.reached('freeze');
    await this.#toEnd(copy, job, this.#hit ? await this.#start(copy, job) : frozen);
    frozen.thaw();
    await this.#outcomeOf(frozen);
  }

  /** A host is gone and its executor lives: the next attempt starts beside it, with a plan of its own making. */
  async #twins(copy: PreparedCopy, job: Job): Promise<void> {
    const first = await this.#start(copy, job, { at: this.#changeAt(this.#round.at[0] ?? 0), act: 'tell' });
    if (this.#round.choice < 0.5) await first.reached('tell');
    await Promise.all([first, await this.#start(copy, job)].map((attempt) => this.#toEnd(copy, job, attempt)));
  }

  async #abort(copy: PreparedCopy, job: Job): Promise<void> {
    const act = this.#round.choice < 0.5 ? 'freeze' : 'tell';
    const attempt = await this.#start(copy, job, { at: this.#changeAt(this.#round.at[0] ?? 0), act });
    this.#hit = await attempt.reached(act);
    const aborting = await this.#start(copy, job, undefined, 'abort');
    let outcome = await this.#outcomeOf(aborting);
    for (let tries = 0; outcome.kind === 'cancelled' && outcome.sink === 'unconfirmed' && tries < 3; tries++) {
      outcome = await this.#outcomeOf(await this.#start(copy, job, undefined, 'abort'));
    }
    this.#noteEnd(outcome);
    attempt.thaw();
    this.#noteEnd(await this.#outcomeOf(attempt));
  }

  /** With a script that empties the table among the statements: each of them is a step at which to die. */
  async #killAtStatement(copy: PreparedCopy, job: Job): Promise<void> {
    for (const at of this.#round.at) {
      const index = this.#stage.sql.statements.length + Math.floor(at * this.#pace.statements);
      const running: { attempt?: AttemptProcess } = {};
      this.#stage.sql.fate = (statement) => {
        if (statement.index !== index) return 'pass';
        running.attempt?.kill();
        return this.#round.choice < 0.5 ? 'cut' : 'cutAfter';
      };
      running.attempt = await this.#start(copy, job);
      const outcome = await running.attempt.outcome();
      if (outcome.kind === 'failed') this.#outcomes.push(outcome);
    }
    this.#stage.sql.fate = () => 'pass';
    await this.#toEnd(copy, job, await this.#start(copy, job));
  }

  /** Its reply, or the COMMIT itself, is on its way for so long that the attempt gives it up, or dies. */
  async #delayCommit(copy: PreparedCopy, job: Job, fate: Fate): Promise<void> {
    const { at, choice, lateMs } = this.#round;
    const wanted = Math.floor((at[0] ?? 0) * this.#pace.commits);
    this.#stage.sql.lateMs = lateMs;
    let commits = 0;
    const running: { attempt?: AttemptProcess } = {};
    let isLate = false;
    let lateAtMs = 0;
    this.#stage.sql.fate = ({ text }) => {
      if (text !== 'COMMIT' || isLate || commits++ !== wanted) return 'pass';
      isLate = true;
      lateAtMs = systemClock.monotonicMs();
      if (choice < 0.4) running.attempt?.kill();
      return fate;
    };
    running.attempt = await this.#start(copy, job);
    await this.#toEnd(copy, job, running.attempt);
    this.#hit = isLate;
    // What comes late comes before the end is judged.
    if (isLate) await sleep(systemClock, Math.max(0, lateAtMs + lateMs - systemClock.monotonicMs()) + 100);
  }

  async #whenReached(copy: PreparedCopy, job: Job, strike: () => Promise<void>): Promise<void> {
    const attempt = await this.#start(copy, job, { at: this.#changeAt(this.#round.at[0] ?? 0), act: 'tell' });
    this.#hit = await attempt.reached('tell');
    await Promise.all([strike(), this.#toEnd(copy, job, attempt)]);
  }

  async #endSessions(): Promise<void> {
    for (const _ of this.#round.at) {
      await this.#stage.server.admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'dmg:%'");
      await sleep(systemClock, 20 + 200 * this.#round.choice);
    }
  }

  async #killServer(): Promise<void> {
    await this.#stage.server.kill9();
    await sleep(systemClock, 300 * this.#round.choice);
    await this.#stage.server.restart();
  }

  async #silence(): Promise<void> {
    this.#stage.http.set({ kind: 'blackhole' });
    await sleep(systemClock, Math.min(4_000, this.#round.lateMs));
    this.#stage.http.set({ kind: 'pass' });
  }

  /** What an upload that died yesterday has left, with ids of another length. */
  async #foreignBlocks(copy: PreparedCopy, job: Job): Promise<void> {
    const container = this.#stage.blobs.getContainerClient(copy.name);
    await container.createIfNotExists();
    for (const name of this.#stage.binaries.keys()) {
      await container.getBlockBlobClient(name).stageBlock(Buffer.from('foreign').toString('base64'), 'foreign', 7);
    }
    await this.#succeed(copy, job, this.#round.choice < 0.5 ? [] : this.#round.at);
  }

  /** As a dispatcher does: whatever is lost or fails with tries left is placed again. */
  async #toEnd(copy: PreparedCopy, job: Job, first: AttemptProcess): Promise<void> {
    let attempt = first;
    for (let tries = 1; ; tries++) {
      const outcome = await this.#outcomeOf(attempt);
      if (outcome.kind === 'succeeded') return this.#noteEnd(outcome);
      const isOpen = outcome.kind === 'lost' || (outcome.kind === 'failed' && outcome.sink === 'open');
      if (!isOpen || tries === 8) throw new Error(`the copy came to no end: ${JSON.stringify(outcome).slice(0, 600)}`);
      attempt = await this.#start(copy, job);
    }
  }

  #noteEnd(outcome: AttemptOutcome): void {
    if (outcome.kind !== 'succeeded' || this.#receipts.some(({ jobId }) => jobId === outcome.receipt.jobId)) return;
    this.#receipts = [...this.#receipts, outcome.receipt];
  }

  async #outcomeOf(attempt: AttemptProcess): Promise<AttemptOutcome> {
    const outcome = await attempt.outcome();
    this.#outcomes.push(outcome);
    return outcome;
  }

  async #start(
    { secrets }: PreparedCopy, job: Job, strike?: AttemptTask['strike'], step: AttemptTask['step'] = 'copy',
  ): Promise<AttemptProcess> {
    const limits = ['late-reply', 'late-commit', 'store-silence'].includes(this.#round.fault) ? hastyLimits : attemptLimits;
    const attempt = await this.#stage.pool.start({
      job, attemptId: newId(this.#random), step, secrets, limits, ...(strike === undefined ? {} : { strike }),
    });
    this.#attempts.push(attempt);
    return attempt;
  }

  /** Whoever still lives goes on to his end before the sink is judged. */
  async #endAll(): Promise<void> {
    for (const attempt of this.#attempts) {
      attempt.thaw();
      await attempt.outcome().catch((error: unknown) => {
        this.#problems.push(`an attempt does not end: ${String(error)}`);
        attempt.kill();
      });
    }
  }

  #changeAt(share: number): number {
    return 1 + Math.floor(share * this.#pace.changes);
  }
}

export function isCleanCopy({ end, findings }: CopyRoundResult): boolean {
  const { lost, doubled, changed, problems } = findings;
  return end !== 'none' && lost + doubled + changed === 0 && problems.length === 0;
}

export function describeCopyRound(result: CopyRoundResult): string {
  const { number, kind, fault, hit, end, attempts, moves, consistency, ms, findings } = result;
  const what = `${kind} ${fault}${hit ? '' : ' (missed)'}`;
  const facts = `${end.padEnd(7)} ${attempts} attempts${moves > 0 ? `, ${moves} transactions meanwhile, ${consistency}` : ''}`;
  const { lost, doubled, changed, problems } = findings;
  const wrong = isCleanCopy(result) ? '' : `  LOST ${lost} DOUBLED ${doubled} CHANGED ${changed}: ${problems.join('; ')}`;
  return `round ${String(number).padStart(3)}  ${what.padEnd(36)} ${facts}, ${ms} ms${wrong}`;
}

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { EngineLimits } from '@dmg/engine';
import type { AttemptOutcome } from '@dmg/model';
import { executorMemoryFlags } from '@dmg/worker';
import { type CleanupContext, onCleanup } from '../harness/cleanup.ts';
import { killIfThere } from '../harness/left-processes.ts';
import { waitFor, within } from '../harness/wait-for.ts';
import type { AttemptMessage, AttemptTask } from './copy-attempt-process.ts';

const main = fileURLToPath(new URL('copy-attempt-process.ts', import.meta.url));
const compileCache = fileURLToPath(new URL('../../node_modules/.cache/dmg-test', import.meta.url));

/** A store that restarts is waited for, and an abort is not hurried. Longer than a sink waits for a frozen attempt: 5 s. */
export const attemptLimits: Partial<EngineLimits> = {
  callLimitMs: 8_000, backoff: { firstMs: 50, factor: 2, maxMs: 500 }, retryForMs: 6_000, abortLimitMs: 20_000,
};
/** The same for an attempt that gives up what is late. */
export const hastyLimits: Partial<EngineLimits> = { ...attemptLimits, callLimitMs: 1_500 };

const endLimitMs = 60_000;

/** An attempt that runs, or has run, in a process. */
export class AttemptProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<AttemptOutcome>;
  readonly #reached: Promise<void>;
  #outcome: AttemptOutcome | undefined;
  #changes = 0;

  constructor(child: ChildProcess) {
    this.#child = child;
    let reached = (): void => undefined;
    this.#reached = new Promise((resolve) => (reached = resolve));
    this.#ended = new Promise((resolve) => {
      child.on('message', (message: AttemptMessage) => {
        if (message.type === 'reached') reached();
        if (message.type !== 'ended') return;
        this.#outcome = message.outcome;
        this.#changes = message.changes;
      });
      const gone = (signal: NodeJS.Signals | null): void =>
        resolve(this.#outcome ?? { kind: 'lost', reason: `the process ended with ${signal ?? child.exitCode}` });
      if (child.exitCode !== null || child.signalCode !== null) gone(child.signalCode);
      else child.once('close', (_code, signal) => gone(signal));
    });
  }

  /** How often the progress changed, once it has ended by itself. */
  get changes(): number {
    return this.#changes;
  }

  get isOver(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  run(task: AttemptTask): void {
    this.#child.send(task, undefined, undefined, () => undefined);
  }

  /** How it ended; `lost` when it was killed. */
  async outcome(): Promise<AttemptOutcome> {
    return within('an attempt to end', endLimitMs, this.#ended);
  }

  /** True when the moment of its strike has come; false when it ended before. A frozen one is reached once it stands still. */
  async reached(act: 'freeze' | 'tell'): Promise<boolean> {
    const ended = this.#ended.then(() => false);
    if (act === 'tell') return Promise.race([this.#reached.then(() => true), ended]);
    const still = waitFor('an attempt to freeze or end', async () => this.isOver || (await this.#isStopped()), {
      withinMs: endLimitMs, everyMs: 5,
    });
    return Promise.race([still.then(() => !this.isOver), ended]);
  }

  kill(): void {
    this.#signal('SIGKILL');
  }

  thaw(): void {
    this.#signal('SIGCONT');
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#child.pid !== undefined && !this.isOver) killIfThere(this.#child.pid, signal);
  }

  async #isStopped(): Promise<boolean> {
    const stat = await readFile(`/proc/${this.#child.pid}/stat`, 'utf8').catch(() => '');
    return stat.slice(stat.lastIndexOf(')') + 2)[0] === 'T';
  }
}

/** Makes processes for attempts, some of them before they are needed, since a start takes longer than a small copy. */
export class AttemptPool {
  readonly #spare: Promise<ChildProcess>[] = [];
  readonly #all = new Set<ChildProcess>();
  readonly #sparesWanted: number;
  #isClosed = false;

  constructor(context: CleanupContext, spares: number) {
    this.#sparesWanted = spares;
    onCleanup(context, () => this.#close());
    this.#refill();
  }

  async start(task: AttemptTask): Promise<AttemptProcess> {
    const child = await (this.#spare.shift() ?? this.#fork());
    const attempt = new AttemptProcess(child);
    attempt.run(task);
    this.#refill();
    return attempt;
  }

  #refill(): void {
    while (!this.#isClosed && this.#spare.length < this.#sparesWanted) {
      const made = this.#fork();
      made.catch(() => undefined); // Whoever takes it is told.
      this.#spare.push(made);
    }
  }

  async #fork(): Promise<ChildProcess> {
    const { NODE_TEST_CONTEXT: _ofCaller, ...env } = process.env;
    const child = fork(main, [], {
      execArgv: executorMemoryFlags(256), stdio: ['ignore', 'ignore', 'inherit', 'ipc'], env: { NODE_COMPILE_CACHE: compileCache, ...env },
    });
    this.#all.add(child);
    child.once('close', () => this.#all.delete(child));
    const ready = once(child, 'message');
    const failed = once(child, 'exit').then(() => {
      throw new Error('a process for attempts ended before it was ready');
    });
    await within('a process for attempts to be ready', 30_000, Promise.race([ready, failed]));
    return child;
  }

  async #close(): Promise<void> {
    this.#isClosed = true;
    const ends = [...this.#all].map((child) => {
      const closed = once(child, 'close');
      child.kill('SIGKILL');
      return closed;
    });
    await Promise.allSettled([...this.#spare, ...ends]);
  }
}

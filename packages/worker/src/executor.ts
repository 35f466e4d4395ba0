import type { Clock, StopKind } from '@dmg/base';
import { type ChildProcess, fork } from 'node:child_process';
import type { CounterIncrement } from './counter-tally.ts';
import { type ExecutorMessage, type ExecutorTask, type HostMessage, readExecutorMessage } from './executor-messages.ts';
import { setPriority } from 'node:os';
import { LineTail } from './line-tail.ts';
import { readResidentBytes, readRunDelayMs } from './process-facts.ts';
import { executorMark } from './run-directory.ts';

/**
 * Flags of Node that bound the heap of an executor. Without the second one the space for young objects grows to over 100 MB while a copy
 * makes thousands of requests, though hardly any of them stays: with it 3,000 small files took 36 MB and not 134, at equal speed.
 */
export function executorMemoryFlags(oldSpaceMb: number): string[] {
  return [`--max-old-space-size=${oldSpaceMb}`, '--max-semi-space-size=8'];
}

/** How to start an executor process. */
export interface ExecutorLaunch {
  /** The module that calls `runExecutorProcess`. */
  readonly modulePath: string;
  /** Flags of Node besides those that bound its memory. */
  readonly execArgv: readonly string[];
  readonly oldSpaceMb: number;
  /** Environment of the executor; leave out what it has no business with. */
  readonly env: Readonly<Record<string, string>> | undefined;
  /** Priority from the start; undefined: the host's. */
  readonly niceness: number | undefined;
  /** Takes each line that an executor writes to its error output (its log). */
  readonly takeLine: (line: string) => void;
  /** Takes what an executor has counted. */
  readonly takeCounts: (counts: readonly CounterIncrement[]) => void;
}

/** How a process ended. */
export interface Departure {
  /** A sentence for people: exit code or signal, and the last words. */
  readonly reason: string;
  readonly outOfMemory: boolean;
  /** Why we ended it; undefined when it ended by itself. */
  readonly killedFor: string | undefined;
}

export interface ExecutorListener {
  /** Everything but what was counted. */
  message(executor: Executor, message: ExecutorMessage): void;
  /** Something arrived that is not one of our messages. */
  garbled(executor: Executor): void;
  /** Called once; afterwards nothing more comes, and what the process held is free. */
  gone(executor: Executor, departure: Departure): void;
}

/** The host's side of one executor process. */
export class Executor {
  readonly id: number;
  readonly slot: number;
  readonly startedAtMs: number;
  /** Attempts that were started in it. */
  jobs = 0;
  /** Resident memory when it had just become ready; 0 before. */
  idleBytes = 0;
  lastHeardAtMs: number;
  ready = false;
  readonly #clock: Clock;
  readonly #child: ChildProcess;
  readonly #tail: LineTail;
  readonly #listener: ExecutorListener;
  readonly #takeCounts: ExecutorLaunch['takeCounts'];
  #killedFor: string | undefined;
  #runDelayMs: number | undefined;
  #retired = false;
  #gone = false;

  constructor(options: { id: number; slot: number; nodeId: string; launch: ExecutorLaunch; clock: Clock; listener: ExecutorListener }) {
    const { launch, clock } = options;
    this.id = options.id;
    this.slot = options.slot;
    this.#clock = clock;
    this.startedAtMs = clock.monotonicMs();
    this.lastHeardAtMs = this.startedAtMs;
    this.#listener = options.listener;
    this.#takeCounts = launch.takeCounts;
    this.#tail = new LineTail(launch.takeLine);
    this.#child = fork(launch.modulePath, [executorMark, options.nodeId], {
      execArgv: [...executorMemoryFlags(launch.oldSpaceMb), ...launch.execArgv],
      serialization: 'json',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      ...(launch.env === undefined ? {} : { env: launch.env }),
    });
    this.#yieldToHosts(launch.niceness);
    this.#child.stderr?.on('data', (chunk: Buffer) => this.#tail.push(chunk));
    this.#child.on('message', (value) => this.#take(value));
    this.#child.on('error', (error) => {
      // Also raised for a message or a signal that could not be delivered; then `exit` tells.
      if (this.pid === undefined) this.#depart(`The executor could not be started: ${error.message}.`);
    });
    this.#child.once('exit', (code, signal) => this.#exited(code, signal));
  }

  /** Undefined when the process could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** It was killed or told to end, and is of no use any more. */
  get leaving(): boolean {
    return this.#killedFor !== undefined || this.#retired || this.#gone;
  }

  get gone(): boolean {
    return this.#gone;
  }

  /** Resident memory above what the idle process had. */
  overIdleBytes(): number {
    const bytes = this.pid === undefined || this.#gone ? undefined : readResidentBytes(this.pid);
    return bytes === undefined || this.idleBytes === 0 ? 0 : Math.max(0, bytes - this.idleBytes);
  }

  /** For how long it waited for a processor since the last call, if the kernel tells: long on a busy machine, since its priority is low. */
  starvedMs(): number {
    const before = this.#runDelayMs;
    this.#runDelayMs = this.pid === undefined || this.#gone ? undefined : readRunDelayMs(this.pid);
    return before === undefined || this.#runDelayMs === undefined ? 0 : Math.max(0, this.#runDelayMs - before);
  }

  /** Its threads, which it has yet to make, take over the priority of the first one. Where it is refused, the executor says so. */
  #yieldToHosts(niceness: number | undefined): void {
    if (niceness === undefined || this.pid === undefined) return;
    try {
      setPriority(this.pid, niceness);
    } catch {
      // Refused, or gone already: the one is told by the executor itself, the other by its exit.
    }
  }

  bind(message: Omit<Extract<HostMessage, { type: 'bind' }>, 'type' | 'slot'>): void {
    this.#send({ type: 'bind', slot: this.slot, ...message });
  }

  start(task: ExecutorTask, timeoutMs: number): void {
    this.jobs++;
    this.#send({ type: 'start', task, timeoutMs });
  }

  stop(attemptId: string, kind: StopKind): void {
    this.#send({ type: 'stop', attemptId, kind });
  }

  tellAssistants(attemptId: string, assistants: number): void {
    this.#send({ type: 'assistants', attemptId, assistants });
  }

  kill(reason: string): void {
    if (this.#gone) return;
    this.#killedFor ??= reason;
    this.#child.kill('SIGKILL');
  }

  /** Ends an idle process in peace: it exits when the channel closes. One that does not is killed. */
  retire(limitMs: number): void {
    if (this.leaving) return;
    this.#retired = true;
    if (this.#child.connected) this.#child.disconnect();
    const timer = this.#clock.after(limitMs, () => this.kill('didNotRetire'));
    this.#child.once('exit', () => timer.cancel());
  }

  #take(value: unknown): void {
    const message = readExecutorMessage(value);
    this.lastHeardAtMs = this.#clock.monotonicMs();
    if (message === undefined) {
      this.#listener.garbled(this);
      return;
    }
    if (message.type === 'counted') {
      this.#takeCounts(message.counts);
      return;
    }
    if (message.type === 'ready') {
      this.ready = true;
      this.idleBytes = (this.pid === undefined ? undefined : readResidentBytes(this.pid)) ?? 0;
    }
    this.#listener.message(this, message);
  }

  #exited(code: number | null, signal: NodeJS.Signals | null): void {
    const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
    // `close` comes when its output and its channel are drained: its last message and its last words are in them. A process
    // that inherited the output may hold it open, so the wait is bounded.
    const finish = (): void => {
      timer.cancel();
      this.#child.removeListener('close', finish);
      this.#child.stderr?.destroy();
      this.#tail.end();
      const words = this.#tail.lastWords();
      const cause = this.#killedFor === undefined ? '' : ` (killed: ${this.#killedFor})`;
      this.#depart(`The executor ended with ${how}${cause}${words === '' ? '.' : `: ${words}`}`);
    };
    const timer = this.#clock.after(500, finish);
    this.#child.once('close', finish);
  }

  #depart(reason: string): void {
    if (this.#gone) return;
    this.#gone = true;
    const outOfMemory = this.#killedFor === undefined && /JavaScript heap out of memory/.test(this.#tail.text);
    this.#listener.gone(this, { reason, outOfMemory, killedFor: this.#retired ? 'retired' : this.#killedFor });
  }

  #send(message: HostMessage): void {
    // A closed channel means that the process ends; `exit` follows and says so.
    if (this.#child.connected) this.#child.send(message, undefined, undefined, () => undefined);
  }
}

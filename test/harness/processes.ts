import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type CleanupContext, onCleanup } from './cleanup.ts';
import { assertNoProcessLeft, findProcesses, killIfThere, markVariable } from './left-processes.ts';
import { within } from './wait-for.ts';

export type RootName = 'local-cloud' | 'control-plane' | 'node' | 'cli';

export interface ProcessOptions {
  /** For messages. */
  readonly name: string;
  /** Default: this Node. */
  readonly command?: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  /** Added to a clean environment: `DMG_*` variables of the caller are not passed on. */
  readonly env?: Readonly<Record<string, string>>;
  /** Default 20 s. */
  readonly readyWithinMs?: number;
  /** Default 5 s: what every root promises after SIGTERM. */
  readonly stopWithinMs?: number;
  /** Gets each line of standard error as it arrives. */
  readonly onErrorLine?: (line: string) => void;
}

export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const outputCharsMax = 4_000_000;
/** Half of what the start of a program costs is to read its TypeScript: done once for all tests, by content. */
const compileCache = fileURLToPath(new URL('../../node_modules/.cache/dmg-test', import.meta.url));

/**
 * A started program. Its standard input is a pipe which we hold, so that with `DMG_EXIT_WITH_PARENT=1` it ends when the test
 * process dies. When the context ends it is stopped, and the test fails if it or a descendant stays.
 */
export class RunningProcess {
  readonly name: string;
  readonly pid: number;
  readonly mark: string;
  readonly exited: Promise<ProcessExit>;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #stopWithinMs: number;
  #exit: ProcessExit | undefined;
  #stderr = '';
  #stdout: string[] = [];
  #onLine: ((line: string) => void) | undefined;

  constructor(child: ChildProcessWithoutNullStreams, options: { name: string; mark: string; stopWithinMs: number }) {
    if (child.pid === undefined) throw new Error(`${options.name} has not started`);
    this.name = options.name;
    this.pid = child.pid;
    this.mark = options.mark;
    this.#child = child;
    this.#stopWithinMs = options.stopWithinMs;
    // What we write to a process that is just ending is of no interest.
    child.stdin.on('error', () => undefined);
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-outputCharsMax);
    });
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.#stdout.push(line);
      this.#onLine?.(line);
    });
    this.exited = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        this.#exit = { code, signal };
        resolve(this.#exit);
      });
    });
  }

  /** Undefined while it runs. */
  get exit(): ProcessExit | undefined {
    return this.#exit;
  }

  /** What it has written to standard error, the last 4 million characters. */
  get stderr(): string {
    return this.#stderr;
  }

  /** Lines of standard output so far. */
  get stdout(): readonly string[] {
    return this.#stdout;
  }

  /** Resolves with the first line of standard output, past or future, for which `accept` gives a value. */
  async line<T>(what: string, accept: (line: string) => T | undefined, withinMs: number): Promise<T> {
    const found = new Promise<T>((resolve, reject) => {
      const look = (line: string): boolean => {
        const value = accept(line);
        if (value !== undefined) resolve(value);
        return value !== undefined;
      };
      if (this.#stdout.some(look)) return;
      this.#onLine = look;
      void this.exited.then((exit) => reject(new Error(`${this.name} ended (${formatExit(exit)}) before ${what}\n${this.#stderr}`)));
    });
    try {
      return await within(`${this.name}: ${what}`, withinMs, found);
    } finally {
      this.#onLine = undefined;
    }
  }

  signal(signal: NodeJS.Signals): void {
    killIfThere(this.pid, signal);
  }

  /** To the process and to all that it started and that did not leave its process group; false when it is gone. */
  signalGroup(signal: NodeJS.Signals): boolean {
    return this.#exit === undefined && killIfThere(-this.pid, signal);
  }

  /** Ends its standard input: what it sees when its parent dies. */
  closeInput(): void {
    this.#child.stdin.end();
  }

  /** `kill -9` of this process alone; its children must notice by themselves. */
  async kill(): Promise<ProcessExit> {
    this.signal('SIGKILL');
    // Not `exited`: children that still hold its output pipes would delay that.
    if (this.#exit === undefined && this.#child.exitCode === null && this.#child.signalCode === null) {
      await once(this.#child, 'exit');
    }
    return this.#exit ?? { code: this.#child.exitCode, signal: this.#child.signalCode };
  }

  /** SIGTERM, then waits for the end. Throws, after SIGKILL, when it takes longer than promised. */
  async terminate(withinMs: number = this.#stopWithinMs): Promise<ProcessExit> {
    this.signal('SIGTERM');
    try {
      return await within(`${this.name} to end after SIGTERM`, withinMs, this.exited);
    } catch (error) {
      await this.kill();
      throw new Error(`${this.name} did not end on SIGTERM\n${this.#stderr.slice(-4_000)}`, { cause: error });
    }
  }

  /** Fails when this process or a descendant of it is alive. */
  assertNoneLeft(withinMs: number = this.#stopWithinMs): Promise<void> {
    return assertNoProcessLeft({ mark: this.mark, group: this.pid, withinMs });
  }

  /** Pids of this process and its living descendants. */
  async pids(): Promise<number[]> {
    return (await findProcesses({ mark: this.mark, group: this.pid })).map(({ pid }) => pid);
  }
}

/** Starts a program without waiting for a ready line. */
export function spawnProcess(context: CleanupContext, options: ProcessOptions): RunningProcess {
  const mark = randomUUID();
  const child = spawn(options.command ?? process.execPath, [...options.args], {
    cwd: options.cwd,
    env: { ...cleanEnvironment(), DMG_EXIT_WITH_PARENT: '1', ...options.env, [markVariable]: mark },
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  if (options.onErrorLine !== undefined) createInterface({ input: child.stderr }).on('line', options.onErrorLine);
  const running = new RunningProcess(child, { name: options.name, mark, stopWithinMs: options.stopWithinMs ?? 5_000 });
  onCleanup(context, async () => {
    try {
      if (running.exit === undefined) await running.terminate();
    } finally {
      await running.assertNoneLeft();
    }
  });
  return running;
}

/** Starts a program and waits until it prints its line of JSON with a member `ready`. */
export async function startProcess(
  context: CleanupContext,
  options: ProcessOptions,
): Promise<{ process: RunningProcess; ready: Record<string, unknown> }> {
  const running = spawnProcess(context, options);
  const ready = await running.line('its ready line', parseReadyLine, options.readyWithinMs ?? 20_000);
  return { process: running, ready };
}

/** Starts one of our roots as its users do: as a process, by the path its package exports. */
export function startRoot(
  context: CleanupContext,
  root: RootName,
  options: Partial<ProcessOptions> = {},
): Promise<{ process: RunningProcess; ready: Record<string, unknown> }> {
  const main = fileURLToPath(import.meta.resolve(`@dmg/${root}/main`));
  return startProcess(context, { name: root, ...options, args: [main, ...(options.args ?? [])] });
}

function parseReadyLine(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const value = JSON.parse(line) as Record<string, unknown>;
    return 'ready' in value ? value : undefined;
  } catch {
    // Not the ready line, whatever it is.
    return undefined;
  }
}

function cleanEnvironment(): NodeJS.ProcessEnv {
  // The test run's own mark stays: by it the runner finds what is left behind.
  const kept = Object.entries(process.env).filter(([name]) => !/^(?:DMG_(?!TEST_RUN$)|NODE_TEST_|NODE_OPTIONS$|NODE_CHANNEL_)/.test(name));
  return { NODE_COMPILE_CACHE: compileCache, ...Object.fromEntries(kept) };
}

function formatExit(exit: ProcessExit): string {
  return exit.signal === null ? `code ${exit.code}` : exit.signal;
}

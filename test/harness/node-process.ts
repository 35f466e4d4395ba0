import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '@dmg/base';
import type { CleanupContext } from './cleanup.ts';
import { type ProcessExit, type RunningProcess, startProcess } from './processes.ts';
import type { UpLine } from './up-line.ts';
import { within } from './wait-for.ts';

/** A line that a node logged, and when it arrived here, on this process's monotonic clock. */
export interface NodeLogLine {
  readonly node: string;
  readonly atMs: number;
  readonly msg: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface NodeProcessOptions {
  readonly name: string;
  /** Folder in which nodes keep their state folders. */
  readonly folder: string;
  readonly up: UpLine;
  readonly gatewayKey: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Path of the node's program; default: the one of this repository. */
  readonly main?: string;
  /** Folders that this node alone sees at another place: it gets a mount namespace of its own. */
  readonly mounts?: readonly Mount[];
  readonly onLog?: (line: NodeLogLine) => void;
}

export interface Mount {
  readonly folder: string;
  /** An empty folder. */
  readonly at: string;
}

/** What a node beside others on this machine is told. */
export function nodeEnvironment(name: string, up: Pick<UpLine, 'redis' | 'serviceBus'>, gatewayKey: string): Record<string, string> {
  return {
    DMG_REDIS: up.redis, DMG_SERVICE_BUS: up.serviceBus, DMG_GATEWAY_KEY: gatewayKey, DMG_NODE_NAME: name,
    DMG_METRICS_PORT: '0', DMG_SHARE_MACHINE: '1', DMG_GRPC_HOST: '127.0.0.1', DMG_GRPC_PORT: '0', DMG_DRAIN_GRACE: '1',
  };
}

/** A line of a node's log; undefined for what is none, such as a line that was cut off when the process was killed. */
export function parseNodeLog(node: string, line: string): NodeLogLine | undefined {
  const atMs = systemClock.monotonicMs();
  if (!line.startsWith('{')) return undefined;
  try {
    const fields = JSON.parse(line) as Record<string, unknown>;
    return { node, atMs, msg: String(fields['msg']), fields };
  } catch {
    return undefined;
  }
}

/**
 * A node as a process of the test's own, which nobody starts again: it leads a process group in which its executors are, so that
 * killing or freezing the group is what the end of a machine is to the others.
 */
export class NodeProcess {
  readonly name: string;
  readonly #context: CleanupContext;
  readonly #options: NodeProcessOptions;
  #process: RunningProcess | undefined;
  #ready: Readonly<Record<string, unknown>> = {};
  #readyAtMs = 0;

  constructor(context: CleanupContext, options: NodeProcessOptions) {
    this.name = options.name;
    this.#context = context;
    this.#options = options;
  }

  /** 0 when it does not run. */
  get pid(): number {
    return this.#process?.exit === undefined ? (this.#process?.pid ?? 0) : 0;
  }

  get metricsUrl(): string {
    return typeof this.#ready['metrics'] === 'string' ? this.#ready['metrics'] : '';
  }

  /** Where other nodes reach it, as `host:port`. */
  get address(): string {
    return typeof this.#ready['address'] === 'string' ? this.#ready['address'] : '';
  }

  /** When its ready line was read, on this process's monotonic clock. */
  get readyAtMs(): number {
    return this.#readyAtMs;
  }

  async start(): Promise<void> {
    const { name, folder, up, gatewayKey, env, mounts = [] } = this.#options;
    const main = this.#options.main ?? fileURLToPath(import.meta.resolve('@dmg/node/main'));
    const program = [process.execPath, main, 'start', '--state', join(folder, name)];
    const { process: started, ready } = await startProcess(this.#context, {
      name,
      ...inNamespace(program, mounts),
      env: { ...nodeEnvironment(name, up, gatewayKey), ...env },
      readyWithinMs: 30_000,
      onErrorLine: (text) => {
        const line = parseNodeLog(name, text);
        if (line !== undefined) this.#options.onLog?.(line);
      },
    });
    this.#readyAtMs = systemClock.monotonicMs();
    this.#process = started;
    this.#ready = ready;
  }

  /** What the process and its executors get; false when it does not run. */
  signalGroup(signal: NodeJS.Signals): boolean {
    return this.#process?.signalGroup(signal) ?? false;
  }

  /** To the host alone. */
  signalHost(signal: NodeJS.Signals): void {
    this.#process?.signal(signal);
  }

  /** SIGTERM to the host, and its end. */
  async stop(withinMs = 10_000): Promise<ProcessExit | undefined> {
    return this.#process?.terminate(withinMs);
  }

  /** Resolves when the process is gone, however it went. */
  async gone(withinMs = 10_000): Promise<ProcessExit | undefined> {
    return this.#process === undefined ? undefined : within(`${this.name} to be gone`, withinMs, this.#process.exited);
  }
}

interface Program {
  readonly command: string;
  readonly args: readonly string[];
}

/** A program as it is; or with mounts that end with it, since nobody else is in its namespace. It keeps its pid either way. */
function inNamespace(program: readonly string[], mounts: readonly Mount[]): Program {
  const [first = '', ...rest] = program;
  if (mounts.length === 0) return { command: first, args: rest };
  const binds = mounts.map((_, index) => `mount --bind "$${2 * index + 1}" "$${2 * index + 2}"`);
  const script = [...binds, `shift ${2 * mounts.length}`, 'exec "$@"'].join(' && ');
  const places = mounts.flatMap(({ folder, at }) => [folder, at]);
  return { command: 'unshare', args: ['-m', '--propagation', 'private', 'sh', '-c', script, 'sh', ...places, ...program] };
}

import { join } from 'node:path';
import { systemClock } from '@dmg/base';
import type { CleanupContext } from './cleanup.ts';
import { type ProcessExit, type RunningProcess, startRoot } from './processes.ts';
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
  readonly onLog?: (line: NodeLogLine) => void;
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
    return String(this.#ready['metrics'] ?? '');
  }

  async start(): Promise<void> {
    const { name, folder, up, gatewayKey, env } = this.#options;
    const { process, ready } = await startRoot(this.#context, 'node', {
      name,
      args: ['start', '--state', join(folder, name)],
      env: {
        DMG_REDIS: up.redis, DMG_SERVICE_BUS: up.serviceBus, DMG_GATEWAY_KEY: gatewayKey, DMG_NODE_NAME: name, DMG_METRICS_PORT: '0',
        DMG_SHARE_MACHINE: '1', DMG_GRPC_HOST: '127.0.0.1', DMG_GRPC_PORT: '0', DMG_DRAIN_GRACE: '1', ...env,
      },
      readyWithinMs: 30_000,
      onErrorLine: (line) => this.#take(line),
    });
    this.#process = process;
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
  async gone(withinMs = 10_000): Promise<void> {
    if (this.#process !== undefined) await within(`${this.name} to be gone`, withinMs, this.#process.exited);
  }

  #take(line: string): void {
    const atMs = systemClock.monotonicMs();
    const { onLog } = this.#options;
    if (onLog === undefined || !line.startsWith('{')) return;
    try {
      const fields = JSON.parse(line) as Record<string, unknown>;
      onLog({ node: this.name, atMs, msg: String(fields['msg']), fields });
    } catch {
      // A line that was cut off when the process was killed.
    }
  }
}

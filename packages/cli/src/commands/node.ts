import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { exitCodes } from '@dmg/lifecycle';
import type { LogLevel } from '@dmg/telemetry';
import { defaultStateFolder, readUpFile } from '../context.ts';
import { childEnvironment, type Environment } from '../environment.ts';
import { readableLogLine } from '../log-line.ts';

export interface NodeFlags {
  readonly state?: string;
  readonly name?: string;
  readonly keyFile?: string;
  readonly metricsPort?: string;
  readonly grpcPort?: string;
  readonly shareMachine?: boolean;
  readonly json?: boolean;
  /** What people see of the node's log. */
  readonly level: LogLevel;
}

/** Settings of the node's own program; `DMG_STATE` is not among them, since its folder is one within ours. */
const nodeSettings = [
  'DMG_GATEWAY_KEY', 'DMG_NODE_NAME', 'DMG_REDIS', 'DMG_SERVICE_BUS', 'DMG_METRICS_PORT', 'DMG_METRICS_HOST', 'DMG_LOG_LEVEL',
  'DMG_CONFIG', 'DMG_EXIT_WITH_PARENT', 'DMG_SHARE_MACHINE', 'DMG_GRPC_HOST', 'DMG_GRPC_PORT', 'DMG_ADVERTISE', 'DMG_CLUSTER_ENCRYPTION',
  'DMG_DRAIN_GRACE', 'DMG_LEASE_MS', 'DMG_LEASE_RENEW_MS',
] as const;

/**
 * `dmg node register|start|status`: runs the node's own program with our terminal; its exit code is ours. Where `dmg up` runs on
 * this machine, its Redis and queue are used unless others are given.
 */
export async function node(action: 'register' | 'start' | 'status', flags: NodeFlags, environment: Environment): Promise<number> {
  const stateFolder = resolve(flags.state ?? join(defaultStateFolder(environment), 'node'));
  const args = [action, '--state', stateFolder];
  if (flags.name !== undefined) args.push('--name', flags.name);
  if (flags.keyFile !== undefined) args.push('--key-file', flags.keyFile);
  if (flags.metricsPort !== undefined) args.push('--metrics-port', flags.metricsPort);
  if (flags.grpcPort !== undefined) args.push('--grpc-port', flags.grpcPort);
  if (flags.shareMachine === true) args.push('--share-machine');
  if (flags.json === true) args.push('--json');
  // The node that runs speaks JSON; in a terminal it is translated. The others end at once and look at the terminal themselves.
  const isForPeople = action === 'start' && process.stdout.isTTY && process.stderr.isTTY && flags.json !== true;
  const child = spawn(process.execPath, [fileURLToPath(import.meta.resolve('@dmg/node/main')), ...args], {
    env: childEnvironment(await nodeEnvironment(environment)),
    stdio: isForPeople ? ['inherit', 'pipe', 'pipe'] : 'inherit',
  });
  if (child.stdout !== null) {
    createInterface({ input: child.stdout }).on('line', (line) => void process.stdout.write(`${describeReady(line)}\n`));
  }
  if (child.stderr !== null) {
    createInterface({ input: child.stderr }).on('line', (line) => {
      const shown = readableLogLine(line, flags.level);
      if (shown !== undefined) process.stderr.write(`${shown}\n`);
    });
  }
  // Ctrl-C in a terminal reaches the node from here as well; twice at once is once to it.
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  process.on('SIGTERM', forward);
  process.on('SIGINT', forward);
  return new Promise((settle) => {
    child.once('error', () => settle(exitCodes.failed));
    child.once('close', (code) => settle(code ?? exitCodes.failed));
  });
}

/** The node's ready line for people. */
export function describeReady(line: string): string {
  let ready: Readonly<Record<string, unknown>>;
  try {
    ready = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return line; // No ready line; shown as it is.
  }
  const { name, gateway, pid, metrics } = ready;
  return `${String(name)} of the gateway ${String(gateway)} runs (pid ${String(pid)}, ${String(metrics)}). Ctrl-C stops it.`;
}

async function nodeEnvironment(environment: Environment): Promise<Record<string, string>> {
  const added: Record<string, string> = {};
  for (const name of nodeSettings) {
    const value = environment[name];
    if (value !== undefined) added[name] = value;
  }
  if (added['DMG_REDIS'] === undefined || added['DMG_SERVICE_BUS'] === undefined) {
    // No `dmg up` here is no error: the node says what it lacks.
    const up = await readUpFile(defaultStateFolder(environment)).catch(() => undefined);
    if (up !== undefined) return { DMG_REDIS: up.redis, DMG_SERVICE_BUS: up.serviceBus, ...added };
  }
  return added;
}

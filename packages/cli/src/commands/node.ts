import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { exitCodes } from '@dmg/lifecycle';
import { defaultStateFolder, readUpFile } from '../context.ts';
import { childEnvironment, type Environment } from '../environment.ts';

export interface NodeFlags {
  readonly state?: string;
  readonly name?: string;
  readonly keyFile?: string;
  readonly metricsPort?: string;
  readonly json?: boolean;
}

/** Settings of the node's own program; `DMG_STATE` is not among them, since its folder is one within ours. */
const nodeSettings = [
  'DMG_GATEWAY_KEY', 'DMG_NODE_NAME', 'DMG_REDIS', 'DMG_SERVICE_BUS', 'DMG_METRICS_PORT', 'DMG_METRICS_HOST', 'DMG_LOG_LEVEL',
  'DMG_CONFIG', 'DMG_EXIT_WITH_PARENT',
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
  if (flags.json === true) args.push('--json');
  const child = spawn(process.execPath, [fileURLToPath(import.meta.resolve('@dmg/node/main')), ...args], {
    env: childEnvironment(await nodeEnvironment(environment)),
    stdio: 'inherit',
  });
  // Ctrl-C in a terminal reaches the node from here as well; twice at once is once to it.
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  process.on('SIGTERM', forward);
  process.on('SIGINT', forward);
  return new Promise((settle) => {
    child.once('error', () => settle(exitCodes.failed));
    child.once('exit', (code) => settle(code ?? exitCodes.failed));
  });
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

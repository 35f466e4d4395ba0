import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { type Clock, firstLine, type Logger } from '@dmg/base';
import type { Environment } from '../config.ts';
import { localCloudErrors } from '../errors.ts';
import { findProgram } from '../program-path.ts';

export interface RedisOptions {
  readonly state: string;
  readonly port: number;
  /** Name or path of the binary. */
  readonly redisServer: string;
  readonly environment: Environment;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called when Redis ends although nobody asked for it. */
  readonly onExit: (how: string) => void;
}

export interface RunningRedis {
  /** Of redis-server itself. */
  readonly pid: number;
  stop(): Promise<void>;
}

const readyLimitMs = 15_000;
const stopLimitMs = 3000;

/**
 * Starts a Redis of our own: its own directory, loopback only, no configuration file, so that it touches no other Redis. Every write is
 * in the kernel's hands before it is answered and on disk within a second.
 */
export async function startRedis(options: RedisOptions): Promise<RunningRedis> {
  const { state, port, redisServer, environment, clock, logger } = options;
  const program = await findProgram(redisServer, environment);
  if (program === undefined) throw localCloudErrors.REDIS_MISSING.create({ program: redisServer });
  await mkdir(state, { recursive: true, mode: 0o700 });
  const args = [
    '--bind', '127.0.0.1', '--port', String(port), '--dir', state, '--daemonize', 'no', '--save', '',
    '--appendonly', 'yes', '--appendfsync', 'everysec', '--maxmemory-policy', 'noeviction',
  ];
  // The kernel ends Redis with us, even if we are killed.
  const setpriv = await findProgram('setpriv', environment);
  if (setpriv === undefined) logger.warn({}, 'setpriv is missing: if this process is killed with -9, redis-server stays');
  const [command, ...before] = setpriv === undefined ? [program] : [setpriv, '--pdeathsig', 'KILL', program];
  const child = spawn(command, [...before, ...args], { cwd: state, env: { ...environment }, stdio: ['ignore', 'pipe', 'pipe'] });
  const lastLines: string[] = [];
  const ready = Promise.withResolvers<void>();
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      lastLines.push(line);
      if (lastLines.length > 5) lastLines.shift();
      logger.debug({ line }, 'redis-server');
      if (line.includes('Ready to accept connections')) ready.resolve();
    });
  }
  let isStopping = false;
  const exited = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(firstLine(error)));
    child.once('exit', (code, signal) => resolve(signal === null ? `exit code ${code}` : `signal ${signal}`));
  });
  const timer = clock.after(readyLimitMs, () => ready.reject(new Error(`not ready within ${readyLimitMs} ms`)));
  void exited.then((how) => ready.reject(new Error(`${how}: ${lastLines.join(' | ')}`)));
  try {
    await ready.promise;
  } catch (error) {
    isStopping = true;
    child.kill('SIGKILL');
    throw localCloudErrors.PROGRAM_FAILED.create({ program: 'redis-server', reason: firstLine(error) }, { cause: error });
  } finally {
    timer.cancel();
  }
  void exited.then((how) => {
    if (!isStopping) options.onExit(how);
  });
  return {
    pid: child.pid ?? 0,
    async stop() {
      isStopping = true;
      child.kill('SIGTERM');
      const limit = clock.after(stopLimitMs, () => child.kill('SIGKILL'));
      await exited;
      limit.cancel();
    },
  };
}

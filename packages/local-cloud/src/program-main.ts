import { mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { systemClock } from '@dmg/base';
import { exitCodes, runRoot } from '@dmg/lifecycle';
import { type ProgramConfig, readProgramConfig } from './config.ts';
import { localCloudErrors } from './errors.ts';
import { findExecutable } from './executable.ts';
import { type HeldProgramOptions, startHeldProgram } from './held-program.ts';
import { fail, followFlags } from './output.ts';

/**
 * Holds one foreign program of the local cloud, `redis` or `azurite` (the first argument): starts it on a given port, says when it
 * is ready, and ends with it. Azurite is ended by SIGKILL: on SIGTERM it waits for seconds, and its data is on disk.
 */
const [name = '', ...args] = process.argv.slice(2);
const config = followFlags(name, () => readProgramConfig(args));

type Program = Pick<HeldProgramOptions, 'command' | 'args' | 'env'>;

async function redis({ state, port, redisServer, environment }: ProgramConfig): Promise<Program> {
  const command = await findExecutable(redisServer, environment['PATH'] ?? '');
  if (command === undefined) throw localCloudErrors.REDIS_MISSING.create({ program: redisServer });
  const persistence = ['--save', '', '--appendonly', 'yes', '--appendfsync', 'everysec'];
  return { command, args: ['--port', String(port), '--bind', '127.0.0.1', '--dir', state, '--maxmemory-policy', 'noeviction', ...persistence], env: environment };
}

function azurite({ state, port, environment }: ProgramConfig): Program {
  const folder = dirname(createRequire(import.meta.url).resolve('azurite/package.json'));
  const flags = ['--silent', '--skipApiVersionCheck', '--disableTelemetry', '--blobHost', '127.0.0.1'];
  return { command: process.execPath, args: [join(folder, 'dist/src/blob/main.js'), '--blobPort', String(port), '--location', state, ...flags], env: environment };
}

await runRoot({
  name,
  clock: systemClock,
  exitWithParent: config.exitWithParent,
  async start() {
    await mkdir(config.state, { recursive: true, mode: 0o700 });
    const program = name === 'redis' ? await redis(config) : azurite(config);
    const held = await startHeldProgram({
      ...program, name, cwd: config.state, port: config.port, readyLimitMs: 20_000, clock: systemClock,
      onEnd: (reason) => fail(name, reason, exitCodes.failed),
    });
    return { ready: { pid: held.pid }, stop: () => held.stop(name === 'redis' ? 'SIGTERM' : 'SIGKILL') };
  },
});

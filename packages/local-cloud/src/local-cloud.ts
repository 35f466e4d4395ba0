import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Clock, Logger, Random } from '@dmg/base';
import { type ChildRoot, type RunningRoot, type SupervisedRoot, superviseRoot } from '@dmg/lifecycle';
import type { LocalCloudConfig, Part } from './config.ts';
import { findProgram } from './program-path.ts';
import { localCloudErrors } from './errors.ts';
import { choosePorts, type Ports } from './ports.ts';
import { StateDirectory } from './state-directory.ts';

/** The ready line, and the content of `local-cloud.json` in the state directory. Parts that were not started are left out. */
export interface LocalCloudReady {
  readonly redis?: string;
  /** A connection string, with its key. */
  readonly serviceBus?: string;
  readonly serviceBusControl?: string;
  /** A connection string, with its key. */
  readonly blob?: string;
  /** Of the real programs: what to kill in a test. */
  readonly pids: { readonly redis?: number; readonly serviceBus?: number; readonly azurite?: number };
}

export interface LocalCloudOptions {
  readonly config: LocalCloudConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Each line that a part writes to standard error. */
  readonly onLog: (line: string) => void;
}

const fileName = 'local-cloud.json';

/** Starts the parts as processes and keeps them alive, each on its own port and data. */
export async function startLocalCloud(options: LocalCloudOptions, stopRequested: AbortSignal): Promise<RunningRoot> {
  const { config, clock, logger } = options;
  // Said before anything is started: the others would only be stopped again.
  if (config.only.includes('redis') && (await findProgram(config.redisServer, config.environment)) === undefined) {
    throw localCloudErrors.REDIS_MISSING.create({ program: config.redisServer });
  }
  const directory = await StateDirectory.open(config.state);
  const ports = await choosePorts({ asked: config.ports, directory, clock, logger });
  const starting = config.only.map((part) => startPart(part, { ...options, directory, ports, stopRequested }));
  const settled = await Promise.allSettled(starting);
  const children = new Map<Part, SupervisedRoot>();
  settled.forEach((result, index) => {
    const part = config.only[index];
    if (result.status === 'fulfilled' && part !== undefined) children.set(part, result.value);
  });
  const stop = async (): Promise<void> => {
    await Promise.all([...children.values()].map((child) => child.stop()));
    await directory.remove(fileName);
    await directory.close();
  };
  const failed = settled.find((result) => result.status === 'rejected');
  if (failed !== undefined) {
    await stop();
    throw failed.reason;
  }
  let lastWrite: Promise<void> = Promise.resolve();
  const write = (): Promise<void> => {
    // One after another, so that the newest stays.
    lastWrite = lastWrite.then(() => directory.write(fileName, `${JSON.stringify(describe(children), undefined, 2)}\n`));
    return lastWrite;
  };
  for (const [part, child] of children) {
    child.onRestart((restarted) => {
      logger.info({ part, pid: restarted.ready['pid'] }, 'part runs again');
      write().catch((error: unknown) => logger.error({ error }, 'local-cloud.json cannot be written'));
    });
  }
  await write();
  return { ready: { ...describe(children) }, stop };
}

interface PartOptions extends LocalCloudOptions {
  readonly directory: StateDirectory;
  readonly ports: Ports;
  readonly stopRequested: AbortSignal;
}

async function startPart(part: Part, options: PartOptions): Promise<SupervisedRoot> {
  const { config, clock, random, logger, directory, ports, stopRequested } = options;
  const state = ['--state', join(directory.path, part)];
  const programs: Readonly<Record<Part, { name: string; main: string; args: readonly string[] }>> = {
    redis: { name: 'redis', main: './redis/main.ts', args: [...state, '--port', String(ports.redis)] },
    'service-bus': {
      name: 'service-bus-stand-in',
      main: './service-bus/main.ts',
      args: [...state, '--port', String(ports.serviceBus), '--control-port', String(ports.control), '--auto-create', 'dmg-*'],
    },
    blob: { name: 'blob', main: './blob/main.ts', args: [...state, '--port', String(ports.blob)] },
  };
  const { name, main, args } = programs[part];
  return await superviseRoot({
    name,
    main: fileURLToPath(new URL(main, import.meta.url)),
    args,
    env: { ...config.environment, DMG_LOG_LEVEL: config.logLevel },
    clock,
    logger,
    random: () => random.unit(),
    signal: stopRequested,
    onLog: options.onLog,
  });
}

function describe(children: ReadonlyMap<Part, SupervisedRoot>): LocalCloudReady {
  const text = (part: Part, key: string): string | undefined => readText(children.get(part)?.current(), key);
  const pid = (part: Part): number | undefined => Number(children.get(part)?.current().ready['pid'] ?? NaN) || undefined;
  return dropUndefined({
    redis: text('redis', 'url'),
    serviceBus: text('service-bus', 'connectionString'),
    serviceBusControl: text('service-bus', 'control'),
    blob: text('blob', 'connectionString'),
    pids: dropUndefined({ redis: pid('redis'), serviceBus: pid('service-bus'), azurite: pid('blob') }),
  });
}

function readText(child: ChildRoot | undefined, key: string): string | undefined {
  const value = child?.ready[key];
  return typeof value === 'string' ? value : undefined;
}

type Defined<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

function dropUndefined<T extends object>(value: T): Defined<T> {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Defined<T>;
}

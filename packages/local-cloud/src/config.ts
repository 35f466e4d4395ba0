import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { firstLine } from '@dmg/base';
import { lifecycleErrors } from '@dmg/lifecycle';
import { type LogLevel, logLevels } from '@dmg/telemetry';
import { defaultQueueSettings, type QueueSettings } from './service-bus/queue-types.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export const parts = ['redis', 'service-bus', 'blob'] as const;
export type Part = (typeof parts)[number];

export interface LocalCloudConfig {
  readonly state: string;
  readonly only: readonly Part[];
  /** 0: the port of the last start, or a free one. */
  readonly ports: Readonly<Record<PortName, number>>;
  readonly redisServer: string;
  readonly logLevel: LogLevel;
  readonly exitWithParent: boolean;
  /** For the processes that are started. */
  readonly environment: Environment;
}

export const portNames = ['redis', 'serviceBus', 'control', 'blob'] as const;
export type PortName = (typeof portNames)[number];

/** What a program of this package that is started by another one needs. */
export interface StandInConfig {
  readonly state: string;
  readonly port: number;
  readonly controlPort: number;
  readonly queueNames: readonly string[];
  readonly autoCreatePattern: string | undefined;
  readonly settings: QueueSettings;
  readonly logLevel: LogLevel;
  readonly exitWithParent: boolean;
}

export interface ProgramConfig {
  readonly state: string;
  readonly port: number;
  readonly redisServer: string;
  readonly logLevel: LogLevel;
  readonly exitWithParent: boolean;
  readonly environment: Environment;
}

/** `local-cloud`: flags over environment over defaults. Throws `DMG_LIFECYCLE_BAD_SETTING`. */
export function readLocalCloudConfig(
  args: readonly string[] = process.argv.slice(2),
  environment: Environment = process.env,
): LocalCloudConfig {
  const values = parse(args, ['state', 'redis-port', 'service-bus-port', 'control-port', 'blob-port', 'only']);
  return {
    ...readCommon(values, environment),
    only: readParts(values['only']),
    ports: {
      redis: readPort('--redis-port', values['redis-port']),
      serviceBus: readPort('--service-bus-port', values['service-bus-port']),
      control: readPort('--control-port', values['control-port']),
      blob: readPort('--blob-port', values['blob-port']),
    },
    redisServer: environment['DMG_REDIS_SERVER'] ?? 'redis-server',
    environment,
  };
}

/** The Service Bus stand-in as a process of its own. */
export function readStandInConfig(args: readonly string[] = process.argv.slice(2), environment: Environment = process.env): StandInConfig {
  const flags = ['state', 'port', 'control-port', 'auto-create', 'lock-ms', 'max-delivery-count', 'duplicate-window-ms'];
  const values = parse(args, flags, ['queue']);
  return {
    ...readCommon(values, environment),
    port: readPort('--port', values['port']),
    controlPort: readPort('--control-port', values['control-port']),
    queueNames: values.lists,
    autoCreatePattern: values['auto-create'],
    settings: {
      ...defaultQueueSettings,
      lockMs: readCount('--lock-ms', values['lock-ms'], defaultQueueSettings.lockMs, 1),
      maxDeliveryCount: readCount('--max-delivery-count', values['max-delivery-count'], defaultQueueSettings.maxDeliveryCount, 1),
      duplicateWindowMs: readCount('--duplicate-window-ms', values['duplicate-window-ms'], defaultQueueSettings.duplicateWindowMs, 0),
    },
  };
}

/** The processes that hold Redis and Azurite. */
export function readProgramConfig(args: readonly string[] = process.argv.slice(2), environment: Environment = process.env): ProgramConfig {
  const values = parse(args, ['state', 'port']);
  return {
    ...readCommon(values, environment),
    port: readPort('--port', values['port']),
    redisServer: environment['DMG_REDIS_SERVER'] ?? 'redis-server',
    environment,
  };
}

/** Azurite takes its accounts from the environment only, `name:key`; to be set before it is loaded. */
export function setAzuriteAccounts(accounts: string): void {
  process.env['AZURITE_ACCOUNTS'] = accounts;
}

type Values = Readonly<Record<string, string | undefined>> & { readonly lists: readonly string[] };

function parse(args: readonly string[], names: readonly string[], listNames: readonly string[] = []): Values {
  const options = Object.fromEntries([
    ...names.map((name) => [name, { type: 'string' as const }] as const),
    ...listNames.map((name) => [name, { type: 'string' as const, multiple: true }] as const),
  ]);
  try {
    const { values } = parseArgs({ args: [...args], options, strict: true });
    const lists: string[] = [];
    const single: Record<string, string | undefined> = {};
    for (const [name, value] of Object.entries(values)) {
      if (Array.isArray(value)) lists.push(...value.map(String));
      else if (typeof value === 'string') single[name] = value;
    }
    return Object.assign(single, { lists }) as Values;
  } catch (error) {
    throw bad('flags', firstLine(error), `Known flags: ${[...names, ...listNames].map((name) => `--${name}`).join(', ')}.`);
  }
}

function readCommon(values: Values, environment: Environment): { state: string; logLevel: LogLevel; exitWithParent: boolean } {
  const level = environment['DMG_LOG_LEVEL'] ?? 'info';
  const logLevel = logLevels.find((known) => known === level);
  if (logLevel === undefined) throw bad('DMG_LOG_LEVEL', `${level} is no level`, `Use one of ${logLevels.join(', ')}.`);
  const stateHome = environment['XDG_STATE_HOME'] ?? join(homedir(), '.local', 'state');
  return {
    state: values['state'] ?? environment['DMG_STATE'] ?? join(stateHome, 'dmg', 'local-cloud'),
    logLevel,
    exitWithParent: environment['DMG_EXIT_WITH_PARENT'] === '1',
  };
}

function readParts(text: string | undefined): readonly Part[] {
  if (text === undefined) return parts;
  return text.split(',').map((name) => {
    const part = parts.find((known) => known === name.trim());
    if (part === undefined) throw bad('--only', `${name} is no part`, `Use a list of ${parts.join(', ')}.`);
    return part;
  });
}

function readPort(flag: string, text: string | undefined): number {
  const port = readCount(flag, text, 0, 0);
  if (port > 65_535) throw bad(flag, `${port} is no port`, 'Use a number from 0 (any free one) to 65535.');
  return port;
}

function readCount(flag: string, text: string | undefined, fallback: number, least: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least) throw bad(flag, `${text} is no whole number of at least ${least}`, 'Give such a number.');
  return value;
}

function bad(setting: string, reason: string, remedy: string): Error {
  return lifecycleErrors.BAD_SETTING.create({ setting, reason, remedy });
}

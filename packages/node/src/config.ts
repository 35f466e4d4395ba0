import { readFile } from 'node:fs/promises';
import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { firstLine, Secret } from '@dmg/base';
import { lifecycleErrors, withSettingsFile } from '@dmg/lifecycle';
import { type LogLevel, logLevels } from '@dmg/telemetry/logger';

export const nodeHelp = `node register|start|status [options]

  register   register this machine with a gateway key and stop
  start      run until SIGTERM or Ctrl-C; registers first when a key is given and the node is new
  status     what this node is and how it is

  --state DIR          state folder                      (DMG_STATE)
  --name NAME          name of the node; cannot change   (DMG_NODE_NAME; default: the host name)
  --key-file FILE      file with the gateway key         (DMG_GATEWAY_KEY holds the key itself)
  --share-machine      another node of the gateway may run on this machine (DMG_SHARE_MACHINE=1)
  --grpc-port PORT     where other nodes reach this one  (DMG_GRPC_PORT; default 8060; 0: any free one)
  --grpc-host HOST     where that listens                (DMG_GRPC_HOST; default 0.0.0.0)
  --advertise HOST     under which name or address other nodes come (DMG_ADVERTISE; default: the first address of this machine)
  --encryption MODE    mtls, or none: plain text on loopback only   (DMG_CLUSTER_ENCRYPTION; default mtls)
  --drain-grace S      seconds that running jobs get when the node stops, before others take them over (DMG_DRAIN_GRACE; default 30)
  --metrics-port PORT  /metrics, /healthz and /readyz    (DMG_METRICS_PORT; default 9464; 0: any free one)
  --metrics-host HOST  where they listen                 (DMG_METRICS_HOST; default 127.0.0.1)
  --json               results as JSON
  The queue and Redis come from the environment, because they hold secrets: DMG_SERVICE_BUS (connection string), DMG_REDIS (URL, or
  several independent masters with commas between).
  The lease of the dispatcher: DMG_LEASE_MS (default 1000) and DMG_LEASE_RENEW_MS (default 250); unsafe settings are refused.
  dmg.json in the current folder (or DMG_CONFIG) stands below the environment: {"redis": …, "metricsPort": 9464}.
`;

export type NodeCommand = 'register' | 'start' | 'status' | 'help';

/** How nodes speak to each other. `none` is for one machine: it listens on loopback only. */
export type ClusterEncryption = 'mtls' | 'none';

export interface NodeConfig {
  readonly command: NodeCommand;
  readonly stateFolder: string;
  readonly nodeName: string;
  readonly gatewayKey: Secret | undefined;
  readonly serviceBus: Secret | undefined;
  /** The masters of lease and ledger; one, or several that know nothing of each other. Empty: not set. */
  readonly redis: readonly Secret[];
  readonly sharesMachine: boolean;
  readonly grpcHost: string;
  readonly grpcPort: number;
  /** Host under which other nodes come; undefined: the address of this machine. */
  readonly advertisedHost: string | undefined;
  readonly encryption: ClusterEncryption;
  readonly drainGraceMs: number;
  readonly leaseMs: number;
  readonly renewMs: number;
  readonly metricsHost: string;
  readonly metricsPort: number;
  readonly logLevel: LogLevel;
  readonly exitWithParent: boolean;
  readonly json: boolean;
}

/** What an executor process is told by the host that forked it. */
export interface ExecutorConfig {
  readonly stateFolder: string;
  readonly logLevel: LogLevel;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Flags over environment over defaults. Throws `DMG_LIFECYCLE_BAD_SETTING`. */
export async function readConfig(
  args: readonly string[] = process.argv.slice(2),
  environment: Environment = withSettingsFile(process.env),
): Promise<NodeConfig> {
  const { values, positionals } = parse(args);
  const command = values.help === true ? 'help' : (positionals[0] ?? 'start');
  if (command !== 'register' && command !== 'start' && command !== 'status' && command !== 'help') {
    throw bad('command', `${command} is none of register, start and status`, 'See `node --help`.');
  }
  return {
    command,
    stateFolder: values.state ?? environment['DMG_STATE'] ?? defaultStateFolder(environment),
    nodeName: nodeName(values.name ?? environment['DMG_NODE_NAME'] ?? hostname()),
    gatewayKey: await gatewayKey(values['key-file'], environment),
    serviceBus: secret(environment['DMG_SERVICE_BUS']),
    redis: (environment['DMG_REDIS'] ?? '').split(',').flatMap((url) => secret(url.trim()) ?? []),
    sharesMachine: values['share-machine'] ?? environment['DMG_SHARE_MACHINE'] === '1',
    grpcHost: values['grpc-host'] ?? environment['DMG_GRPC_HOST'] ?? '0.0.0.0',
    grpcPort: port('--grpc-port', values['grpc-port'] ?? environment['DMG_GRPC_PORT'] ?? '8060'),
    advertisedHost: values.advertise ?? environment['DMG_ADVERTISE'],
    encryption: encryption(values.encryption ?? environment['DMG_CLUSTER_ENCRYPTION'] ?? 'mtls'),
    drainGraceMs: 1000 * amount('--drain-grace', values['drain-grace'] ?? environment['DMG_DRAIN_GRACE'] ?? '30', 3600),
    leaseMs: amount('DMG_LEASE_MS', environment['DMG_LEASE_MS'] ?? '1000', 60_000),
    renewMs: amount('DMG_LEASE_RENEW_MS', environment['DMG_LEASE_RENEW_MS'] ?? '250', 20_000),
    metricsHost: values['metrics-host'] ?? environment['DMG_METRICS_HOST'] ?? '127.0.0.1',
    metricsPort: port('--metrics-port', values['metrics-port'] ?? environment['DMG_METRICS_PORT'] ?? '9464'),
    logLevel: logLevel(environment['DMG_LOG_LEVEL'] ?? 'info'),
    exitWithParent: environment['DMG_EXIT_WITH_PARENT'] === '1',
    json: values.json === true,
  };
}

/**
 * Executors get what Node and the file system need, the state folder, and none of the host's secrets. `DMG_TEST_MARK` lets a test find
 * every process that came of what it started.
 */
export function executorEnvironment(config: ExecutorConfig, environment: Environment = process.env): Record<string, string> {
  const kept = ['PATH', 'HOME', 'LANG', 'TZ', 'TMPDIR', 'NODE_EXTRA_CA_CERTS', 'HTTPS_PROXY', 'HTTP_PROXY', 'NO_PROXY', 'DMG_TEST_MARK'];
  const given: Record<string, string> = {
    DMG_STATE: config.stateFolder, DMG_LOG_LEVEL: config.logLevel,
    // Halves what the start of an executor costs (0.95 to 0.55 CPU seconds measured); Node writes it whole or not at all.
    NODE_COMPILE_CACHE: environment['NODE_COMPILE_CACHE'] ?? compileCacheFolder(config.stateFolder),
  };
  for (const name of kept) {
    const value = environment[name];
    if (value !== undefined) given[name] = value;
  }
  return given;
}

/** Where Node keeps the code that it has compiled; it finds out by itself what is out of date. */
export function compileCacheFolder(stateFolder: string): string {
  return join(stateFolder, 'compile-cache');
}

/** The other side of `executorEnvironment`. Throws `DMG_LIFECYCLE_BAD_SETTING`. */
export function readExecutorConfig(environment: Environment = process.env): ExecutorConfig {
  const stateFolder = environment['DMG_STATE'];
  if (stateFolder === undefined) throw bad('DMG_STATE', 'it is not set', 'Executors are started by the node; start that.');
  return { stateFolder, logLevel: logLevel(environment['DMG_LOG_LEVEL'] ?? 'info') };
}

const textFlags = [
  'state', 'name', 'key-file', 'metrics-port', 'metrics-host', 'grpc-port', 'grpc-host', 'advertise', 'encryption', 'drain-grace',
] as const;

interface ParsedArgs {
  readonly values: Partial<Record<(typeof textFlags)[number], string>> & {
    readonly json?: boolean; readonly help?: boolean; readonly 'share-machine'?: boolean;
  };
  readonly positionals: readonly string[];
}

function parse(args: readonly string[]): ParsedArgs {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        ...Object.fromEntries(textFlags.map((flag) => [flag, { type: 'string' } as const])),
        json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' }, 'share-machine': { type: 'boolean' },
      },
    });
  } catch (error) {
    throw bad('command line', firstLine(error), 'See `node --help`.');
  }
}

function bad(setting: string, reason: string, remedy: string): Error {
  return lifecycleErrors.BAD_SETTING.create({ setting, reason, remedy });
}

function secret(text: string | undefined): Secret | undefined {
  return text === undefined || text === '' ? undefined : new Secret(text);
}

async function gatewayKey(file: string | undefined, environment: Environment): Promise<Secret | undefined> {
  if (file === undefined) return secret(environment['DMG_GATEWAY_KEY']?.trim());
  try {
    return new Secret((await readFile(file, 'utf8')).trim());
  } catch (error) {
    throw bad('--key-file', `${file} cannot be read (${firstLine(error)})`, 'Give the file in which the gateway key stands.');
  }
}

/** Data Factory's rule for node names is not published; ours is what a host name may be. */
function nodeName(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(text)) return text;
  const remedy = 'Use up to 63 letters, digits, dots, dashes and underscores, the first a letter or digit.';
  throw bad('--name', `${JSON.stringify(text)} is not a name`, remedy);
}

function port(setting: string, text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isInteger(value) && value >= 0 && value <= 65_535) return value;
  throw bad(setting, `${JSON.stringify(text)} is no port`, 'Use a number from 0 (any free one) to 65535.');
}

function amount(setting: string, text: string, max: number): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value >= 0 && value <= max) return value;
  throw bad(setting, `${JSON.stringify(text)} is no amount`, `Use a number from 0 to ${max}.`);
}

function encryption(text: string): ClusterEncryption {
  if (text === 'mtls' || text === 'none') return text;
  throw bad('--encryption', `${JSON.stringify(text)} is no mode`, 'Use mtls, or none for plain text on loopback.');
}

function logLevel(text: string): LogLevel {
  const level = logLevels.find((known) => known === text);
  if (level !== undefined) return level;
  throw bad('DMG_LOG_LEVEL', `${JSON.stringify(text)} is no level`, `Use one of ${logLevels.join(', ')}.`);
}

function defaultStateFolder(environment: Environment): string {
  if (process.getuid?.() === 0) return '/var/lib/dmg/node';
  return join(environment['XDG_STATE_HOME'] ?? join(homedir(), '.local', 'state'), 'dmg', 'node');
}

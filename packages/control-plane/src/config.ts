import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { firstLine, Secret } from '@dmg/base';
import { lifecycleErrors, withSettingsFile } from '@dmg/lifecycle';
import { type LogLevel, logLevels } from '@dmg/telemetry';

export const controlPlaneHelp = `control-plane [options]

  --state DIR           state folder                                        (DMG_STATE)
  --port PORT           port of the REST API and the nodes                  (DMG_CONTROL_PLANE_PORT; default 8443; 0: a free one, kept)
  --host HOST           address to listen on                                (default 127.0.0.1)
  --name NAME           name or address by which nodes and users come; may be repeated; the first stands in gateway keys
  --metrics-port PORT   /metrics, /healthz and /readyz on loopback          (DMG_METRICS_PORT; default: none)
  --resend-after-ms MS  how long nobody must know a job before it is sent again   (DMG_RESEND_AFTER_MS; default 60000)
  From the environment, because they hold secrets: DMG_SERVICE_BUS (connection string), DMG_TOKEN (bearer token of the REST API),
  DMG_MASTER_SECRET (32 bytes, base64url). The last two default to 0600 files in the state folder, made at the first start.
`;

export interface ControlPlaneConfig {
  readonly help: boolean;
  readonly stateFolder: string;
  readonly host: string;
  readonly port: number;
  readonly names: readonly string[];
  readonly metricsPort: number | undefined;
  readonly resendAfterMs: number | undefined;
  readonly serviceBus: Secret;
  readonly token: Secret | undefined;
  readonly masterSecret: Secret | undefined;
  readonly logLevel: LogLevel;
}

type Environment = Readonly<Record<string, string | undefined>>;
interface Flags {
  readonly state?: string;
  readonly port?: string;
  readonly host?: string;
  readonly name?: string[];
  readonly 'metrics-port'?: string;
  readonly 'resend-after-ms'?: string;
  readonly help?: boolean;
}

/** Flags over environment over defaults. Throws `DMG_LIFECYCLE_BAD_SETTING`. */
export function readConfig(
  args: readonly string[] = process.argv.slice(2),
  environment: Environment = withSettingsFile(process.env),
): ControlPlaneConfig {
  const flags = parse(args);
  const metricsPort = flags['metrics-port'] ?? environment['DMG_METRICS_PORT'];
  const resendAfter = flags['resend-after-ms'] ?? environment['DMG_RESEND_AFTER_MS'];
  const serviceBus = secret(environment['DMG_SERVICE_BUS']);
  if (serviceBus === undefined && flags.help !== true) {
    throw bad(
      'DMG_SERVICE_BUS', 'it is not set', 'Set it to the connection string of the Service Bus namespace (or of the local stand-in).',
    );
  }
  return {
    help: flags.help === true,
    stateFolder: flags.state ?? environment['DMG_STATE'] ?? defaultStateFolder(environment),
    host: flags.host ?? '127.0.0.1',
    port: whole('--port', flags.port ?? environment['DMG_CONTROL_PLANE_PORT'] ?? '8443', 0, 65_535),
    names: flags.name ?? [],
    metricsPort: metricsPort === undefined ? undefined : whole('--metrics-port', metricsPort, 0, 65_535),
    resendAfterMs: resendAfter === undefined ? undefined : whole('--resend-after-ms', resendAfter, 100, 86_400_000),
    serviceBus: serviceBus ?? new Secret(''),
    token: secret(environment['DMG_TOKEN']),
    masterSecret: secret(environment['DMG_MASTER_SECRET']),
    logLevel: logLevel(environment['DMG_LOG_LEVEL'] ?? 'info'),
  };
}

/** Whether the end of standard input ends this process. Read apart from the rest, because it also counts when the rest is wrong. */
export function exitsWithParent(environment: Environment = process.env): boolean {
  return environment['DMG_EXIT_WITH_PARENT'] === '1';
}

function parse(args: readonly string[]): Flags {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        state: { type: 'string' }, port: { type: 'string' }, host: { type: 'string' }, name: { type: 'string', multiple: true },
        'metrics-port': { type: 'string' }, 'resend-after-ms': { type: 'string' }, help: { type: 'boolean', short: 'h' },
      },
    });
    return values;
  } catch (error) {
    throw bad('command line', firstLine(error), 'See `control-plane --help`.');
  }
}

function bad(setting: string, reason: string, remedy: string): Error {
  return lifecycleErrors.BAD_SETTING.create({ setting, reason, remedy });
}

function secret(text: string | undefined): Secret | undefined {
  return text === undefined || text.trim() === '' ? undefined : new Secret(text.trim());
}

function whole(setting: string, text: string, minimum: number, maximum: number): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isInteger(value) && value >= minimum && value <= maximum) return value;
  throw bad(setting, `${JSON.stringify(text)} is not a whole number from ${minimum} to ${maximum}`, 'See `control-plane --help`.');
}

function logLevel(text: string): LogLevel {
  const level = logLevels.find((known) => known === text);
  if (level !== undefined) return level;
  throw bad('DMG_LOG_LEVEL', `${JSON.stringify(text)} is no level`, `Use one of ${logLevels.join(', ')}.`);
}

function defaultStateFolder(environment: Environment): string {
  if (process.getuid?.() === 0) return '/var/lib/dmg/control-plane';
  return join(environment['XDG_STATE_HOME'] ?? join(homedir(), '.local', 'state'), 'dmg', 'control-plane');
}

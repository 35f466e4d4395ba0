import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { firstLine, Secret, systemClock } from '@dmg/base';
import { HttpsJsonClient } from '@dmg/https-json';
import { cliErrors } from './errors.ts';
import type { Environment } from './environment.ts';

/** Which control plane, and as whom: from flags, the environment, or the file that `dmg up` leaves. */
export interface ContextFlags {
  readonly endpoint?: string;
  readonly ca?: string;
  readonly tokenFile?: string;
  readonly state?: string;
  readonly factory?: string;
}

/** A node that `dmg up` runs. */
export interface UpNode {
  readonly name: string;
  /** Also the number of its process group, in which its executors are. */
  readonly pid: number;
  /** Address of its metrics. */
  readonly metrics: string;
  /** Its state folder, as `dmg node start --state` takes it. */
  readonly state: string;
}

export interface UpFile {
  readonly endpoint: string;
  /** Path of the CA's PEM file. */
  readonly ca: string;
  readonly token: string;
  readonly subscriptionId: string;
  readonly resourceGroupName: string;
  readonly factoryName: string;
  readonly redis: string;
  readonly serviceBus: string;
  readonly blob: string;
  /** As they are now: the file is written again when one was restarted. */
  readonly nodes: readonly UpNode[];
}

export interface Context {
  readonly client: Pick<HttpsJsonClient, 'endpoint' | 'call' | 'close'>;
  readonly subscriptionId: string;
  readonly resourceGroupName: string;
  readonly factoryName: string;
  /** What `dmg up` runs, when the context came from its file. */
  readonly up: UpFile | undefined;
}

export const defaultFactory = 'local';

/** `/var/lib/dmg` for root, `$XDG_STATE_HOME/dmg` for everybody else. */
export function defaultStateFolder(environment: Environment): string {
  if (environment.DMG_STATE !== undefined) return environment.DMG_STATE;
  if (process.getuid?.() === 0) return '/var/lib/dmg';
  return join(environment.XDG_STATE_HOME ?? join(homedir(), '.local', 'state'), 'dmg');
}

export function upFilePath(stateFolder: string): string {
  return join(stateFolder, 'up.json');
}

export async function readUpFile(stateFolder: string): Promise<UpFile> {
  const file = upFilePath(stateFolder);
  try {
    return JSON.parse(await readFile(file, 'utf8')) as UpFile;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw cliErrors.NO_CONTEXT.create({ file });
    throw cliErrors.BAD_CONTEXT.create({ file, reason: firstLine(error) }, { cause: error });
  }
}

export async function openContext(flags: ContextFlags, environment: Environment): Promise<Context> {
  const endpoint = flags.endpoint ?? environment.DMG_ENDPOINT;
  const up = endpoint === undefined ? await readUpFile(flags.state ?? defaultStateFolder(environment)) : undefined;
  const chosen = endpoint ?? up?.endpoint ?? '';
  if (!isHttps(chosen)) throw cliErrors.INCOMPLETE_CONTEXT.create({ endpoint: chosen, reason: 'it is no https address' });
  const caFile = flags.ca ?? environment.DMG_CA ?? up?.ca;
  if (caFile === undefined) throw cliErrors.INCOMPLETE_CONTEXT.create({ endpoint: chosen, reason: 'its CA is not given' });
  const token = await readToken(flags, environment, up);
  if (token === undefined) throw cliErrors.INCOMPLETE_CONTEXT.create({ endpoint: chosen, reason: 'no token is given' });
  return {
    client: new HttpsJsonClient({
      endpoint: chosen,
      caPem: await readText(caFile),
      token: new Secret(token),
      clock: systemClock,
      callLimitMs: 30_000,
    }),
    subscriptionId: environment.DMG_SUBSCRIPTION ?? up?.subscriptionId ?? '00000000-0000-0000-0000-000000000000',
    resourceGroupName: environment.DMG_RESOURCE_GROUP ?? up?.resourceGroupName ?? 'local',
    factoryName: flags.factory ?? environment.DMG_FACTORY ?? up?.factoryName ?? defaultFactory,
    up,
  };
}

async function readToken(flags: ContextFlags, environment: Environment, up: UpFile | undefined): Promise<string | undefined> {
  if (flags.tokenFile !== undefined) return (await readText(flags.tokenFile)).trim();
  return environment.DMG_TOKEN ?? up?.token;
}

function isHttps(endpoint: string): boolean {
  return URL.parse(endpoint)?.protocol === 'https:';
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw cliErrors.BAD_CONTEXT.create({ file, reason: firstLine(error) }, { cause: error });
  }
}

import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { systemClock, systemRandom } from '@dmg/base';
import { runRoot, type RunningRoot, type SupervisedRoot, superviseRoot } from '@dmg/lifecycle';
import { createLogger } from '@dmg/telemetry';
import { type LocalCloudConfig, type Part, type PortName, portNames, readLocalCloudConfig } from './config.ts';
import { localCloudErrors } from './errors.ts';
import { followFlags } from './output.ts';
import { StateDirectory } from './state-directory.ts';

/**
 * What stands in for Azure on one machine: Redis, the Service Bus stand-in and Azurite, each a process that is started again on the
 * same port and data when it dies, and all gone when this one is.
 */
const name = 'local-cloud';
const config = followFlags(name, readLocalCloudConfig);
const logger = createLogger({ component: name, level: config.logLevel });

type Ports = Record<PortName, number>;

const flagOf: Readonly<Record<PortName, string>> = { redis: 'redis-port', serviceBus: 'service-bus-port', control: 'control-port', blob: 'blob-port' };

/** Ports given by flags, else those of the last start, else free ones; kept, so that addresses hold over restarts. */
async function choosePorts(state: StateDirectory, { ports }: LocalCloudConfig): Promise<Ports> {
  const kept = JSON.parse((await state.read('ports.json')) ?? '{}') as Partial<Ports>;
  const chosen: Ports = { redis: 0, serviceBus: 0, control: 0, blob: 0 };
  for (const part of portNames) {
    const wanted = ports[part] === 0 ? (kept[part] ?? 0) : ports[part];
    chosen[part] = await probePort(part, wanted, Object.values(chosen));
  }
  await state.write('ports.json', JSON.stringify(chosen));
  return chosen;
}

/** The port itself when it is free, another free one for 0. */
async function probePort(part: PortName, port: number, taken: readonly number[]): Promise<number> {
  for (;;) {
    const server = createServer();
    const found = await new Promise<number>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) =>
        reject(localCloudErrors.PORT_TAKEN.create({ port, program: part, reason: error.code ?? error.message, flag: flagOf[part] }, { cause: error })));
      server.listen(port, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
    });
    await new Promise((resolve) => server.close(resolve));
    if (port !== 0 || !taken.includes(found)) return found;
  }
}

function mainOf(part: Part): { main: string; args: string[] } {
  const path = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
  switch (part) {
    case 'redis':
      return { main: path('./program-main.ts'), args: ['redis'] };
    case 'blob':
      return { main: path('./program-main.ts'), args: ['azurite'] };
    case 'service-bus':
      return { main: path('./service-bus/main.ts'), args: [] };
  }
}

const rootName: Readonly<Record<Part, string>> = { redis: 'redis', blob: 'azurite', 'service-bus': 'service-bus-stand-in' };

async function startPart(part: Part, state: StateDirectory, ports: Ports, key: string, signal: AbortSignal): Promise<SupervisedRoot> {
  const { main, args } = mainOf(part);
  const own: Readonly<Record<Part, string[]>> = {
    redis: ['--port', String(ports.redis)],
    blob: ['--port', String(ports.blob)],
    'service-bus': ['--port', String(ports.serviceBus), '--control-port', String(ports.control), '--auto-create', 'dmg-*'],
  };
  return superviseRoot({
    name: rootName[part],
    main,
    args: [...args, '--state', state.file(part), ...own[part]],
    env: { ...config.environment, AZURITE_ACCOUNTS: `${blobAccount}:${key}` },
    clock: systemClock,
    random: () => systemRandom.unit(),
    logger,
    onLog: (line) => process.stderr.write(`${line}\n`),
    signal,
  });
}

async function start(signal: AbortSignal): Promise<RunningRoot> {
  const state = await StateDirectory.open(config.state);
  const ports = await choosePorts(state, config);
  const key = await blobKey(state);
  const started = new Map<Part, SupervisedRoot>();
  const stop = async (): Promise<void> => {
    await Promise.all([...started.values()].map((root) => root.stop()));
    await state.remove('local-cloud.json');
    await state.close();
  };
  // A part that is still on its way when another cannot start is stopped as well.
  const starts = await Promise.allSettled(config.only.map(async (part) => {
    started.set(part, await startPart(part, state, ports, key, signal));
  }));
  const failed = starts.find((result) => result.status === 'rejected');
  if (failed !== undefined) {
    await stop();
    throw failed.reason;
  }
  const describe = (): Record<string, unknown> => describeParts(started, ports, key);
  await state.write('local-cloud.json', JSON.stringify(describe(), undefined, 2));
  for (const root of started.values()) {
    root.onRestart(() => {
      state.write('local-cloud.json', JSON.stringify(describe(), undefined, 2)).catch((error: unknown) => logger.warn({ error }, 'state file could not be updated'));
    });
  }
  return { ready: describe(), stop };
}

/** Where everything is, and the pids of the real programs, not of those that hold them. */
function describeParts(started: ReadonlyMap<Part, SupervisedRoot>, ports: Ports, key: string): Record<string, unknown> {
  const ready = (part: Part): Readonly<Record<string, unknown>> => started.get(part)?.current().ready ?? {};
  const serviceBus = ready('service-bus');
  return {
    ...(started.has('redis') ? { redis: `redis://127.0.0.1:${ports.redis}` } : {}),
    ...(started.has('service-bus') ? { serviceBus: serviceBus['connectionString'], serviceBusControl: serviceBus['control'] } : {}),
    ...(started.has('blob') ? { blob: `DefaultEndpointsProtocol=http;AccountName=${blobAccount};AccountKey=${key};BlobEndpoint=http://127.0.0.1:${ports.blob}/${blobAccount};` } : {}),
    pids: { redis: ready('redis')['pid'], serviceBus: serviceBus['pid'], azurite: ready('blob')['pid'] },
  };
}

/** An account of our own, since Azurite's published one would let any program of this machine in. */
const blobAccount = 'dmglocal';

async function blobKey(state: StateDirectory): Promise<string> {
  const kept = await state.read('blob-key');
  if (kept !== undefined) return kept;
  const key = Buffer.from(systemRandom.bytes(64)).toString('base64');
  await state.write('blob-key', key);
  return key;
}

await runRoot({ name, clock: systemClock, exitWithParent: config.exitWithParent, start });

import { createServer, type Server } from 'node:net';
import { type Clock, firstLine, type Logger, type Random, sleep, systemRandom } from '@dmg/base';
import { type PortName, portNames } from './config.ts';
import { localCloudErrors } from './errors.ts';
import type { StateDirectory } from './state-directory.ts';

export type Ports = Readonly<Record<PortName, number>>;

const fileName = 'ports.json';
const flags: Readonly<Record<PortName, string>> = {
  redis: 'redis-port',
  serviceBus: 'service-bus-port',
  control: 'control-port',
  blob: 'blob-port',
};
/** What a killed predecessor left needs a moment to go. */
const waitLimitMs = 2000;
/**
 * Free ports are looked for here. The kernel gives ports from 32768 on to whoever asks for any (ip(7), ip_local_port_range), so one of
 * those could be another program's before ours listens on it, a second after it was chosen.
 */
const free = { from: 20_000, to: 32_767, tries: 50 };

/**
 * Chooses the ports: those asked for, else those of the last start (clients have them in their configuration), else free ones. Remembers
 * the choice. Throws `PORT_TAKEN` for a port that was asked for.
 */
export async function choosePorts(options: {
  asked: Ports; directory: StateDirectory; clock: Clock; logger: Logger; random?: Random;
}): Promise<Ports> {
  const { asked, directory, clock, logger, random = systemRandom } = options;
  const remembered = await readRemembered(directory);
  const held: Server[] = [];
  const chosen: Record<PortName, number> = { ...asked };
  try {
    for (const name of portNames) {
      const wanted = asked[name] === 0 ? (remembered[name] ?? 0) : asked[name];
      const server = wanted === 0 ? await listenFree(random) : await tryPort(wanted, clock);
      if (server instanceof Error && asked[name] !== 0) {
        const params = { port: wanted, program: name, flag: flags[name], reason: firstLine(server) };
        throw localCloudErrors.PORT_TAKEN.create(params, { cause: server });
      }
      if (server instanceof Error) logger.warn({ name, port: wanted }, 'the port of the last start is taken; another one is used');
      const listening = server instanceof Error ? await listenFree(random) : server;
      held.push(listening);
      chosen[name] = portOf(listening);
    }
  } finally {
    // Held until all are chosen, so that no two are the same.
    await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
  }
  await directory.write(fileName, `${JSON.stringify(chosen)}\n`);
  return chosen;
}

async function readRemembered(directory: StateDirectory): Promise<Partial<Ports>> {
  const text = await directory.read(fileName);
  if (text === undefined) return {};
  try {
    const value = JSON.parse(text) as Record<string, unknown>;
    return Object.fromEntries(portNames.filter((name) => Number.isInteger(value[name])).map((name) => [name, value[name]]));
  } catch {
    // Torn by a crash of an older version or edited: new ports then.
    return {};
  }
}

async function tryPort(port: number, clock: Clock): Promise<Server | Error> {
  const untilMs = clock.monotonicMs() + waitLimitMs;
  for (;;) {
    try {
      return await listen(port);
    } catch (error) {
      if (clock.monotonicMs() >= untilMs) return error instanceof Error ? error : new Error(String(error));
      await sleep(clock, 50);
    }
  }
}

async function listenFree(random: Random): Promise<Server> {
  for (let left = free.tries; left > 0; left--) {
    const port = free.from + Math.floor(random.unit() * (free.to - free.from + 1));
    try {
      return await listen(port);
    } catch {
      // Taken: another one.
    }
  }
  return listen(0);
}

function listen(port: number): Promise<Server> {
  const server = createServer();
  return new Promise((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', () => resolve(server)));
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

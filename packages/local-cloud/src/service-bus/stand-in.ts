import { mkdir } from 'node:fs/promises';
import { type Clock, firstLine, type Logger, type Random, Secret } from '@dmg/base';
import { localCloudErrors } from '../errors.ts';
import { StateDirectory } from '../state-directory.ts';
import { Broker } from './broker.ts';
import { ControlServer } from './control-server.ts';
import { QueueStore } from './queue-store.ts';
import type { QueueSettings } from './queue-types.ts';

export interface StandInOptions {
  readonly state: string;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly controlPort: number;
  readonly queueNames: readonly string[];
  readonly autoCreatePattern: string | undefined;
  readonly settings: QueueSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The journal cannot be written any more: the process must end at once, having answered nothing that is not on disk. */
  readonly onFailure: (error: Error) => void;
}

export interface RunningStandIn {
  readonly connectionString: Secret;
  readonly controlUrl: string;
  stop(): Promise<void>;
}

const keyName = 'RootManageSharedAccessKey';

/** Starts the whole stand-in in this process: journal, AMQP, control port. */
export async function startStandIn(options: StandInOptions): Promise<RunningStandIn> {
  const { host, logger } = options;
  const directory = await StateDirectory.open(options.state);
  const key = new Secret(await readKey(directory, options.random));
  await mkdir(directory.file('queues'), { recursive: true, mode: 0o700 });
  const store = await QueueStore.open({
    ...options,
    directory: directory.file('queues'),
    onFailure: (error) => options.onFailure(localCloudErrors.JOURNAL_FAILED.create({ reason: firstLine(error) }, { cause: error })),
  });
  const broker = new Broker({ ...options, store, keyName, key });
  const control = new ControlServer({ store, broker, logger });
  const asked = { port: options.port, controlPort: options.controlPort };
  const port = await listen('the Service Bus stand-in', 'port', asked.port, () => broker.listen({ host, port: asked.port }));
  const controlPort = await listen('its control port', 'control-port', asked.controlPort, () =>
    control.listen({ host, port: asked.controlPort }),
  );
  broker.pump.pumpAll();
  logger.info({ port, controlPort, queues: store.all().length }, 'service bus stand-in listens');
  const endpoint = `Endpoint=sb://${host}:${port};SharedAccessKeyName=${keyName}`;
  return {
    connectionString: new Secret(`${endpoint};SharedAccessKey=${key.reveal()};UseDevelopmentEmulator=true`),
    controlUrl: `http://${host}:${controlPort}`,
    async stop() {
      await control.close();
      await broker.close();
      await store.close();
      await directory.close();
    },
  };
}

/** The key is made at the first start and stays, so that clients keep their connection string. */
async function readKey(directory: StateDirectory, random: Random): Promise<string> {
  const known = await directory.read('sas-key');
  if (known !== undefined && known.trim() !== '') return known.trim();
  const key = Buffer.from(random.bytes(32)).toString('base64');
  await directory.write('sas-key', `${key}\n`);
  return key;
}

async function listen(program: string, flag: string, port: number, start: () => Promise<number>): Promise<number> {
  try {
    return await start();
  } catch (error) {
    throw localCloudErrors.PORT_TAKEN.create({ program, flag, port, reason: firstLine(error) }, { cause: error });
  }
}

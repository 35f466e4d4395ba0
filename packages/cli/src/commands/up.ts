import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Logger, systemClock, systemRandom } from '@dmg/base';
import { claimFolder, runRoot, type RunningRoot, type SupervisedRoot, superviseRoot } from '@dmg/lifecycle';
import { createLogger, type LogLevel } from '@dmg/telemetry';
import { defaultFactory, defaultStateFolder, openContext, type UpFile, upFilePath } from '../context.ts';
import { createGateway, ensureFactory, gatewayKeys } from '../data-factory.ts';
import { childEnvironment, type Environment } from '../environment.ts';
import { cliErrors } from '../errors.ts';
import { readableLogLine } from '../log-line.ts';

export interface UpFlags {
  readonly nodes: number;
  readonly json: boolean;
  readonly state?: string;
  readonly gateway: string;
  readonly port: number;
  /** What people see of the programs' logs. */
  readonly level: LogLevel;
}

interface NodeLine {
  readonly name: string;
  readonly pid: number;
  readonly metrics: string;
}

/** `dmg up`: the local cloud, the control plane and nodes on this machine, kept alive until a signal. */
export async function up(flags: UpFlags, environment: Environment): Promise<never> {
  const stateFolder = resolve(flags.state ?? defaultStateFolder(environment));
  const { level } = flags;
  const isForPeople = process.stderr.isTTY && !flags.json;
  // Without a terminal every line is passed on as it is.
  const onLog = (line: string): void => {
    const shown = isForPeople ? readableLogLine(line.trimEnd(), level) : line.trimEnd();
    if (shown !== undefined) process.stderr.write(`${shown}\n`);
  };
  const logger = createLogger({ component: 'up', level, write: onLog });
  return runRoot({
    name: 'up',
    clock: systemClock,
    exitWithParent: environment.DMG_EXIT_WITH_PARENT === '1',
    stopLimitMs: 25_000,
    start: (stopRequested) => startAll({ flags, stateFolder, logger, onLog, stopRequested }),
    announce: flags.json || !process.stdout.isTTY ? (ready) => JSON.stringify({ ready: 'up', ...ready }) : describeUp,
  });
}

interface Start {
  readonly flags: UpFlags;
  readonly stateFolder: string;
  readonly logger: Logger;
  /** Takes each line that a child logs. */
  readonly onLog: (line: string) => void;
  readonly stopRequested: AbortSignal;
}

async function startAll({ flags, stateFolder, logger, onLog, stopRequested }: Start): Promise<RunningRoot> {
  await mkdir(stateFolder, { recursive: true, mode: 0o700 });
  if (!(await claimFolder('up', stateFolder))) throw cliErrors.ALREADY_UP_REFUSED.create({ folder: stateFolder });
  const started: SupervisedRoot[] = [];
  const stopAll = async (): Promise<void> => {
    await rm(upFilePath(stateFolder), { force: true });
    // Nodes first, so that they can still report; the local cloud last.
    for (const root of started.toReversed()) await root.stop();
  };
  const start = async (
    name: string,
    args: readonly string[],
    added: Readonly<Record<string, string>>,
    label = name,
  ): Promise<SupervisedRoot> => {
    let isReady = false;
    const root = await superviseRoot({
      name,
      main: fileURLToPath(import.meta.resolve(`@dmg/${name}/main`)),
      args,
      env: childEnvironment(added),
      clock: systemClock,
      random: () => systemRandom.unit(),
      logger: logger.child({ process: label }),
      // What a child says before it gives up is in the error that the failed start throws.
      onLog: (line) => void ((isReady || line.startsWith('{')) && onLog(line)),
      signal: stopRequested,
    });
    isReady = true;
    started.push(root);
    return root;
  };
  try {
    const cloud = (await start('local-cloud', ['--state', join(stateFolder, 'cloud')], {})).current().ready;
    const { redis, serviceBus, blob } = cloud as { redis: string; serviceBus: string; blob: string };
    const controlArgs = ['--state', join(stateFolder, 'control-plane'), '--port', String(flags.port)];
    const control = (await start('control-plane', controlArgs, { DMG_SERVICE_BUS: serviceBus })).current().ready;
    const upFile = await describe(control, { redis, serviceBus, blob });
    await writeUpFile(stateFolder, upFile);
    const nodes = await startNodes(flags, stateFolder, upFile, start);
    return {
      ready: {
        ...upFile,
        nodes: nodes.map(({ root, name }) => nodeLine(name, root)),
        serviceBusControl: cloud['serviceBusControl'],
        pids: { localCloud: started[0]?.current().pid, controlPlane: started[1]?.current().pid },
      },
      stop: stopAll,
    };
  } catch (error) {
    await stopAll();
    throw error;
  }
}

async function startNodes(
  flags: UpFlags,
  stateFolder: string,
  upFile: UpFile,
  start: (name: string, args: readonly string[], added: Readonly<Record<string, string>>, label: string) => Promise<SupervisedRoot>,
): Promise<{ name: string; root: SupervisedRoot }[]> {
  if (flags.nodes === 0) return [];
  const context = await openContext({ state: stateFolder }, {});
  let key: string;
  try {
    await ensureFactory(context);
    await createGateway(context, flags.gateway);
    key = (await gatewayKeys(context, flags.gateway)).authKey1;
  } finally {
    context.client.close();
  }
  const nodes: { name: string; root: SupervisedRoot }[] = [];
  for (let number = 1; number <= flags.nodes; number++) {
    const name = `node-${number}`;
    const added = { DMG_REDIS: upFile.redis, DMG_SERVICE_BUS: upFile.serviceBus, DMG_GATEWAY_KEY: key, DMG_NODE_NAME: name };
    nodes.push({
      name,
      root: await start('node', ['start', '--state', join(stateFolder, 'nodes', name), '--metrics-port', '0'], added, name),
    });
  }
  return nodes;
}

function nodeLine(name: string, root: SupervisedRoot): NodeLine {
  const { pid, ready } = root.current();
  return { name, pid, metrics: String(ready['metrics']) };
}

async function describe(control: Readonly<Record<string, unknown>>, cloud: Pick<UpFile, 'redis' | 'serviceBus' | 'blob'>): Promise<UpFile> {
  const tokenFile = await open(String(control['tokenFile']), 'r');
  try {
    return {
      endpoint: String(control['endpoint']),
      ca: String(control['ca']),
      token: (await tokenFile.readFile('utf8')).trim(),
      subscriptionId: String(control['subscriptionId']),
      resourceGroupName: String(control['resourceGroupName']),
      factoryName: defaultFactory,
      ...cloud,
    };
  } finally {
    await tokenFile.close();
  }
}

/** Holds the token and the queue's key: 0600, and gone when `dmg up` ends. */
async function writeUpFile(stateFolder: string, upFile: UpFile): Promise<void> {
  const path = upFilePath(stateFolder);
  const file = await open(`${path}.new`, 'w', 0o600);
  try {
    await file.writeFile(`${JSON.stringify(upFile, undefined, 2)}\n`);
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
}

function describeUp(ready: Readonly<Record<string, unknown>>): string {
  const nodes = ready['nodes'] as NodeLine[];
  return [
    'Data Management Gateway is up on this machine.',
    `  control plane  ${String(ready['endpoint'])}   (CA: ${String(ready['ca'])})`,
    `  Redis          ${String(ready['redis'])}`,
    `  nodes          ${nodes.length === 0 ? 'none' : nodes.map((node) => `${node.name} (pid ${node.pid}, ${node.metrics})`).join(', ')}`,
    '',
    'In another terminal: dmg gateway status · dmg apply -f FOLDER · dmg run PIPELINE --wait',
    'Ctrl-C stops everything. Warnings of the programs are shown below (DMG_LOG_LEVEL=info shows more).',
  ].join('\n');
}

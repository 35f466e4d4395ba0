import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { firstLine, type Logger, systemClock, systemRandom } from '@dmg/base';
import { claimFolder, runRoot, type RunningRoot, type SupervisedRoot, superviseRoot } from '@dmg/lifecycle';
import { createLogger, type LogLevel } from '@dmg/telemetry';
import { defaultFactory, defaultStateFolder, type UpFile, upFilePath, type UpNode } from '../context.ts';
import { childEnvironment, type Environment } from '../environment.ts';
import { cliErrors } from '../errors.ts';
import { readableLogLine } from '../log-line.ts';
import { describeNodes, startNodes } from '../up-nodes.ts';

export interface UpFlags {
  readonly nodes: number;
  /** False: a node that ends stays ended. */
  readonly restart: boolean;
  readonly json: boolean;
  readonly state?: string;
  readonly gateway: string;
  readonly port: number;
  /** What people see of the programs' logs. */
  readonly level: LogLevel;
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

async function startAll(options: Start): Promise<RunningRoot> {
  const { flags, stateFolder, logger } = options;
  await mkdir(stateFolder, { recursive: true, mode: 0o700 });
  if (!(await claimFolder('up', stateFolder))) throw cliErrors.ALREADY_UP_REFUSED.create({ folder: stateFolder });
  const nodeRoots: SupervisedRoot[] = [];
  const others: SupervisedRoot[] = [];
  const stopAll = async (): Promise<void> => {
    await rm(upFilePath(stateFolder), { force: true });
    // Nodes first, so that they can still report; the local cloud last.
    await Promise.all(nodeRoots.map((root) => root.stop()));
    for (const root of others.toReversed()) await root.stop();
    // A node that was restarted just before may have had it written again.
    await rm(upFilePath(stateFolder), { force: true });
  };
  const startOther = async (name: string, args: readonly string[], env: Readonly<Record<string, string>>): Promise<SupervisedRoot> => {
    const root = await start(options, { name, args, env, label: name, restart: true });
    others.push(root);
    return root;
  };
  try {
    const cloud = await startOther('local-cloud', ['--state', join(stateFolder, 'cloud')], {});
    const { redis, serviceBus, blob, serviceBusControl } = cloud.current().ready as Record<string, string>;
    const controlArgs = ['--state', join(stateFolder, 'control-plane'), '--port', String(flags.port)];
    const control = await startOther('control-plane', controlArgs, { DMG_SERVICE_BUS: String(serviceBus) });
    const where = { redis: String(redis), serviceBus: String(serviceBus), blob: String(blob) };
    const upFile = await describe(control.current().ready, where);
    await writeUpFile(stateFolder, upFile);
    const nodes = await startNodes({
      count: flags.nodes, gateway: flags.gateway, stateFolder, up: upFile,
      start: async ({ name, args, env }) => {
        const root = await start(options, { name: 'node', args, env, label: name, restart: flags.restart });
        nodeRoots.push(root);
        return root;
      },
    });
    const current = (): UpFile => ({ ...upFile, nodes: describeNodes(nodes) });
    await keepUpFile({ stateFolder, nodeRoots, logger, current }, options.stopRequested);
    return {
      ready: {
        ...current(), serviceBusControl,
        pids: { localCloud: cloud.current().pid, controlPlane: control.current().pid },
      },
      stop: stopAll,
    };
  } catch (error) {
    await stopAll();
    throw error;
  }
}

interface ChildPlan {
  /** Of the package whose `main` it is. */
  readonly name: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly label: string;
  readonly restart: boolean;
}

async function start({ logger, onLog, stopRequested }: Start, child: ChildPlan): Promise<SupervisedRoot> {
  const { name, args, env, label, restart } = child;
  let isReady = false;
  const root = await superviseRoot({
    name,
    main: fileURLToPath(import.meta.resolve(`@dmg/${name}/main`)),
    args,
    env: childEnvironment(env),
    clock: systemClock,
    random: () => systemRandom.unit(),
    logger: logger.child({ process: label }),
    // What a child says before it gives up is in the error that the failed start throws.
    onLog: (line) => void ((isReady || line.startsWith('{')) && onLog(line)),
    signal: stopRequested,
    restart,
  });
  isReady = true;
  return root;
}

interface KeptUpFile {
  readonly stateFolder: string;
  readonly nodeRoots: readonly SupervisedRoot[];
  readonly logger: Logger;
  current(): UpFile;
}

/** Writes `up.json` with the nodes, and again whenever one of them is another process. */
async function keepUpFile({ stateFolder, nodeRoots, logger, current }: KeptUpFile, stopRequested: AbortSignal): Promise<void> {
  let written = writeUpFile(stateFolder, current());
  await written;
  for (const root of nodeRoots) {
    root.onRestart(() => {
      if (stopRequested.aborted) return;
      const write = (): Promise<void> => writeUpFile(stateFolder, current());
      // One after another; a disk that is full now is a warning, and the next restart writes again.
      written = written.then(write).catch((error: unknown) => logger.warn({ reason: firstLine(error) }, 'up.json could not be written'));
    });
  }
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
      nodes: [],
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
  const nodes = (ready['nodes'] as UpNode[]).map(({ name, pid, metrics }) => `${name} (pid ${pid}, ${metrics})`);
  return [
    'Data Management Gateway is up on this machine.',
    `  control plane  ${String(ready['endpoint'])}   (CA: ${String(ready['ca'])})`,
    `  Redis          ${String(ready['redis'])}`,
    `  nodes          ${nodes.length === 0 ? 'none' : nodes.join('\n                 ')}`,
    '',
    'In another terminal: dmg top · dmg gateway status · dmg apply -f FOLDER · dmg run PIPELINE --wait',
    'Ctrl-C stops everything. Warnings of the programs are shown below (DMG_LOG_LEVEL=info shows more).',
  ].join('\n');
}

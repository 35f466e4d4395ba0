import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ActivityRun, DataFactoryManagementClient } from '@azure/arm-datafactory';
import { sleep, systemClock } from '@dmg/base';
import { type ChildRoot, startChildRoot } from '@dmg/lifecycle';
import { activityRuns, dataFactoryClient } from './data-factory.ts';
import { datasets, type DemoCopy, demoCopies, gatewayName, linkedServices, pipelines } from './definitions.ts';
import { createLiveTable, type TableRow } from './live-table.ts';
import { readUpLine, type UpLine } from '../harness/up-line.ts';
import { makeSourceData } from './source-data.ts';
import { type Verdict, verifyCopy } from './verify.ts';

export interface DemoOptions {
  readonly folder: string;
  readonly largeBytes: number;
  /** Spoils one sink before it is verified: the demo must then fail. */
  readonly tamper: boolean;
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
  /** Every process that was started, so that the caller can end it. */
  readonly started: ChildRoot[];
}

export interface DemoResult {
  readonly up: UpLine;
  readonly nodeName: string;
  readonly jobs: { submitted: number; succeeded: number; failed: number; lost: number; doubled: number };
  readonly bytes: number;
  readonly verified: boolean;
  readonly problems: readonly string[];
}

interface Submitted {
  readonly copy: DemoCopy;
  readonly runId: string;
}

const factoryName = 'demo-factory';
const nodeName = 'node-1';
const terminal = ['Succeeded', 'Failed', 'Cancelled'];

export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const { say, signal } = options;
  const root = join(options.folder, 'data');
  say(`making source data: the CSV files of vega-datasets and one file of ${Math.round(options.largeBytes / 1e6)} MB`);
  await makeSourceData(root, options.largeBytes);
  signal.throwIfAborted();

  say('starting the local cloud (Redis, Service Bus stand-in, Azurite) and the control plane');
  const up = await startUp(options);
  const client = dataFactoryClient(up);
  say('creating factory, gateway, linked services, datasets and pipelines with @azure/arm-datafactory');
  const key = await createDefinitions(client, up, root);
  say(`registering ${nodeName} with the gateway key`);
  await startNode(options, up, key);

  const submitted = await submit(client, up);
  say(`running ${submitted.length} jobs`);
  const ended = await follow(client, up, submitted, signal);
  if (options.tamper) await tamper(root);
  say('verifying every sink with code that shares nothing with the engine');
  const verdicts: Verdict[] = [];
  for (const { copy } of submitted) {
    signal.throwIfAborted();
    verdicts.push(await verifyCopy(copy, root, up.blob).catch((error: unknown) => unreadable(copy, error)));
  }
  return summarise(up, submitted, ended, verdicts);
}

async function startUp(options: DemoOptions): Promise<UpLine> {
  const child = await startChildRoot({
    name: 'up',
    main: fileURLToPath(import.meta.resolve('@dmg/cli/main')),
    args: ['up', '--nodes', '0', '--json', '--state', join(options.folder, 'state')],
    env: cleanEnvironment({}),
    clock: systemClock,
    readyLimitMs: 60_000,
    onLog: (line) => void appendFile(join(options.folder, 'up.log'), `${line}\n`).catch(() => undefined),
    signal: options.signal,
  });
  options.started.push(child);
  return readUpLine(child.ready);
}

async function startNode(options: DemoOptions, up: UpLine, key: string): Promise<void> {
  const child = await startChildRoot({
    name: 'node',
    main: fileURLToPath(import.meta.resolve('@dmg/node/main')),
    args: ['start', '--state', join(options.folder, 'nodes', nodeName), '--metrics-port', '0'],
    env: cleanEnvironment({ DMG_GATEWAY_KEY: key, DMG_NODE_NAME: nodeName, DMG_REDIS: up.redis, DMG_SERVICE_BUS: up.serviceBus }),
    clock: systemClock,
    onLog: (line) => void appendFile(join(options.folder, `${nodeName}.log`), `${line}\n`).catch(() => undefined),
    signal: options.signal,
  });
  options.started.push(child);
}

/** The caller's environment without its `DMG_*` settings, but for where Redis is and the mark of a test that runs us. */
function cleanEnvironment(added: Record<string, string>): Record<string, string | undefined> {
  const kept = Object.entries(process.env).filter(
    ([name]) => !name.startsWith('DMG_') || name === 'DMG_REDIS_SERVER' || name === 'DMG_TEST_MARK',
  );
  return { ...Object.fromEntries(kept), ...added };
}

/** Everything with the unmodified client; returns a key with which a node may register. */
async function createDefinitions(client: DataFactoryManagementClient, up: UpLine, root: string): Promise<string> {
  const group = up.resourceGroupName;
  await client.factories.createOrUpdate(group, factoryName, { location: 'local' });
  await client.integrationRuntimes.createOrUpdate(group, factoryName, gatewayName, {
    properties: { type: 'SelfHosted', description: 'the demo' },
  });
  for (const [name, body] of Object.entries(linkedServices(root, up.blob)))
    await client.linkedServices.createOrUpdate(group, factoryName, name, body);
  for (const [name, body] of Object.entries(datasets())) await client.datasets.createOrUpdate(group, factoryName, name, body);
  for (const [name, body] of Object.entries(pipelines(demoCopies))) await client.pipelines.createOrUpdate(group, factoryName, name, body);
  const { authKey1 } = await client.integrationRuntimes.listAuthKeys(group, factoryName, gatewayName);
  if (authKey1 === undefined) throw new Error('the control plane gave no gateway key');
  return authKey1;
}

async function submit(client: DataFactoryManagementClient, up: UpLine): Promise<Submitted[]> {
  const submitted: Submitted[] = [];
  for (const pipeline of new Set(demoCopies.map((copy) => copy.pipeline))) {
    const { runId } = await client.pipelines.createRun(up.resourceGroupName, factoryName, pipeline);
    submitted.push(...demoCopies.filter((copy) => copy.pipeline === pipeline).map((copy) => ({ copy, runId })));
  }
  return submitted;
}

/** Shows the table until every run has ended; returns each activity's last state. */
async function follow(
  client: DataFactoryManagementClient,
  up: UpLine,
  submitted: readonly Submitted[],
  signal: AbortSignal,
): Promise<Map<string, ActivityRun[]>> {
  const table = createLiveTable(process.stderr);
  const startedMs = systemClock.monotonicMs();
  const byActivity = new Map<string, ActivityRun[]>();
  const open = new Set(submitted.map(({ runId }) => runId));
  while (open.size > 0) {
    for (const runId of open) {
      const runs = await activityRuns(client, up, factoryName, runId);
      for (const { copy } of submitted.filter((item) => item.runId === runId)) {
        byActivity.set(
          copy.activity,
          runs.filter((run) => run.activityName === copy.activity),
        );
      }
      const { status } = await client.pipelineRuns.get(up.resourceGroupName, factoryName, runId);
      if (terminal.includes(status ?? '')) open.delete(runId);
    }
    table.show({
      nodes: await nodeStates(client, up),
      rows: submitted.map(({ copy }) => tableRow(copy, byActivity.get(copy.activity)?.at(-1))),
      seconds: (systemClock.monotonicMs() - startedMs) / 1000,
    });
    if (open.size > 0) await sleep(systemClock, 300, signal);
  }
  table.end();
  return byActivity;
}

async function nodeStates(client: DataFactoryManagementClient, up: UpLine): Promise<string[]> {
  const status = await client.integrationRuntimes.getStatus(up.resourceGroupName, factoryName, gatewayName);
  const nodes = (status.properties as { nodes?: { nodeName?: string; status?: string }[] }).nodes ?? [];
  return nodes.map((node) => `${node.nodeName ?? '?'} ${node.status ?? '?'}`);
}

function tableRow(copy: DemoCopy, run: ActivityRun | undefined): TableRow {
  const output = (run?.output ?? {}) as { dataWritten?: number; progress?: { bytesTotal?: number }; effectiveIntegrationRuntime?: string };
  return {
    activity: copy.activity,
    node: /\((.*)\)/.exec(output.effectiveIntegrationRuntime ?? '')?.[1] ?? '',
    state: run?.status ?? 'Queued',
    bytes: output.dataWritten ?? 0,
    bytesTotal: output.progress?.bytesTotal ?? 0,
    seconds: (run?.durationInMs ?? 0) / 1000,
  };
}

/** One byte of one copied file becomes another. */
async function tamper(root: string): Promise<void> {
  const victim = join(root, 'out/csv/airports.psv');
  const bytes = await readFile(victim);
  const middle = Math.floor(bytes.length / 2);
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  await writeFile(victim, bytes);
}

function unreadable(copy: DemoCopy, error: unknown): Verdict {
  const reason = error instanceof Error ? error.message : String(error);
  return { activity: copy.activity, lost: 1, doubled: 0, bytes: 0, problems: [`the sink cannot be read: ${reason}`] };
}

function summarise(
  up: UpLine,
  submitted: readonly Submitted[],
  ended: Map<string, ActivityRun[]>,
  verdicts: readonly Verdict[],
): DemoResult {
  const runsOf = (copy: DemoCopy): ActivityRun[] => ended.get(copy.activity) ?? [];
  const succeeded = submitted.filter(({ copy }) => runsOf(copy).some((run) => run.status === 'Succeeded'));
  const failed = submitted.filter(
    ({ copy }) => !succeeded.some((item) => item.copy === copy) && runsOf(copy).some((run) => terminal.includes(run.status ?? '')),
  );
  const endedTwice = submitted.filter(({ copy }) => runsOf(copy).filter((run) => run.status === 'Succeeded').length > 1);
  const neverEnded = submitted.filter(({ copy }) => !runsOf(copy).some((run) => terminal.includes(run.status ?? '')));
  const lost = new Set([
    ...neverEnded.map(({ copy }) => copy.activity),
    ...verdicts.filter((verdict) => verdict.lost > 0).map((verdict) => verdict.activity),
  ]);
  const doubled = new Set([
    ...endedTwice.map(({ copy }) => copy.activity),
    ...verdicts.filter((verdict) => verdict.doubled > 0).map((verdict) => verdict.activity),
  ]);
  const errors = failed.flatMap(({ copy }) => runsOf(copy).map((run) => `${copy.activity}: ${run.status ?? ''} ${errorText(run)}`));
  const problems = [
    ...errors,
    ...verdicts.flatMap((verdict) => verdict.problems.slice(0, 3).map((problem) => `${verdict.activity}: ${problem}`)),
  ];
  return {
    up,
    nodeName,
    jobs: { submitted: submitted.length, succeeded: succeeded.length, failed: failed.length, lost: lost.size, doubled: doubled.size },
    bytes: verdicts.reduce((sum, verdict) => sum + verdict.bytes, 0),
    verified: problems.length === 0 && succeeded.length === submitted.length && lost.size === 0 && doubled.size === 0,
    problems,
  };
}

function errorText(run: ActivityRun): string {
  const error = (run.error ?? {}) as { errorCode?: string; message?: string };
  return `${error.errorCode ?? ''} ${error.message ?? ''}`.trim();
}

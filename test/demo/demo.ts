import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ActivityRun, DataFactoryManagementClient } from '@azure/arm-datafactory';
import { sleep, systemClock } from '@dmg/base';
import { startChildRoot } from '@dmg/lifecycle';
import { activityRuns, dataFactoryClient } from './data-factory.ts';
import { datasets, type DemoCopy, demoCopies, gatewayName, linkedServices, partNames, pipelines } from './definitions.ts';
import { Lineitem } from './lineitem.ts';
import { tableCopies, tableDatasets, tableLinkedServices, tablePipelines } from './table-definitions.ts';
import { type DemoNodes, startNodes } from './demo-nodes.ts';
import { drainRequest, type Failover, FailoverAct, type NodePicture } from './failover-act.ts';
import { createLiveTable, type LiveTable, type TableRow } from './live-table.ts';
import type { CleanupContext } from '../harness/cleanup.ts';
import { Rest } from '../harness/rest.ts';
import { readUpLine, type UpLine } from '../harness/up-line.ts';
import { makeSourceData } from './source-data.ts';
import { type Verdict, verifyCopy } from './verify.ts';

export interface DemoOptions {
  readonly folder: string;
  readonly nodes: number;
  readonly largeBytes: number;
  /** Of the table that is copied. */
  readonly tableRows: number;
  /** Spoils two sinks, a file and a table, before they are verified: the demo must then fail. */
  readonly tamper: boolean;
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
  /** Every process that was started, so that the caller can end it. */
  readonly started: { stop(limitMs?: number): Promise<void> }[];
  /** What ends after the processes. */
  readonly context: CleanupContext;
}

export interface DemoResult {
  readonly up: UpLine;
  readonly nodes: readonly string[];
  /** A client's connection string, for `--keep`. */
  readonly postgres: string;
  /** Undefined: there was one node, and nobody to take over. */
  readonly failover: Failover | undefined;
  readonly jobs: { submitted: number; succeeded: number; failed: number; lost: number; doubled: number };
  readonly bytes: number;
  readonly verified: boolean;
  readonly problems: readonly string[];
}

/** A copy as it is followed: of files, or of tables. */
interface DemoJob {
  readonly pipeline: string;
  readonly activity: string;
  /** Its source is a table that moves, of which it must have seen one moment. */
  readonly isOfOneMoment: boolean;
}

interface Submitted {
  readonly copy: DemoJob;
  readonly runId: string;
}

const factoryName = 'demo-factory';
const terminal = ['Succeeded', 'Failed', 'Cancelled'];
/** What is left to be seen of the nodes when the last copy has ended. */
const actLimitMs = 40_000;

export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const { say, signal } = options;
  const filling = Lineitem.open(options.context, options.tableRows, signal);
  try {
    return await runWith(options, filling);
  } catch (error) {
    // A server that is just being made would be left behind.
    await filling.catch(() => undefined);
    throw error;
  } finally {
    await filling.then((lineitem) => lineitem.stopMoving()).catch((error: unknown) => say(`lineitem: ${String(error)}`));
  }
}

async function runWith(options: DemoOptions, filling: Promise<Lineitem>): Promise<DemoResult> {
  const { say, signal } = options;
  filling.catch(() => undefined); // Told when it is needed.
  const root = join(options.folder, 'data');
  say(`making source data: the CSV files of vega-datasets, one file of ${Math.round(options.largeBytes / 1e6)} MB, and a PostgreSQL`
    + ` with ${options.tableRows} rows of lineitem`);
  await makeSourceData(root, options.largeBytes, partNames(options.nodes));
  signal.throwIfAborted();

  say('starting the local cloud (Redis, Service Bus stand-in, Azurite) and the control plane');
  const up = await startUp(options);
  const client = dataFactoryClient(up);
  const lineitem = await filling;
  say(`lineitem has ${lineitem.rows} rows`);
  say('creating factory, gateway, linked services, datasets and pipelines with @azure/arm-datafactory');
  const copies = demoCopies(options.nodes);
  const gatewayKey = await createDefinitions(client, up, { root, copies, lineitem });
  say(`registering ${options.nodes === 1 ? 'node-1' : `node-1 to node-${options.nodes}`} with the gateway key`);
  const { folder, nodes: count, started } = options;
  const environment = cleanEnvironment();
  const nodes = await startNodes({ count, folder, up, gatewayKey, signal, environment, started: (node) => void started.push(node) });

  // The tables first: they are under way when the dispatcher is killed.
  lineitem.startMoving();
  const submitted = await submit(client, up, [
    ...tableCopies.map((copy) => ({ ...copy, isOfOneMoment: copy.from.kind === 'table' })),
    ...copies.map((copy) => ({ ...copy, isOfOneMoment: false })),
  ]);
  const where = nodes.names.length === 1 ? 'one node' : `${nodes.names.length} nodes`;
  say(`running ${submitted.length} jobs on ${where}; lineitem is updated, vacuumed and extended meanwhile`);
  const { ended, act } = await follow({ client, up, submitted, nodes, lineitem, say, signal });
  say(`${await lineitem.stopMoving()} transactions have changed lineitem meanwhile`);
  if (options.tamper) {
    await tamper(root);
    await lineitem.tamper();
  }
  say('verifying every sink with code that shares nothing with the engine');
  // The server judges the tables meanwhile.
  const ofTables = lineitem.verify(up.blob, say).catch((error: unknown) => new Map(
    tableCopies.map((copy) => [copy.activity, unreadable(copy, error)])));
  const verdicts: Verdict[] = [];
  for (const copy of copies) {
    signal.throwIfAborted();
    verdicts.push(await verifyCopy(copy, root, up.blob).catch((error: unknown) => unreadable(copy, error)));
  }
  verdicts.push(...(await ofTables).values());
  return summarise({ up, nodes: nodes.names, postgres: lineitem.url, submitted, ended, verdicts, act });
}

async function startUp(options: DemoOptions): Promise<UpLine> {
  const child = await startChildRoot({
    name: 'up',
    main: fileURLToPath(import.meta.resolve('@dmg/cli/main')),
    args: ['up', '--nodes', '0', '--json', '--state', join(options.folder, 'state')],
    env: cleanEnvironment(),
    clock: systemClock,
    readyLimitMs: 60_000,
    onLog: (line) => void appendFile(join(options.folder, 'up.log'), `${line}\n`).catch(() => undefined),
    signal: options.signal,
  });
  options.started.push(child);
  return readUpLine(child.ready);
}

/** The caller's environment without its `DMG_*` settings, but for where Redis is and the mark of a test that runs us. */
function cleanEnvironment(): Record<string, string | undefined> {
  const kept = Object.entries(process.env).filter(
    ([name]) => !name.startsWith('DMG_') || name === 'DMG_REDIS_SERVER' || name === 'DMG_TEST_MARK',
  );
  return Object.fromEntries(kept);
}

/** Everything with the unmodified client; returns a key with which a node may register. */
async function createDefinitions(
  client: DataFactoryManagementClient, up: UpLine, what: { root: string; copies: readonly DemoCopy[]; lineitem: Lineitem },
): Promise<string> {
  const { root, copies, lineitem: { server } } = what;
  const group = up.resourceGroupName;
  await client.factories.createOrUpdate(group, factoryName, { location: 'local' });
  await client.integrationRuntimes.createOrUpdate(group, factoryName, gatewayName, {
    properties: { type: 'SelfHosted', description: 'the demo' },
  });
  for (const [name, body] of Object.entries({ ...linkedServices(root, up.blob), ...tableLinkedServices(server) }))
    await client.linkedServices.createOrUpdate(group, factoryName, name, body);
  for (const [name, body] of Object.entries({ ...datasets(), ...tableDatasets() }))
    await client.datasets.createOrUpdate(group, factoryName, name, body);
  for (const [name, body] of Object.entries({ ...pipelines(copies), ...tablePipelines() }))
    await client.pipelines.createOrUpdate(group, factoryName, name, body);
  const { authKey1 } = await client.integrationRuntimes.listAuthKeys(group, factoryName, gatewayName);
  if (authKey1 === undefined) throw new Error('the control plane gave no gateway key');
  return authKey1;
}

async function submit(client: DataFactoryManagementClient, up: UpLine, copies: readonly DemoJob[]): Promise<Submitted[]> {
  const submitted: Submitted[] = [];
  for (const pipeline of new Set(copies.map((copy) => copy.pipeline))) {
    const { runId } = await client.pipelines.createRun(up.resourceGroupName, factoryName, pipeline);
    submitted.push(...copies.filter((copy) => copy.pipeline === pipeline).map((copy) => ({ copy, runId })));
  }
  return submitted;
}

interface Following {
  readonly client: DataFactoryManagementClient;
  readonly up: UpLine;
  readonly submitted: readonly Submitted[];
  readonly nodes: DemoNodes;
  readonly lineitem: Lineitem;
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
}

interface Followed {
  /** Each activity's runs, the last state of each. */
  readonly ended: Map<string, ActivityRun[]>;
  /** What was seen of the nodes; undefined when there is but one. */
  readonly act: FailoverAct | undefined;
}

/** Shows the table, and what happens to the nodes, until every run has ended and all of it has been seen. */
async function follow({ client, up, submitted, nodes, lineitem, say, signal }: Following): Promise<Followed> {
  const table = createLiveTable(process.stderr);
  const rest = new Rest(up, factoryName);
  const act = nodes.names.length === 1 ? undefined : createAct(nodes, rest, table, { lineitem, say });
  const startedMs = systemClock.monotonicMs();
  const ended = new Map<string, ActivityRun[]>();
  const open = new Set(submitted.map(({ runId }) => runId));
  let actUntilMs = Infinity;
  try {
    for (;;) {
      await readRuns(client, up, submitted, open, ended);
      const states = await nodeStates(client, up);
      const rows = submitted.map(({ copy }) => tableRow(copy, ended.get(copy.activity)?.at(-1)));
      const seconds = (systemClock.monotonicMs() - startedMs) / 1000;
      table.show({ nodes: states.map(({ name, status, isDispatcher }) => `${name} ${status}${isDispatcher ? '*' : ''}`), rows, seconds });
      await act?.see(states, rows, open.size === 0);
      if (open.size === 0) {
        if (act === undefined || act.isOver) break;
        actUntilMs = Math.min(actUntilMs, systemClock.monotonicMs() + actLimitMs);
        if (systemClock.monotonicMs() > actUntilMs) {
          act.problems.push(`waited ${actLimitMs / 1000} s in vain for ${act.awaited}`);
          break;
        }
      }
      await sleep(systemClock, 300, signal);
    }
  } finally {
    rest.close();
  }
  table.end();
  return { ended, act };
}

function createAct(nodes: DemoNodes, rest: Rest, table: LiveTable, { lineitem, say }: Pick<Following, 'lineitem' | 'say'>): FailoverAct {
  return new FailoverAct({
    nodes,
    say: (text) => {
      // What is said stays; the table goes on below it.
      table.end();
      say(text);
    },
    drain: async (node) => void (await rest.call('POST', `/integrationRuntimes/${gatewayName}/nodes/${node}/drain`, drainRequest)),
    mayInterrupt: (node, copies) => lineitem.mayInterrupt(node, copies),
  });
}

/** Reads the runs that are open and forgets those that have ended. */
async function readRuns(
  client: DataFactoryManagementClient,
  up: UpLine,
  submitted: readonly Submitted[],
  open: Set<string>,
  byActivity: Map<string, ActivityRun[]>,
): Promise<void> {
  for (const runId of open) {
    // Before its activities: read after them, it may have ended since, with states that nobody would read again.
    const { status } = await client.pipelineRuns.get(up.resourceGroupName, factoryName, runId);
    const runs = await activityRuns(client, up, factoryName, runId);
    for (const { copy } of submitted.filter((item) => item.runId === runId)) {
      byActivity.set(
        copy.activity,
        runs.filter((run) => run.activityName === copy.activity),
      );
    }
    if (terminal.includes(status ?? '')) open.delete(runId);
  }
}

/** Nodes as the unmodified client tells them, with what our control plane adds to its answers. */
async function nodeStates(client: DataFactoryManagementClient, up: UpLine): Promise<NodePicture[]> {
  const [status, monitoring] = await Promise.all([
    client.integrationRuntimes.getStatus(up.resourceGroupName, factoryName, gatewayName),
    client.integrationRuntimes.getMonitoringData(up.resourceGroupName, factoryName, gatewayName),
  ]);
  type ClientNode = NonNullable<typeof monitoring.nodes>[number] & {
    readonly status?: string; readonly isActiveDispatcher?: boolean; readonly evidence?: string;
  };
  const nodes = (status.properties as { nodes?: ClientNode[] }).nodes ?? [];
  return nodes.map(({ nodeName: name = '?', status: state = '?', isActiveDispatcher = false, evidence = '' }) => ({
    name, status: state, evidence, isDispatcher: isActiveDispatcher,
    running: monitoring.nodes?.find(({ nodeName }) => nodeName === name)?.concurrentJobsRunning,
  }));
}

function tableRow(copy: DemoJob, run: ActivityRun | undefined): TableRow {
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

function unreadable(copy: Pick<DemoJob, 'activity'>, error: unknown): Verdict {
  const reason = error instanceof Error ? error.message : String(error);
  return { activity: copy.activity, lost: 1, doubled: 0, bytes: 0, problems: [`the sink cannot be read: ${reason}`] };
}

interface Seen extends Followed {
  readonly up: UpLine;
  readonly postgres: string;
  readonly nodes: readonly string[];
  readonly submitted: readonly Submitted[];
  readonly verdicts: readonly Verdict[];
}

function summarise({ up, postgres, nodes, submitted, ended, verdicts, act }: Seen): DemoResult {
  const runsOf = (copy: DemoJob): ActivityRun[] => ended.get(copy.activity) ?? [];
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
  const torn = succeeded.filter(({ copy }) => copy.isOfOneMoment && !runsOf(copy).some((run) => consistencyOf(run) === 'snapshot'));
  const problems = [
    ...errors,
    ...torn.map(({ copy }) => `${copy.activity}: its receipt does not say snapshot`),
    ...(act?.problems ?? []),
    ...verdicts.flatMap((verdict) => verdict.problems.slice(0, 3).map((problem) => `${verdict.activity}: ${problem}`)),
  ];
  return {
    up,
    postgres,
    nodes,
    failover: act?.failover,
    jobs: { submitted: submitted.length, succeeded: succeeded.length, failed: failed.length, lost: lost.size, doubled: doubled.size },
    bytes: verdicts.reduce((sum, verdict) => sum + verdict.bytes, 0),
    verified: problems.length === 0 && succeeded.length === submitted.length && lost.size === 0 && doubled.size === 0,
    problems,
  };
}

function consistencyOf({ output }: ActivityRun): string | undefined {
  return (output as { receipt?: { consistency?: string } } | undefined)?.receipt?.consistency;
}

function errorText(run: ActivityRun): string {
  const error = (run.error ?? {}) as { errorCode?: string; message?: string };
  return `${error.errorCode ?? ''} ${error.message ?? ''}`.trim();
}

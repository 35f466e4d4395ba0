import { readFileSync } from 'node:fs';
import { type LogLevel, logLevels } from '@dmg/telemetry';
import { asDmgError } from '@dmg/base';
import { exitCodeFor, exitCodes, lifecycleErrors } from '@dmg/lifecycle';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { apply } from './commands/apply.ts';
import * as gateway from './commands/gateway.ts';
import * as gatewayNodes from './commands/gateway-nodes.ts';
import { node, type NodeFlags } from './commands/node.ts';
import { showReceipts, verifyReceipts } from './commands/receipt.ts';
import { cancel, run, runs } from './commands/runs.ts';
import { top } from './commands/top.ts';
import { up } from './commands/up.ts';
import { type Context, type ContextFlags, openContext } from './context.ts';
import { type Environment, readEnvironment } from './environment.ts';
import { cliErrors } from './errors.ts';
import { createOutput, type Output } from './output.ts';

let environment: Environment = {};
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };

/** Also when the command line cannot be understood. */
const isJsonAsked = process.argv.includes('--json');

const program = new Command('dmg')
  .description('Data Management Gateway: moves data between private networks and the cloud.')
  .version(version)
  .option('--json', 'results as JSON (also when standard output is no terminal)', false)
  .option('--endpoint <url>', 'control plane (DMG_ENDPOINT; default: the one that `dmg up` runs)')
  .option('--ca <file>', "the control plane's CA (DMG_CA)")
  .option('--token-file <file>', 'file with the bearer token (or DMG_TOKEN)')
  .option('--factory <name>', 'factory (DMG_FACTORY; default: local)')
  .option('--state <folder>', 'state folder (DMG_STATE; default: /var/lib/dmg, or $XDG_STATE_HOME/dmg for a user)')
  .exitOverride()
  // Said below, where it is known whether as JSON.
  .configureOutput({ outputError: () => undefined, writeErr: (text) => void (isJsonAsked || process.stderr.write(text)) })
  .configureHelp({ showGlobalOptions: true })
  .addHelpText('after', '\nExit codes: 0 ok, 1 failed, 2 usage, 3 unreachable, 4 refused.');

interface GlobalFlags extends ContextFlags {
  readonly json: boolean;
}

const globals = (): GlobalFlags => program.opts<GlobalFlags>();
const outputOf = (): Output => createOutput({ json: globals().json || isJsonAsked });

function logLevel(): LogLevel {
  const level = environment.DMG_LOG_LEVEL ?? 'warn';
  if ((logLevels as readonly string[]).includes(level)) return level as LogLevel;
  throw lifecycleErrors.BAD_SETTING.create({
    setting: 'DMG_LOG_LEVEL',
    reason: `there is no level ${level}`,
    remedy: `Use one of ${logLevels.join(', ')}.`,
  });
}

/** Runs a command that talks to the control plane and closes the connection after it. */
async function withContext(work: (context: Context, output: Output) => Promise<void | number>): Promise<void> {
  const output = outputOf();
  const context = await openContext(globals(), environment);
  try {
    process.exitCode = (await work(context, output)) ?? exitCodes.ok;
  } finally {
    context.client.close();
  }
}

function wholeNumber(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < minimum || value > maximum) {
      throw new InvalidArgumentError(`a whole number from ${minimum} to ${maximum} is needed.`);
    }
    return value;
  };
}

function parameter(text: string, collected: Record<string, unknown>): Record<string, unknown> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('NAME=VALUE is needed.');
  const value = text.slice(at + 1);
  return { ...collected, [text.slice(0, at)]: asJson(value) };
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text; // Plain text needs no quotes on the command line.
  }
}

program
  .command('up')
  .description('run the local cloud, the control plane and nodes on this machine until Ctrl-C')
  .option('--nodes <n>', 'nodes to run, from 0 to 4', wholeNumber(0, 4), 1)
  .option('--gateway <name>', 'gateway that the nodes register with', 'local')
  .option('--port <port>', 'port of the control plane; 0 is any free one', wholeNumber(0, 65_535), 0)
  .option('--no-restart', 'leave a node that ends as it is: `dmg node start --state FOLDER/nodes/NAME` starts it again')
  .action(async (flags: { nodes: number; gateway: string; port: number; restart: boolean }) => {
    const { json, state } = globals();
    const level = logLevel();
    await up({ ...flags, json, level, ...(state === undefined ? {} : { state }) }, environment);
  });

program
  .command('apply')
  .description('create or update linked services, datasets, pipelines and gateways from Data Factory JSON')
  .requiredOption('-f, --file <path...>', 'files or folders')
  .action((flags: { file: string[] }) => withContext((context, output) => apply(flags.file, context, output)));

program
  .command('run <pipeline>')
  .description('run a pipeline')
  .option('--wait', 'follow it to its end; the exit code is 1 unless it succeeded', false)
  .option('-p, --param <name=value>', 'parameter; may be repeated', parameter, {})
  .action((pipeline: string, flags: { wait: boolean; param: Record<string, unknown> }) =>
    withContext((context, output) => {
      const stop = new AbortController();
      // `on`, not `once`: under another Node, Ctrl-C arrives twice, and the second must not end the process unheard.
      process.on('SIGINT', () => stop.abort());
      return run(pipeline, { wait: flags.wait, parameters: flags.param }, context, output, stop.signal);
    }),
  );

program
  .command('runs [run]')
  .description('list runs, or show one with its activities')
  .option('--hours <n>', 'how far back', wholeNumber(1, 24 * 45), 24)
  .action((runId: string | undefined, flags: { hours: number }) =>
    withContext((context, output) => runs(runId, flags.hours, context, output)),
  );

program
  .command('cancel <run>')
  .description('cancel a run')
  .action((runId: string) => withContext((context, output) => cancel(runId, context, output)));

const receiptCommand = program.command('receipt').description('what finished copies say of themselves');
receiptCommand
  .command('show <run>')
  .description('the receipts of a run, one for each copy that succeeded')
  .action((runId: string) => withContext((context, output) => showReceipts(runId, context, output)));
receiptCommand
  .command('verify <file>')
  .description('check saved receipts: digest, shape, sums; exit code 0 when all hold, 1 when one does not, 2 when there is none')
  .option('--reread <folder>', 'read the files of the sink again below this folder, as they stand on this machine, and compare')
  .action(async (file: string, flags: { reread?: string }) => {
    process.exitCode = await verifyReceipts(file, flags.reread, outputOf());
  });

const gatewayCommand = program.command('gateway').description('logical gateways (integration runtimes)');
gatewayCommand
  .command('create <name>')
  .option('--description <text>')
  .description('create a gateway')
  .action((name: string, flags: { description?: string }) =>
    withContext((context, output) => gateway.create(name, flags.description, context, output)),
  );
gatewayCommand
  .command('list')
  .description('list gateways')
  .action(() => withContext(gateway.list));
gatewayCommand
  .command('status [name]')
  .description('a gateway and its nodes')
  .action((name: string | undefined) => withContext((context, output) => gateway.status(name, context, output)));
gatewayCommand
  .command('keys [name]')
  .description('the two keys with which nodes register')
  .action((name: string | undefined) => withContext((context, output) => gateway.keys(name, context, output)));
gatewayCommand
  .command('regenerate-key <name> <key>')
  .description('make authKey1 or authKey2 new')
  .action((name: string, key: string) => withContext((context, output) => gateway.regenerateKey(name, key, context, output)));
gatewayCommand
  .command('delete <name>')
  .description('delete a gateway')
  .action((name: string) => withContext((context, output) => gateway.remove(name, context, output)));

program
  .command('top [gateway]')
  .description('nodes and running jobs, live; q or Ctrl-C ends it')
  .option('--once', 'show one picture and end', false)
  .action((name: string | undefined, flags: { once: boolean }) =>
    withContext((context, output) => top({ gateway: name, once: flags.once }, context, output, stopOnSignal())),
  );

const nodeCommand = program.command('node').description('the node on this machine, and the nodes of a gateway');
for (const [action, description] of [
  ['register', 'register this machine with a gateway key (DMG_GATEWAY_KEY or --key-file)'],
  ['start', 'run the node until a signal; registers first when a key is given'],
  ['status', 'what this node is and how it is'],
] as const) {
  nodeCommand
    .command(action)
    .description(description)
    .option('--name <name>', 'name of the node (DMG_NODE_NAME; default: the host name); it cannot be changed later')
    .option('--key-file <file>', 'file with the gateway key')
    .option('--metrics-port <port>', 'port of /metrics, /healthz and /readyz; 0 is any free one')
    .option('--grpc-port <port>', 'port at which other nodes reach this one (DMG_GRPC_PORT); 0 is any free one')
    .option('--share-machine', 'another node of the gateway may run on this machine (DMG_SHARE_MACHINE=1)')
    .action(async (flags: Omit<NodeFlags, 'level'>) => {
      const { state, json } = globals();
      process.exitCode = await node(action, { ...flags, json, level: logLevel(), ...(state === undefined ? {} : { state }) }, environment);
    });
}

addNodesOfGateway();

function addNodesOfGateway(): void {
  interface GatewayFlag {
    readonly gateway?: string;
  }
  const ofGateway = (command: Command): Command => command.option('--gateway <name>', 'gateway that it belongs to (default: the only one)');
  const choice = (node: string, { gateway: name }: GatewayFlag): gatewayNodes.NodeChoice => ({
    node, ...(name === undefined ? {} : { gateway: name }),
  });
  ofGateway(nodeCommand.command('list'))
    .description('the nodes of a gateway')
    .action((flags: GatewayFlag) => withContext((context, output) => gatewayNodes.listNodes(flags.gateway, context, output)));
  ofGateway(nodeCommand.command('set-limit <node>').argument('<n>', 'jobs at once', wholeNumber(1, 1000)))
    .description('how many jobs a node runs at once; in force within a second, and nothing that runs is ended')
    .action((name: string, limit: number, flags: GatewayFlag) =>
      withContext((context, output) => gatewayNodes.setLimit(choice(name, flags), limit, context, output)),
    );
  ofGateway(nodeCommand.command('drain <node>'))
    .description('let a node take no jobs until it is resumed')
    .option('--grace <seconds>', 'what runs may finish for so long; then others take it over', wholeNumber(0, 86_400), 30)
    .option('--wait', 'come back when nothing runs on it any more', false)
    .action((name: string, flags: GatewayFlag & { grace: number; wait: boolean }) => {
      const how = { graceSeconds: flags.grace, wait: flags.wait };
      return withContext((context, output) => gatewayNodes.drain(choice(name, flags), how, context, output, stopOnSignal().signal));
    });
  ofGateway(nodeCommand.command('resume <node>'))
    .description('let a drained node take jobs again')
    .action((name: string, flags: GatewayFlag) =>
      withContext((context, output) => gatewayNodes.resume(choice(name, flags), context, output)),
    );
  ofGateway(nodeCommand.command('delete <node>'))
    .description('take a node out of its gateway')
    .option('--force', 'also when it is alive: it is cut off at once, and others take over what it runs', false)
    .action((name: string, flags: GatewayFlag & { force: boolean }) =>
      withContext((context, output) => gatewayNodes.remove(choice(name, flags), flags.force, context, output)),
    );
}

/** Aborted by Ctrl-C, by SIGTERM, and when nobody reads what we write any more. */
function stopOnSignal(): AbortController {
  const stop = new AbortController();
  // `on`, not `once`: under another Node, Ctrl-C arrives twice, and the second must not end the process unheard.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort());
  process.stdout.on('error', () => stop.abort());
  return stop;
}

// Whoever reads may have read enough (`dmg runs | head`): what is left to say is said to nobody, and the work goes on.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

try {
  environment = readEnvironment();
  await program.parseAsync();
} catch (error) {
  process.exitCode = endOf(error);
}

function endOf(error: unknown): number {
  if (!(error instanceof CommanderError)) {
    outputOf().error(error);
    const known = asDmgError(error);
    const ordinary = exitCodeFor(known);
    return known.code.startsWith('DMG_CLI_') && ordinary === exitCodes.failed ? exitCodes.usage : ordinary;
  }
  if (error.exitCode === 0) return exitCodes.ok;
  // Help that is shown because a command is missing is all that needs to be said, unless nobody saw it.
  if (error.code !== 'commander.help' || isJsonAsked) outputOf().error(cliErrors.USAGE.create({ reason: reasonOf(error) }));
  return exitCodes.usage;
}

function reasonOf(error: CommanderError): string {
  return error.code === 'commander.help'
    ? 'a command is missing'
    : error.message
        .replace(/^error: /, '')
        .replaceAll('\n', ' ')
        .replace(/\.$/, '');
}

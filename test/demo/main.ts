import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { describeError } from '@dmg/lifecycle';
import { CleanupScope } from '../harness/cleanup.ts';
import { type DemoResult, runDemo } from './demo.ts';

const help = `npm run demo -- [options]

Starts a local cloud, a PostgreSQL, the control plane and four nodes on this machine, copies real files with them, kills the dispatcher
meanwhile (the whole process group, with SIGKILL), copies a table that is updated, vacuumed and extended all the while, and verifies every
sink.

  --nodes N     from 1 to 4 (default 4); with one nothing is killed
  --json        the last line is one JSON object
  --keep        leave everything running and say how to look around; Ctrl-C ends it
  --large-mb N  size of the large file (default 100)
  --rows N      rows of the table (default 1000000)
  --tamper      spoil a file and a table before they are verified: the demo must then fail
  --help        this text
`;

const startedMs = performance.now();
const stop = new AbortController();
const context = new CleanupScope();
const started: { stop(limitMs?: number): Promise<void> }[] = [];
let folder: string | undefined;

function readArguments(): { json: boolean; keep: boolean; tamper: boolean; largeMb: number; rows: number; nodes: number } | undefined {
  try {
    const { values } = parseArgs({
      options: {
        json: { type: 'boolean', default: false },
        keep: { type: 'boolean', default: false },
        tamper: { type: 'boolean', default: false },
        'large-mb': { type: 'string', default: '100' },
        rows: { type: 'string', default: '1000000' },
        nodes: { type: 'string', default: '4' },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      process.stdout.write(help);
      process.exit(0);
    }
    const largeMb = Number(values['large-mb']);
    if (!Number.isInteger(largeMb) || largeMb < 1 || largeMb > 100_000)
      throw new Error(`--large-mb must be a whole number from 1 to 100000`);
    const rows = Number(values.rows);
    if (!Number.isInteger(rows) || rows < 2000 || rows > 1e9) throw new Error(`--rows must be a whole number from 2000 to 1000000000`);
    const nodes = Number(values.nodes);
    if (!Number.isInteger(nodes) || nodes < 1 || nodes > 4) throw new Error(`--nodes must be a whole number from 1 to 4`);
    return { json: values.json, keep: values.keep, tamper: values.tamper, largeMb, rows, nodes };
  } catch (error) {
    process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n\n${help}`);
    return undefined;
  }
}

/** Ends what was started, the nodes first, and removes the folder. */
async function cleanUp(): Promise<void> {
  const [up, ...nodes] = started.splice(0);
  await Promise.all(nodes.map((node) => node.stop()));
  await up?.stop(30_000);
  await context.close();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
}

function say(text: string): void {
  process.stderr.write(`[${((performance.now() - startedMs) / 1000).toFixed(1).padStart(5)} s] ${text}\n`);
}

function summary(result: DemoResult, seconds: number): string {
  const { jobs, failover } = result;
  return [
    '',
    result.verified ? 'Verified: every sink holds exactly what it should.' : 'NOT verified:',
    ...result.problems.map((problem) => `  ${problem}`),
    `  jobs: ${jobs.submitted} submitted, ${jobs.succeeded} succeeded, ${jobs.failed} failed, ${jobs.lost} lost, ${jobs.doubled} doubled`,
    ...(failover === undefined ? [] : [`  ${failover.killed} was killed; ${failover.successor} led after ${failover.ms} ms`]),
    `  ${(result.bytes / 1e6).toFixed(1)} MB at the sinks, ${seconds.toFixed(1)} s in all`,
  ].join('\n');
}

function keepText(result: DemoResult): string {
  return [
    '',
    'Everything is still running:',
    `  control plane   ${result.up.endpoint}   (CA: ${result.up.ca})`,
    `  blob store      ${result.up.blob}`,
    `  Redis           ${result.up.redis}`,
    `  PostgreSQL      ${result.postgres}`,
    `  folder          ${folder ?? ''}`,
    'Try, in another terminal:',
    `  export DMG_STATE=${folder ?? ''}/state`,
    '  node packages/cli/bin/dmg.js --factory demo-factory gateway status',
    '  node packages/cli/bin/dmg.js --factory demo-factory top',
    '  node packages/cli/bin/dmg.js --factory demo-factory runs',
    '  node packages/cli/bin/dmg.js --factory demo-factory run airports --wait',
    'Ctrl-C ends everything and removes the folder.',
  ].join('\n');
}

async function main(): Promise<number> {
  const options = readArguments();
  if (options === undefined) return 2;
  folder = await mkdtemp(join(tmpdir(), 'dmg-demo-'));
  const result = await runDemo({
    folder,
    nodes: options.nodes,
    largeBytes: options.largeMb * 1_000_000,
    tableRows: options.rows,
    context,
    tamper: options.tamper,
    say,
    signal: stop.signal,
    started,
  });
  const seconds = (performance.now() - startedMs) / 1000;
  process.stderr.write(`${summary(result, seconds)}\n`);
  if (options.keep) {
    process.stderr.write(`${keepText(result)}\n`);
    if (!stop.signal.aborted) await new Promise<void>((resolve) => stop.signal.addEventListener('abort', () => resolve(), { once: true }));
  }
  await cleanUp();
  if (options.json) {
    const { jobs, bytes, verified, failover, nodes } = result;
    const line = { jobs, bytes, verified, seconds: Math.round(seconds * 10) / 10, failover: failover ?? null, nodes: nodes.length };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  }
  return result.verified ? 0 : 1;
}

// Under npm Ctrl-C arrives twice within a millisecond; both mean the same.
const onSignal = (): void => stop.abort(new Error('interrupted'));
process.on('SIGINT', onSignal);
process.on('SIGTERM', onSignal);

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(stop.signal.aborted ? '\ninterrupted; cleaning up\n' : `demo: ${describeError(error)}\n`);
  await cleanUp();
  process.exitCode = stop.signal.aborted ? 130 : 1;
}

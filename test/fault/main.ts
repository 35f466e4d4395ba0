import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { randomInt } from 'node:crypto';
import { firstLine, seededRandom } from '@dmg/base';
import { CleanupScope } from '../harness/cleanup.ts';
import { describeCalm, runCalm } from './calm.ts';
import { clusterStrikes, describeClusterRound } from './cluster-rounds.ts';
import { describeClusterVerdict, runClusterSuite } from './cluster-suite.ts';
import { describeCopyRound } from './copy-rounds.ts';
import { describeCopyVerdict, runCopySuite } from './copy-suite.ts';
import { describeFileVerdicts, runFileSuite } from './file-suite.ts';
import { describeFrozenPeers, runFrozenPeers } from './frozen-peers.ts';
import { describeParserVerdict, runParserSuite } from './parser-suite.ts';
import { describeRound, type Fault, faults, isClean, runRound } from './kill-rounds.ts';
import { startRig } from './rig.ts';
import { describeTypeVerdict, runTypeSuite } from './type-suite.ts';

const help = `npm run fault -- [options]

Breaks a gateway under load at seeded moments; every job must end once, with its sinks verified. Exit code 1 if anything was not so.

  --suite NAME    cluster: four nodes, always at work; kills (-9), freezes or stops nodes, hosts, executors and Redis (default)
                  kills: one node; kills or empties each part of the whole, local cloud and control plane included
                  frozen: a node whose every peer is frozen: its calls end, it stops when told to, and goes on with the others
                  calm: four nodes on busy cores, for --minutes; nobody may be taken for dead
                  parsers: mutated text against a reference, then fields and compressed files of a gigabyte, without a gateway
                  nodes: one copy on four nodes, its leads, assistants and keepers of its snapshot killed, frozen and cancelled
                  files: many small files between folders and containers, odd names, changes while they are read; without a gateway
                  copy: copies between PostgreSQL, files and blobs; their processes, sessions, stores and replies are killed, frozen or late
                  types: values of every type of PostgreSQL at its boundaries, to tables and files and back; without a gateway
                  all: these
  --rounds N      cluster: strikes (default 20); kills: rounds for each fault (default 5); parsers: mutations (default 20000);
                  types: values of each type and boundary (default 100);
                  copy: copies (default 200)
  --round K       copy: only this one of the rounds that the seed gives
  --files N       files: how many (default 10000)
  --minutes N     calm: how long (default 5)
  --seed S        seed (default: random, printed)
  --faults LIST   kills: of ${faults.join(', ')} (default: all)
  --log FILE      what the gateway's processes logged
  --json          one line of JSON for each round, and one for the end of the cluster's
`;

const suites = ['cluster', 'kills', 'frozen', 'calm', 'parsers', 'nodes', 'files', 'copy', 'types', 'all'] as const;

function usage(complaint?: string): never {
  if (complaint === undefined) process.stdout.write(help);
  else process.stderr.write(`fault: ${complaint}\n\n${help}`);
  process.exit(complaint === undefined ? 0 : 2);
}

function readArguments() {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  try {
    const texts = { suite: text, rounds: text, round: text, files: text, minutes: text, seed: text, faults: text, log: text };
    const options = { ...texts, json: flag, help: flag };
    return parseArgs({ options }).values;
  } catch (error) {
    return usage(firstLine(error));
  }
}

const values = readArguments();
if (values.help) usage();
const suite = suites.find((known) => known === (values.suite ?? 'cluster')) ?? usage(`no such suite: ${values.suite}`);
const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
if (!Number.isInteger(seed) || (rounds !== undefined && (!Number.isInteger(rounds) || rounds < 1))) {
  usage('--rounds and --seed are whole numbers');
}
const files = Number(values.files ?? 10_000);
if (!Number.isInteger(files) || files < 1) usage('--files is a whole number');
const minutes = Number(values.minutes ?? 5);
if (!(minutes > 0)) usage('--minutes is a number above 0');
const chosen = (values.faults?.split(',') ?? faults) as Fault[];
const unknown = chosen.filter((fault) => !faults.includes(fault));
if (unknown.length > 0) usage(`no such fault: ${unknown.join(', ')}`);

const log = values.log === undefined ? undefined : createWriteStream(values.log);
const onLog = (line: string): void => void log?.write(`${line}\n`);
const scope = new CleanupScope();
let isInterrupted = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (isInterrupted) return; // Under npm one Ctrl-C arrives twice.
    isInterrupted = true;
    // The gateway ends with us: it follows the end of its standard input.
    void scope.close().catch(() => undefined).finally(() => process.exit(130));
  });
}

function print(value: object, text: string): void {
  process.stdout.write(`${values.json ? JSON.stringify(value) : text}\n`);
}

/** The number of rounds that were not as they must be. */
async function runKills(): Promise<number> {
  const random = seededRandom(seed);
  const rig = await startRig(scope, { onLog });
  let bad = 0;
  let count = 0;
  for (const fault of chosen) {
    for (let round = 1; round <= (rounds ?? 5); round++) {
      const result = await runRound(rig, fault, round, random);
      print(result, describeRound(result));
      count += 1;
      if (!isClean(result)) bad += 1;
    }
  }
  process.stderr.write(`kills: ${count} rounds, ${bad} not clean, seed ${seed}\n`);
  return bad;
}

/** The number of things that were not as they must be. */
async function runCluster(): Promise<number> {
  const onRound = (result: Parameters<typeof describeClusterRound>[0]): void => print(result, describeClusterRound(result));
  const verdict = await runClusterSuite({ seed, rounds: rounds ?? 20, onRound, onLog });
  const { rounds: results, ...rest } = verdict;
  print({ rounds: results.length, ...rest, seed }, describeClusterVerdict(verdict));
  for (const problem of verdict.problems) process.stderr.write(`  ${problem}\n`);
  process.stderr.write(`cluster: ${clusterStrikes.length} kinds of strikes, seed ${seed}\n`);
  return verdict.problems.length;
}

const say = (line: string): void => void process.stderr.write(`${line}\n`);

async function runFrozen(): Promise<number> {
  const own = new CleanupScope();
  scope.after(() => own.close());
  const verdict = await runFrozenPeers(own, { frozenMs: 60_000, nodes: 4, say });
  print(verdict, describeFrozenPeers(verdict));
  for (const problem of verdict.problems) say(`  ${problem}`);
  await own.close();
  return verdict.problems.length;
}

async function runCalmly(): Promise<number> {
  const own = new CleanupScope();
  scope.after(() => own.close());
  const verdict = await runCalm(own, { forMs: 60_000 * minutes, onLog, say });
  print(verdict, describeCalm(verdict));
  for (const problem of verdict.problems) say(`  ${problem}`);
  await own.close();
  return verdict.problems.length;
}

async function runParsers(): Promise<number> {
  const own = new CleanupScope();
  scope.after(() => own.close());
  const verdict = await runParserSuite(own, { rounds: rounds ?? 20_000, seed, fieldBytes: 2 ** 30, say });
  print(verdict, describeParserVerdict(verdict));
  for (const problem of verdict.problems) say(`  ${problem}`);
  await own.close();
  return verdict.problems.length;
}

/** The tests of one copy on several nodes, with those that take too long for `npm test`. */
async function runNodes(): Promise<number> {
  const file = fileURLToPath(new URL('./assistants.test.ts', import.meta.url));
  const env = { ...process.env, DMG_TEST_LONG: '1' };
  const tests = spawn(process.execPath, ['--test', file], { stdio: ['ignore', 'inherit', 'inherit'], env });
  const [code] = await once(tests, 'exit') as [number | null];
  return code === 0 ? 0 : 1;
}

async function runTypes(): Promise<number> {
  const own = new CleanupScope();
  scope.after(() => own.close());
  const verdict = await runTypeSuite(own, { seed, count: rounds ?? 100, say });
  print(verdict, describeTypeVerdict(verdict));
  for (const problem of verdict.problems) say(`  ${problem}`);
  await own.close();
  return verdict.problems.length;
}

async function runFiles(): Promise<number> {
  const own = new CleanupScope();
  scope.after(() => own.close());
  const verdicts = await runFileSuite(own, { files, seed, say });
  print(verdicts, describeFileVerdicts(verdicts));
  await own.close();
  return verdicts.filter(({ problems }) => problems.length > 0).length;
}

async function runCopies(): Promise<number> {
  const count = rounds ?? 200;
  const only = values.round === undefined ? {} : { only: Number(values.round) };
  const verdict = await runCopySuite(scope, {
    seed, rounds: count, ...only, lateMsMax: 30_000, onRound: (result) => print(result, describeCopyRound(result)),
  });
  print({ ...verdict, seed }, describeCopyVerdict(verdict));
  for (const problem of verdict.problems) say(`  ${problem}`);
  say(`again: npm run fault -- --suite copy --rounds ${count} --seed ${seed}; one round of it: --round K`);
  return verdict.problems.length;
}

process.stderr.write(`seed ${seed}\n`);
let bad = 0;
try {
  if (suite === 'parsers' || suite === 'all') bad += await runParsers();
  if (suite === 'nodes' || suite === 'all') bad += await runNodes();
  if (suite === 'files' || suite === 'all') bad += await runFiles();
  if (suite === 'copy' || suite === 'all') bad += await runCopies();
  if (suite === 'types' || suite === 'all') bad += await runTypes();
  if (suite === 'cluster' || suite === 'all') bad += await runCluster();
  if (suite === 'frozen' || suite === 'all') bad += await runFrozen();
  if (suite === 'calm' || suite === 'all') bad += await runCalmly();
  // Its gateway goes on until the end.
  if (suite === 'kills' || suite === 'all') bad += await runKills();
} catch (error) {
  bad += 1;
  process.stderr.write(`fault: ${error instanceof Error ? error.message : firstLine(error)}\n`);
} finally {
  await scope.close();
  log?.end();
}
process.exitCode = bad === 0 ? 0 : 1;

import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { CleanupScope } from '../harness/cleanup.ts';
import { copyBench } from './copy-bench.ts';
import { dispatchBench } from './dispatch-bench.ts';
import { failoverBench } from './failover-bench.ts';
import type { BenchLine } from './result.ts';
import { scaleOutBench } from './scale-out-bench.ts';

const help = `npm run bench -- copy|dispatch|failover|scale-out [options]

Measures beside peers in the same run, interleaved; medians. Exit code 0 when it ran, whatever it found.

  copy        file → blob beside the bare SDK and rclone; CSV → CSV; PostgreSQL ↔ CSV, PostgreSQL → PostgreSQL beside psql; memory
  dispatch    jobs a second beside the bare loop of the queue's client and BullMQ; time from message to start
  failover    from the end of a dispatcher to the first job that the next one gives away; what hosts and executors take
  scale-out   one copy of PostgreSQL to one CSV blob by 1, 2 and 4 nodes; the source is limited to 4 MB/s for each connection, by a
              proxy of the bench: a limit made here, so that nodes decide and not the machine (with the defaults some 12 minutes)
  --runs N    repetitions of each case of copy and dispatch (default 5), of scale-out (default 3)
  --megabytes N  scale-out: size of the table (default 480, two minutes by one node; less shows more of the start)
  --only X    copy: files or tables (default both)
  --large     copy: also ten gigabytes of a table, for the memory (some minutes, 12 GB of disk)
  --nodes N   nodes of the gateway (default: 1 for dispatch, 4 for failover)
  --kills N   failover: kill -9 of the dispatcher's process group (default 5)
  --freezes N failover: SIGSTOP of it for 0.5 to 20 s (default 3)
  --stops N   failover: SIGTERM (default 3)
  --seed S    failover: seed of moments and lengths (default: random, printed)
  --json      one JSON line a case
`;

const benches = ['copy', 'dispatch', 'failover', 'scale-out'] as const;

function usage(complaint?: string): never {
  process.stderr.write(complaint === undefined ? help : `bench: ${complaint}\n\n${help}`);
  process.exit(complaint === undefined ? 0 : 2);
}

function readArguments() {
  const number = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        runs: number, nodes: number, kills: number, freezes: number, stops: number, seed: number, only: number, large: flag, json: flag,
        megabytes: number, help: flag,
      },
    });
  } catch (error) {
    return usage(error instanceof Error ? error.message : String(error));
  }
}

const { values, positionals } = readArguments();
if (values.help) usage();
const [name] = positionals;
const bench = benches.find((known) => known === name);
if (bench === undefined) usage(name === undefined ? 'which one?' : `there is no ${name}`);

function whole(option: 'runs' | 'nodes' | 'kills' | 'freezes' | 'stops' | 'seed' | 'megabytes', least: number, otherwise: number): number {
  const value = values[option] === undefined ? otherwise : Number(values[option]);
  if (!Number.isInteger(value) || value < least) usage(`--${option} is a whole number of at least ${least}`);
  return value;
}

const only = (['files', 'tables'] as const).find((known) => known === values.only);
if (values.only !== undefined && only === undefined) usage('--only is files or tables');

function print(line: BenchLine): void {
  if (values.json) {
    process.stdout.write(`${JSON.stringify(line)}\n`);
    return;
  }
  const peer = line.peer === undefined ? '' : `  ${line.peer}: ${line.theirs} (ratio ${line.ratio}, goal ${line.goal})`;
  const limit = line.limit === undefined ? '' : `  (at most ${line.limit})`;
  const met = line.met === undefined ? '' : line.met ? '  met' : '  NOT met';
  const extra = [
    ...(line.peakMB === undefined ? [] : [`peak ${line.peakMB} MB`]),
    ...(line.cpuPerMRows === undefined ? [] : [`${line.cpuPerMRows} CPU s per million rows`]),
  ];
  const note = line.note === undefined ? '' : `\n    ${line.note}`;
  process.stdout.write(`${line.case}: ${line.ours} ${line.unit}${peer}${limit}${met}  ${extra.join(', ')}${note}\n`);
}

const say = (text: string): void => void process.stderr.write(`${text}\n`);
const scope = new CleanupScope();
const stop = (): void => void scope.close().finally(() => process.exit(130));
process.once('SIGINT', stop);
process.once('SIGTERM', stop);
try {
  switch (bench) {
    case 'copy':
      await copyBench(scope, { runs: whole('runs', 1, 5), only, large: values.large, print, say });
      break;
    case 'dispatch':
      await dispatchBench(scope, { runs: whole('runs', 1, 5), nodes: whole('nodes', 1, 1), print, say });
      break;
    case 'scale-out':
      await scaleOutBench(scope, { runs: whole('runs', 1, 3), megabytes: whole('megabytes', 8, 480), print, say });
      break;
    case 'failover': {
      const strikes = { kill: whole('kills', 0, 5), freeze: whole('freezes', 0, 3), stop: whole('stops', 0, 3) };
      await failoverBench(scope, { nodes: whole('nodes', 2, 4), strikes, seed: whole('seed', 0, randomInt(2 ** 31)), print, say });
      break;
    }
  }
} finally {
  await scope.close();
}

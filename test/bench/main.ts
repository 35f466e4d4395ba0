import { parseArgs } from 'node:util';
import { CleanupScope } from '../harness/cleanup.ts';
import { copyBench } from './copy-bench.ts';
import type { BenchLine } from './result.ts';

const help = `npm run bench -- copy [options]

Measures beside peers in the same run, interleaved; medians. Exit code 0 when it ran, whatever it found.

  copy        file → blob beside the bare SDK and rclone, CSV → CSV, memory
  --runs N    repetitions of each case (default 5)
  --json      one JSON line a case
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { runs: { type: 'string', default: '5' }, json: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } },
});
const runs = Number(values.runs);
if (values.help || positionals[0] !== 'copy' || !Number.isInteger(runs) || runs < 1) {
  process.stderr.write(help);
  process.exit(values.help ? 0 : 2);
}

function print(line: BenchLine): void {
  if (values.json) {
    process.stdout.write(`${JSON.stringify(line)}\n`);
    return;
  }
  const peer = line.peer === undefined ? '' : `  ${line.peer}: ${line.theirs} (ratio ${line.ratio}, goal ${line.goal})`;
  const met = line.met === undefined ? '' : line.met ? '  met' : '  NOT met';
  const extra = [
    ...(line.peakMB === undefined ? [] : [`peak ${line.peakMB} MB`]),
    ...(line.cpuPerMRows === undefined ? [] : [`${line.cpuPerMRows} CPU s per million rows`]),
  ];
  process.stdout.write(`${line.case}: ${line.ours} ${line.unit}${peer}${met}  ${extra.join(', ')}\n`);
}

const scope = new CleanupScope();
const stop = (): void => void scope.close().finally(() => process.exit(130));
process.once('SIGINT', stop);
process.once('SIGTERM', stop);
try {
  await copyBench(scope, { runs, print, say: (text) => void process.stderr.write(`${text}\n`) });
} finally {
  await scope.close();
}

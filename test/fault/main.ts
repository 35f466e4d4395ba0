import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { randomInt } from 'node:crypto';
import { firstLine, seededRandom } from '@dmg/base';
import { CleanupScope } from '../harness/cleanup.ts';
import { describeRound, type Fault, faults, isClean, type RoundResult, runRound } from './kill-rounds.ts';
import { startRig } from './rig.ts';

const help = `npm run fault -- [options]

Keeps one gateway under load and kills its parts at seeded moments; every job must end once, with its sinks verified.

  --rounds N      rounds for each fault (default 5)
  --seed S        seed (default: random, printed)
  --faults LIST   of ${faults.join(', ')} (default: all)
  --log FILE      what the gateway's processes logged
  --json          one line of JSON for each round
`;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' }, seed: { type: 'string' }, faults: { type: 'string' }, log: { type: 'string' },
    json: { type: 'boolean', default: false }, help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(help);
  process.exit(0);
}
const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
const rounds = Number(values.rounds);
const chosen = (values.faults?.split(',') ?? faults) as Fault[];
const unknown = chosen.filter((fault) => !faults.includes(fault));
if (unknown.length > 0 || !Number.isInteger(rounds) || rounds < 1 || !Number.isInteger(seed)) {
  const complaint = unknown.length > 0 ? `no such fault: ${unknown.join(', ')}` : '--rounds and --seed are whole numbers';
  process.stderr.write(`fault: ${complaint}\n\n${help}`);
  process.exit(2);
}

process.stderr.write(`seed ${seed}\n`);
const random = seededRandom(seed);
const scope = new CleanupScope();
const results: RoundResult[] = [];
let failure: Error | undefined;
try {
  const rig = await startRig(scope);
  scope.after(() => (values.log === undefined ? undefined : writeFile(values.log, rig.up.stderr)));
  for (const fault of chosen) {
    for (let round = 1; round <= rounds; round++) {
      const result = await runRound(rig, fault, round, random);
      results.push(result);
      process.stdout.write(`${values.json ? JSON.stringify(result) : describeRound(result)}\n`);
    }
  }
} catch (error) {
  failure = error instanceof Error ? error : new Error(firstLine(error));
} finally {
  await scope.close();
}
const bad = results.filter((result) => !isClean(result));
process.stderr.write(`${results.length} rounds, ${bad.length} not clean, seed ${seed}\n`);
if (failure !== undefined) process.stderr.write(`fault: ${failure.message}\n`);
process.exit(bad.length === 0 && failure === undefined ? 0 : 1);

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Chaos } from './testing/chaos.ts';

/*
 * Seeded random runs of one to four nodes, each with a worker and a dispatcher that is a candidate: executors and hosts that die, nodes
 * and dispatchers that stand still, are cut off, leave and join, dispatchers that are killed, stopped and deposed in the middle of what
 * they do, leases in doubt, a ledger that is away, empty or old, a queue that drops, workers that do not answer, a control plane that is
 * away, duplicates, cancels, changed limits. Once the faults stop, every job ends exactly once, in agreement with its sink, and nothing
 * was ever done without the right to act. `DMG_SIM_SEED=n` runs one seed.
 */

const faultSteps = 240;
const settleSteps = 1_600;
const sizes = 4;
const seedCount = 160;

async function run(seed: number): Promise<Chaos> {
  const chaos = new Chaos({ seed, nodes: 1 + (seed % sizes) });
  await chaos.start();
  for (let step = 0; step < faultSteps; step++) await chaos.faultyStep();
  await chaos.heal();
  for (let step = 0; step < settleSteps && !chaos.isOver; step++) await chaos.calmStep();
  try {
    chaos.check();
  } finally {
    await chaos.world.close();
  }
  return chaos;
}

test('whatever fails, every job ends exactly once and in agreement with its sink', async (context) => {
  const only = process.env['DMG_SIM_SEED'];
  const seeds = only === undefined ? Array.from({ length: seedCount }, (_, index) => index + 1) : [Number(only)];
  const ends = new Map<string, number>();
  let assisted = 0;
  for (const seed of seeds) {
    try {
      const chaos = await run(seed);
      assisted += chaos.assistants;
      for (const { end } of chaos.control.runs.values()) ends.set(end?.kind ?? '', (ends.get(end?.kind ?? '') ?? 0) + 1);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
  if (only === undefined) assert.ok(assisted > seedCount / 3, `${assisted} assistants only`);
  context.diagnostic(`${assisted} assistants; ${seeds.length} seeds: ${[...ends].map(([kind, number]) => `${number} ${kind}`).join(', ')}`);
});

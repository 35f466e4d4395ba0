/** Runs a range of seeds off the test runner's thread, whose promise hooks make each step ten times as slow. */
import { parentPort, workerData } from 'node:worker_threads';
import { InterleavedRun } from './interleaving.ts';

export interface SeedRange {
  readonly from: number;
  /** Inclusive. */
  readonly to: number;
}

export interface RangeFacts {
  done: number;
  aborted: number;
  frozen: number;
  steps: number;
  failure: string | undefined;
}

const { from, to } = workerData as SeedRange;
const facts: RangeFacts = { done: 0, aborted: 0, frozen: 0, steps: 0, failure: undefined };
for (let seed = from; seed <= to && facts.failure === undefined; seed++) {
  try {
    const run = await new InterleavedRun({ seed, stranger: seed % 4 === 0 }).run();
    facts[run.end]++;
    facts.frozen += run.frozen;
    facts.steps += run.steps;
  } catch (error) {
    facts.failure = `seed ${seed}: ${error instanceof Error ? error.stack : String(error)}`;
  }
}
parentPort?.postMessage(facts);

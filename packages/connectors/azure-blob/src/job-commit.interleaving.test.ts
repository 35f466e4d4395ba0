import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { BlobCalls } from './blob-calls.ts';
import { withCalls } from './testing/with-calls.ts';
import { InterleavedRun } from './testing/interleaving.ts';
import type { RangeFacts, SeedRange } from './testing/interleaving-worker.ts';

const seeds = 3200;

test(`${seeds} interleavings of four attempts, abort, lost answers, crashes, strangers and a consumer keep every promise`, async () => {
  const half = seeds / 2;
  const [low, high] = await Promise.all([runSeeds({ from: 1, to: half }), runSeeds({ from: half + 1, to: seeds })]);
  assert.equal(low.failure ?? high.failure, undefined);
  // The runs are worth something only if they differ.
  const sum = (key: 'done' | 'aborted' | 'frozen' | 'steps'): number => low[key] + high[key];
  assert.equal(sum('done') + sum('aborted'), seeds);
  assert.ok(sum('done') > seeds / 5, `only ${sum('done')} ended done`);
  assert.ok(sum('aborted') > seeds / 5, `only ${sum('aborted')} ended aborted`);
  assert.ok(sum('frozen') > seeds, `only ${sum('frozen')} actors froze`);
  assert.ok(sum('steps') > seeds * 100, `only ${sum('steps')} steps`);
});

/** Each of these takes one fact away that the protocol rests on; the runs must notice. */
const mutants: Record<string, (calls: BlobCalls) => BlobCalls> = {
  'the record is overwritten without a condition': (calls) =>
    withCalls(calls, {
      async writeText(path, write, signal) {
        return calls.writeText(path, { ...write, condition: (await calls.facts(path, signal))?.etag ?? 'absent' }, signal);
      },
    }),
  'no intent is declared before the commits': (calls) =>
    withCalls(calls, {
      writeText: (path, write, signal) =>
        write.metadata.dmgphase === 'closing'
          ? calls.facts(path, signal).then((facts) => facts?.etag)
          : calls.writeText(path, write, signal),
    }),
  'targets are committed without a condition': (calls) =>
    withCalls(calls, {
      async commit(path, commit, signal) {
        return calls.commit(path, { ...commit, condition: (await calls.facts(path, signal))?.etag ?? 'absent' }, signal);
      },
      // As Put Blob would: the content needs no blocks any more.
      async blocks(path, type, signal) {
        const blocks = await calls.blocks(path, type, signal);
        return blocks.length > 0 || type === 'committed' ? blocks : [];
      },
    }),
};

for (const [name, mutate] of Object.entries(mutants)) {
  test(`the interleavings notice when ${name}`, async () => {
    let noticed = '';
    for (let seed = 1; seed <= 1500 && noticed === ''; seed++) {
      try {
        await new InterleavedRun({ seed, mutate, attempts: 1 + (seed % 4), abortChance: 0.7, stranger: seed % 2 === 0 }).run();
      } catch (error) {
        noticed = `seed ${seed}: ${String(error)}`;
      }
    }
    assert.notEqual(noticed, '');
    assert.doesNotMatch(noticed, /does not end/);
  });
}

async function runSeeds(range: SeedRange): Promise<RangeFacts> {
  const worker = new Worker(new URL('./testing/interleaving-worker.ts', import.meta.url), { workerData: range });
  const [facts] = (await once(worker, 'message')) as [RangeFacts];
  await worker.terminate();
  return facts;
}

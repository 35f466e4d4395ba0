import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { InterleavedRun, jobPath } from './testing/interleaving.ts';
import type { RangeFacts, SeedRange } from './testing/interleaving-worker.ts';
import type { ModelFileSystem } from './testing/model-files.ts';
import type { WorkFiles } from './work-files.ts';

const seeds = 3500;

test(`${seeds} interleavings of four attempts, abort, crashes and a consumer keep every promise`, async () => {
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

test('an attempt that finds nothing beside others that find files: one plan stands, and its targets alone are published', async () => {
  const ends = { nothing: 0, files: 0, aborted: 0 };
  for (let seed = 1; seed <= 300; seed++) {
    const { end, published } = await new InterleavedRun({ seed, oneFindsNothing: true }).run().catch((error: unknown) => {
      throw new Error(`seed ${seed}`, { cause: error });
    });
    ends[end === 'aborted' ? 'aborted' : published.size === 0 ? 'nothing' : 'files']++;
  }
  assert.ok(Math.min(...Object.values(ends)) > 20, JSON.stringify(ends));
});

const override = (files: WorkFiles, change: Partial<WorkFiles>): WorkFiles => ({
  makeFolder: (path, options) => files.makeFolder(path, options),
  writeNew: (path, bytes) => files.writeNew(path, bytes),
  link: (from, to) => files.link(from, to),
  rename: (from, to) => files.rename(from, to),
  read: (path) => files.read(path),
  stat: (path) => files.stat(path),
  list: (path) => files.list(path),
  remove: (path) => files.remove(path),
  syncFolder: (path) => files.syncFolder(path),
  concat: (from, to) => files.concat(from, to),
  ...change,
});

/** Each of these takes one fact away that the protocol rests on; the runs must notice. */
const mutants: Record<string, (files: WorkFiles, system: ModelFileSystem) => WorkFiles> = {
  'the last mark wins': (files, system) =>
    override(files, {
      async link(from, to) {
        if (to.includes('/marks/')) system.unlink(to);
        return files.link(from, to);
      },
    }),
  'the last plan wins': (files, system) =>
    override(files, {
      async link(from, to) {
        if (to === `${jobPath}/begin`) system.unlink(to);
        return files.link(from, to);
      },
    }),
  'publishing leaves the part behind': (files, system) =>
    override(files, {
      async rename(from, to) {
        const node = system.node(from);
        const outcome = await files.rename(from, to);
        if (outcome === 'renamed' && to.startsWith('/store/out/') && node !== undefined && !(node instanceof Map)) {
          const copy = system.create(from);
          if (copy !== undefined) copy.bytes = node.bytes;
        }
        return outcome;
      },
    }),
  'the end does not take the work folder away': (files) =>
    override(files, {
      rename: (from, to) => (to.includes('/gone.') ? Promise.resolve('renamed') : files.rename(from, to)),
      remove: (path) => (path.includes('/work.') ? Promise.resolve() : files.remove(path)),
    }),
  'a plan may come after an abort': (files) =>
    override(files, {
      link: (from, to) => (from.includes('/begin.') && to === `${jobPath}/begin` ? Promise.resolve('linked') : files.link(from, to)),
    }),
};

for (const [name, mutate] of Object.entries(mutants)) {
  test(`the interleavings notice when ${name}`, async () => {
    let noticed = '';
    for (let seed = 1; seed <= 1500 && noticed === ''; seed++) {
      try {
        await new InterleavedRun({ seed, mutate, attempts: 1 + (seed % 4), abortChance: 0.7 }).run();
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

import assert from 'node:assert/strict';
import { chmod, readdir } from 'node:fs/promises';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type RunningProcess, spawnProcess } from '../harness/processes.ts';
import { tempDir } from '../harness/temp-dir.ts';
import { waitFor, within } from '../harness/wait-for.ts';

const main = fileURLToPath(new URL('../demo/main.ts', import.meta.url));

interface StartedDemo {
  readonly demo: RunningProcess;
  /** Fails when a process lives or anything is left in the folder for temporary files, which is this demo's own. */
  assertNothingLeft(): Promise<void>;
}

async function startDemo(t: TestContext, args: readonly string[]): Promise<StartedDemo> {
  const temporary = await tempDir(t);
  // PostgreSQL runs as another user.
  await chmod(temporary, 0o755);
  const demo = spawnProcess(t, {
    name: 'demo', args: [main, '--rows', '20000', ...args], env: { TMPDIR: temporary }, stopWithinMs: 30_000,
  });
  return {
    demo,
    async assertNothingLeft() {
      await demo.assertNoneLeft();
      assert.deepEqual(await readdir(temporary), []);
    },
  };
}

/** The last line of standard output, exactly as it is promised. */
function lastLine(demo: RunningProcess): Record<string, unknown> & { jobs: Record<string, number> } {
  const line = JSON.parse(demo.stdout.at(-1) ?? '') as Record<string, unknown> & { jobs: Record<string, number> };
  assert.deepEqual(Object.keys(line), ['jobs', 'bytes', 'verified', 'seconds', 'failover', 'nodes']);
  assert.deepEqual(Object.keys(line.jobs), ['submitted', 'succeeded', 'failed', 'lost', 'doubled']);
  for (const number of [line['bytes'], line['seconds'], ...Object.values(line.jobs)]) assert.equal(typeof number, 'number');
  return line;
}

test('the demo copies, kills the dispatcher, verifies and leaves nothing behind', async (t) => {
  const { demo, assertNothingLeft } = await startDemo(t, ['--json', '--large-mb', '60']);
  const exit = await within('the demo to end', 120_000, demo.exited);
  assert.equal(exit.code, 0, demo.stderr.slice(-3000));
  const { jobs, bytes, verified, failover, nodes } = lastLine(demo);
  const { submitted = 0 } = jobs;
  assert.ok(submitted >= 16);
  assert.equal(nodes, 4);
  const { killed, successor, ms } = failover as { killed: string; successor: string; ms: number };
  assert.match(`${killed} ${successor}`, /^node-\d node-\d$/);
  assert.notEqual(killed, successor);
  assert.ok(ms > 0 && ms < 10_000, `${ms} ms`);
  const sights = [
    /kill -9 of the whole process group of node-\d/, /node-\d leads after/, /is back by itself/, /runs nothing any more/,
    /table-to-blob: \d+ rows, exactly public.lineitem as it was after transaction \d+/,
    /blob-to-table: \d+ rows, exactly the rows of the blob/,
    /table-to-table: \d+ rows, exactly public.lineitem as it was after transaction \d+ .*EXCEPT ALL gives 0 and 0 rows/,
  ];
  for (const sight of sights) assert.match(demo.stderr, sight);
  assert.deepEqual(jobs, { submitted, succeeded: submitted, failed: 0, lost: 0, doubled: 0 });
  assert.ok(Number(bytes) > 120_000_000);
  assert.equal(verified, true);
  await assertNothingLeft();
});

test('a sink that was tampered with makes the demo fail', async (t) => {
  const { demo, assertNothingLeft } = await startDemo(t, ['--json', '--large-mb', '1', '--nodes', '1', '--tamper']);
  const exit = await within('the demo to end', 120_000, demo.exited);
  assert.equal(exit.code, 1, demo.stderr.slice(-3000));
  const { jobs, verified, failover, nodes } = lastLine(demo);
  assert.deepEqual([verified, failover, nodes], [false, null, 1]);
  // In a file and in a table one row is another one: it is missing, and one that nobody sent is there.
  assert.deepEqual([jobs['succeeded'], jobs['lost'], jobs['doubled']], [jobs['submitted'], 2, 2], demo.stderr.slice(-3000));
  assert.match(demo.stderr, /NOT verified:\n {2}airports-mapped: 1 rows are missing or changed/);
  assert.match(demo.stderr, /\n {2}table-to-table: 1 rows are missing or changed/);
  await assertNothingLeft();
});

for (const { signal, moment, seen } of [
  { signal: 'SIGTERM', moment: 'while the local cloud starts', seen: 'starting the local cloud' },
  { signal: 'SIGTERM', moment: 'while jobs run', seen: 'running ' },
  { signal: 'SIGINT', moment: 'while jobs run', seen: 'running ' },
] as const) {
  test(`${signal} ${moment} leaves no process and no file`, async (t) => {
    const { demo, assertNothingLeft } = await startDemo(t, ['--large-mb', '40']);
    await waitFor(moment, () => demo.stderr.includes(seen), { withinMs: 60_000 });
    demo.signal(signal);
    const exit = await within('the demo to end', 40_000, demo.exited);
    assert.equal(exit.code, 130, demo.stderr.slice(-3000));
    await assertNothingLeft();
  });
}

test('wrong usage is told, and nothing is started', async (t) => {
  const { demo, assertNothingLeft } = await startDemo(t, ['--large-mb', 'many']);
  assert.equal((await within('the demo to end', 20_000, demo.exited)).code, 2);
  assert.match(demo.stderr, /--large-mb must be a whole number/);
  await assertNothingLeft();
});

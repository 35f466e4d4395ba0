import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type RunningProcess, spawnProcess } from '../harness/processes.ts';
import { waitFor, within } from '../harness/wait-for.ts';

const main = fileURLToPath(new URL('../demo/main.ts', import.meta.url));

interface DemoLine {
  readonly jobs: { submitted: number; succeeded: number; failed: number; lost: number; doubled: number };
  readonly bytes: number;
  readonly verified: boolean;
  readonly seconds: number;
}

function startDemo(t: TestContext, args: readonly string[]): RunningProcess {
  return spawnProcess(t, { name: 'demo', args: [main, ...args], stopWithinMs: 30_000 });
}

async function demoFolders(): Promise<string[]> {
  return (await readdir(tmpdir())).filter((name) => name.startsWith('dmg-demo-'));
}

function lastLine(demo: RunningProcess): DemoLine {
  return JSON.parse(demo.stdout.at(-1) ?? '') as DemoLine;
}

test('the demo copies, verifies and leaves nothing behind', async (t) => {
  const before = await demoFolders();
  const demo = startDemo(t, ['--json', '--large-mb', '40']);
  const exit = await within('the demo to end', 120_000, demo.exited);
  assert.equal(exit.code, 0, demo.stderr.slice(-3000));
  const { jobs, bytes, verified } = lastLine(demo);
  assert.ok(jobs.submitted >= 12);
  assert.deepEqual(jobs, { submitted: jobs.submitted, succeeded: jobs.submitted, failed: 0, lost: 0, doubled: 0 });
  assert.ok(bytes > 80_000_000);
  assert.equal(verified, true);
  await demo.assertNoneLeft();
  assert.deepEqual(await demoFolders(), before);
});

test('a sink that was tampered with makes the demo fail', async (t) => {
  const demo = startDemo(t, ['--json', '--large-mb', '1', '--tamper']);
  const exit = await within('the demo to end', 120_000, demo.exited);
  assert.equal(exit.code, 1, demo.stderr.slice(-3000));
  const { jobs, verified } = lastLine(demo);
  assert.equal(verified, false);
  assert.equal(jobs.lost, 1);
  assert.match(demo.stderr, /NOT verified/);
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} in the middle of the demo leaves no process and no file`, async (t) => {
    const before = await demoFolders();
    const demo = startDemo(t, ['--large-mb', '40']);
    await waitFor('the jobs to run', () => demo.stderr.includes('running '), { withinMs: 60_000 });
    demo.signal(signal);
    const exit = await within('the demo to end', 40_000, demo.exited);
    assert.equal(exit.code, 130);
    await demo.assertNoneLeft();
    assert.deepEqual(await demoFolders(), before);
  });
}

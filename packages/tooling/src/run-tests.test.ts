import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type ProcessExit, type RunningProcess, spawnProcess } from '../../../test/harness/processes.ts';
import { tempDir } from '../../../test/harness/temp-dir.ts';
import { waitFor } from '../../../test/harness/wait-for.ts';

const main = fileURLToPath(new URL('run-tests.ts', import.meta.url));
const head = `import { test, after } from 'node:test';`;

interface Outcome extends ProcessExit {
  readonly lines: readonly string[];
  readonly text: string;
}

async function startRunner(
  t: TestContext,
  files: Record<string, string>,
  args: string[],
  env: Record<string, string> = {},
): Promise<RunningProcess> {
  const root = await tempDir(t);
  await writeFile(join(root, 'package.json'), '{"type":"module"}');
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), `${head}\n${content}`);
  }
  const fixed = ['--root', root, '--minimum', '1'];
  return spawnProcess(t, { name: 'test runner', args: [main, ...fixed, ...args], env: { CI: 'false', DMG_TEST_GRACE_MS: '300', ...env } });
}

async function runRunner(
  t: TestContext,
  files: Record<string, string>,
  args: string[] = [],
  env: Record<string, string> = {},
): Promise<Outcome> {
  const runner = await startRunner(t, files, args, env);
  const exit = await runner.exited;
  return { ...exit, lines: runner.stdout, text: runner.stdout.join('\n') };
}

const passing = { 'packages/p/src/good.test.ts': `test('one', () => {}); test('two', () => {});` };

test('all pass: exit code 0 and the totals alone on the last line', async (t) => {
  const files = {
    ...passing,
    'test/fault/late.test.ts': `test('three', () => {});`,
    'test/bench/no.test.ts': `throw new Error('is no test');`,
  };
  const { code, lines } = await runRunner(t, files);
  assert.equal(lines.at(-1), '3 passed, 0 failed, 0 skipped');
  assert.match(lines.at(-2) ?? '', /^Ran 2 files in [\d.]+ s\.$/);
  assert.match(lines[0] ?? '', /packages\/p\/src\/good\.test\.ts  2 passed$/);
  assert.equal(code, 0);
});

test('every kind of failure is counted, named and shown', async (t) => {
  const { code, lines, text } = await runRunner(t, {
    ...passing,
    'packages/p/src/assertion.test.ts': `test('sums', () => { throw new Error('2 is not 3'); });`,
    'packages/p/src/crash.test.ts': `throw new Error('broken at import');`,
    'packages/p/src/empty.test.ts': ``,
    'packages/p/src/hook.test.ts': `after(() => { throw new Error('hook broke'); }); test('ok', () => {});`,
    'packages/p/src/late.test.ts': `test('ok', () => { setTimeout(() => { throw new Error('too late'); }, 20); });`,
    'packages/p/src/leak.test.ts': `import { createServer } from 'node:net'; test('ok', () => { createServer().listen(0, '127.0.0.1'); });`,
    'packages/p/src/child.test.ts': `import { spawn } from 'node:child_process'; test('ok', () => { spawn('sleep', ['600']); });`,
  });
  assert.equal(code, 1);
  // Seven files; the late error also ends its process with code 1, and the child that was not waited for outlives its file.
  assert.equal(lines.at(-1), '6 passed, 9 failed, 0 skipped');
  for (const wanted of [
    /2 is not 3/,
    /broken at import/,
    /It holds no test/,
    /hook broke/,
    /too late/,
    /left open .* Server \{.*"port":\d+/,
  ]) {
    assert.match(text, wanted);
  }
  assert.match(text, /left open .* ChildProcess \d+ sleep 600/);
});

test('a process and a file that a test leaves behind fail the run', async (t) => {
  const { code, text, lines } = await runRunner(t, {
    'packages/p/src/sloppy.test.ts': `
      import { spawn } from 'node:child_process';
      import { mkdtempSync } from 'node:fs';
      import { tmpdir } from 'node:os';
      test('ok', () => {
        spawn('sleep', ['601'], { detached: true, stdio: 'ignore' }).unref();
        mkdtempSync(tmpdir() + '/sloppy-');
      });`,
  });
  assert.equal(code, 1);
  assert.equal(lines.at(-1), '1 passed, 2 failed, 0 skipped');
  assert.match(text, /no process is left behind\n\s+\d+ sleep 601/);
  assert.match(text, /no file is left in the temporary folder\n\s+sloppy-/);
});

test('a file that blocks its process is killed', async (t) => {
  const { code, text } = await runRunner(t, { 'packages/p/src/block.test.ts': `test('blocks', () => { for (;;); });` }, [
    '--file-limit-ms',
    '500',
  ]);
  assert.equal(code, 1);
  assert.match(text, /It did not end within 0\.6 s and was killed/);
});

test('too few tests fail, and so do skipped ones under CI', async (t) => {
  const few = await runRunner(t, passing, ['--minimum', '3']);
  assert.equal(few.code, 1);
  assert.match(few.text, /Only 2 tests were found, at least 3 must be there/);
  assert.equal(few.lines.at(-1), '2 passed, 0 failed, 0 skipped');

  const skipping = { 'packages/p/src/skip.test.ts': `test('one', () => {}); test('two', { skip: 'no service' }, () => {});` };
  const local = await runRunner(t, skipping);
  assert.equal(local.lines.at(-1), '1 passed, 0 failed, 1 skipped');
  assert.equal(local.code, 0);
  const ci = await runRunner(t, skipping, [], { CI: 'true' });
  assert.equal(ci.code, 1);
  assert.equal(ci.lines.at(-1), '1 passed, 0 failed, 1 skipped');
});

test('a word selects files, and no match is a failure', async (t) => {
  const files = { ...passing, 'packages/p/src/other.test.ts': `test('three', () => {});` };
  const some = await runRunner(t, files, ['oth', '--minimum', '9']);
  assert.equal(some.lines.at(-1), '1 passed, 0 failed, 0 skipped');
  assert.equal(some.code, 0);
  const none = await runRunner(t, files, ['nowhere']);
  assert.equal(none.code, 1);
  assert.match(none.text, /No test was found for: nowhere/);
  assert.equal(none.lines.at(-1), '0 passed, 0 failed, 0 skipped');
});

test('a contract suite counts for the file that runs it', async (t) => {
  const { lines } = await runRunner(t, {
    'packages/p/src/ledger.contract.ts': `export function contract() { test('holds', () => {}); }`,
    'packages/p/src/twin.test.ts': `import { contract } from './ledger.contract.ts'; contract();`,
  });
  assert.match(lines[0] ?? '', /twin\.test\.ts  1 passed$/);
});

test('SIGTERM ends the run and everything it started', async (t) => {
  const files = {
    'packages/p/src/long.test.ts': `
      import { spawn } from 'node:child_process';
      import { once } from 'node:events';
      test('waits', async () => {
        process.on('SIGTERM', () => {});
        const child = spawn('sleep', ['602'], { detached: true });
        await once(child, 'exit');
      });`,
  };
  const runner = await startRunner(t, files, []);
  // The runner, the test file and its child. The output of a test is held back until it ends.
  await waitFor('the child of the test', async () => (await runner.pids()).length >= 3);
  assert.deepEqual(await runner.terminate(), { code: 143, signal: null });
  await runner.assertNoneLeft(500);
});

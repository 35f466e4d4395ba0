import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineErrors, hasCode, silentLogger, systemClock } from '@dmg/base';
import { assertNoProcessLeft, findProcesses } from '../../../test/harness/left-processes.ts';
import { type ChildRoot, type ChildRootOptions, claimFolder, describeError, exitCodes, startChildRoot, superviseRoot } from './index.ts';

const main = fileURLToPath(new URL('./testing/example-root.ts', import.meta.url));

function options(mode: string, added: Partial<ChildRootOptions> = {}): ChildRootOptions {
  return { name: 'example', main, args: [mode], env: { PATH: process.env['PATH'] }, clock: systemClock, ...added };
}

async function start(t: TestContext, mode: string): Promise<ChildRoot> {
  const child = await startChildRoot(options(mode));
  t.after(() => child.stop(0));
  return child;
}

test('a root is ready, says so in one line, and stops cleanly on SIGTERM', async (t) => {
  const child = await start(t, 'good');
  assert.equal(child.ready['pid'], child.pid);
  await child.stop();
  assert.deepEqual(await child.exited, { code: exitCodes.ok, signal: null });
});

test('Ctrl-C that arrives twice at once is one Ctrl-C', async (t) => {
  const child = await start(t, 'good');
  process.kill(child.pid, 'SIGINT');
  process.kill(child.pid, 'SIGINT');
  assert.deepEqual(await child.exited, { code: exitCodes.ok, signal: null });
});

test('a root that does not stop is ended, and its exit code says so', async (t) => {
  const child = await start(t, 'slow');
  process.kill(child.pid, 'SIGTERM');
  assert.deepEqual(await child.exited, { code: exitCodes.failed, signal: null });
});

test('a start that fails says what, why and what to do, and the exit code tells the kind', async () => {
  const error = await startChildRoot(options('fail')).catch((thrown: unknown) => thrown);
  assert.ok(hasCode(error, 'DMG_LIFECYCLE_CHILD_NOT_READY'));
  assert.match((error as Error).message, /exit code 3/);
  assert.match((error as { fix: string }).fix, /DMG_EXAMPLE_BROKEN: Cannot start the example.*\n\s+Leave `fail` out\./);
});

test('a root that is never ready is ended at the deadline', async () => {
  const error = await startChildRoot(options('silent', { readyLimitMs: 400 })).catch((thrown: unknown) => thrown);
  assert.ok(hasCode(error, 'DMG_LIFECYCLE_CHILD_NOT_READY'));
});

test('a start that is given up ends the child in order, and it is gone then', async () => {
  const lines: string[] = [];
  const giveUp = new AbortController();
  const onLog = (line: string): void => {
    lines.push(line);
    if (line === 'begun') giveUp.abort(new Error('not needed any more'));
  };
  await assert.rejects(startChildRoot(options('late', { onLog, signal: giveUp.signal })), /not needed any more/);
  assert.deepEqual(lines, ['begun', 'ended in order']);
});

test('a supervised root that is killed is started again; stopping it ends it for good', async (t) => {
  const root = await superviseRoot({ ...options('good'), logger: silentLogger, random: () => 0 });
  t.after(() => root.stop());
  const first = root.current().pid;
  const restarted = new Promise<ChildRoot>((resolve) => root.onRestart(resolve));
  process.kill(first, 'SIGKILL');
  const second = await restarted;
  assert.notEqual(second.pid, first);
  assert.equal(root.current().pid, second.pid);
  await root.stop();
  assert.deepEqual(await second.exited, { code: exitCodes.ok, signal: null });
});

test('a root that is frozen with all its children is ended with all its children', async (t) => {
  const child = await start(t, 'parent');
  assert.equal((await findProcesses({ mark: '', group: child.pid })).length, 2);
  process.kill(-child.pid, 'SIGSTOP');
  await child.stop(100);
  assert.deepEqual(await child.exited, { code: null, signal: 'SIGKILL' });
  await assertNoProcessLeft({ mark: '', group: child.pid });
});

test('a supervised root that must not come back stays away, and stopping it is no error', async () => {
  const lines: string[] = [];
  const said = Promise.withResolvers<void>();
  const warn = (_fields: object, message: string): void => {
    lines.push(message);
    said.resolve();
  };
  const root = await superviseRoot({ ...options('good'), logger: { ...silentLogger, warn }, random: () => 0, restart: false });
  process.kill(root.current().pid, 'SIGKILL');
  await said.promise;
  assert.deepEqual(lines, ['process ended and is not started again']);
  await root.stop();
  assert.deepEqual(await root.current().exited, { code: null, signal: 'SIGKILL' });
});

test('a folder is claimed by one program of a kind at a time', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'dmg-lifecycle-'));
  t.after(() => rm(folder, { recursive: true }));
  assert.equal(await claimFolder('one', folder), true);
  assert.equal(await claimFolder('one', join(folder, '..', folder.split('/').at(-1) ?? '')), false);
  assert.equal(await claimFolder('other', folder), true);
});

test('an error is described with its cause, unless the sentence has it', () => {
  const errors = defineErrors('EXAMPLE', {
    UNREADABLE: { category: 'config', retry: 'never', scope: 'node', message: 'Cannot read it: {reason}.', fix: 'Look.' },
  });
  const cause = new Error('no such file');
  const told = errors.UNREADABLE.create({ reason: 'no such file' }, { cause });
  assert.equal(describeError(told), 'DMG_EXAMPLE_UNREADABLE: Cannot read it: no such file.\n  Look.');
  const untold = errors.UNREADABLE.create({ reason: 'it is gone' }, { cause });
  assert.equal(describeError(untold), 'DMG_EXAMPLE_UNREADABLE: Cannot read it: it is gone. Cause: no such file.\n  Look.');
});

test('a process goes on after errors that nobody caught and that are known to be harmless, and ends at all others', async () => {
  const lines: string[] = [];
  const both = Promise.withResolvers<void>();
  const onLog = (line: string): void => {
    if (lines.push(line) === 2) both.resolve();
  };
  const stray = await startChildRoot(options('stray', { onLog }));
  await both.promise;
  assert.deepEqual(lines, ['went on after RangeError: stray rejection', 'went on after RangeError: stray timer']);
  await stray.stop();
  assert.deepEqual(await stray.exited, { code: exitCodes.ok, signal: null });
  const said: string[] = [];
  const broken = await startChildRoot(options('broken', { onLog: (line) => void said.push(line) }));
  assert.deepEqual(await broken.exited, { code: exitCodes.failed, signal: null });
  assert.match(said.join('\n'), /Error: broken\n.*example-root\.ts/);
});

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { hasCode, silentLogger, systemClock } from '@dmg/base';
import { type ChildRoot, type ChildRootOptions, exitCodes, startChildRoot, superviseRoot } from './index.ts';

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

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CleanupScope } from './cleanup.ts';
import { killIfThere } from './left-processes.ts';
import { spawnProcess, startProcess } from './processes.ts';

/** The handlers stand before the ready line: what follows it may be a signal at once. */
const readyWith = (handlers: string): string[] => [
  '-e',
  `${handlers}; console.error('a log line'); console.log(JSON.stringify({ ready: 'fixture' }));`,
];
const endsWell = `process.on('SIGTERM', () => process.exit(0)); process.stdin.on('end', () => process.exit(7)).resume();`;

test('a process is started, seen ready and stopped', async (t) => {
  const { process: started, ready } = await startProcess(t, { name: 'fixture', args: readyWith(endsWell) });
  assert.deepEqual(ready, { ready: 'fixture' });
  assert.ok((await started.pids()).includes(started.pid));
  assert.deepEqual(await started.terminate(), { code: 0, signal: null });
  assert.equal(started.stderr, 'a log line\n');
  await started.assertNoneLeft();
});

test('a process that ends before it is ready is reported with what it wrote', async (t) => {
  const args = ['-e', `console.error('cannot listen'); process.exit(3)`];
  await assert.rejects(startProcess(t, { name: 'fixture', args }), /fixture ended \(code 3\) before its ready line\ncannot listen/);
});

test('kill -9 and the end of standard input end it', async (t) => {
  const first = await startProcess(t, { name: 'fixture', args: readyWith(endsWell) });
  assert.deepEqual(await first.process.kill(), { code: null, signal: 'SIGKILL' });
  const second = await startProcess(t, { name: 'fixture', args: readyWith(endsWell) });
  second.process.closeInput();
  assert.deepEqual(await second.process.exited, { code: 7, signal: null });
});

test('a process that ignores SIGTERM is killed, and that is an error', async () => {
  const scope = new CleanupScope();
  const args = readyWith(`process.on('SIGTERM', () => undefined); process.stdin.resume();`);
  const { process: started } = await startProcess(scope, { name: 'fixture', args, stopWithinMs: 200 });
  await assert.rejects(scope.close(), /fixture did not end on SIGTERM/);
  assert.equal(killIfThere(started.pid, 'SIGCONT'), false);
});

test('a descendant that stays is found, killed and reported', async () => {
  const scope = new CleanupScope();
  const spawnSleeper = `require('node:child_process').spawn('sleep', ['600'], { detached: true, stdio: 'ignore' }).unref();`;
  const started = spawnProcess(scope, { name: 'fixture', args: ['-e', spawnSleeper], stopWithinMs: 100 });
  await started.exited;
  const pids = await started.pids();
  assert.equal(pids.length, 1);
  await assert.rejects(started.assertNoneLeft(50), /left behind and have been killed: \d+ sleep 600/);
  await scope.close();
});

test('the variables of the caller are not passed on', async (t) => {
  process.env['DMG_TEST_FIXTURE'] = 'leaked';
  t.after(() => delete process.env['DMG_TEST_FIXTURE']);
  const script = `console.log(JSON.stringify(Object.keys(process.env).filter((name) => name.startsWith('DMG_')).sort()))`;
  const started = spawnProcess(t, { name: 'fixture', args: ['-e', script], env: { DMG_STATE: '/nowhere' } });
  await started.exited;
  const names = (JSON.parse(started.stdout[0] ?? '') as string[]).filter((name) => name !== 'DMG_TEST_RUN');
  assert.deepEqual(names, ['DMG_EXIT_WITH_PARENT', 'DMG_STATE', 'DMG_TEST_MARK']);
});

import assert from 'node:assert/strict';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../../test/harness/free-port.ts';
import { type ProcessExit, type RunningProcess, spawnProcess, startRoot } from '../../../test/harness/processes.ts';
import { tempDir } from '../../../test/harness/temp-dir.ts';
import { waitFor } from '../../../test/harness/wait-for.ts';
import type { LocalCloudReady } from './index.ts';
import { blobRequest, redisCommand } from './testing/plain-clients.ts';

interface Started {
  readonly process: RunningProcess;
  readonly ready: LocalCloudReady & { readonly redis: string; readonly blob: string; readonly serviceBusControl: string };
}

async function start(t: TestContext, ...args: string[]): Promise<Started> {
  const { process, ready } = await startRoot(t, 'local-cloud', { args, env: { DMG_LOG_LEVEL: 'warn' } });
  return { process, ready: readReady(ready) };
}

interface Failed {
  readonly exit: ProcessExit;
  readonly stderr: string;
}

async function startFailing(t: TestContext, args: string[], env: Record<string, string> = {}): Promise<Failed> {
  const main = fileURLToPath(import.meta.resolve('@dmg/local-cloud/main'));
  const process = spawnProcess(t, { name: 'local-cloud', args: [main, ...args], env });
  const exit = await process.exited;
  return { exit, stderr: process.stderr };
}

function readReady(ready: Record<string, unknown>): Started['ready'] {
  return ready as Record<string, unknown> & Started['ready'];
}

async function readFileOf(state: string): Promise<LocalCloudReady> {
  return JSON.parse(await readFile(join(state, 'local-cloud.json'), 'utf8')) as LocalCloudReady;
}

test('parts that are killed come back on the same ports with all that they had confirmed; nothing outlives the root', async (t) => {
  const state = await tempDir(t);
  const { process: root, ready } = await start(t, '--state', state);
  assert.deepEqual({ ready: 'local-cloud', ...(await readFileOf(state)) }, ready);
  assert.equal((await stat(join(state, 'local-cloud.json'))).mode & 0o777, 0o600);

  assert.equal(await redisCommand(ready.redis, 'SET', 'key', 'value'), '+OK');
  const body = JSON.stringify({ action: 'configure', queue: 'kept', settings: { lockMs: 777 } });
  const headers = { 'content-type': 'application/json' };
  assert.equal((await fetch(`${ready.serviceBusControl}/control`, { method: 'POST', headers, body })).status, 200);
  assert.equal((await blobRequest(ready.blob, 'PUT', 'box?restype=container')).status, 201);
  for (let index = 0; index < 20; index++) {
    assert.equal((await blobRequest(ready.blob, 'PUT', `box/blob-${index}`, `content ${index}`)).status, 201);
  }
  const { pids } = ready;
  for (const pid of [pids.azurite, pids.redis, pids.serviceBus]) process.kill(pid ?? 0, 'SIGKILL');

  const after = await waitFor('three new processes', async () => {
    const now = await readFileOf(state);
    return now.pids.redis !== pids.redis && now.pids.serviceBus !== pids.serviceBus && now.pids.azurite !== pids.azurite ? now : undefined;
  });
  assert.deepEqual({ ready: 'local-cloud', ...after, pids: {} }, { ...ready, pids: {} });
  assert.match(await redisCommand(ready.redis, 'GET', 'key'), /value/);
  assert.match(await (await fetch(`${ready.serviceBusControl}/queues`)).text(), /"name":"kept".*"lockMs":777/);
  for (let index = 0; index < 20; index++) {
    assert.deepEqual(await blobRequest(ready.blob, 'GET', `box/blob-${index}`), { status: 200, text: `content ${index}` });
  }
  assert.match(root.stderr, /process ended and is started again/);

  await root.kill();
  await root.assertNoneLeft();
  const again = await start(t, '--state', state);
  assert.deepEqual({ ...again.ready, pids: {} }, { ...ready, pids: {} }, 'ports and keys stay');
  assert.match(await redisCommand(ready.redis, 'GET', 'key'), /value/);
  assert.deepEqual(await again.process.terminate(), { code: 0, signal: null });
  await again.process.assertNoneLeft();
});

test('one part alone; a second root on the same state is refused', async (t) => {
  const state = await tempDir(t);
  const { ready } = await start(t, '--state', state, '--only', 'service-bus');
  assert.deepEqual(Object.keys(ready).sort(), ['pids', 'ready', 'serviceBus', 'serviceBusControl']);
  assert.deepEqual(await (await fetch(`${ready.serviceBusControl}/healthz`)).json(), { status: 'ok' });
  const { exit, stderr } = await startFailing(t, ['--state', state, '--only', 'service-bus']);
  assert.equal(exit.code, 1);
  assert.match(stderr, /DMG_LOCALCLOUD_STATE_IN_USE: Cannot use the state directory .*another process/);
});

test('what cannot start says what, why and what to do', async (t) => {
  const state = await tempDir(t);
  const missing = await startFailing(t, ['--state', state], { DMG_REDIS_SERVER: '/nowhere/redis-server' });
  assert.equal(missing.exit.code, 1);
  assert.match(missing.stderr, /DMG_LOCALCLOUD_REDIS_MISSING: Cannot start Redis: there is no \/nowhere\/redis-server\.\n\s+Install it/);

  const port = await freePort();
  const holder = createServer().listen(port, '127.0.0.1');
  t.after(() => holder.close());
  const taken = await startFailing(t, ['--state', state, '--only', 'service-bus', '--service-bus-port', String(port)]);
  assert.equal(taken.exit.code, 1);
  assert.match(taken.stderr, new RegExp(`DMG_LOCALCLOUD_PORT_TAKEN: Cannot listen on port ${port} .*\\n.*--service-bus-port`));

  // A file is in the way: root could write anywhere else.
  await writeFile(join(state, 'file'), '');
  const unwritable = await startFailing(t, ['--state', join(state, 'file', 'below')]);
  assert.match(unwritable.stderr, /DMG_LOCALCLOUD_STATE_NOT_WRITABLE/);

  const wrong = await startFailing(t, ['--prot', '1']);
  assert.equal(wrong.exit.code, 2);
  assert.match(wrong.stderr, /--prot/);
  assert.match((await startFailing(t, ['--only', 'mail'])).stderr, /mail is no part/);
  assert.match((await startFailing(t, ['--blob-port', '70000'])).stderr, /70000 is no port/);
});

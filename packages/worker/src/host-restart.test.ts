import { newId, silentLogger, systemRandom } from '@dmg/base';
import assert from 'node:assert/strict';
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { identifyProcess } from './process-facts.ts';
import { RunDirectory } from './run-directory.ts';
import { readHeldSlots } from './slot-names.ts';
import type { Script } from './testing/scripted-job.ts';
import { startScriptedWorker, temporaryDirectory, until } from './testing/scripted-worker.ts';

const timeout = 60_000;
const hostModule = fileURLToPath(new URL('./testing/test-host.ts', import.meta.url));
const deadHost = { pid: 2 ** 22 - 1, startTime: '1', bootId: 'gone' };

interface TestHost {
  readonly child: ChildProcess;
  readonly pids: readonly number[];
}

/** A host in its own process whose executors run the scripts. */
async function startHost(context: TestContext, nodeId: string, runDirectory: string, scripts: readonly Script[]): Promise<TestHost> {
  const child = fork(hostModule, [nodeId, runDirectory, JSON.stringify(scripts)], { execArgv: [] });
  context.after(() => child.kill('SIGKILL'));
  const [message] = (await once(child, 'message')) as [{ pids: number[] }];
  assert.equal(message.pids.length, scripts.length);
  context.after(() => {
    for (const pid of message.pids) if (identifyProcess(pid) !== undefined) process.kill(pid, 'SIGKILL');
  });
  return { child, pids: message.pids };
}

async function kill(host: TestHost): Promise<void> {
  const exited = once(host.child, 'exit');
  host.child.kill('SIGKILL');
  await exited;
}

const gone = (pids: readonly number[]): boolean => pids.every((pid) => identifyProcess(pid) === undefined);

test('executors of a killed host end by themselves within a second, also with work that does not stop', { timeout }, async (context) => {
  const nodeId = `test-${newId(systemRandom)}`;
  const host = await startHost(context, nodeId, temporaryDirectory(context), [{ behaviour: 'wait' }, { behaviour: 'ignore' }]);
  assert.deepEqual(await readHeldSlots(nodeId), new Set([0, 1]));
  await kill(host);
  const before = performance.now();
  await until(context, () => gone(host.pids));
  const tookMs = performance.now() - before;
  context.diagnostic(`gone in ${Math.round(tookMs)} ms`);
  assert(tookMs < 5_000);
  // A process of several threads shows as a zombie a moment before its last thread lets go of the name.
  await until(context, async () => (await readHeldSlots(nodeId)).size === 0);
});

test('a new host kills what its predecessor left, and counts its slots as used until they are free', { timeout }, async (context) => {
  const nodeId = `test-${newId(systemRandom)}`;
  const runDirectory = temporaryDirectory(context);
  const host = await startHost(context, nodeId, runDirectory, [{ behaviour: 'freeze' }, { behaviour: 'loop' }]);
  await kill(host);
  assert(!gone(host.pids), 'the frozen one cannot notice');
  const scripted = await startScriptedWorker(context, { nodeId, runDirectory, concurrentJobsLimit: 2 });
  await until(context, () => gone(host.pids));
  await until(context, () => scripted.worker.slots.used === 0);
  await scripted.accepted('a', { behaviour: 'wait' });
  await scripted.accepted('b', { behaviour: 'wait' });
  assert.deepEqual(readdirSync(join(runDirectory, 'executors')).length, scripted.worker.executorPids.length, 'old notes are gone');
});

test('leftovers that cannot be found in the run directory hold their slots until they are gone', { timeout }, async (context) => {
  const nodeId = `test-${newId(systemRandom)}`;
  const host = await startHost(context, nodeId, temporaryDirectory(context), [{ behaviour: 'freeze' }, { behaviour: 'freeze' }]);
  await kill(host);
  const scripted = await startScriptedWorker(context, { nodeId, concurrentJobsLimit: 3 });
  assert.deepEqual(scripted.worker.slots, { limit: 3, used: 2 });
  await scripted.accepted('a', { behaviour: 'wait' });
  const answer = await scripted.dispatch('b', { behaviour: 'wait' });
  assert(!answer.accepted && answer.reason === 'NO_FREE_SLOT', JSON.stringify(answer));
  for (const pid of host.pids) process.kill(pid, 'SIGKILL');
  await scripted.when((event) => event.type === 'slots' && event.used === 1);
  await scripted.accepted('b', { behaviour: 'wait' });
});

test('two hosts with the same node id share its slots: no slot is held twice', { timeout }, async (context) => {
  const nodeId = `test-${newId(systemRandom)}`;
  const runDirectory = temporaryDirectory(context);
  const host = await startHost(context, nodeId, runDirectory, [{ behaviour: 'wait' }, { behaviour: 'wait' }]);
  const scripted = await startScriptedWorker(context, { nodeId, runDirectory, concurrentJobsLimit: 2 });
  const answer = await scripted.dispatch('a', { behaviour: 'wait' });
  assert(!answer.accepted && answer.reason === 'NO_FREE_SLOT', JSON.stringify(answer));
  assert(!gone(host.pids), 'executors of a living host are not leftovers');
  await kill(host);
  await until(context, () => scripted.worker.slots.used === 0);
  await scripted.accepted('a', { behaviour: 'wait' });
});

test('a name taken after the host looked is found by binding, and free again when its holder is gone', { timeout }, async (context) => {
  const nodeId = `test-${newId(systemRandom)}`;
  const scripted = await startScriptedWorker(context, { nodeId, concurrentJobsLimit: 0 });
  const host = await startHost(context, nodeId, temporaryDirectory(context), [{ behaviour: 'wait' }]);
  scripted.worker.setLimit(1);
  await scripted.when((event) => event.type === 'slots' && event.limit === 1 && event.used === 1);
  const answer = await scripted.dispatch('a', { behaviour: 'wait' });
  assert(!answer.accepted && answer.reason === 'NO_FREE_SLOT');
  await kill(host);
  await until(context, () => scripted.worker.slots.used === 0);
  await until(context, async () => (await scripted.dispatch('a', { behaviour: 'wait' })).accepted);
});

test('a stranger is never killed: another start time, another program, another node, a living host, a torn note', async (context) => {
  const directory = temporaryDirectory(context);
  const notes = join(directory, 'executors');
  mkdirSync(notes);
  const sleeper = (...words: string[]): ChildProcess => {
    const child = spawn(process.execPath, ['-e', 'process.stdin.resume()', ...words], { stdio: ['pipe', 'ignore', 'ignore'] });
    context.after(() => child.kill('SIGKILL'));
    return child;
  };
  const plain = sleeper();
  const reused = sleeper('dmg-executor', 'node-1');
  const otherNode = sleeper('dmg-executor', 'node-2');
  const ofLivingHost = sleeper('dmg-executor', 'node-1');
  const leftover = sleeper('dmg-executor', 'node-1');
  const all = [plain, reused, otherNode, ofLivingHost, leftover];
  await Promise.all(all.map((child) => once(child, 'spawn')));
  const note = (child: ChildProcess, change: { startTime?: string } = {}, host: object | undefined = deadHost): void => {
    const executor = { ...identifyProcess(child.pid ?? 0), ...change };
    writeFileSync(join(notes, `${child.pid}.json`), JSON.stringify({ executor, host }));
  };
  note(plain);
  note(reused, { startTime: '1' });
  note(otherNode);
  note(ofLivingHost, {}, identifyProcess(process.pid));
  note(leftover);
  writeFileSync(join(notes, '1.json'), '{"executor":{"pid":1');
  const exited = once(leftover, 'exit');
  assert.equal(new RunDirectory({ directory, nodeId: 'node-1', logger: silentLogger }).killLeftovers(), 1);
  await exited;
  for (const child of all) if (child !== leftover) assert(identifyProcess(child.pid ?? 0) !== undefined);
  assert.deepEqual(readdirSync(notes), [`${ofLivingHost.pid}.json`]);
});

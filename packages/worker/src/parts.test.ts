import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { defaultConcurrentJobsLimit, maximumConcurrentJobs } from './default-limit.ts';
import { readExecutorMessage } from './executor-messages.ts';
import { LineTail } from './line-tail.ts';
import { identifyProcess, isSameProcess, readResidentBytes, readRunDelayMs } from './process-facts.ts';
import { bindSlotName, heldSlots, readHeldSlots, slotName } from './slot-names.ts';

const gibibyte = 1024 ** 3;

test('the default limit follows cores and memory, at least one and never above the maximum', () => {
  const sizes: [cores: number, memoryGib: number, limit: number, maximum: number][] = [
    [4, 8, 8, 25], [2, 24, 4, 16], [1, 1, 1, 1], [1, 0.25, 1, 1], [64, 256, 64, 64], [16, 4, 11, 11],
  ];
  for (const [cores, memoryGib, limit, maximum] of sizes) {
    const machine = { cores, memoryBytes: memoryGib * gibibyte };
    const found = [defaultConcurrentJobsLimit(machine), maximumConcurrentJobs(machine)];
    assert.deepEqual(found, [limit, maximum], `${cores} cores, ${memoryGib} GiB`);
  }
});

test('a slot is a name that one process holds, seen in the kernel, free when its holder closes', async () => {
  const name = slotName('unit', 7);
  const server = await bindSlotName(name);
  await assert.rejects(bindSlotName(name), { code: 'EADDRINUSE' });
  assert((await readHeldSlots('unit')).has(7));
  await new Promise((resolve) => server.close(resolve));
  assert.equal((await readHeldSlots('unit')).size, 0);
  assert.throws(() => slotName('a/b', 0), { code: 'DMG_WORKER_BAD_NODE_ID' });
});

test('only slots of the node itself are read from the list', () => {
  const listing = [
    'Num       RefCount Protocol Flags    Type St Inode Path',
    '0000: 00000002 00000000 00010000 0001 01 1 @dmg/n1/slot/0',
    '0000: 00000002 00000000 00010000 0001 01 2 @dmg/n1/slot/12',
    '0000: 00000002 00000000 00010000 0001 01 3 @dmg/n11/slot/3',
    '0000: 00000002 00000000 00010000 0001 01 4 /tmp/@dmg/n1/slot/4',
    '0000: 00000003 00000000 00000000 0001 03 5',
  ].join('\n');
  assert.deepEqual([...heldSlots(listing, 'n1')], [0, 12]);
});

test('a process is told apart from another one with its pid', () => {
  const own = identifyProcess(process.pid);
  assert(own !== undefined && isSameProcess(own, identifyProcess(process.pid)));
  assert(!isSameProcess({ ...own, startTime: '1' }, own));
  assert(!isSameProcess(own, identifyProcess(2 ** 22 - 1)));
  assert((readResidentBytes(process.pid) ?? 0) > 1e6);
});

test('the time that a process waits for a processor is seen in the kernel', async () => {
  const burn = 'const end = performance.now() + 600; while (performance.now() < end); console.log(); process.stdin.resume()';
  const children = [burn, burn].map((code) => spawn('taskset', ['-c', '0', process.execPath, '-e', code]));
  const delays = await Promise.all(children.map(async (child) => {
    await once(child.stdout, 'data');
    return readRunDelayMs(child.pid ?? 0) ?? 0;
  }));
  assert(delays.reduce((sum, delay) => sum + delay) >= 200, `two that share a processor waited ${delays.join(' and ')} ms for it`);
  for (const child of children) child.stdin.end();
  await Promise.all(children.map((child) => once(child, 'exit')));
  assert.equal(readRunDelayMs(2 ** 22 - 1), undefined);
});

test('last words are bounded, without log lines, frames and secrets', () => {
  const lines: string[] = [];
  const tail = new LineTail((line) => lines.push(line));
  tail.push(Buffer.from('{"level":"info","msg":"attempt"}\nError: login failed; Pass'));
  tail.push(Buffer.from('word=hunter2; at https://user:hunter2@host\n    at frame (file.ts:1)\n\nNode.js v24'));
  tail.end();
  assert.equal(tail.lastWords(), 'Error: login failed; Password=***; at https://user:***@host');
  assert.equal(lines.length, 5);
  for (let index = 0; index < 100; index++) tail.push(Buffer.from(`${'x'.repeat(5_000)}\n`));
  assert(tail.lastWords().length <= 1_000 && tail.text.length <= 20 * 4_001);
});

test('what is not a message of an executor is told so', () => {
  for (const value of [undefined, null, 'tick', {}, { type: 'nonsense' }, { type: 'ready' }, { type: 'ended', attemptId: 'a' }]) {
    assert.equal(readExecutorMessage(value), undefined);
  }
  assert.deepEqual(readExecutorMessage({ type: 'tick' }), { type: 'tick' });
});

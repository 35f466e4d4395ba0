import assert from 'node:assert/strict';
import { test } from 'node:test';
import { machineSample, parseMachineCounters, readMachineCounters } from './machine-sample.ts';

const network = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 900 1 0 0 0 0 0 0 900 1 0 0 0 0 0 0
  eth0: 1000 10 0 0 0 0 0 0 2000 20 0 0 0 0 0 0
  eth1:50 1 0 0 0 0 0 0 60 1 0 0 0 0 0 0
`;

test('CPU is the busy share between two moments; loopback does not count', () => {
  const before = parseMachineCounters('cpu  100 0 100 700 100 0 0 0 0 0\n', 'MemAvailable:    2097152 kB\n', network);
  const after = parseMachineCounters('cpu  150 0 150 750 150 0 0 0 0 0\n', 'MemAvailable:    1048576 kB\n', network);
  assert.deepEqual(machineSample(before, after), { cpuPercent: 50, availableMemoryMb: 1024, sentBytes: 2060, receivedBytes: 1050 });
});

test('no time between two moments is 0 %, not NaN', () => {
  const counters = parseMachineCounters('cpu  1 1 1 1 1 1 1 1\n', '', '');
  assert.equal(machineSample(counters, counters).cpuPercent, 0);
});

test('this machine can be read', async () => {
  const counters = await readMachineCounters();
  assert.ok(counters.cpuTotalTicks > 0);
  assert.ok(counters.availableMemoryBytes > 0);
});

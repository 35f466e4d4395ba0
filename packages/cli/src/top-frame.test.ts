import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import type { NodeView } from './gateway-view.ts';
import { renderTop, type TopData, type TopJob } from './top-frame.ts';

const node = (change: Partial<NodeView> = {}): NodeView => ({
  name: 'node-1', machine: 'host', status: 'Online', version: '0.1.0', isDispatcher: false, running: 2, limit: 8, maximum: 16,
  cpuPercent: 12.4, availableMemoryMb: 22_000, sentBytes: 1, receivedBytes: 1, lastContact: '2026-11-23T13:37:14.186Z',
  evidence: 'It was heard.', remedy: '',
  ...change,
});

const job = (change: Partial<TopJob> = {}): TopJob => ({
  pipeline: 'nightly', activity: 'orders-to-blob', runId: '8f0e', node: 'node-1', status: 'InProgress', bytes: 5_000_000,
  bytesTotal: 20_000_000, seconds: 2, ...change,
});

const data: TopData = {
  atMs: Date.UTC(2026, 10, 23, 12, 0, 1),
  gateway: {
    name: 'local', state: 'Limited', evidence: 'Not all is well.', remedy: '', availableNodes: 3, queueLength: 3, pickupDelaySeconds: 0.21,
    nodes: [
      node({ isDispatcher: true }),
      node({ name: 'node-2', running: 8, cpuPercent: 97 }),
      node({ name: 'node-3', status: 'Limited', running: 0, evidence: 'It runs 0.0.9, the gateway 0.1.0.', remedy: 'Update it.' }),
      node({
        name: 'node-4', status: 'Offline', running: undefined, cpuPercent: undefined, availableMemoryMb: undefined, lastContact: undefined,
        evidence: 'It was never heard.', remedy: 'Start it.',
      }),
    ],
  },
  network: {
    'node-1': { receivedPerSecond: 12_340_000, sentPerSecond: 950 },
    'node-2': { receivedPerSecond: 0, sentPerSecond: undefined },
  },
  jobs: [job(), job({ activity: 'waits', node: '', bytes: 0, bytesTotal: 0, seconds: 0 })],
  moreRuns: 0,
  trouble: undefined,
};

test('a wide terminal shows every column', () => {
  assert.deepEqual(renderTop(data, { columns: 132, rows: 24, colours: false }), [
    'gateway local: Limited   3 of 4 nodes available   10 running   3 waiting   pick-up 0.2 s   12:00:01 UTC',
    '',
    'NODE    ROLE        STATUS   VERSION  JOBS   CPU  FREE MEM     NET IN  NET OUT  LAST CONTACT',
    'node-1  dispatcher  Online   0.1.0     2/8  12 %   21.5 GB  12.3 MB/s  950 B/s  13:37:14',
    'node-2  worker      Online   0.1.0     8/8  97 %   21.5 GB      0 B/s        -  13:37:14',
    'node-3  worker      Limited  0.1.0     0/8  12 %   21.5 GB          -        -  13:37:14',
    'node-4  worker      Offline  0.1.0     -/8     -         -          -        -  never',
    'node-3: It runs 0.0.9, the gateway 0.1.0. Update it.',
    'node-4: It was never heard. Start it.',
    '',
    'PIPELINE  JOB             NODE    STATE     MOVED      RATE  DONE   TIME  RUN',
    'nightly   orders-to-blob  node-1  running  5.0 MB  2.5 MB/s  25 %  2.0 s  8f0e',
    'nightly   waits           -       waiting     0 B         -        0.0 s  8f0e',
  ]);
});

test('a narrow terminal keeps the columns that matter most', () => {
  assert.deepEqual(renderTop(data, { columns: 40, rows: 24, colours: false }), [
    'gateway local: Limited   3 of 4 nodes a…',
    '',
    'NODE    STATUS   JOBS   CPU  FREE MEM',
    'node-1  Online    2/8  12 %   21.5 GB',
    'node-2  Online    8/8  97 %   21.5 GB',
    'node-3  Limited   0/8  12 %   21.5 GB',
    'node-4  Offline   -/8     -         -',
    'node-3: It runs 0.0.9, the gateway 0.1.…',
    'node-4: It was never heard. Start it.',
    '',
    'JOB             NODE    STATE     MOVED',
    'orders-to-blob  node-1  running  5.0 MB',
    'waits           -       waiting     0 B',
  ]);
});

test('no line is wider and no picture higher than the terminal, with colours or without', () => {
  const jobs = Array.from({ length: 50 }, (_, index) => job({ activity: `job-${index}-${'x'.repeat(index)}`, pipeline: 'p'.repeat(30) }));
  for (const rows of [6, 12, 24, 60]) {
    for (const columns of [1, 8, 20, 33, 79, 80, 120, 200]) {
      const plain = renderTop({ ...data, jobs, moreRuns: 4 }, { columns, rows, colours: false });
      assert.ok(plain.length <= rows, `${plain.length} lines in ${rows}`);
      assert.deepEqual(plain.filter((line) => line.length > columns), [], `in ${columns} columns`);
      const coloured = renderTop({ ...data, jobs, moreRuns: 4 }, { columns, rows, colours: true });
      assert.deepEqual(coloured.map((line) => stripVTControlCharacters(line).trimEnd()), plain);
    }
  }
});

test('what does not fit is counted', () => {
  const jobs = Array.from({ length: 50 }, (_, index) => job({ activity: `job-${index}` }));
  const lines = renderTop({ ...data, jobs, moreRuns: 4 }, { columns: 100, rows: 20, colours: false });
  assert.equal(lines.at(-1), '… and 42 jobs and 4 runs more');
  assert.equal(lines.filter((line) => line.includes('job-')).length, 8);
});

test('an old picture says why it is one, and nothing that comes from elsewhere moves the cursor', () => {
  const lines = renderTop({ ...data, trouble: 'it is away\u001b[2J', jobs: [] }, { columns: 80, rows: 24, colours: false });
  assert.equal(lines[1], 'it is away [2J');
  assert.equal(lines.at(-1), 'no job is under way');
});

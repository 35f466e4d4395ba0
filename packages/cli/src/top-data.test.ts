import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type NodeCounters, nextCounters, TopReader } from './top-data.ts';
import { answering } from './testing/answering-context.ts';
import { ManualClock } from '@dmg/base';

function after(...readings: [atMs: number, sentBytes: number, receivedBytes: number][]): NodeCounters['rate'] | undefined {
  let counters: NodeCounters | undefined;
  for (const [atMs, sentBytes, receivedBytes] of readings) counters = nextCounters(counters, { atMs, sentBytes, receivedBytes });
  return counters?.rate;
}

test('a rate is that between the last two counters that differ', () => {
  const none = { sentPerSecond: undefined, receivedPerSecond: undefined };
  assert.deepEqual(after([0, 10, 20]), none);
  assert.deepEqual(after([0, 0, 0], [5000, 10_000, 5000]), { sentPerSecond: 2000, receivedPerSecond: 1000 });
  // Looked at more often than they are told.
  const often = after([0, 0, 0], [1000, 0, 0], [5000, 10_000, 5000], [6000, 10_000, 5000]);
  assert.deepEqual(often, { sentPerSecond: 2000, receivedPerSecond: 1000 });
  assert.deepEqual(after([0, 0, 0], [5000, 10_000, 0], [15_000, 10_000, 0]), { sentPerSecond: 0, receivedPerSecond: 0 });
  assert.deepEqual(after([0, 500, 500], [5000, 10, 10]), none, 'the machine was started again');
});

test('nodes come from status and monitoring, jobs from the open runs, those that run first', async () => {
  const asked: string[] = [];
  const context = answering((what, { body }) => {
    asked.push(what);
    if (what.startsWith('read the status')) {
      const nodes = [{ nodeName: 'n1', status: 'Limited', statusDetail: 'Inactive', isActiveDispatcher: true }];
      return { properties: { state: 'Online', typeProperties: { nodes } } };
    }
    if (what.startsWith('read the monitoring')) {
      const measured = { nodeName: 'n1', concurrentJobsLimit: 4, concurrentJobsRunning: 1, sentBytes: 7, receivedBytes: 8 };
      return { nodes: [measured], queueLength: 2, averageTaskPickupDelayInSeconds: 0.5 };
    }
    if (what === 'list open runs') {
      assert.deepEqual((body as { filters: unknown }).filters, [
        { operand: 'Status', operator: 'In', values: ['InProgress', 'Canceling', 'Queued'] },
      ]);
      const value = [
        { runId: 'b', pipelineName: 'late', status: 'Queued' },
        { runId: 'a', pipelineName: 'early', status: 'InProgress' },
      ];
      return { value };
    }
    return what.endsWith(' a')
      ? {
          value: [
            { activityName: 'done', status: 'Succeeded' },
            {
              activityName: 'runs', status: 'InProgress', durationInMs: 1500,
              output: {
                effectiveIntegrationRuntime: 'local (n1)', assistingNodes: ['n2', 'n3'], dataWritten: 3, progress: { bytesTotal: 9 },
              },
            },
          ],
        }
      : { value: [{ activityName: 'waits', status: 'Queued', output: { effectiveIntegrationRuntime: 'local' } }] };
  });
  const reader = new TopReader({ context, gateway: 'local', clock: new ManualClock() });
  const { gateway, jobs, moreRuns } = await reader.read(new AbortController().signal);
  assert.deepEqual([gateway.queueLength, gateway.pickupDelaySeconds, moreRuns], [2, 0.5, 0]);
  const nodes = gateway.nodes.map(({ name, status, running, limit, isDispatcher }) => [name, status, running, limit, isDispatcher]);
  assert.deepEqual(nodes, [['n1', 'Inactive', 1, 4, true]]);
  assert.deepEqual(jobs.map(({ activity, node, bytes, bytesTotal, seconds }) => [activity, node, bytes, bytesTotal, seconds]), [
    ['runs', 'n1 +2', 3, 9, 1.5], ['waits', '', 0, 0, 0],
  ]);
  assert.equal(asked.length, 5);
});

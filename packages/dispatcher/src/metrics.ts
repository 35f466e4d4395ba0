import type { MetricDefinition } from '@dmg/base';

export const dispatcherMetrics = {
  jobs: {
    name: 'dmg_dispatch_jobs_total', kind: 'counter', labels: ['outcome', 'reason'],
    help: 'Dispatches by what the worker answered (accepted, refused with the reason, unreachable).',
  },
  waitSeconds: {
    name: 'dmg_dispatch_wait_seconds', kind: 'histogram', buckets: [0.005, 0.015, 0.05, 0.2, 1, 5, 30, 120, 600, 3600],
    help: 'Time from the moment a job had to wait for a slot until a worker accepted it.',
  },
  messages: {
    name: 'dmg_queue_messages_total', kind: 'counter', labels: ['settlement'],
    help: 'Messages by what became of them: completed, dead_lettered, left (to their lock), drained (from the dead-letter queue).',
  },
  waiting: { name: 'dmg_dispatch_waiting_jobs', kind: 'gauge', help: 'Jobs that are bound to no node.' },
  grants: {
    name: 'dmg_dispatch_grants_total', kind: 'counter', labels: ['cause'],
    help: 'Epochs under which this node led, by why it needed one: start (the first of this process), regained (it had stepped down), '
      + 'data_lost (by the ledger).',
  },
} as const satisfies Record<string, MetricDefinition>;

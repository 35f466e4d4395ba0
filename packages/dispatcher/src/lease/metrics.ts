import type { MetricDefinition } from '@dmg/base';

export const leaseMetrics = {
  isLeader: { name: 'dmg_lease_is_leader', kind: 'gauge', help: '1 while this node holds the lease, else 0.' },
  transitions: {
    name: 'dmg_lease_transitions_total', kind: 'counter', help: 'How often this node got the lease, or did not have it any more.',
  },
  renewFailures: {
    name: 'dmg_lease_renew_failures_total', kind: 'counter',
    help: 'Renewals of the lease that a majority of the masters did not confirm, for whatever reason.',
  },
} as const satisfies Record<string, MetricDefinition>;

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
  renewalGap: {
    name: 'dmg_lease_renewal_gap_seconds', kind: 'histogram', buckets: [0.2, 0.26, 0.3, 0.35, 0.4, 0.5, 0.6, 0.75, 0.9, 1],
    help: 'From the sending of one renewal of the lease that was confirmed to that of the next. Near the length of the lease it is lost.',
  },
} as const satisfies Record<string, MetricDefinition>;

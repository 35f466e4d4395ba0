import type { MetricDefinition } from '@dmg/base';

export const queueMetrics = {
  fallbackSettlements: {
    name: 'dmg_queue_fallback_settlements_total',
    kind: 'counter',
    help: 'Messages settled over the second connection because the first gave no answer.',
  },
  renewals: {
    name: 'dmg_queue_renewals_total',
    kind: 'counter',
    help: 'Receiving links (recycled, overCapacity) and connections (rebuilt) that were replaced.',
    labels: ['reason'],
  },
  connected: {
    name: 'dmg_queue_is_connected',
    kind: 'gauge',
    help: '1 while the queue can be received from.',
  },
} as const satisfies Record<string, MetricDefinition>;

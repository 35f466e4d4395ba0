import type { MetricDefinition } from '@dmg/base';

export const nodeMetrics = {
  status: {
    name: 'dmg_node_status', kind: 'gauge', labels: ['status'],
    help: 'Status of this node: 1 for the one that it has, 0 for the others. The same that the REST API shows.',
  },
} as const satisfies Record<string, MetricDefinition>;

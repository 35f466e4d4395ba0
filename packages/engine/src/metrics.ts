import type { MetricDefinition } from '@dmg/base';

export const engineMetrics = {
  bytes: {
    name: 'dmg_engine_bytes_total', kind: 'counter', labels: ['stage', 'connector'],
    help: 'Bytes read from sources (stage read) and handed to sinks (stage written), repeated ones included.',
  },
  rows: {
    name: 'dmg_engine_rows_total', kind: 'counter', labels: ['stage', 'connector'],
    help: 'Rows of chunks that were marked at the sink (stage written).',
  },
  waitSeconds: {
    name: 'dmg_engine_stage_wait_seconds_total', kind: 'counter', labels: ['stage'],
    help: 'Time that copies waited for the source (read), the sink (write) or free part buffers (memory), summed over parallel calls.',
  },
  retries: {
    name: 'dmg_engine_retries_total', kind: 'counter', labels: ['stage'],
    help: 'Calls (stage call) and chunks (stage chunk) that were repeated after a transient error.',
  },
} as const satisfies Record<string, MetricDefinition>;

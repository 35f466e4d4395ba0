import type { MetricDefinition } from '@dmg/base';

export const slotsMetric: MetricDefinition = {
  name: 'dmg_worker_slots',
  kind: 'gauge',
  help: 'Slots of this node. Used ones count against the limit of concurrent jobs.',
  labels: ['state'],
};

export const attemptsMetric: MetricDefinition = {
  name: 'dmg_worker_attempts_total',
  kind: 'counter',
  help: 'Attempts that ended on this node, by how they ended and by the connectors of source and sink.',
  labels: ['outcome', 'source', 'sink'],
};

export const attemptDurationMetric: MetricDefinition = {
  name: 'dmg_worker_attempt_duration_seconds',
  kind: 'histogram',
  help: 'From the reservation of the slot to the end of the attempt.',
  labels: ['outcome', 'source', 'sink'],
  buckets: [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300, 1800, 7200],
};

export const executorDeathsMetric: MetricDefinition = {
  name: 'dmg_worker_executor_deaths_total',
  kind: 'counter',
  help: 'Executor processes that ended before they were told to, or were killed, by reason.',
  labels: ['reason'],
};

export const dispatchesMetric: MetricDefinition = {
  name: 'dmg_worker_dispatches_total',
  kind: 'counter',
  help: 'Dispatches that this node answered: accepted, or the reason of the refusal.',
  labels: ['answer'],
};

export const troublesMetric: MetricDefinition = {
  name: 'dmg_worker_troubles_total',
  kind: 'counter',
  help: 'Things that an executor or its host could not do and goes on without.',
  labels: ['what'],
};

export const eventLoopDelayMetric: MetricDefinition = {
  name: 'dmg_host_event_loop_delay_seconds',
  kind: 'gauge',
  help: 'How late the event loop of the host is since its start was over, over the last half to whole minute, by quantile.',
  labels: ['quantile'],
};

export const residentBytesMetric: MetricDefinition = {
  name: 'dmg_process_resident_bytes',
  kind: 'gauge',
  help: 'Resident memory: of the host, and of all its executors together.',
  labels: ['process'],
};

export const executorsMetric: MetricDefinition = {
  name: 'dmg_worker_executors',
  kind: 'gauge',
  help: 'Executor processes, idle and busy ones.',
};

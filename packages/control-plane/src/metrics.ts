import type { MetricDefinition } from '@dmg/base';

export const runsAcceptedTotal: MetricDefinition = {
  name: 'dmg_controlplane_runs_accepted_total', kind: 'counter', help: 'Pipeline runs accepted.',
};
export const runEndsTotal: MetricDefinition = {
  name: 'dmg_controlplane_run_ends_total', kind: 'counter', help: 'Pipeline runs that ended, by status.', labels: ['status'],
};
export const activityEndsTotal: MetricDefinition = {
  name: 'dmg_controlplane_activity_ends_total', kind: 'counter', help: 'Activity runs that ended, by status.', labels: ['status'],
};
export const messagesSentTotal: MetricDefinition = {
  name: 'dmg_controlplane_messages_sent_total', kind: 'counter', help: 'Job messages handed to the queue, by outcome.', labels: ['outcome'],
};
export const resendsTotal: MetricDefinition = {
  name: 'dmg_controlplane_resends_total', kind: 'counter',
  help: 'Jobs sent again because nobody knew them any more, or given up as too old.', labels: ['decision'],
};
export const deadLettersTotal: MetricDefinition = {
  name: 'dmg_controlplane_dead_letters_total', kind: 'counter', help: 'Messages that the queue gave up.',
};
export const requestsTotal: MetricDefinition = {
  name: 'dmg_controlplane_requests_total', kind: 'counter',
  help: 'HTTPS requests, by interface and class of status.', labels: ['api', 'status'],
};
export const longPollsActive: MetricDefinition = {
  name: 'dmg_controlplane_long_polls', kind: 'gauge', help: 'Nodes that wait for their desired state.',
};

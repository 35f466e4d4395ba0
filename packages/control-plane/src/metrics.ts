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

/*
 * Gateways and nodes as the control plane judges them; the same answer as `getStatus` and `monitoringData`. Their labels are names that
 * users gave, not a closed set: as many series as there are gateways, and nodes in them (at most a handful each), which the database
 * bounds. What a node says of itself it says under `dmg_node_`. A node or gateway that is deleted stays at 0 until the control plane starts
 * again. Azure Monitor's names for the same are IntegrationRuntimeQueueLength, IntegrationRuntimeAverageTaskPickupDelay,
 * IntegrationRuntimeAvailableNodeNumber, IntegrationRuntimeCpuPercentage and IntegrationRuntimeAvailableMemory.
 */
const ofGateway = ['factory', 'gateway'] as const;
const ofNode = ['factory', 'gateway', 'node'] as const;

export const gatewayQueueLength: MetricDefinition = {
  name: 'dmg_gateway_queue_length', kind: 'gauge', labels: ofGateway,
  help: 'Activities sent that no node has taken up, in the queue or at the dispatcher.',
};
export const gatewayPickupDelay: MetricDefinition = {
  name: 'dmg_gateway_pickup_delay_seconds', kind: 'gauge', labels: ofGateway,
  help: 'From acceptance of an activity to its start on a node, average of the last 5 minutes; 0 when there was none.',
};
export const gatewayAvailableNodes: MetricDefinition = {
  name: 'dmg_gateway_available_nodes', kind: 'gauge', labels: ofGateway, help: 'Nodes that take jobs.',
};
export const nodeStatusNow: MetricDefinition = {
  name: 'dmg_gateway_node_status', kind: 'gauge', labels: [...ofNode, 'status'],
  help: '1 for the status that the node has, 0 for the others.',
};
export const nodeIsDispatcher: MetricDefinition = {
  name: 'dmg_gateway_node_is_dispatcher', kind: 'gauge', labels: ofNode, help: '1 for the node that leads its gateway, 0 for the others.',
};
export const nodeCpu: MetricDefinition = {
  name: 'dmg_gateway_node_cpu_ratio', kind: 'gauge', labels: ofNode, help: 'Use of the processors of the node, 0 to 1.',
};
export const nodeAvailableMemory: MetricDefinition = {
  name: 'dmg_gateway_node_available_memory_bytes', kind: 'gauge', labels: ofNode, help: 'Memory of the node that is free to use.',
};
export const nodeRunningJobs: MetricDefinition = {
  name: 'dmg_gateway_node_running_jobs', kind: 'gauge', labels: ofNode, help: 'Places of the node that jobs occupy.',
};
export const nodeJobsLimit: MetricDefinition = {
  name: 'dmg_gateway_node_jobs_limit', kind: 'gauge', labels: ofNode, help: 'Limit of concurrent jobs set for the node.',
};

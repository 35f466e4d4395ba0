import type { MetricDefinition } from '@dmg/base';

export const linksMetric: MetricDefinition = {
  name: 'dmg_cluster_links',
  kind: 'gauge',
  help: 'Streams that this node keeps to the other nodes of its gateway, by whether they are open.',
  labels: ['state'],
};

export const linkEndsMetric: MetricDefinition = {
  name: 'dmg_cluster_link_ends_total',
  kind: 'counter',
  help: 'Open streams to other nodes that ended: the connection was closed, the other side was silent, or it let this node in no more.',
  labels: ['how'],
};

export const strangersMetric: MetricDefinition = {
  name: 'dmg_cluster_strangers_total',
  kind: 'counter',
  help: 'Connections and calls of others that were turned away: without a certificate of the gateway, or of no member.',
  labels: ['reason'],
};

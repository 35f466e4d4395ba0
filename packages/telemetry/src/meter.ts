import type { Meter, MetricDefinition } from '@dmg/base';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

export interface PrometheusMeter extends Meter {
  /** All metrics in the Prometheus text format, and its content type. */
  text(): Promise<{ readonly contentType: string; readonly body: string }>;
}

/** base's `Meter` over prom-client. A metric comes into being at its first use, or by `declare`. */
export function createMeter(options: { readonly processMetrics?: boolean } = {}): PrometheusMeter {
  const registry = new Registry();
  if (options.processMetrics !== false) collectDefaultMetrics({ register: registry });
  const counters = new Map<string, Counter>();
  const gauges = new Map<string, Gauge>();
  const histograms = new Map<string, Histogram>();
  return {
    add(metric, value, labels) {
      obtain(counters, metric, () => new Counter(configuration(metric, registry))).inc(labels ?? {}, value);
    },
    set(metric, value, labels) {
      obtain(gauges, metric, () => new Gauge(configuration(metric, registry))).set(labels ?? {}, value);
    },
    observe(metric, value, labels) {
      const buckets = metric.buckets === undefined ? {} : { buckets: [...metric.buckets] };
      obtain(histograms, metric, () => new Histogram({ ...configuration(metric, registry), ...buckets })).observe(labels ?? {}, value);
    },
    text: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
  };
}

interface MetricConfiguration {
  readonly name: string;
  readonly help: string;
  readonly labelNames: string[];
  readonly registers: Registry[];
}

function configuration(metric: MetricDefinition, registry: Registry): MetricConfiguration {
  return { name: metric.name, help: metric.help, labelNames: [...(metric.labels ?? [])], registers: [registry] };
}

function obtain<T>(known: Map<string, T>, metric: MetricDefinition, make: () => T): T {
  let found = known.get(metric.name);
  if (found === undefined) {
    found = make();
    known.set(metric.name, found);
  }
  return found;
}


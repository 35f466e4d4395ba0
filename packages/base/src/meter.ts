/** Label values come from closed sets; never a job id, table, host or message. */
export type Labels = Readonly<Record<string, string>>;

export interface MetricDefinition {
  /** `dmg_<area>_<noun>_<unit>[_total]`. */
  readonly name: string;
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels?: readonly string[];
  readonly buckets?: readonly number[];
}

/** Where packages count. Each package declares its metrics in its `metrics.ts`; `telemetry` implements this port. */
export interface Meter {
  add(metric: MetricDefinition, value: number, labels?: Labels): void;
  set(metric: MetricDefinition, value: number, labels?: Labels): void;
  observe(metric: MetricDefinition, value: number, labels?: Labels): void;
}

export const silentMeter: Meter = { add: () => undefined, set: () => undefined, observe: () => undefined };

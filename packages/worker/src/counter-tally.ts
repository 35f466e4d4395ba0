import type { Labels, Meter, MetricDefinition } from '@dmg/base';

/** By how much one counter has grown. */
export interface CounterIncrement {
  readonly name: string;
  readonly labels: Labels;
  readonly value: number;
}

/**
 * Counts in an executor for its host, which has the only meter that anybody reads: increments of the same counter add up until
 * they are taken. Only counters travel; a gauge or a histogram of one process among many says nothing about the node.
 */
export class CounterTally implements Meter {
  readonly #grown: () => void;
  #increments = new Map<string, CounterIncrement>();

  /** `grown` is called when there is something to take again. */
  constructor(grown: () => void) {
    this.#grown = grown;
  }

  add(metric: MetricDefinition, value: number, labels: Labels = {}): void {
    const isFirst = this.#increments.size === 0;
    const key = JSON.stringify([metric.name, ...Object.entries(labels).flat()]);
    this.#increments.set(key, { name: metric.name, labels, value: value + (this.#increments.get(key)?.value ?? 0) });
    if (isFirst) this.#grown();
  }

  set(): void {
    // Only counters travel.
  }

  observe(): void {
    // Only counters travel.
  }

  /** What has grown since it was asked last. */
  take(): CounterIncrement[] {
    const taken = [...this.#increments.values()];
    this.#increments = new Map();
    return taken;
  }
}

/** Reads what came from an executor; undefined when it is not a list of increments. */
export function readIncrements(value: unknown): readonly CounterIncrement[] | undefined {
  return Array.isArray(value) && value.every(isIncrement) ? value : undefined;
}

function isIncrement(value: unknown): value is CounterIncrement {
  if (typeof value !== 'object' || value === null) return false;
  const { name, labels, value: by } = value as Partial<CounterIncrement>;
  return typeof name === 'string' && typeof by === 'number' && Number.isFinite(by) && by >= 0 &&
    typeof labels === 'object' && labels !== null && Object.values(labels).every((label) => typeof label === 'string');
}

/**
 * Adds what executors have counted to the host's meter. Executors are told what to do by jobs and may go wrong, so only counters that
 * the host knows are added, with the labels that it knows. Returns the names that were not.
 */
export function addIncrements(
  meter: Meter, known: ReadonlyMap<string, MetricDefinition>, increments: readonly CounterIncrement[],
): string[] {
  const unknown: string[] = [];
  for (const { name, labels, value } of increments) {
    const metric = known.get(name);
    const labelsFit = Object.keys(labels).every((label) => metric?.labels?.includes(label) === true);
    if (metric?.kind === 'counter' && labelsFit) meter.add(metric, value, labels);
    else unknown.push(name);
  }
  return unknown;
}

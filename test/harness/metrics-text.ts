/** One sample of a page in Prometheus's text format. */
export interface MetricSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export function parseMetrics(text: string): MetricSample[] {
  return text.split('\n').flatMap((line) => {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/.exec(line);
    if (match === null || line.startsWith('#')) return [];
    const [, name = '', labels = '', value = ''] = match;
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key = '', text = '']) => [key, text] as const);
    return [{ name, labels: Object.fromEntries(pairs), value: Number(value.replace('+Inf', 'Infinity')) }];
  });
}

export async function readMetrics(url: string, limitMs = 2000): Promise<MetricSample[]> {
  return parseMetrics(await (await fetch(url, { signal: AbortSignal.timeout(limitMs) })).text());
}

/** The value of the sample with these labels; undefined when there is none. */
export function sampleOf(samples: readonly MetricSample[], name: string, labels: MetricSample['labels'] = {}): number | undefined {
  const wanted = Object.entries(labels);
  return samples.find((sample) => sample.name === name && wanted.every(([key, value]) => sample.labels[key] === value))?.value;
}

/** The smallest bound of a histogram below which at least `share` of its observations lie; undefined when there are none. */
export function histogramBound(samples: readonly MetricSample[], name: string, share: number): number | undefined {
  const buckets = samples
    .filter((sample) => sample.name === `${name}_bucket`)
    .map(({ labels, value }) => ({ bound: Number(labels['le']?.replace('+Inf', 'Infinity')), value }))
    .sort((a, b) => a.bound - b.bound);
  const total = buckets.at(-1)?.value ?? 0;
  return total === 0 ? undefined : buckets.find(({ value }) => value >= share * total)?.bound;
}

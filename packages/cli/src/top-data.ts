import type { Clock } from '@dmg/base';
import type { Context } from './context.ts';
import { factoryPath } from './data-factory.ts';
import { type GatewayView, gatewayView, readGateway } from './gateway-view.ts';
import type { NetworkRate, TopData, TopJob } from './top-frame.ts';

interface OpenRun {
  readonly runId: string;
  readonly pipelineName: string;
  readonly status: string;
}

interface OpenActivity {
  readonly activityName: string;
  readonly status: string;
  readonly durationInMs?: number;
  readonly output?: {
    readonly effectiveIntegrationRuntime?: string;
    readonly assistingNodes?: readonly string[];
    readonly dataWritten?: number;
    readonly progress?: { readonly bytesTotal?: number };
  };
}

const openStatuses = ['InProgress', 'Canceling', 'Queued'] as const;
/** Runs whose jobs are read for a frame. */
const runsMax = 24;
const day = 24 * 3600 * 1000;
/** A counter that stood still for so long says that nothing moves; before that it may only not have been told yet. */
const rateKeptMs = 10_000;

/** Reads what `dmg top` shows, again and again: network rates come of the counters of two readings. */
export class TopReader {
  readonly #context: Context;
  readonly #gateway: string;
  readonly #clock: Clock;
  readonly #counters = new Map<string, NodeCounters>();

  constructor(options: { context: Context; gateway: string; clock: Clock }) {
    this.#context = options.context;
    this.#gateway = options.gateway;
    this.#clock = options.clock;
  }

  async read(signal: AbortSignal): Promise<TopData> {
    const [answers, runs] = await Promise.all([readGateway(this.#context, this.#gateway, signal), this.#openRuns(signal)]);
    const gateway = gatewayView(this.#gateway, answers);
    const read = runs.items.toSorted((a, b) => rankOf(a) - rankOf(b)).slice(0, runsMax);
    const jobs = (await Promise.all(read.map((run) => this.#jobsOf(run, signal)))).flat();
    return {
      atMs: this.#clock.wallMs(),
      gateway,
      network: this.#rates(gateway),
      jobs: jobs.toSorted((a, b) => Number(a.node === '') - Number(b.node === '') || b.seconds - a.seconds),
      moreRuns: runs.items.length - read.length + (runs.hasMore ? 1 : 0),
      trouble: undefined,
    };
  }

  async #openRuns(signal: AbortSignal): Promise<{ items: readonly OpenRun[]; hasMore: boolean }> {
    const nowMs = this.#clock.wallMs();
    const body = {
      lastUpdatedAfter: new Date(nowMs - 45 * day).toISOString(),
      lastUpdatedBefore: new Date(nowMs + day).toISOString(),
      filters: [{ operand: 'Status', operator: 'In', values: openStatuses }],
    };
    const call = { method: 'POST', path: factoryPath(this.#context, '/queryPipelineRuns'), body, signal } as const;
    const page = (await this.#context.client.call('list open runs', call)) as { value: OpenRun[]; continuationToken?: string };
    return { items: page.value, hasMore: page.continuationToken !== undefined };
  }

  async #jobsOf({ runId, pipelineName }: OpenRun, signal: AbortSignal): Promise<TopJob[]> {
    const nowMs = this.#clock.wallMs();
    const body = { lastUpdatedAfter: new Date(nowMs - 45 * day).toISOString(), lastUpdatedBefore: new Date(nowMs + day).toISOString() };
    const path = factoryPath(this.#context, `/pipelineruns/${encodeURIComponent(runId)}/queryActivityruns`);
    const answer = await this.#context.client.call(`read the activities of ${runId}`, { method: 'POST', path, body, signal });
    return (answer as { value: OpenActivity[] }).value
      .filter(({ status }) => (openStatuses as readonly string[]).includes(status))
      .map(({ activityName, status, durationInMs = 0, output = {} }) => ({
        pipeline: pipelineName,
        activity: activityName,
        runId,
        node: nodeText(output),
        status,
        bytes: output.dataWritten ?? 0,
        bytesTotal: output.progress?.bytesTotal ?? 0,
        seconds: durationInMs / 1000,
      }));
  }

  #rates({ nodes }: GatewayView): Record<string, NetworkRate> {
    const nowMs = this.#clock.monotonicMs();
    const rates: Record<string, NetworkRate> = {};
    for (const { name, sentBytes, receivedBytes } of nodes) {
      if (sentBytes === undefined || receivedBytes === undefined) continue;
      const counters = nextCounters(this.#counters.get(name), { atMs: nowMs, sentBytes, receivedBytes });
      this.#counters.set(name, counters);
      rates[name] = counters.rate;
    }
    return rates;
  }
}

/** The node that leads the copy, and on how many more it is copied. */
function nodeText({ effectiveIntegrationRuntime = '', assistingNodes = [] }: NonNullable<OpenActivity['output']>): string {
  const node = /\((.*)\)$/.exec(effectiveIntegrationRuntime)?.[1] ?? '';
  return node === '' || assistingNodes.length === 0 ? node : `${node} +${assistingNodes.length}`;
}

export interface CounterReading {
  readonly atMs: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

export interface NodeCounters extends CounterReading {
  readonly rate: NetworkRate;
}

/**
 * Counters reach the control plane every few seconds and are read more often: the rate is that between the last two that differ.
 * Counters that went back are a machine's that was started again.
 */
export function nextCounters(before: NodeCounters | undefined, now: CounterReading): NodeCounters {
  const none: NetworkRate = { sentPerSecond: undefined, receivedPerSecond: undefined };
  if (before === undefined || now.sentBytes < before.sentBytes || now.receivedBytes < before.receivedBytes) return { ...now, rate: none };
  const elapsedMs = now.atMs - before.atMs;
  const stands = now.sentBytes === before.sentBytes && now.receivedBytes === before.receivedBytes;
  if (stands && elapsedMs < rateKeptMs) return before;
  if (elapsedMs <= 0) return before;
  return {
    ...now,
    rate: {
      sentPerSecond: ((now.sentBytes - before.sentBytes) * 1000) / elapsedMs,
      receivedPerSecond: ((now.receivedBytes - before.receivedBytes) * 1000) / elapsedMs,
    },
  };
}

function rankOf({ status }: OpenRun): number {
  return (openStatuses as readonly string[]).indexOf(status);
}

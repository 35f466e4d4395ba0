import { readFile } from 'node:fs/promises';
import { Secret, systemClock } from '@dmg/base';
import { HttpsJsonClient } from '@dmg/https-json';
import type { UpLine } from './up-line.ts';
import { waitFor } from './wait-for.ts';

/** The few REST calls that tests of a whole gateway need. Repeated while the control plane is away, which is what a client does. */
export class Rest {
  readonly #line: UpLine;
  readonly #factory: string;
  #client: HttpsJsonClient | undefined;

  constructor(line: UpLine, factory = 'local') {
    this.#line = line;
    this.#factory = factory;
  }

  close(): void {
    this.#client?.close();
  }

  put(kind: string, name: string, properties: object): Promise<unknown> {
    return this.call('PUT', `/${kind}/${name}`, { properties });
  }

  async createRun(pipeline: string, parameters: Readonly<Record<string, string>> = {}): Promise<string> {
    return ((await this.call('POST', `/pipelines/${pipeline}/createRun`, parameters)) as { runId: string }).runId;
  }

  run(runId: string): Promise<PipelineRun> {
    return this.call('GET', `/pipelineruns/${runId}`) as Promise<PipelineRun>;
  }

  async activities(runId: string): Promise<ActivityRun[]> {
    const window = { lastUpdatedAfter: '2000-01-01T00:00:00Z', lastUpdatedBefore: '2100-01-01T00:00:00Z' };
    return ((await this.call('POST', `/pipelineruns/${runId}/queryActivityruns`, window)) as { value: ActivityRun[] }).value;
  }

  async cancel(runId: string): Promise<void> {
    await this.call('POST', `/pipelineruns/${runId}/cancel`, {});
  }

  /** Every node of the gateway as `getStatus` tells it. */
  async nodes(gateway = 'local'): Promise<NodeState[]> {
    const answer = await this.call('POST', `/integrationRuntimes/${gateway}/getStatus`, {});
    return (answer as { properties: { typeProperties: { nodes?: NodeState[] } } }).properties.typeProperties.nodes ?? [];
  }

  async monitoring(gateway = 'local'): Promise<NodeMonitoring[]> {
    return ((await this.call('POST', `/integrationRuntimes/${gateway}/monitoringData`, {})) as { nodes: NodeMonitoring[] }).nodes;
  }

  /** What the gateway has to do, as `getStatus` tells it beside its nodes. */
  async load(gateway = 'local'): Promise<GatewayLoad> {
    return ((await this.call('POST', `/integrationRuntimes/${gateway}/getStatus`, {})) as { properties: GatewayLoad }).properties;
  }

  /** Every pipeline run there is. */
  async runs(): Promise<PipelineRun[]> {
    const found: PipelineRun[] = [];
    let continuationToken: string | undefined;
    do {
      const window = { lastUpdatedAfter: '2000-01-01T00:00:00Z', lastUpdatedBefore: '2100-01-01T00:00:00Z' };
      const body = { ...window, ...(continuationToken === undefined ? {} : { continuationToken }) };
      const page = (await this.call('POST', '/queryPipelineRuns', body)) as { value: PipelineRun[]; continuationToken?: string };
      found.push(...page.value);
      continuationToken = page.continuationToken;
    } while (continuationToken !== undefined);
    return found;
  }

  async call(method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', below: string, body?: object): Promise<unknown> {
    const { subscriptionId, resourceGroupName } = this.#line;
    const group = `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroupName}`;
    const path = `${group}/providers/Microsoft.DataFactory/factories/${this.#factory}${below}?api-version=2018-06-01`;
    return waitFor(`${method} ${below}`, async () => {
      try {
        const client = await this.#connect();
        return { answer: await client.call(`${method} ${below}`, { method, path, body }) };
      } catch (error) {
        if ((error as { category?: string }).category === 'transient') return undefined;
        throw error;
      }
    }, { withinMs: 30_000, everyMs: 100 }).then(({ answer }) => answer);
  }

  async #connect(): Promise<HttpsJsonClient> {
    this.#client ??= new HttpsJsonClient({
      endpoint: this.#line.endpoint, caPem: await readFile(this.#line.ca, 'utf8'), token: new Secret(this.#line.token), clock: systemClock,
    });
    return this.#client;
  }
}

export interface ActivityRun {
  readonly activityName: string;
  readonly status: string;
  readonly jobId: string;
  /** Why it waits. */
  readonly reason?: string;
  readonly output?: {
    readonly receipt?: { readonly guarantee?: string; readonly attempts?: readonly string[] };
    readonly dataWritten?: number;
  };
  readonly error?: { readonly errorCode?: string; readonly message?: string };
  readonly durationInMs?: number;
}

export interface PipelineRun {
  readonly runId: string;
  readonly pipelineName: string;
  readonly status: string;
  readonly message?: string;
  readonly parameters?: Readonly<Record<string, string>>;
}

export interface NodeState {
  readonly nodeName: string;
  readonly status: string;
  readonly isActiveDispatcher?: boolean;
  readonly concurrentJobsLimit?: number;
  readonly lastConnectTime?: string;
  readonly evidence?: string;
}

export interface GatewayLoad {
  readonly queueLength: number;
  readonly waitingAtDispatcher: number;
  readonly averageTaskPickupDelayInSeconds?: number;
  readonly availableNodes: number;
}

export interface NodeMonitoring {
  readonly nodeName: string;
  readonly concurrentJobsLimit: number;
  readonly concurrentJobsRunning: number;
}

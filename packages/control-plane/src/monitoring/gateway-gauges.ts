import { asDmgError, type Clock, type Logger, type Meter, sleep } from '@dmg/base';
import { nodeStatuses } from '@dmg/model';
import type { Db } from '../database/open-database.ts';
import type { JudgedNode } from '../gateways/node-status.ts';
import {
  gatewayAvailableNodes, gatewayPickupDelay, gatewayQueueLength, nodeAvailableMemory, nodeCpu, nodeIsDispatcher, nodeJobsLimit,
  nodeRunningJobs, nodeStatusNow,
} from '../metrics.ts';
import type { GatewayViews } from '../rest/gateway-views.ts';
import type { GatewayLoads } from './gateway-load.ts';

export interface GatewayGaugesOptions {
  readonly db: Db;
  readonly views: GatewayViews;
  readonly loads: GatewayLoads;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly everyMs?: number;
}

/** Sets the gauges of gateways and nodes again and again, from the same judgements that REST shows. */
export class GatewayGauges {
  readonly #options: GatewayGaugesOptions;
  /** What was set at the last look, to put what is gone to 0. */
  #series = new Map<string, () => void>();

  constructor(options: GatewayGaugesOptions) {
    this.#options = options;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger, everyMs = 5000 } = this.#options;
    while (!signal.aborted) {
      try {
        await this.refresh();
      } catch (error) {
        logger.warn({ error: asDmgError(error) }, 'gateways could not be measured');
      }
      await sleep(clock, everyMs, signal).catch(() => undefined); // Ends by the signal, which the loop looks at.
    }
  }

  async refresh(): Promise<void> {
    const { db, views, loads, meter } = this.#options;
    const gone = this.#series;
    this.#series = new Map();
    const gateways = await db
      .selectFrom('gateways')
      .innerJoin('factories', 'factories.id', 'gateways.factory_id')
      .selectAll('gateways')
      .select('factories.name as factory_name')
      .execute();
    for (const { factory_name: factory, ...gateway } of gateways) {
      const labels = { factory, gateway: gateway.name };
      const nodes = await views.judgedNodes(gateway);
      const load = loads.of(gateway.id, nodes);
      const set = (queueLength: number, delaySeconds: number, availableNodes: number): void => {
        meter.set(gatewayQueueLength, queueLength, labels);
        meter.set(gatewayPickupDelay, delaySeconds, labels);
        meter.set(gatewayAvailableNodes, availableNodes, labels);
      };
      set(load.queueLength, (load.pickupDelayMs ?? 0) / 1000, load.availableNodes);
      this.#keep([factory, gateway.name], gone, () => set(0, 0, 0));
      for (const node of nodes) this.#setNode(labels, node, gone);
    }
    for (const reset of gone.values()) reset();
  }

  #setNode(gateway: { readonly factory: string; readonly gateway: string }, judged: JudgedNode, gone: Map<string, () => void>): void {
    const { meter } = this.#options;
    const { node, report, status: current, leads } = judged;
    const labels = { ...gateway, node: node.name };
    const set = (values: Readonly<Record<'dispatcher' | 'cpu' | 'memory' | 'running' | 'limit', number>>, status?: string): void => {
      for (const each of nodeStatuses) meter.set(nodeStatusNow, each === status ? 1 : 0, { ...labels, status: each });
      meter.set(nodeIsDispatcher, values.dispatcher, labels);
      meter.set(nodeCpu, values.cpu, labels);
      meter.set(nodeAvailableMemory, values.memory, labels);
      meter.set(nodeRunningJobs, values.running, labels);
      meter.set(nodeJobsLimit, values.limit, labels);
    };
    set(
      {
        dispatcher: leads ? 1 : 0, cpu: (report?.metrics.cpuPercent ?? 0) / 100,
        memory: (report?.metrics.availableMemoryMb ?? 0) * 1024 * 1024, running: report?.facts.slots.used ?? 0,
        limit: node.concurrent_jobs_limit,
      },
      current,
    );
    this.#keep([gateway.factory, gateway.gateway, node.name], gone, () => set({ dispatcher: 0, cpu: 0, memory: 0, running: 0, limit: 0 }));
  }

  #keep(names: readonly string[], gone: Map<string, () => void>, reset: () => void): void {
    const key = JSON.stringify(names);
    gone.delete(key);
    this.#series.set(key, reset);
  }
}

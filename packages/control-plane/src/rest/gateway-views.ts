import { restGatewayState, restNodeStatus } from '@dmg/contracts';
import { judgeGateway } from '@dmg/core';
import { compareVersions, type GatewayStatus, type Judgement } from '@dmg/model';
import type { FactoryRow, GatewayRow, NodeRow } from '../database/schema.ts';
import { decisionOf, type GatewayStore } from '../gateways/gateway-store.ts';
import type { JudgedNode, NodeJudge } from '../gateways/node-status.ts';
import type { GatewayLoad, GatewayLoads } from '../monitoring/gateway-load.ts';
import { nodeCapabilities, sharedCapabilities } from './capabilities.ts';
import { iso } from './run-views.ts';

/** `versionStatus` of a node or a gateway; the REST API also knows `Expired`, which nothing here ever is. */
export type VersionStatus = 'None' | 'UpToDate' | 'Expiring';

/**
 * Gateways and nodes as REST shows them (adf-facts §2.9). Ours beside the API's are: evidence and remedy of each status, what a drained
 * node is told, and in `getStatus` and `monitoringData` the load of the gateway.
 */
export class GatewayViews {
  readonly #store: GatewayStore;
  readonly #judge: NodeJudge;
  readonly #loads: GatewayLoads;
  /** Host and port by which nodes reach this control plane. */
  readonly #serviceHost: string;

  constructor(options: { store: GatewayStore; judge: NodeJudge; loads: GatewayLoads; serviceHost: string }) {
    this.#store = options.store;
    this.#judge = options.judge;
    this.#loads = options.loads;
    this.#serviceHost = options.serviceHost;
  }

  async judgedNodes(gateway: GatewayRow): Promise<JudgedNode[]> {
    return this.#judge.judgeAll(gateway, await this.#store.nodes(gateway.id));
  }

  async status(factory: FactoryRow, gateway: GatewayRow): Promise<Record<string, unknown>> {
    const nodes = await this.judgedNodes(gateway);
    const { status, evidence, remedy } = gatewayJudgement(nodes);
    const version = logicalVersion(gateway, nodes);
    const latest = newest([gateway.target_version, ...nodes.map(({ node }) => node.version)]);
    return {
      name: gateway.name,
      properties: {
        type: 'SelfHosted',
        dataFactoryName: factory.name,
        state: restGatewayState[status],
        evidence,
        remedy,
        ...loadView(this.#loads.of(gateway.id, nodes)),
        typeProperties: {
          createTime: iso(gateway.created_at),
          taskQueueId: gateway.id,
          internalChannelEncryption: 'SslEncrypted',
          ...(version === undefined ? {} : { version, latestVersion: latest }),
          ...(gateway.target_version === null ? {} : { pushedVersion: gateway.target_version }),
          versionStatus: gatewayVersionStatus(gateway, nodes),
          nodes: nodes.map((node) => this.node(gateway, node)),
          localTimeZoneOffset: 'PT0S',
          capabilities: sharedCapabilities(nodes),
          serviceUrls: [this.#serviceHost],
          autoUpdate: 'Off',
          links: [],
          selfContainedInteractiveAuthoringEnabled: false,
        },
      },
    };
  }

  node(gateway: GatewayRow, judged: JudgedNode): Record<string, unknown> {
    const { node, presence, status, evidence, remedy, leads } = judged;
    const lastMs = presence?.lastWallMs ?? node.last_alive_at;
    return {
      nodeName: node.name,
      machineName: node.machine_name,
      ...(node.address === '' ? {} : { hostServiceUri: `https://${node.address}/` }),
      status: restNodeStatus[status],
      capabilities: nodeCapabilities(judged),
      versionStatus: nodeVersionStatus(gateway, node),
      version: node.version,
      registerTime: iso(node.registered_at),
      ...(lastMs === null ? {} : { lastConnectTime: iso(lastMs) }),
      ...(node.last_start_at === null ? {} : { lastStartTime: iso(node.last_start_at) }),
      lastUpdateResult: 'None',
      isActiveDispatcher: leads,
      concurrentJobsLimit: node.concurrent_jobs_limit,
      ...(node.slots_max === null ? {} : { maxConcurrentJobs: node.slots_max }),
      // The API's word for Inactive is Limited; this is ours.
      statusDetail: status,
      evidence,
      remedy,
      ...(node.drain_grace_ms === null ? {} : { drain: { graceSeconds: node.drain_grace_ms / 1000 } }),
    };
  }

  /** A node of the gateway by its name, as `node` shows it. */
  async nodeByName(gateway: GatewayRow, name: string): Promise<Record<string, unknown>> {
    const row = await this.#store.node(gateway, name);
    const judged = (await this.judgedNodes(gateway)).find(({ node }) => node.id === row.id);
    return judged === undefined ? {} : this.node(gateway, judged);
  }

  /** Near real time: nodes report every second while they work, every 5 s else. What is older than 15 s is not shown. */
  async monitoring(gateway: GatewayRow): Promise<Record<string, unknown>> {
    const nodes = await this.judgedNodes(gateway);
    return { name: gateway.name, ...loadView(this.#loads.of(gateway.id, nodes)), nodes: nodes.map(monitoredNode) };
  }
}

/** The status of the gateway that follows from its nodes. */
export function gatewayJudgement(nodes: readonly JudgedNode[]): Judgement<GatewayStatus> {
  return judgeGateway(nodes.map(({ node, status, evidence, remedy }) => ({ nodeName: node.name, status, evidence, remedy })));
}

function monitoredNode(judged: JudgedNode): Record<string, unknown> {
  const { node, report, status, evidence, remedy, leads } = judged;
  return {
    nodeName: node.name,
    concurrentJobsLimit: node.concurrent_jobs_limit,
    ...(node.slots_max === null ? {} : { maxConcurrentJobs: node.slots_max }),
    ...(report === undefined
      ? {}
      : {
          concurrentJobsRunning: report.facts.slots.used,
          availableMemoryInMB: Math.round(report.metrics.availableMemoryMb),
          cpuUtilization: Math.round(report.metrics.cpuPercent),
          sentBytes: report.metrics.sentBytes,
          receivedBytes: report.metrics.receivedBytes,
        }),
    status: restNodeStatus[status],
    statusDetail: status,
    evidence,
    remedy,
    isActiveDispatcher: leads,
    version: node.version,
  };
}

function loadView({ queueLength, waitingAtDispatcher, pickupDelayMs, availableNodes }: GatewayLoad): Record<string, unknown> {
  return {
    queueLength,
    waitingAtDispatcher,
    ...(pickupDelayMs === undefined ? {} : { averageTaskPickupDelayInSeconds: Math.round(pickupDelayMs) / 1000 }),
    availableNodes,
  };
}

/** The decided one; before the first decision, the highest that a node has. */
function logicalVersion(gateway: GatewayRow, nodes: readonly JudgedNode[]): string | undefined {
  return decisionOf(gateway)?.version ?? newest(nodes.map(({ node }) => node.version));
}

function newest(versions: readonly (string | null)[]): string | undefined {
  return versions.filter((version) => version !== null).toSorted(compareVersions).at(-1);
}

/** `Expiring`: the gateway goes by a newer version, or is being updated to one. */
function nodeVersionStatus(gateway: GatewayRow, node: NodeRow): VersionStatus {
  const wanted = gateway.target_version ?? decisionOf(gateway)?.version;
  return wanted !== undefined && compareVersions(node.version, wanted) < 0 ? 'Expiring' : 'UpToDate';
}

function gatewayVersionStatus(gateway: GatewayRow, nodes: readonly JudgedNode[]): VersionStatus {
  if (nodes.length === 0) return 'None';
  return nodes.every(({ node }) => nodeVersionStatus(gateway, node) === 'UpToDate') ? 'UpToDate' : 'Expiring';
}

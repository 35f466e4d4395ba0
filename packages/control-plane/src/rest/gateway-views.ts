import { restGatewayState, restNodeStatus } from '@dmg/contracts';
import type { FactoryRow, GatewayRow, NodeRow } from '../database/schema.ts';
import type { GatewayStore } from '../gateways/gateway-store.ts';
import { judgeGateway, judgeNode, type NodeJudgement } from '../gateways/node-status.ts';
import type { Presence, PresenceBoard } from '../gateways/presence.ts';
import { iso } from './run-views.ts';

export interface JudgedNode extends NodeJudgement {
  readonly node: NodeRow;
  readonly presence: Presence | undefined;
}

/** Gateways and nodes as REST shows them (adf-facts §2.9); evidence and remedy are ours. */
export class GatewayViews {
  readonly #store: GatewayStore;
  readonly #presence: PresenceBoard;
  /** Host and port by which nodes reach this control plane. */
  readonly #serviceHost: string;

  constructor(options: { store: GatewayStore; presence: PresenceBoard; serviceHost: string }) {
    this.#store = options.store;
    this.#presence = options.presence;
    this.#serviceHost = options.serviceHost;
  }

  async judgedNodes(gatewayId: string): Promise<JudgedNode[]> {
    const nodes = await this.#store.nodes(gatewayId);
    return nodes.map((node) => this.judged(node));
  }

  judged(node: NodeRow): JudgedNode {
    const presence = this.#presence.of(node.id);
    const judgement = judgeNode({
      hasToken: node.token_hash !== null,
      everHeard: node.last_alive_at !== null,
      silentMs: this.#presence.silentMs(node.id),
      report: presence?.report,
    });
    return { node, presence, ...judgement };
  }

  async status(factory: FactoryRow, gateway: GatewayRow): Promise<Record<string, unknown>> {
    const nodes = await this.judgedNodes(gateway.id);
    const versions = nodes.map(({ node }) => node.version).sort();
    return {
      name: gateway.name,
      properties: {
        type: 'SelfHosted',
        dataFactoryName: factory.name,
        state: restGatewayState[judgeGateway(nodes.map(({ status }) => status))],
        typeProperties: {
          createTime: iso(gateway.created_at),
          taskQueueId: gateway.id,
          internalChannelEncryption: 'SslEncrypted',
          ...(versions.length === 0 ? {} : { version: versions.at(-1), latestVersion: versions.at(-1) }),
          versionStatus: versions.length === 0 ? 'None' : 'UpToDate',
          nodes: nodes.map((node) => this.node(node)),
          localTimeZoneOffset: 'PT0S',
          capabilities: capabilities(nodes),
          serviceUrls: [this.#serviceHost],
          autoUpdate: 'Off',
          links: [],
          selfContainedInteractiveAuthoringEnabled: false,
        },
      },
    };
  }

  node({ node, presence, status, evidence, remedy }: JudgedNode): Record<string, unknown> {
    const lastMs = presence?.lastWallMs ?? node.last_alive_at;
    return {
      nodeName: node.name,
      machineName: node.machine_name,
      status: restNodeStatus[status],
      capabilities: nodeCapabilities(presence),
      versionStatus: 'UpToDate',
      version: node.version,
      registerTime: iso(node.registered_at),
      ...(lastMs === null ? {} : { lastConnectTime: iso(lastMs) }),
      ...(node.last_start_at === null ? {} : { lastStartTime: iso(node.last_start_at) }),
      lastUpdateResult: 'None',
      isActiveDispatcher: status !== 'Offline' && presence?.report.dispatcher !== undefined,
      concurrentJobsLimit: node.concurrent_jobs_limit,
      ...(node.slots_max === null ? {} : { maxConcurrentJobs: node.slots_max }),
      evidence,
      remedy,
    };
  }

  async monitoring(gateway: GatewayRow): Promise<Record<string, unknown>> {
    const nodes = await this.judgedNodes(gateway.id);
    return {
      name: gateway.name,
      nodes: nodes.map(({ node, presence }) => ({
        nodeName: node.name,
        concurrentJobsLimit: node.concurrent_jobs_limit,
        concurrentJobsRunning: presence?.report.slots.used ?? 0,
        ...(node.slots_max === null ? {} : { maxConcurrentJobs: node.slots_max }),
        ...(presence === undefined
          ? {}
          : {
              availableMemoryInMB: Math.round(presence.report.metrics.availableMemoryMb),
              cpuUtilization: Math.round(presence.report.metrics.cpuPercent),
              sentBytes: presence.report.metrics.sentBytes,
              receivedBytes: presence.report.metrics.receivedBytes,
            }),
      })),
    };
  }
}

function capabilities(nodes: readonly JudgedNode[]): Record<string, string> {
  const all = nodes.map(({ presence }) => nodeCapabilities(presence));
  const every = (name: string): string => (all.length > 0 && all.every((each) => each[name] === 'True') ? 'True' : 'False');
  return Object.fromEntries(
    ['serviceBusConnected', 'credentialInSync', 'connectedToResourceManager', 'nodeEnabled'].map((name) => [name, every(name)]),
  );
}

function nodeCapabilities(presence: Presence | undefined): Record<string, string> {
  const troubled = new Set(presence?.report.troubles.map(({ part }) => part));
  const works = (part: string): string => (presence !== undefined && !troubled.has(part) ? 'True' : 'False');
  return {
    serviceBusConnected: works('queue'),
    credentialInSync: works('credentialKey'),
    connectedToResourceManager: presence === undefined ? 'False' : 'True',
    nodeEnabled: 'True',
  };
}

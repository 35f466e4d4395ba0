import type { Context } from './context.ts';
import { factoryPath, listAll } from './data-factory.ts';
import { cliErrors } from './errors.ts';

/** A node as REST tells of it, status and monitoring joined. What the control plane does not know is undefined. */
export interface NodeView {
  readonly name: string;
  readonly machine: string;
  readonly status: string;
  readonly version: string;
  readonly isDispatcher: boolean;
  readonly running: number | undefined;
  readonly limit: number | undefined;
  readonly maximum: number | undefined;
  readonly cpuPercent: number | undefined;
  readonly availableMemoryMb: number | undefined;
  /** Counters since its machine started. */
  readonly sentBytes: number | undefined;
  readonly receivedBytes: number | undefined;
  readonly lastContact: string | undefined;
  /** Why it has this status, and what to do about it. */
  readonly evidence: string;
  readonly remedy: string;
}

export interface GatewayView {
  readonly name: string;
  readonly state: string;
  readonly evidence: string;
  readonly remedy: string;
  readonly nodes: readonly NodeView[];
  /** Nodes that take jobs. */
  readonly availableNodes: number;
  /** Jobs that no node has taken yet. */
  readonly queueLength: number | undefined;
  /** How long jobs waited for a node lately, in seconds. */
  readonly pickupDelaySeconds: number | undefined;
}

interface GatewayItem {
  readonly name: string;
  readonly properties: { readonly type?: string; readonly description?: string };
}

/** `IntegrationRuntimeStatusResponse` with what we add to it. */
export interface StatusAnswer {
  readonly properties: {
    readonly state: string;
    readonly evidence?: string;
    readonly remedy?: string;
    readonly typeProperties: { readonly nodes?: readonly StatusNode[] };
  };
}

interface StatusNode {
  readonly nodeName: string;
  readonly machineName?: string;
  readonly status: string;
  /** The REST API has no word for Inactive; here it is. */
  readonly statusDetail?: string;
  readonly version?: string;
  readonly concurrentJobsLimit?: number;
  readonly maxConcurrentJobs?: number;
  readonly isActiveDispatcher?: boolean;
  readonly lastConnectTime?: string;
  readonly evidence?: string;
  readonly remedy?: string;
}

/** `IntegrationRuntimeMonitoringData` with what we add to it. */
export interface MonitoringAnswer {
  readonly queueLength?: number;
  readonly averageTaskPickupDelayInSeconds?: number;
  readonly availableNodes?: number;
  readonly nodes?: readonly {
    readonly nodeName: string;
    readonly concurrentJobsLimit?: number;
    readonly concurrentJobsRunning?: number;
    readonly maxConcurrentJobs?: number;
    readonly availableMemoryInMB?: number;
    readonly cpuUtilization?: number;
    readonly sentBytes?: number;
    readonly receivedBytes?: number;
  }[];
}

export interface GatewayAnswers {
  readonly status: StatusAnswer;
  readonly monitoring: MonitoringAnswer;
}

export function listGateways(context: Context): Promise<GatewayItem[]> {
  return listAll<GatewayItem>(context, 'gateways', '/integrationRuntimes');
}

/** The gateway that was named, or the only one there is. Throws `DMG_CLI_UNKNOWN_GATEWAY`. */
export async function chosenGateway(name: string | undefined, context: Context): Promise<string> {
  if (name !== undefined) return name;
  const all = await listGateways(context);
  const [first, second] = all;
  if (first === undefined) throw cliErrors.UNKNOWN_GATEWAY.create({ reason: `the factory ${context.factoryName} has none` });
  if (second !== undefined)
    throw cliErrors.UNKNOWN_GATEWAY.create({ reason: `there are several (${all.map((item) => item.name).join(', ')}): name one` });
  return first.name;
}

export async function readGateway(context: Context, name: string, signal?: AbortSignal): Promise<GatewayAnswers> {
  const post = (action: string, what: string): Promise<unknown> => {
    const path = factoryPath(context, `/integrationRuntimes/${encodeURIComponent(name)}/${action}`);
    return context.client.call(`read the ${what} of the gateway ${name}`, { method: 'POST', path, ...(signal && { signal }) });
  };
  const [status, monitoring] = await Promise.all([post('getStatus', 'status'), post('monitoringData', 'monitoring data')]);
  return { status: status as StatusAnswer, monitoring: monitoring as MonitoringAnswer };
}

/** Joins what two operations say of a gateway. */
export function gatewayView(name: string, { status, monitoring }: GatewayAnswers): GatewayView {
  const { state, evidence = '', remedy = '', typeProperties } = status.properties;
  const nodes = (typeProperties.nodes ?? []).map((node) => nodeView(node, monitoring));
  nodes.sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
  return {
    name,
    state,
    evidence,
    remedy,
    nodes,
    availableNodes: monitoring.availableNodes ?? nodes.filter((node) => node.status === 'Online').length,
    queueLength: monitoring.queueLength,
    pickupDelaySeconds: monitoring.averageTaskPickupDelayInSeconds,
  };
}

function nodeView(node: StatusNode, monitoring: MonitoringAnswer): NodeView {
  const measured = monitoring.nodes?.find(({ nodeName }) => nodeName === node.nodeName);
  return {
    name: node.nodeName,
    machine: node.machineName ?? '',
    status: node.statusDetail ?? node.status,
    version: node.version ?? '',
    isDispatcher: node.isActiveDispatcher === true,
    running: measured?.concurrentJobsRunning,
    limit: measured?.concurrentJobsLimit ?? node.concurrentJobsLimit,
    maximum: measured?.maxConcurrentJobs ?? node.maxConcurrentJobs,
    cpuPercent: measured?.cpuUtilization,
    availableMemoryMb: measured?.availableMemoryInMB,
    sentBytes: measured?.sentBytes,
    receivedBytes: measured?.receivedBytes,
    lastContact: node.lastConnectTime,
    evidence: node.evidence ?? '',
    remedy: node.remedy ?? '',
  };
}

/** Every status has its evidence and its remedy; what is well needs none. The gateway's own says what those of its nodes say. */
export function adviceFor({ name, state, evidence, remedy, nodes }: GatewayView): string[] {
  const ofNodes = nodes.flatMap((node) => advice(node.name, node.status, node.evidence, node.remedy));
  return ofNodes.length > 0 ? ofNodes : advice(name, state, evidence, remedy);
}

function advice(name: string, status: string, evidence: string, remedy: string): string[] {
  return status === 'Online' || evidence === '' ? [] : [`${name}: ${evidence}${remedy === '' ? '' : ` ${remedy}`}`];
}

import assert from 'node:assert/strict';
import { restGatewayState, restNodeStatus } from '@dmg/contracts';
import type { GatewayStatus, NodeStatus } from '@dmg/model';
import type { CommandEnd } from './dmg-command.ts';
import { readMetrics } from './metrics-text.ts';
import type { Rest } from './rest.ts';
import { waitFor } from './wait-for.ts';

/** A status with its evidence and its remedy. */
export interface Told<Status extends string = NodeStatus> {
  readonly status: Status;
  readonly evidence: string;
  readonly remedy: string;
}

export interface GatewayTold {
  readonly gateway: Told<GatewayStatus>;
  readonly nodes: Readonly<Record<string, Told>>;
  /** Name of the node that leads. */
  readonly dispatcher: string | undefined;
}

export interface Asked {
  readonly rest: Rest;
  readonly gateway: string;
  /** Runs `dmg` with these arguments. */
  readonly dmg: (args: readonly string[]) => Promise<CommandEnd>;
  /** Of the nodes that live: name and URL of their metrics. */
  readonly metrics: Readonly<Record<string, string>>;
}

interface RestNode {
  readonly nodeName: string;
  readonly status: string;
  readonly statusDetail: NodeStatus;
  readonly evidence: string;
  readonly remedy: string;
  readonly isActiveDispatcher: boolean;
}

interface RestStatus {
  readonly properties: {
    readonly state: string;
    readonly evidence: string;
    readonly remedy: string;
    readonly typeProperties: { readonly nodes: readonly RestNode[] };
  };
}

/** A node that does not agree with the control plane asks it every second. */
const agreedWithinMs = 3_000;

/**
 * Asks for the statuses of a gateway wherever they are shown, sees that all give the same answer, and returns it: `getStatus`,
 * `monitoringData`, the nodes' own `get`, `dmg gateway status`, `dmg node list`, and the metrics of the nodes that live.
 */
export async function tellStatuses({ rest, gateway, dmg, metrics }: Asked): Promise<GatewayTold> {
  const below = `/integrationRuntimes/${gateway}`;
  const status = (await rest.call('POST', `${below}/getStatus`, {})) as RestStatus;
  const { properties } = status;
  const { nodes } = properties.typeProperties;
  const names = nodes.map(({ nodeName }) => nodeName);
  const monitored = ((await rest.call('POST', `${below}/monitoringData`, {})) as { nodes: RestNode[] }).nodes;
  const got = await Promise.all(names.map((name) => rest.call('GET', `${below}/nodes/${name}`) as Promise<RestNode>));
  const [shown, listed] = await Promise.all([
    askDmg<RestStatus>(dmg, ['gateway', 'status', gateway, '--json']),
    askDmg<{ value: { name: string; status: NodeStatus; evidence: string; remedy: string; isDispatcher: boolean }[] }>(
      dmg, ['node', 'list', '--gateway', gateway, '--json'],
    ),
  ]);
  const told = inOrder(nodes);
  assert.deepEqual(inOrder(monitored), told, 'monitoringData');
  assert.deepEqual(inOrder(got), told, 'get of each node');
  assert.deepEqual(inOrder(shown.properties.typeProperties.nodes), told, 'dmg gateway status');
  assert.deepEqual(inOrder(listed.value.map(({ name, status: statusDetail, isDispatcher, ...rest }) => ({
    ...rest, nodeName: name, statusDetail, isActiveDispatcher: isDispatcher, status: restNodeStatus[statusDetail],
  }))), told, 'dmg node list');
  assert.deepEqual(ageless(pickTold(shown.properties)), ageless(pickTold(properties)), 'dmg gateway status, the gateway itself');
  for (const node of nodes) {
    assert.equal(node.status, restNodeStatus[node.statusDetail]);
    assert.notEqual(node.evidence, '', `${node.nodeName} has no evidence`);
    assert.equal(node.remedy === '', node.statusDetail === 'Online', `${node.nodeName}: ${node.statusDetail}, remedy "${node.remedy}"`);
  }
  for (const [name, url] of Object.entries(metrics)) {
    const expected = nodes.find(({ nodeName }) => nodeName === name)?.statusDetail;
    await waitFor(`${name} to show ${expected} in its metrics`, async () => (await statusInMetrics(url)) === expected, {
      withinMs: agreedWithinMs, everyMs: 100,
    });
  }
  return {
    gateway: { ...pickTold(properties), status: gatewayStatusOf(properties.state) },
    nodes: Object.fromEntries(nodes.map((node) => [node.nodeName, { ...pickTold(node), status: node.statusDetail }])),
    dispatcher: nodes.find(({ isActiveDispatcher }) => isActiveDispatcher)?.nodeName,
  };
}

/** The statuses of a gateway's nodes by name, as `getStatus` has them now. */
export async function nodeStatuses(rest: Rest, gateway: string): Promise<Readonly<Record<string, NodeStatus>>> {
  const { properties } = (await rest.call('POST', `/integrationRuntimes/${gateway}/getStatus`, {})) as RestStatus;
  return Object.fromEntries(properties.typeProperties.nodes.map(({ nodeName, statusDetail }) => [nodeName, statusDetail]));
}

/** Waits until the nodes that are named have these statuses, all at the same time. */
export async function statusesBecome(
  rest: Rest, gateway: string, expected: Readonly<Record<string, NodeStatus>>, withinMs = 15_000,
): Promise<void> {
  let last: Readonly<Record<string, NodeStatus>> = {};
  try {
    await waitFor('the statuses', async () => {
      last = await nodeStatuses(rest, gateway);
      return Object.entries(expected).every(([name, status]) => last[name] === status);
    }, { withinMs, everyMs: 100 });
  } catch (error) {
    const nodes = (await rest.nodes(gateway)).map(({ nodeName, evidence }) => `${nodeName}: ${evidence}`);
    throw new Error(
      `expected ${JSON.stringify(expected)} within ${withinMs} ms, found ${JSON.stringify(last)}\n${nodes.join('\n')}`, { cause: error },
    );
  }
}

async function askDmg<T>(dmg: Asked['dmg'], args: readonly string[]): Promise<T> {
  const { code, out, err } = await dmg(args);
  assert.equal(code, 0, `dmg ${args.join(' ')}: ${err}`);
  return JSON.parse(out) as T;
}

async function statusInMetrics(url: string): Promise<string | undefined> {
  const ones = (await readMetrics(url)).filter(({ name, value }) => name === 'dmg_node_status' && value === 1);
  assert.ok(ones.length <= 1, 'a node has one status');
  return ones[0]?.labels['status'];
}

/** What is compared: names, statuses and sentences. How long ago something was differs from question to question. */
function inOrder(nodes: readonly RestNode[]): object[] {
  return nodes
    .map(({ nodeName, status, statusDetail, evidence, remedy, isActiveDispatcher }) => ({
      nodeName, status, statusDetail, isActiveDispatcher, ...ageless({ evidence, remedy }),
    }))
    .toSorted((a, b) => a.nodeName.localeCompare(b.nodeName));
}

function ageless<T extends { readonly evidence: string }>(told: T): T {
  return { ...told, evidence: told.evidence.replaceAll(/\b\d+ (?:s|min|h|d)\b/g, 'some time') };
}

function pickTold({ evidence, remedy }: { readonly evidence: string; readonly remedy: string }): { evidence: string; remedy: string } {
  return { evidence, remedy };
}

function gatewayStatusOf(state: string): GatewayStatus {
  const found = Object.entries(restGatewayState).find(([, each]) => each === state)?.[0];
  if (found === undefined) throw new Error(`${state} is no state of a gateway`);
  return found as GatewayStatus;
}

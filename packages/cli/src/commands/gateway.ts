import { countText, megabytesText, percentText, secondsText, bytesText } from '../amounts.ts';
import type { Context } from '../context.ts';
import { createGateway, ensureFactory, factoryPath, gatewayKeys } from '../data-factory.ts';
import { adviceFor, chosenGateway, type GatewayView, gatewayView, listGateways, type NodeView, readGateway } from '../gateway-view.ts';
import { type Output, table } from '../output.ts';

export async function create(name: string, description: string | undefined, context: Context, output: Output): Promise<void> {
  await ensureFactory(context);
  const made = await createGateway(context, name, description);
  output.result(made, () => `gateway ${name} is there; its keys: dmg gateway keys ${name}`);
}

export async function list(context: Context, output: Output): Promise<void> {
  const value = await listGateways(context);
  const rows = value.map((item) => [item.name, item.properties.description ?? '']);
  output.result({ value }, () =>
    rows.length === 0 ? 'no gateway yet; make one with: dmg gateway create NAME' : table(['NAME', 'DESCRIPTION'], rows),
  );
}

/** `dmg gateway status`: as JSON the two answers of the REST API, of which the table is made. */
export async function status(name: string | undefined, context: Context, output: Output): Promise<void> {
  const chosen = await chosenGateway(name, context);
  const answers = await readGateway(context, chosen);
  output.result({ ...answers.status, monitoring: answers.monitoring }, () => describeGateway(gatewayView(chosen, answers)));
}

export function describeGateway(view: GatewayView): string {
  const { name, state, nodes, availableNodes, queueLength, pickupDelaySeconds } = view;
  if (nodes.length === 0) return `gateway ${name}: ${state}\nno node is registered; give one a key from: dmg gateway keys ${name}`;
  const queue = queueLength === undefined ? '' : `; ${countText(queueLength)} jobs wait for a node`;
  const delay = pickupDelaySeconds === undefined ? '' : `, picked up after ${secondsText(pickupDelaySeconds)} lately`;
  return [
    `gateway ${name}: ${state}; ${availableNodes} of ${nodes.length} nodes available${queue}${delay}`,
    nodeTable(nodes),
    ...adviceFor(view),
  ].join('\n');
}

/** The nodes of a gateway with all that is known of them. */
export function nodeTable(nodes: readonly NodeView[]): string {
  const header = ['NODE', 'ROLE', 'STATUS', 'VERSION', 'JOBS', 'FREE MEMORY', 'CPU', 'SENT', 'RECEIVED', 'LAST CONTACT'];
  return table(header, nodes.map((node) => [
    node.name,
    node.isDispatcher ? 'dispatcher' : 'worker',
    node.status,
    node.version,
    `${countText(node.running)}/${countText(node.limit)}`,
    megabytesText(node.availableMemoryMb),
    percentText(node.cpuPercent),
    bytesText(node.sentBytes),
    bytesText(node.receivedBytes),
    node.lastContact ?? 'never',
  ]));
}

export async function keys(name: string | undefined, context: Context, output: Output): Promise<void> {
  const chosen = await chosenGateway(name, context);
  const answer = await gatewayKeys(context, chosen);
  output.result(answer, () => `authKey1  ${answer.authKey1}\nauthKey2  ${answer.authKey2}`);
}

export async function regenerateKey(name: string, keyName: string, context: Context, output: Output): Promise<void> {
  const path = factoryPath(context, `/integrationRuntimes/${encodeURIComponent(name)}/regenerateAuthKey`);
  const answer = await context.client.call(`regenerate ${keyName} of the gateway ${name}`, { method: 'POST', path, body: { keyName } });
  output.result(answer, () => `${keyName} of ${name} is new; nodes that registered with the old one must register again`);
}

export async function remove(name: string, context: Context, output: Output): Promise<void> {
  const path = factoryPath(context, `/integrationRuntimes/${encodeURIComponent(name)}`);
  // The REST API deletes what is not there without a word; a person who mistyped the name wants to know.
  await context.client.call(`delete the gateway ${name}`, { method: 'GET', path });
  await context.client.call(`delete the gateway ${name}`, { method: 'DELETE', path });
  output.result({ deleted: name }, () => `gateway ${name} is deleted`);
}

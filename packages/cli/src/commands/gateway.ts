import type { Context } from '../context.ts';
import { createGateway, ensureFactory, factoryPath, gatewayKeys, listAll } from '../data-factory.ts';
import { cliErrors } from '../errors.ts';
import { type Output, table } from '../output.ts';

interface GatewayItem {
  readonly name: string;
  readonly properties: { readonly type?: string; readonly description?: string };
}

interface GatewayNode {
  readonly nodeName: string;
  readonly status: string;
  readonly version?: string;
  readonly concurrentJobsLimit?: number;
  readonly isActiveDispatcher?: boolean;
  readonly lastConnectTime?: string;
  readonly evidence?: string;
  readonly remedy?: string;
}

export async function create(name: string, description: string | undefined, context: Context, output: Output): Promise<void> {
  await ensureFactory(context);
  const made = await createGateway(context, name, description);
  output.result(made, () => `gateway ${name} is there; its keys: dmg gateway keys ${name}`);
}

export async function list(context: Context, output: Output): Promise<void> {
  const value = await listAll<GatewayItem>(context, 'gateways', '/integrationRuntimes');
  const rows = value.map((item) => [item.name, item.properties.description ?? '']);
  output.result({ value }, () =>
    rows.length === 0 ? 'no gateway yet; make one with: dmg gateway create NAME' : table(['NAME', 'DESCRIPTION'], rows),
  );
}

export async function status(name: string | undefined, context: Context, output: Output): Promise<void> {
  const chosen = name ?? (await onlyGateway(context));
  const path = factoryPath(context, `/integrationRuntimes/${encodeURIComponent(chosen)}/getStatus`);
  const answer = await context.client.call(`read the status of the gateway ${chosen}`, { method: 'POST', path });
  const { properties } = answer as { properties: { state: string; typeProperties: { nodes?: GatewayNode[] } } };
  const nodes = properties.typeProperties.nodes ?? [];
  output.result(answer, () =>
    [
      `gateway ${chosen}: ${properties.state}`,
      ...(nodes.length === 0
        ? ['no node is registered; give one a key from: dmg gateway keys ' + chosen]
        : [table(['NODE', 'STATUS', 'VERSION', 'LIMIT', 'DISPATCHER', 'LAST CONTACT'], nodes.map(nodeCells)), ...nodes.flatMap(adviceFor)]),
    ].join('\n'),
  );
}

function nodeCells(node: GatewayNode): string[] {
  const { nodeName, status: state, version = '', concurrentJobsLimit = '', isActiveDispatcher, lastConnectTime = '' } = node;
  return [nodeName, state, version, String(concurrentJobsLimit), isActiveDispatcher === true ? 'yes' : '', lastConnectTime];
}

/** Every status has its evidence and its remedy; what is well needs none. */
function adviceFor({ nodeName, status: state, evidence, remedy }: GatewayNode): string[] {
  return state === 'Online' || evidence === undefined
    ? []
    : [`${nodeName}: ${evidence}${remedy === undefined || remedy === '' ? '' : ` ${remedy}`}`];
}

export async function keys(name: string | undefined, context: Context, output: Output): Promise<void> {
  const chosen = name ?? (await onlyGateway(context));
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

async function onlyGateway(context: Context): Promise<string> {
  const all = await listAll<GatewayItem>(context, 'gateways', '/integrationRuntimes');
  const [first, second] = all;
  if (first === undefined) throw cliErrors.UNKNOWN_GATEWAY.create({ reason: `the factory ${context.factoryName} has none` });
  if (second !== undefined)
    throw cliErrors.UNKNOWN_GATEWAY.create({ reason: `there are several (${all.map((item) => item.name).join(', ')}): name one` });
  return first.name;
}

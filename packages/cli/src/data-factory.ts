import type { Context } from './context.ts';

const apiVersion = '2018-06-01';

/** A path of the Data Factory REST API below the context's factory (or of the factory itself when `below` is empty). */
export function factoryPath(context: Context, below: string, query: Readonly<Record<string, string>> = {}): string {
  const segments = [
    'subscriptions',
    context.subscriptionId,
    'resourceGroups',
    context.resourceGroupName,
    'providers',
    'Microsoft.DataFactory',
    'factories',
    context.factoryName,
  ];
  const path = `/${segments.map(encodeURIComponent).join('/')}${below}`;
  return `${path}?${new URLSearchParams({ 'api-version': apiVersion, ...query }).toString()}`;
}

/** Creates the factory if it is not there. */
export async function ensureFactory(context: Context): Promise<void> {
  await context.client.call(`create the factory ${context.factoryName}`, {
    method: 'PUT',
    path: factoryPath(context, ''),
    body: { location: 'local' },
  });
}

export async function createGateway(context: Context, name: string, description?: string): Promise<unknown> {
  return context.client.call(`create the gateway ${name}`, {
    method: 'PUT',
    path: factoryPath(context, `/integrationRuntimes/${encodeURIComponent(name)}`),
    body: { properties: { type: 'SelfHosted', ...(description === undefined ? {} : { description }) } },
  });
}

export async function gatewayKeys(context: Context, name: string): Promise<{ authKey1: string; authKey2: string }> {
  const path = factoryPath(context, `/integrationRuntimes/${encodeURIComponent(name)}/listAuthKeys`);
  return (await context.client.call(`list the keys of the gateway ${name}`, { method: 'POST', path })) as {
    authKey1: string;
    authKey2: string;
  };
}

/** The path of a node of a gateway, or of what can be done with it. */
export function nodePath(context: Context, gateway: string, node: string, action = ''): string {
  const below = `/integrationRuntimes/${encodeURIComponent(gateway)}/nodes/${encodeURIComponent(node)}`;
  return factoryPath(context, action === '' ? below : `${below}/${action}`);
}

/** All items of a list, page by page. */
export async function listAll<T>(context: Context, what: string, below: string): Promise<T[]> {
  const items: T[] = [];
  let path: string | undefined = factoryPath(context, below);
  while (path !== undefined) {
    const page = (await context.client.call(`list ${what}`, { method: 'GET', path })) as { value: T[]; nextLink?: string };
    items.push(...page.value);
    path = page.nextLink === undefined ? undefined : new URL(page.nextLink).pathname + new URL(page.nextLink).search;
  }
  return items;
}

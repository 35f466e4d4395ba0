import type { JsonObject, JsonValue } from '@dmg/model';
import type { FactoryRow } from '../database/schema.ts';
import type { FactoryStore } from '../definitions/factory-store.ts';
import type { App } from './app.ts';
import { property, requireName, requireObject } from './documents.ts';
import { pageOf } from './pages.ts';
import { iso } from './run-views.ts';

export interface FactoryParams {
  readonly subscriptionId: string;
  readonly resourceGroupName: string;
  readonly factoryName: string;
}

const groupPath = '/subscriptions/:subscriptionId/resourceGroups/:resourceGroupName/providers/Microsoft.DataFactory/factories';
export const factoryPath = `${groupPath}/:factoryName`;

export function factoryOf(factories: FactoryStore, params: FactoryParams): Promise<FactoryRow> {
  return factories.get(params, params.factoryName);
}

/** The resource id of something in a factory; of the factory itself where `below` is empty. */
export function resourceId(factory: FactoryRow, below: string): string {
  const group = `/subscriptions/${factory.subscription_id}/resourceGroups/${factory.resource_group}`;
  return `${group}/providers/Microsoft.DataFactory/factories/${factory.name}${below}`;
}

export function addFactoryRoutes(app: App, factories: FactoryStore): void {
  app.get<{ Params: FactoryParams }>('/subscriptions/:subscriptionId/providers/Microsoft.DataFactory/factories', async (request) =>
    pageOf(request, (await factories.list(request.params.subscriptionId)).map(factoryView)),
  );
  app.get<{ Params: FactoryParams }>(groupPath, async (request) =>
    pageOf(request, (await factories.list(request.params.subscriptionId, request.params.resourceGroupName)).map(factoryView)),
  );
  app.put<{ Params: FactoryParams }>(factoryPath, async (request) => {
    const name = requireName(request.params.factoryName, 'a factory', 'resource');
    const document = request.body === undefined ? {} : requireObject(request.body);
    return factoryView(await factories.put(request.params, name, document, { ifMatch: request.headers['if-match'] }));
  });
  app.get<{ Params: FactoryParams }>(factoryPath, async (request, reply) => {
    const factory = await factoryOf(factories, request.params);
    if (isUnchanged(request.headers['if-none-match'], factory.etag)) return reply.status(304).send();
    return factoryView(factory);
  });
  app.delete<{ Params: FactoryParams }>(factoryPath, async (request, reply) => {
    const deleted = await factories.delete(request.params, request.params.factoryName);
    return reply.status(deleted ? 200 : 204).send();
  });
}

export function isUnchanged(ifNoneMatch: string | undefined, etag: string): boolean {
  return ifNoneMatch !== undefined && ifNoneMatch.replace(/^W\//, '').replaceAll('"', '') === etag;
}

function factoryView(row: FactoryRow): Record<string, unknown> {
  const document = JSON.parse(row.resource) as Record<string, JsonValue>;
  const given = property(document, 'properties');
  const properties = typeof given === 'object' && given !== null && !Array.isArray(given) ? (given as JsonObject) : {};
  return {
    ...document,
    name: row.name,
    id: resourceId(row, ''),
    type: 'Microsoft.DataFactory/factories',
    eTag: `"${row.etag}"`,
    properties: { ...properties, provisioningState: 'Succeeded', createTime: iso(row.created_at), version: '2018-06-01' },
  };
}

import type { Warning } from '@dmg/contracts';
import type { JsonObject } from '@dmg/model';
import type { DefinitionRow, FactoryRow } from '../database/schema.ts';
import { type DefinitionKind, definitionKinds, type DefinitionStore } from '../definitions/definition-store.ts';
import type { FactoryStore } from '../definitions/factory-store.ts';
import type { App } from './app.ts';
import { keptDocument, property, requireName } from './documents.ts';
import { factoryOf, factoryPath, type FactoryParams, isUnchanged, resourceId } from './factory-routes.ts';
import { pageOf } from './pages.ts';

type NamedParams = FactoryParams & { readonly name: string };

const nouns: Readonly<Record<DefinitionKind, string>> = {
  linkedservices: 'a linked service', datasets: 'a dataset', pipelines: 'a pipeline',
};

/** Linked services, datasets and pipelines: the same five operations of each. */
export function addDefinitionRoutes(app: App, stores: { factories: FactoryStore; definitions: DefinitionStore }): void {
  const { factories, definitions } = stores;
  for (const kind of definitionKinds) {
    const path = `${factoryPath}/${kind}`;
    app.get<{ Params: FactoryParams }>(path, async (request) => {
      const factory = await factoryOf(factories, request.params);
      return pageOf(request, (await definitions.list(factory, kind)).map((row) => definitionView(factory, row)));
    });
    app.put<{ Params: NamedParams }>(`${path}/:name`, async (request) => {
      const factory = await factoryOf(factories, request.params);
      const name = requireName(request.params.name, nouns[kind], 'definition');
      const { row, warnings } = await definitions.put(factory, kind, name, keptDocument(request.body), {
        ifMatch: request.headers['if-match'],
      });
      return definitionView(factory, row, warnings);
    });
    app.get<{ Params: NamedParams }>(`${path}/:name`, async (request, reply) => {
      const factory = await factoryOf(factories, request.params);
      const row = await definitions.get(factory, kind, request.params.name);
      if (isUnchanged(request.headers['if-none-match'], row.etag)) return reply.status(304).send();
      return definitionView(factory, row);
    });
    app.delete<{ Params: NamedParams }>(`${path}/:name`, async (request, reply) => {
      const deleted = await definitions.delete(await factoryOf(factories, request.params), kind, request.params.name);
      return reply.status(deleted ? 200 : 204).send();
    });
  }
}

function definitionView(factory: FactoryRow, row: DefinitionRow, warnings: readonly Warning[] = []): Record<string, unknown> {
  const document = JSON.parse(row.resource) as JsonObject;
  return {
    ...document,
    properties: property(document, 'properties'),
    id: resourceId(factory, `/${row.kind}/${row.name}`),
    name: row.name,
    type: `Microsoft.DataFactory/factories/${row.kind}`,
    etag: row.etag,
    ...(warnings.length === 0 ? {} : { warnings: warnings.map(({ path, message }) => `${path}: ${message}`) }),
  };
}

import type { JsonObject } from '@dmg/model';
import { deriveGatewayKeySecret, formatGatewayKey, type GatewayKeyName, gatewayKeyNames, type MasterSecret } from '@dmg/security';
import type { FactoryRow, GatewayRow, NodeRow } from '../database/schema.ts';
import type { FactoryStore } from '../definitions/factory-store.ts';
import { controlPlaneErrors } from '../errors.ts';
import type { DesiredStates } from '../gateways/desired-state.ts';
import type { GatewayStore } from '../gateways/gateway-store.ts';
import type { PresenceBoard } from '../gateways/presence.ts';
import type { App } from './app.ts';
import { keptDocument, property, requireName, requireObject } from './documents.ts';
import { factoryOf, factoryPath, type FactoryParams, isUnchanged, resourceId } from './factory-routes.ts';
import type { GatewayViews } from './gateway-views.ts';
import { pageOf } from './pages.ts';

export interface GatewayRoutesOptions {
  readonly factories: FactoryStore;
  readonly gateways: GatewayStore;
  readonly views: GatewayViews;
  readonly presence: PresenceBoard;
  readonly desired: DesiredStates;
  readonly master: MasterSecret;
  /** `host:port` and CA fingerprint that gateway keys carry. */
  readonly endpoint: string;
  readonly caFingerprint: string;
}

type NamedParams = FactoryParams & { readonly name: string };
type NodeParams = NamedParams & { readonly nodeName: string };

const path = `${factoryPath}/integrationRuntimes`;

/** Logical gateways, which the REST API calls integration runtimes of type SelfHosted. */
export function addGatewayRoutes(app: App, options: GatewayRoutesOptions): void {
  const { factories, gateways } = options;
  app.get<{ Params: FactoryParams }>(path, async (request) => {
    const factory = await factoryOf(factories, request.params);
    return pageOf(request, (await gateways.list(factory)).map((row) => gatewayView(factory, row)));
  });
  app.put<{ Params: NamedParams }>(`${path}/:name`, async (request) => {
    const factory = await factoryOf(factories, request.params);
    const name = requireName(request.params.name, 'an integration runtime', 'resource');
    const document = keptDocument(request.body);
    const type = property(requireObject(property(document, 'properties'), 'properties'), 'type');
    if (typeof type !== 'string' || type.toLowerCase() !== 'selfhosted') {
      throw controlPlaneErrors.GATEWAY_KIND.create({ name, type: typeof type === 'string' ? type : 'missing' });
    }
    return gatewayView(factory, await gateways.put(factory, name, document, { ifMatch: request.headers['if-match'] }));
  });
  app.get<{ Params: NamedParams }>(`${path}/:name`, async (request, reply) => {
    const { factory, gateway } = await find(options, request.params);
    if (isUnchanged(request.headers['if-none-match'], gateway.etag)) return reply.status(304).send();
    return gatewayView(factory, gateway);
  });
  app.delete<{ Params: NamedParams }>(`${path}/:name`, async (request, reply) => {
    const factory = await factoryOf(factories, request.params);
    const gateway = await gateways.find(factory, request.params.name);
    const deleted = await gateways.delete(factory, request.params.name);
    if (gateway !== undefined) options.desired.changed(gateway.id);
    return reply.status(deleted ? 200 : 204).send();
  });
  addActions(app, options);
  addNodeOperations(app, options);
  addDraining(app, options);
}

function addActions(app: App, options: GatewayRoutesOptions): void {
  const { views } = options;
  app.post<{ Params: NamedParams }>(`${path}/:name/getStatus`, async (request) => {
    const { factory, gateway } = await find(options, request.params);
    return views.status(factory, gateway);
  });
  app.post<{ Params: NamedParams }>(
    `${path}/:name/monitoringData`, async (request) => views.monitoring((await find(options, request.params)).gateway),
  );
  app.post<{ Params: NamedParams }>(
    `${path}/:name/listAuthKeys`, async (request) => keysOf((await find(options, request.params)).gateway, options),
  );
  app.post<{ Params: NamedParams }>(`${path}/:name/regenerateAuthKey`, async (request) => {
    const { gateway } = await find(options, request.params);
    const given = property(requireObject(request.body), 'keyName');
    const keyName = gatewayKeyNames.find((known) => typeof given === 'string' && known.toLowerCase() === given.toLowerCase());
    if (keyName === undefined) {
      throw controlPlaneErrors.BODY_REFUSED.create({ path: 'keyName', reason: `is neither ${gatewayKeyNames.join(' nor ')}` });
    }
    const changed = await options.gateways.regenerateKey(gateway, keyName);
    for (const node of await options.gateways.nodes(gateway.id)) if (node.token_hash === null) options.presence.forget(node.id);
    options.desired.changed(gateway.id);
    return keysOf(changed, options);
  });
  app.post<{ Params: NamedParams }>(`${path}/:name/getConnectionInfo`, async (request) => {
    const { gateway } = await find(options, request.params);
    return {
      serviceToken: '',
      identityCertThumbprint: options.caFingerprint,
      hostServiceUri: `https://${options.endpoint}/`,
      version: '1',
      publicKey: gateway.credential_key ?? '',
      isIdentityCertExprired: false,
    };
  });
}

function addNodeOperations(app: App, options: GatewayRoutesOptions): void {
  const { gateways, views } = options;
  app.get<{ Params: NodeParams }>(`${path}/:name/nodes/:nodeName`, async (request) => {
    const { gateway } = await find(options, request.params);
    return views.nodeByName(gateway, request.params.nodeName);
  });
  app.patch<{ Params: NodeParams }>(`${path}/:name/nodes/:nodeName`, async (request) => {
    const { gateway } = await find(options, request.params);
    const node = await gateways.node(gateway, request.params.nodeName);
    const limit = property(requireObject(request.body), 'concurrentJobsLimit');
    if (typeof limit !== 'number' || !Number.isInteger(limit) || limit < 1) {
      throw controlPlaneErrors.BODY_REFUSED.create({ path: 'concurrentJobsLimit', reason: 'is not a whole number of at least 1' });
    }
    await gateways.setLimit(node, limit);
    options.desired.changed(gateway.id);
    return views.nodeByName(gateway, node.name);
  });
  app.post<{ Params: NodeParams }>(`${path}/:name/nodes/:nodeName/ipAddress`, async (request) => {
    const { gateway } = await find(options, request.params);
    const { address } = await gateways.node(gateway, request.params.nodeName);
    return address === '' ? {} : { ipAddress: address.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1') };
  });
  app.delete<{ Params: NodeParams }>(`${path}/:name/nodes/:nodeName`, async (request, reply) => {
    const { gateway } = await find(options, request.params);
    const node = (await gateways.nodes(gateway.id)).find(({ name_key: key }) => key === request.params.nodeName.toLowerCase());
    const deleted = await gateways.deleteNode(gateway, request.params.nodeName);
    if (node !== undefined) options.presence.forget(node.id);
    options.desired.changed(gateway.id);
    return reply.status(deleted ? 200 : 204).send();
  });
}

const drainGraceDefaultSeconds = 60;
const drainGraceMaxSeconds = 86_400;

/** Ours beside the API's: a node is taken out of work for a while, and back. Both may be said again. */
function addDraining(app: App, options: GatewayRoutesOptions): void {
  const { gateways, views } = options;
  app.post<{ Params: NodeParams }>(`${path}/:name/nodes/:nodeName/drain`, async (request) => {
    const { gateway, node } = await workingNode(options, request.params, 'drain');
    await gateways.drainNode(node, graceSeconds(request.body) * 1000);
    options.desired.changed(gateway.id);
    return views.nodeByName(gateway, node.name);
  });
  app.post<{ Params: NodeParams }>(`${path}/:name/nodes/:nodeName/resume`, async (request) => {
    const { gateway, node } = await workingNode(options, request.params, 'resume');
    await gateways.resumeNode(node);
    options.desired.changed(gateway.id);
    return views.nodeByName(gateway, node.name);
  });
}

async function workingNode(
  options: GatewayRoutesOptions, params: NodeParams, what: string,
): Promise<{ gateway: GatewayRow; node: NodeRow }> {
  const { gateway } = await find(options, params);
  const node = await options.gateways.node(gateway, params.nodeName);
  if (node.token_hash === null) throw controlPlaneErrors.REGISTRATION_ENDED.create({ what, node: node.name });
  return { gateway, node };
}

function graceSeconds(body: unknown): number {
  if (body === undefined || body === null) return drainGraceDefaultSeconds;
  const given = property(requireObject(body), 'graceSeconds');
  if (given === undefined || given === null) return drainGraceDefaultSeconds;
  if (typeof given !== 'number' || !Number.isFinite(given) || given < 0 || given > drainGraceMaxSeconds) {
    throw controlPlaneErrors.BODY_REFUSED.create({
      path: 'graceSeconds', reason: `is not a number of seconds from 0 to ${drainGraceMaxSeconds}`,
    });
  }
  return given;
}

async function find(options: GatewayRoutesOptions, params: NamedParams): Promise<{ factory: FactoryRow; gateway: GatewayRow }> {
  const factory = await factoryOf(options.factories, params);
  return { factory, gateway: await options.gateways.get(factory, params.name) };
}

function keysOf(gateway: GatewayRow, options: GatewayRoutesOptions): Record<GatewayKeyName, string> {
  const key = (keyName: GatewayKeyName, generation: number): string =>
    formatGatewayKey({
      gatewayId: gateway.id, keyName, endpoint: options.endpoint, caFingerprint: options.caFingerprint,
      secret: deriveGatewayKeySecret(options.master, { gatewayId: gateway.id, keyName, generation }),
    }).reveal();
  return { authKey1: key('authKey1', gateway.key1_generation), authKey2: key('authKey2', gateway.key2_generation) };
}

function gatewayView(factory: FactoryRow, row: GatewayRow): Record<string, unknown> {
  const document = JSON.parse(row.resource) as JsonObject;
  return {
    ...document,
    properties: property(document, 'properties'),
    id: resourceId(factory, `/integrationruntimes/${row.name}`),
    name: row.name,
    type: 'Microsoft.DataFactory/factories/integrationruntimes',
    etag: row.etag,
  };
}

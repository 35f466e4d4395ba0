import type { Server } from 'node:https';
import { type Clock, firstLine, type Logger, type Meter, newUuid, type Random, Secret } from '@dmg/base';
import { parseJsonText } from '@dmg/contracts';
import { tokenMatches } from '@dmg/security';
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { controlPlaneErrors } from '../errors.ts';
import { requestsTotal } from '../metrics.ts';
import { bodyBytesMax, toAzureError } from './azure-errors.ts';

export type App = FastifyInstance<Server>;

export interface AppOptions {
  readonly keyPem: string;
  readonly chainPem: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
}

export const apiVersion = '2018-06-01';

/** The HTTPS server without its routes: bodies, request ids, errors in Azure's shape. */
export function createApp(options: AppOptions): App {
  const { logger, meter, random } = options;
  const app: App = fastify({
    https: { key: options.keyPem, cert: options.chainPem, minVersion: 'TLSv1.2' },
    logger: false,
    bodyLimit: bodyBytesMax,
    routerOptions: { caseSensitive: false, ignoreTrailingSlash: true, maxParamLength: 300 },
    // Longer than clients keep an idle connection, so that we never close one at the moment they use it again.
    keepAliveTimeout: 120_000,
    forceCloseConnections: 'idle',
    requestIdHeader: false,
    genReqId: () => newUuid(random),
    return503OnClosing: true,
  });
  // Clients send `content-type: application/json` also where there is no body.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    const text = String(body);
    if (text.trim() === '') return done(null, undefined);
    try {
      done(null, parseJsonText(text, 'the request body').value);
    } catch (error) {
      done(error instanceof Error ? error : new Error(firstLine(error)));
    }
  });
  app.addHook('onRequest', (request, reply, done) => {
    void reply
      .header('x-ms-request-id', request.id)
      .header('x-ms-correlation-request-id', correlationId(request))
      .header('cache-control', 'no-store');
    done();
  });
  // A request that is answered while the server closes must not leave its connection open behind it.
  let closing = false;
  app.addHook('preClose', (done) => {
    closing = true;
    done();
  });
  app.addHook('onSend', (_request, reply, _payload, done) => {
    if (closing) void reply.header('connection', 'close');
    done();
  });
  app.addHook('onResponse', (request, reply, done) => {
    const api = request.url.startsWith('/gateway/') ? 'gateway' : 'rest';
    meter.add(requestsTotal, 1, { api, status: `${Math.floor(reply.statusCode / 100)}xx` });
    logger.debug(
      {
        requestId: request.id,
        method: request.method,
        url: request.routeOptions.url,
        status: reply.statusCode,
        durationMs: Math.round(reply.elapsedTime),
      },
      'request answered',
    );
    done();
  });
  app.setErrorHandler((error, request, reply) => sendError(error, request, reply, logger));
  app.setNotFoundHandler((request, reply) =>
    sendError(
      controlPlaneErrors.NO_ROUTE.create({ method: request.method, path: request.url.split('?', 1)[0] ?? '' }), request, reply, logger,
    ),
  );
  return app;
}

function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply, logger: Logger): FastifyReply {
  const answer = toAzureError(error, request.id);
  const fields = { requestId: request.id, method: request.method, url: request.routeOptions.url, status: answer.status };
  if (answer.unexpected) logger.error({ ...fields, error }, 'request failed unexpectedly');
  else logger.info({ ...fields, code: answer.body.error.code }, 'request refused');
  if (answer.status === 401) void reply.header('www-authenticate', 'Bearer');
  return reply.status(answer.status).type('application/json').send(answer.body);
}

function correlationId(request: FastifyRequest): string {
  const given = request.headers['x-ms-correlation-request-id'] ?? request.headers['x-ms-client-request-id'];
  return typeof given === 'string' && /^[\w-]{1,64}$/.test(given) ? given : request.id;
}

/** Refuses requests of the REST API without its bearer token. Runs before the body is read. */
export function requireToken(tokenHash: string): (request: FastifyRequest) => Promise<void> {
  return async (request) => {
    const token = bearerToken(request);
    if (token === undefined || !tokenMatches(token, tokenHash)) throw controlPlaneErrors.UNAUTHENTICATED.create();
  };
}

export function bearerToken(request: FastifyRequest): Secret | undefined {
  const text = /^Bearer\s+(\S+)\s*$/i.exec(request.headers.authorization ?? '')?.[1];
  return text === undefined ? undefined : new Secret(text);
}

/** Refuses requests for another version of the REST API. */
export async function requireApiVersion(request: FastifyRequest): Promise<void> {
  const query = request.query as Readonly<Record<string, unknown>>;
  const given = Object.entries(query).find(([name]) => name.toLowerCase() === 'api-version')?.[1];
  if (given === apiVersion) return;
  throw controlPlaneErrors.API_VERSION.create({ version: given === undefined ? 'missing' : `not ${apiVersion}` });
}

import { createServer, type IncomingMessage, type Server } from 'node:http';
import { firstLine, type Logger } from '@dmg/base';
import type { Broker } from './broker.ts';
import type { QueueStore } from './queue-store.ts';
import type { QueueCounts, QueueSettings } from './queue-types.ts';

/** One queue as `GET /queues` tells it. */
export interface QueueReport extends QueueCounts {
  readonly name: string;
  /** Receiving links. */
  readonly receivers: number;
  readonly silent: boolean;
  readonly settings: QueueSettings;
}

/** What `POST /control` takes. `configure` makes the queue if there is none; settings left out keep their value. */
export type ControlRequest =
  | { readonly action: 'configure'; readonly queue: string; readonly settings: Partial<QueueSettings> }
  | { readonly action: 'detach'; readonly queue: string }
  /** The receiving links that are open now get nothing any more; new ones do. */
  | { readonly action: 'mute'; readonly queue: string }
  | { readonly action: 'silence'; readonly queue: string; readonly on: boolean }
  /** As Service Bus does before maintenance. */
  | { readonly action: 'close-connections' }
  /** As a network does. */
  | { readonly action: 'drop-connections' };

const actions: readonly ControlRequest['action'][] = ['configure', 'detach', 'mute', 'silence', 'close-connections', 'drop-connections'];
const bodyBytesMax = 65_536;

/** HTTP on loopback for counts and for faults on request. No secret is served, so there is no login. */
export class ControlServer {
  readonly #store: QueueStore;
  readonly #broker: Broker;
  readonly #logger: Logger;
  readonly #server: Server;

  constructor(options: { store: QueueStore; broker: Broker; logger: Logger }) {
    this.#store = options.store;
    this.#broker = options.broker;
    this.#logger = options.logger;
    this.#server = createServer((request, response) => {
      void this.#answer(request).then(({ status, body }) => {
        response.writeHead(status, { 'content-type': 'application/json', connection: 'close' }).end(`${JSON.stringify(body)}\n`);
      });
    });
  }

  /** Rejects with the system's error when the port is taken. */
  async listen(options: { host: string; port: number }): Promise<number> {
    await new Promise<void>((resolve, reject) => this.#server.once('error', reject).listen(options.port, options.host, resolve));
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : options.port;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage): Promise<{ status: number; body: unknown }> {
    try {
      const path = new URL(request.url ?? '/', 'http://localhost').pathname;
      if (request.method === 'GET' && path === '/healthz') return { status: 200, body: { status: 'ok' } };
      if (request.method === 'GET' && path === '/queues') return { status: 200, body: this.#report() };
      // A page in a browser cannot send this type to another origin without asking first.
      if (request.method === 'POST' && path === '/control' && request.headers['content-type'] === 'application/json') {
        return await this.#control((await readJson(request)) as ControlRequest);
      }
      return { status: 404, body: { message: 'There are GET /queues, GET /healthz and POST /control with a JSON body.' } };
    } catch (error) {
      this.#logger.warn({ reason: firstLine(error) }, 'control request failed');
      return { status: 400, body: { message: firstLine(error) } };
    }
  }

  #report(): QueueReport[] {
    return this.#store.all().map((queue) => ({
      name: queue.name,
      ...queue.counts(),
      receivers: this.#broker.pump.consumerCount(queue),
      silent: this.#broker.pump.isSilent(queue.name),
      settings: queue.settings,
    }));
  }

  async #control(request: ControlRequest): Promise<{ status: number; body: unknown }> {
    switch (request.action) {
      case 'configure': {
        const queue = this.#store.create(request.queue);
        queue.configure({ ...queue.settings, ...request.settings });
        await this.#store.durable();
        return { status: 200, body: queue.settings };
      }
      case 'detach':
        return { status: 200, body: { links: this.#broker.detachLinks(request.queue) } };
      case 'mute':
        return { status: 200, body: { links: this.#broker.muteLinks(request.queue) } };
      case 'silence':
        this.#broker.pump.silence(request.queue, request.on);
        return { status: 200, body: {} };
      case 'close-connections':
        return { status: 200, body: { connections: this.#broker.closeConnections() } };
      case 'drop-connections':
        return { status: 200, body: { connections: this.#broker.dropConnections() } };
      default:
        return { status: 400, body: { message: `action is none of ${actions.join(', ')}` } };
    }
  }
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const chunk of request) {
    text += String(chunk);
    if (text.length > bodyBytesMax) throw new RangeError('the request is too long');
  }
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null) throw new TypeError('the request is not a JSON object');
  return value;
}

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { PrometheusMeter } from './meter.ts';

export interface Health {
  readonly ok: boolean;
  /** One sentence: what is wrong, or that all is well. */
  readonly evidence: string;
}

export interface MetricsServer {
  readonly url: string;
  close(): Promise<void>;
}

/**
 * `/metrics`, `/healthz` (fails when the process should be restarted) and `/readyz` (fails while it takes no work), over plain
 * HTTP. `host` is loopback unless the operator opens it: the text names nothing secret, but it is nobody's business either.
 */
export async function startMetricsServer(options: {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly meter: PrometheusMeter;
  readonly live: () => Health;
  readonly ready: () => Health;
}): Promise<MetricsServer> {
  const { meter } = options;
  const server = createServer((request, response) => {
    const send = (status: number, contentType: string, body: string): void => {
      response.writeHead(status, { 'content-type': contentType, 'cache-control': 'no-store' }).end(body);
    };
    const sendHealth = (health: Health): void => send(health.ok ? 200 : 503, 'application/json', `${JSON.stringify(health)}\n`);
    if (request.method !== 'GET') return send(405, 'text/plain', 'only GET is answered here\n');
    switch (request.url?.split('?', 1)[0]) {
      case '/metrics':
        meter.text().then(
          ({ contentType, body }) => send(200, contentType, body),
          () => send(500, 'text/plain', 'metrics could not be collected\n'),
        );
        return;
      case '/healthz':
        return sendHealth(options.live());
      case '/readyz':
        return sendHealth(options.ready());
      default:
        return send(404, 'text/plain', 'try /metrics, /healthz or /readyz\n');
    }
  });
  await listen(server, options.port, options.host);
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${options.host}:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

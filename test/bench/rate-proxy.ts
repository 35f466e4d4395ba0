import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { Transform, type TransformCallback } from 'node:stream';
import { systemClock } from '@dmg/base';

// A process of its own: a proxy that gives each connection so many bytes a second of what the target sends, and no burst beyond
// a tenth of a second. Arguments: port of the target, bytes a second. Says its own port in one line; ends with its standard input.
const burstMs = 100;
const [targetPort = 0, bytesPerSecond = 0] = process.argv.slice(2).map(Number);

class RateLimit extends Transform {
  #paidMs = 0;

  override _transform(bytes: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    const nowMs = systemClock.monotonicMs();
    this.#paidMs = Math.max(this.#paidMs, nowMs - burstMs) + (bytes.length / bytesPerSecond) * 1000;
    const waitMs = this.#paidMs - nowMs;
    if (waitMs <= 1) done(null, bytes);
    else systemClock.after(waitMs, () => done(null, bytes));
  }
}

function serve(client: Socket): void {
  const target = connect(targetPort, '127.0.0.1');
  const limit = new RateLimit();
  client.setNoDelay(true);
  target.setNoDelay(true);
  client.pipe(target);
  target.pipe(limit).pipe(client);
  // Whatever happens to one side happens to the other.
  for (const [one, other] of [[client, target], [target, client]] as const) {
    one.on('error', () => other.destroy());
    one.on('close', () => (one === client ? other.destroy() : undefined));
  }
}

const server = createServer(serve).listen(0, '127.0.0.1');
await once(server, 'listening');
process.stdout.write(`${JSON.stringify({ ready: 'rate-proxy', port: (server.address() as { port: number }).port })}\n`);
process.stdin.resume();
await once(process.stdin, 'end');
process.exit(0);

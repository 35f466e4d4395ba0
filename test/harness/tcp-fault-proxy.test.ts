import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { systemClock } from '@dmg/base';
import { onCleanup } from './cleanup.ts';
import { startTcpFaultProxy, type TcpFaultProxy } from './tcp-fault-proxy.ts';
import { waitFor } from './wait-for.ts';

interface Echo {
  readonly port: number;
  received: string;
}

/** A server which answers each piece with the same piece in brackets. */
async function startEcho(t: TestContext): Promise<Echo> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    socket.setEncoding('utf8').on('data', (text: string) => {
      echo.received += text;
      socket.write(`[${text}]`);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  const echo: Echo = { port: address.port, received: '' };
  onCleanup(t, () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return echo;
}

class Client {
  received = '';
  ended: string | undefined;
  readonly socket: Socket;

  constructor(t: TestContext, port: number) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.setEncoding('utf8');
    this.socket.on('data', (text: string) => (this.received += text));
    this.socket.on('error', (error: NodeJS.ErrnoException) => (this.ended = error.code));
    this.socket.on('close', () => (this.ended ??= 'closed'));
    onCleanup(t, () => void this.socket.destroy());
  }

  async ask(text: string): Promise<void> {
    const wanted = this.received + `[${text}]`;
    this.socket.write(text);
    await waitFor(`the reply ${wanted}`, () => this.received === wanted, { everyMs: 1 });
  }
}

async function start(t: TestContext): Promise<{ echo: Echo; proxy: TcpFaultProxy; client: Client }> {
  const echo = await startEcho(t);
  const proxy = await startTcpFaultProxy(t, { port: echo.port });
  return { echo, proxy, client: new Client(t, proxy.port) };
}

test('bytes pass both ways, and the end of a side is told', async (t) => {
  const { proxy, client } = await start(t);
  await client.ask('one');
  await client.ask('two');
  assert.equal(proxy.accepted, 1);
  client.socket.end();
  await waitFor('the end', () => client.ended === 'closed' && proxy.open === 0);
});

test('large streams arrive whole in spite of backpressure', async (t) => {
  const { echo, client } = await start(t);
  const text = 'x'.repeat(3_000_000);
  client.socket.write(text);
  await waitFor('the whole text', () => echo.received.length === text.length);
  await waitFor('all replies', () => client.received.replaceAll(/[[\]]/g, '').length === text.length);
});

test('delay hands each piece on later', async (t) => {
  const { proxy, client } = await start(t);
  await client.ask('warm');
  proxy.set({ kind: 'delay', delayMs: 40 });
  const startedMs = systemClock.monotonicMs();
  await client.ask('late');
  assert.ok(systemClock.monotonicMs() - startedMs >= 75, 'two delays, one each way');
});

test('blackhole keeps all open and silent; what was on its way arrives afterwards', async (t) => {
  const { echo, proxy, client } = await start(t);
  await client.ask('before');
  proxy.set({ kind: 'blackhole' });
  client.socket.write('during');
  const second = new Client(t, proxy.port);
  await waitFor('the second connection', () => proxy.accepted === 2);
  await assert.rejects(waitFor('an answer', () => client.received.includes('during'), { withinMs: 60 }));
  assert.equal(echo.received, 'before');
  assert.equal(client.ended ?? second.ended, undefined);
  proxy.set({ kind: 'pass' });
  await waitFor('the held bytes', () => client.received === '[before][during]');
  await second.ask('hello');
});

test('swallowed replies: the request takes effect, its answer is lost', async (t) => {
  const { echo, proxy, client } = await start(t);
  proxy.set({ kind: 'swallowReplies' });
  client.socket.write('commit');
  await waitFor('the request at the server', () => echo.received === 'commit');
  await assert.rejects(waitFor('an answer', () => client.received !== '', { withinMs: 40 }));
  proxy.set({ kind: 'pass' });
  await client.ask('next');
});

test('drop resets what is open; refuse resets what comes', async (t) => {
  const { proxy, client } = await start(t);
  await client.ask('one');
  assert.equal(proxy.drop(), 1);
  await waitFor('the reset', () => client.ended === 'ECONNRESET');
  const kept = new Client(t, proxy.port);
  await kept.ask('kept');
  proxy.set({ kind: 'refuse' });
  const refused = new Client(t, proxy.port);
  await waitFor('the refusal', () => refused.ended !== undefined);
  await kept.ask('still');
});

test('a byte limit cuts the connection and lets no byte more through', async (t) => {
  const { echo, proxy, client } = await start(t);
  await client.ask('12345');
  proxy.cutAfter(3);
  client.socket.write('abcdef');
  await waitFor('the cut', () => client.ended !== undefined);
  await waitFor('the connection to be gone', () => proxy.open === 0);
  assert.ok('12345abc'.startsWith(echo.received), `the server received ${echo.received}`);
  proxy.cutAfter(Number.POSITIVE_INFINITY);
  await new Client(t, proxy.port).ask('again');
});

test('a target that is down is seen as a closed connection, and another can take its place', async (t) => {
  const { proxy, client } = await start(t);
  await client.ask('one');
  const other = await startEcho(t);
  proxy.retarget({ port: 1 });
  const lost = new Client(t, proxy.port);
  await waitFor('the end', () => lost.ended !== undefined);
  proxy.retarget({ port: other.port });
  await new Client(t, proxy.port).ask('moved');
  assert.equal(other.received, 'moved');
});

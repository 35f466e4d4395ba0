import assert from 'node:assert/strict';
import { test } from 'node:test';
import { namespaceObstacle, NetworkNamespace } from './network-namespace.ts';
import { startProcess } from './processes.ts';
import { waitFor } from './wait-for.ts';

/** Answers every request with its number, on a connection that is kept. */
const program = `
  let count = 0;
  const server = require('node:http').createServer((_request, reply) => reply.end(String(++count)));
  server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ ready: 'echo', port: server.address().port })));
`;

test('what runs inside is reached from outside, is cut off without a word, and goes on afterwards', async (t) => {
  const obstacle = namespaceObstacle();
  if (obstacle !== undefined) return t.skip(obstacle);
  const namespace = await NetworkNamespace.open(t);
  const { ready } = await startProcess(t, { name: 'echo', ...namespace.inside(process.execPath, ['-e', program]) });
  const port = Number(ready['port']);
  await assert.rejects(fetch(`http://127.0.0.1:${port}`), 'its port is none of this machine');
  const forwarded = await namespace.forward(port);
  const ask = async (limitMs: number): Promise<string> =>
    (await fetch(`http://127.0.0.1:${forwarded}`, { signal: AbortSignal.timeout(limitMs) })).text();
  assert.equal(await ask(5000), '1');
  // In, out, and in again.
  const roundabout = await namespace.forward(await namespace.offer(forwarded));
  assert.equal(await (await fetch(`http://127.0.0.1:${roundabout}`)).text(), '2');
  const restore = await namespace.cut(port);
  await assert.rejects(ask(300), { name: 'TimeoutError' });
  await restore();
  await waitFor('an answer', () => ask(2000).catch(() => undefined));
});

import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { hasCode, isDmgError, Secret, systemClock } from '@dmg/base';
import { HttpsJsonClient } from '@dmg/https-json';
import { ensureServerIdentity } from '@dmg/security';
import { tempDir } from '../harness/temp-dir.ts';

type Handler = (path: string, authorization: string | undefined, body: string, response: ServerResponse) => void;

async function startServer(t: TestContext, handle: Handler): Promise<{ endpoint: string; caPem: string }> {
  const identity = await ensureServerIdentity({ folder: await tempDir(t), names: [], clock: systemClock });
  const server: Server = createServer({ key: identity.keyPem, cert: identity.chainPem }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => handle(request.url ?? '', request.headers.authorization, Buffer.concat(chunks).toString(), response));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return { endpoint: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, caPem: identity.caPem };
}

function openClient(t: TestContext, options: { endpoint: string; caPem: string; token?: Secret; callLimitMs?: number }): HttpsJsonClient {
  const client = new HttpsJsonClient({ clock: systemClock, ...options });
  t.after(() => client.close());
  return client;
}

test('JSON goes both ways with the token', async (t) => {
  const server = await startServer(t, (path, authorization, body, response) => {
    const seen = { path, authorization, body: JSON.parse(body) as unknown };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(seen));
  });
  const client = openClient(t, { ...server, token: new Secret('t0ken') });
  const answer = await client.call('try', { method: 'POST', path: '/a?b=1', body: { text: 'naïve 😀' } });
  assert.deepEqual(answer, { path: '/a?b=1', authorization: 'Bearer t0ken', body: { text: 'naïve 😀' } });
});

test('a refusal carries what the server says; no answer of ours names the token', async (t) => {
  const server = await startServer(t, (_path, _authorization, _body, response) => {
    response.writeHead(409).end(JSON.stringify({ error: { code: 'TooMany', message: 'There are four already.', fix: 'Delete one.' } }));
  });
  const client = openClient(t, { ...server, token: new Secret('t0ken-canary') });
  const error = await client.call('register', { method: 'GET', path: '/' }).catch((thrown: unknown) => thrown);
  assert.ok(isDmgError(error));
  assert.equal(error.code, 'DMG_HTTPS_REFUSED');
  assert.match(error.message, /409 TooMany.*There are four already\./);
  assert.equal(error.fix, 'Delete one.');
  assert.ok(!JSON.stringify(error.toFault()).includes('t0ken-canary'));
});

test('what is no answer of a control plane is said to be so', async (t) => {
  const server = await startServer(t, (_path, _authorization, _body, response) => void response.writeHead(502).end('<html>'));
  const client = openClient(t, server);
  await assert.rejects(client.call('try', { method: 'GET', path: '/' }), (error) => hasCode(error, 'DMG_HTTPS_NOT_UNDERSTOOD'));
});

test('a server of another CA is not talked to', async (t) => {
  let asked = false;
  const server = await startServer(t, (_path, _authorization, _body, response) => {
    asked = true;
    response.end('{}');
  });
  const other = await ensureServerIdentity({ folder: await tempDir(t), names: [], clock: systemClock });
  const client = openClient(t, { endpoint: server.endpoint, caPem: other.caPem, token: new Secret('t0ken') });
  await assert.rejects(client.call('try', { method: 'GET', path: '/' }), (error) => hasCode(error, 'DMG_HTTPS_UNREACHABLE'));
  assert.equal(asked, false);
});

test('a server that never answers ends at the deadline; a closed port at once', async (t) => {
  const server = await startServer(t, () => undefined);
  const client = openClient(t, { ...server, callLimitMs: 100 });
  await assert.rejects(client.call('try', { method: 'GET', path: '/' }), (error) => hasCode(error, 'DMG_BASE_DEADLINE'));
  const closed = openClient(t, { endpoint: 'https://127.0.0.1:1', caPem: server.caPem });
  await assert.rejects(closed.call('try', { method: 'GET', path: '/' }), (error) => hasCode(error, 'DMG_HTTPS_UNREACHABLE'));
});

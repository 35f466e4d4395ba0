import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { connect, createServer } from 'node:tls';
import type { NodeCertificate } from '@dmg/model';
import { nodeHostName, nodeOfCertificate } from '@dmg/security';
import { FakeNode } from '../testing/fake-node.ts';
import { factory, group, registeredNode, seed, startFixture } from '../testing/fixture.ts';

/** `server` listens with its certificate and answers each client with the name TLS gives it, or why TLS refuses it. */
async function listen(t: TestContext, server: FakeNode): Promise<number> {
  const { certificatePem, caPem } = server.registered.certificate;
  const options = { key: server.privateKeyPem, cert: certificatePem, ca: caPem, requestCert: true, rejectUnauthorized: false };
  const tlsServer = createServer(options, (socket) => {
    socket.on('error', () => undefined); // The client may be gone; what it got is what is looked at.
    const peer = socket.authorized ? nodeOfCertificate(socket.getPeerX509Certificate()?.raw ?? new Uint8Array())?.nodeId : undefined;
    socket.end(peer ?? `refused: ${String(socket.authorizationError)}`);
  });
  tlsServer.listen(0, '127.0.0.1');
  await once(tlsServer, 'listening');
  t.after(() => new Promise((resolve) => tlsServer.close(resolve)));
  return (tlsServer.address() as AddressInfo).port;
}

async function greet(port: number, client: FakeNode, server: FakeNode): Promise<string> {
  const { certificatePem, caPem } = client.registered.certificate;
  const socket = connect({
    host: '127.0.0.1', port, key: client.privateKeyPem, cert: certificatePem, ca: caPem, servername: nodeHostName(server.registered.nodeId),
  });
  let answer = '';
  socket.on('data', (chunk) => (answer += String(chunk)));
  await once(socket, 'close'); // Rejects when the client refuses the server.
  return answer;
}

test('nodes of one gateway know each other by their certificates; those of another gateway are strangers', async (t) => {
  const fixture = await startFixture(t);
  await seed(fixture);
  await fixture.client.integrationRuntimes.createOrUpdate(group, factory, 'gateway-2', { properties: { type: 'SelfHosted' } });
  const one = await registeredNode(fixture, 'one');
  const two = await registeredNode(fixture, 'two');
  const stranger = await FakeNode.create(fixture.controlPlane.endpoint, 'stranger');
  const { authKey1 = '' } = await fixture.client.integrationRuntimes.listAuthKeys(group, factory, 'gateway-2');
  assert.equal((await stranger.register(authKey1)).status, 200);
  const { gatewayId, nodeId, certificate } = one.registered;
  assert.deepEqual(nodeOfCertificate(certificate.certificatePem), { gatewayId, nodeId });
  assert.equal(certificate.caPem, two.registered.certificate.caPem);
  assert.equal(new X509Certificate(certificate.caPem).subject, `CN=DMG gateway ${gatewayId}`);
  const port = await listen(t, one);
  assert.equal(await greet(port, two, one), two.registered.nodeId);
  await assert.rejects(greet(port, stranger, one), /self-signed certificate/);
  // Also one that trusts the other gateway's CA is not trusted by it.
  const { certificatePem } = stranger.registered.certificate;
  stranger.registration = { ...stranger.registered, certificate: { certificatePem, caPem: certificate.caPem } };
  assert.equal(await greet(port, stranger, one), 'refused: UNABLE_TO_VERIFY_LEAF_SIGNATURE');
});

test('a node renews its certificate by its token, for itself only; the CA stays over restarts', async (t) => {
  const fixture = await startFixture(t);
  await seed(fixture);
  const one = await registeredNode(fixture, 'one');
  const two = await registeredNode(fixture, 'two');
  await fixture.restart();
  const renew = (node: FakeNode, certificateRequest: string) => node.call('POST', '/gateway/v1/certificate', { certificateRequest });
  const { status, body } = await renew(one, await one.certificateRequest());
  assert.equal(status, 200);
  const renewed = body as NodeCertificate;
  const { certificate, nodeId, gatewayId } = one.registered;
  assert.equal(renewed.caPem, certificate.caPem);
  assert.notEqual(new X509Certificate(renewed.certificatePem).serialNumber, new X509Certificate(certificate.certificatePem).serialNumber);
  one.registration = { ...one.registered, certificate: renewed };
  assert.equal(await greet(await listen(t, two), one, two), nodeId);
  // Whom a certificate names comes from the token, whatever the request says.
  const foreign = (await renew(one, await two.certificateRequest())).body as NodeCertificate;
  assert.deepEqual(nodeOfCertificate(foreign.certificatePem), { gatewayId, nodeId });
  const bad = await renew(one, 'nonsense');
  assert.equal(bad.status, 400);
  assert.equal((bad.body as { error: { code: string } }).error.code, 'DMG_SECURITY_CERTIFICATE_REQUEST_REFUSED');
  one.registration = { ...one.registered, nodeToken: 'x' };
  assert.equal((await renew(one, await one.certificateRequest())).status, 401);
  const refused = await FakeNode.create(fixture.controlPlane.endpoint, 'three');
  const { authKey1 = '' } = await fixture.client.integrationRuntimes.listAuthKeys(group, factory, 'gateway-1');
  assert.equal((await refused.register(authKey1, { certificateRequest: 'nonsense' })).status, 400);
  assert.equal((await two.desired()).members.length, 2, 'a registration whose request is refused leaves nothing');
});

test('no private key of a CA lies open in the database', async (t) => {
  const fixture = await startFixture(t);
  await seed(fixture);
  await registeredNode(fixture, 'one');
  await fixture.restart({}, async () => {
    const stored = await readFile(join(fixture.stateFolder, 'control-plane.db'), 'latin1');
    assert.ok(stored.includes('BEGIN CERTIFICATE'));
    assert.ok(!stored.includes('PRIVATE KEY'));
  });
});
